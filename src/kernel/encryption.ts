import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { GatewayError } from './errors.ts';

/** The database field a sealed text belongs to. It opens nowhere else. */
export interface SealedPlace {
  readonly table: string;
  readonly column: string;
  readonly row: string;
}

/** What a vault is for. Each purpose has a key of its own, so that no feature can be made to open another's secrets. */
export type VaultPurpose = 'provider-credential' | 'idempotent-answer';

export interface Vault {
  seal(text: string, place: SealedPlace): string;
  /** Throws a GatewayError for a text that was changed, moved, or sealed with another key. Never answers garbage. */
  open(sealed: string, place: SealedPlace): string;
}

const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** `gwenc:1:<key id>:<wrapped data key>:<nonce>:<ciphertext>:<tag>`, the last four in base64url. */
const format = /^gwenc:1:([0-9a-f]{8}):([\w-]{80}):([\w-]{16}):([\w-]*):([\w-]{22})$/;

/**
 * Seals single database fields with AES-256-GCM: a random data key per text, wrapped by a key derived from the
 * operator's key-encryption key. Rotating that key therefore re-wraps 60 bytes and touches no ciphertext, and no data
 * key sees a second nonce.
 *
 * @param kek 32 random bytes; without one the vault exists, and the first use says what is missing
 */
export function createVault(kek: Buffer | undefined, purpose: VaultPurpose = 'provider-credential'): Vault {
  if (!kek) return { seal: noKey, open: noKey };
  const wrappingKey = derive(kek, `gatewayctl ${purpose}`);
  const kid = keyId(kek);

  return {
    seal(text, place) {
      const aad = boundTo(place, kid);
      const dataKey = randomBytes(keyBytes);
      const wrapped = encrypt(wrappingKey, dataKey, aad);
      const { nonce, ciphertext, tag } = encrypt(dataKey, Buffer.from(text, 'utf8'), aad);
      dataKey.fill(0);
      const wrap = Buffer.concat([wrapped.nonce, wrapped.ciphertext, wrapped.tag]);
      return ['gwenc', '1', kid, ...[wrap, nonce, ciphertext, tag].map((part) => part.toString('base64url'))].join(':');
    },

    open(sealed, place) {
      const [, sealedWith, ...parts] = format.exec(sealed) ?? [];
      if (!sealedWith) throw damaged(place);
      if (sealedWith !== kid) throw otherKey(place, sealedWith, kid);
      const [wrap, nonce, ciphertext, tag] = parts.map((part) => canonical(part, place));
      if (!wrap || !nonce || !ciphertext || !tag) throw damaged(place);
      const aad = boundTo(place, kid);
      const dataKey = decrypt(wrappingKey, unwrap(wrap), aad, place);
      const text = decrypt(dataKey, { nonce, ciphertext, tag }, aad, place);
      dataKey.fill(0);
      return text.toString('utf8');
    },
  };
}

/** A name for a key-encryption key that tells nothing about it: which key sealed a row is visible in the row. */
export function keyId(kek: Buffer): string {
  return derive(kek, 'gatewayctl key id').toString('hex').slice(0, 8);
}

interface Encrypted {
  readonly nonce: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

const derive = (kek: Buffer, info: string): Buffer => Buffer.from(hkdfSync('sha256', kek, '', info, keyBytes));

/** As JSON, because with a plain separator `a|b` and `c` would be bound like `a` and `b|c`. */
const boundTo = ({ table, column, row }: SealedPlace, kid: string): Buffer =>
  Buffer.from(JSON.stringify(['gwenc', 1, kid, table, column, row]));

function encrypt(key: Buffer, plain: Buffer, aad: Buffer): Encrypted {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { nonce, ciphertext, tag: cipher.getAuthTag() };
}

function decrypt(key: Buffer, { nonce, ciphertext, tag }: Encrypted, aad: Buffer, place: SealedPlace): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(aad).setAuthTag(tag);
  const plain = decipher.update(ciphertext);
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch (cause) {
    throw damaged(place, cause);
  }
}

const unwrap = (wrap: Buffer): Encrypted => ({
  nonce: wrap.subarray(0, nonceBytes),
  ciphertext: wrap.subarray(nonceBytes, nonceBytes + keyBytes),
  tag: wrap.subarray(nonceBytes + keyBytes),
});

/** Node's decoder passes over what is no base64url and over loose bits at the end: changes GCM would never get to see. */
function canonical(text: string, place: SealedPlace): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw damaged(place);
  return bytes;
}

const named = ({ table, column, row }: SealedPlace): string => `${table}.${column} of ${row}`;

const damaged = (place: SealedPlace, cause?: unknown): GatewayError =>
  new GatewayError(
    'system',
    'sealed_value_damaged',
    `The encrypted ${named(place)} was changed or belongs to another row`,
    {
      hint: 'Restore the row from a backup, or set the value again.',
      cause,
    },
  );

const otherKey = (place: SealedPlace, sealedWith: string, kid: string): GatewayError =>
  new GatewayError(
    'config',
    'encryption_key_mismatch',
    `The encrypted ${named(place)} was sealed with encryption key ${sealedWith}, and this gateway has ${kid}`,
    { hint: 'Give the encryption key the database was filled with.' },
  );

function noKey(): never {
  throw new GatewayError(
    'config',
    'encryption_key_missing',
    'Provider credentials in the database need an encryption key, and none is configured',
    {
      hint:
        'Make one with `openssl rand -base64 32` and give it as GATEWAYCTL_ENCRYPTION_KEY_FILE, ' +
        'as the systemd credential encryption-key, or as GATEWAYCTL_ENCRYPTION_KEY. Every daemon needs the same one.',
    },
  );
}
