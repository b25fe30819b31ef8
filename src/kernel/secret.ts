import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

export { looksSecret, maskSecret } from './mask.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const prefixes = { virtual: 'sk-gw1_', master: 'sk-gwm1_' } as const;

/** 32 base62 characters, then 6 that are the CRC32 of all before them. */
const ownKey = /^sk-gwm?1_[0-9A-Za-z]{38}$/;

/**
 * A new key: prefix, 190 random bits, checksum. `sk-` because LiteLLM's clients expect it; `_` because no Base64 run
 * holds one; the checksum so that scanners, and we, know a look-alike without asking the database.
 */
export function generateSecret(kind: keyof typeof prefixes): string {
  const body = prefixes[kind] + randomBase62(32);
  return body + checksum(body);
}

/** Bytes of 248 and more are thrown away: 248 is a multiple of 62, so what is left is uniform. */
function randomBase62(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && text.length < length) text += alphabet.charAt(byte % 62);
    }
  }
  return text;
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let index = 0; index < 6; index++) {
    digits = alphabet.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** Whether a key has our prefix but not our checksum: mistyped or made up, and refused without a look-up (0.1 µs). */
export function isMalformed(secret: string): boolean {
  if (!/^sk-gwm?1_/.test(secret)) return false;
  return !ownKey.test(secret) || checksum(secret.slice(0, -6)) !== secret.slice(-6);
}

/** How a key is known everywhere but in the hands of its holder; LiteLLM's own function, so its hashes can be taken over. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex');
}

const isHash = /^[0-9a-f]{64}$/;

/** What a caller gave to name a key: the key itself, its hash, or another name of it. */
export function keyReference(text: string): { hash: string } | { name: string } {
  if (text.startsWith('sk-')) return { hash: hashSecret(text) };
  return isHash.test(text) ? { hash: text } : { name: text };
}
