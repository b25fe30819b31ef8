import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { GatewayError } from './errors.ts';

/** The database field a sealed text belongs to. It opens nowhere else. */
export interface SealedPlace {
  readonly table: string;
  readonly column: string;
  readonly row: string;
}

/** What a vault is for. Each purpose has a key of its own, so that no feature can be made to open another's secrets. */
export type VaultPurpose = 'provider-credential' | 'idempotent-answer' | 'audit-mac' | 'callback' | 'logged-body';

export interface Vault {
  /** Names the key that seals; undefined without one. */
  readonly keyId: string | undefined;
  seal(text: string, place: SealedPlace): string;
  /** Throws a GatewayError for a text that was changed, moved, or sealed with another key. Never answers garbage. */
  open(sealed: string, place: SealedPlace): string;
  /**
   * The same text under the key that seals now, or undefined when it is there already. Of format 2 only the data key is
   * wrapped anew; a text of format 1 is sealed again, because its content was bound to the key's name.
   */
  rewrap(sealed: string, place: SealedPlace): string | undefined;
  /** Whether two texts are the same, for people: 16 hex digits, keyed, so that nobody can try texts against them. */
  fingerprint(text: string): string;
}

/** The keys a vault has: it seals with the first and opens with all, so that one can take the place of another. */
export interface KeyRing {
  readonly current: Buffer;
  readonly others?: readonly Buffer[];
}

const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** `gwenc:2:<key id>:<wrapped data key>:<nonce>:<ciphertext>:<tag>`, the last four in base64url. */
const format = /^gwenc:([12]):([0-9a-f]{8}):([\w-]{80}):([\w-]{16}):([\w-]*):([\w-]{22})$/;

/** Which key a text was sealed with; undefined for what is no sealed text. Tells nothing of whether it opens. */
export const sealedWith = (sealed: string): string | undefined => format.exec(sealed)?.[2];

interface WrappingKey {
  readonly kid: string;
  readonly key: Buffer;
}

/**
 * Seals single database fields with AES-256-GCM: a random data key per text, wrapped by a key derived from the
 * operator's key-encryption key. Rotating that key therefore re-wraps 60 bytes and touches no ciphertext, and no data
 * key sees a second nonce.
 *
 * @param keys 32 random bytes each; without any the vault exists, and the first use says what is missing
 */
export function createVault(keys: Buffer | KeyRing | undefined, purpose: VaultPurpose = 'provider-credential'): Vault {
  if (!keys) return { keyId: undefined, seal: noKey, open: noKey, rewrap: noKey, fingerprint: noKey };
  const { current, others = [] } = Buffer.isBuffer(keys) ? { current: keys } : keys;
  const sealing = wrappingKey(current, purpose);
  const ring = new Map(
    [...others.map((other) => wrappingKey(other, purpose)), sealing].map((each) => [each.kid, each]),
  );
  const fingerprintKey = derive(current, `gatewayctl ${purpose} fingerprint`);
  const { kid } = sealing;

  return {
    keyId: kid,

    seal(text, place) {
      const dataKey = randomBytes(keyBytes);
      const bound = boundTo(place, kid);
      const wrap = encrypt(sealing.key, dataKey, bound.wrap);
      const content = encrypt(dataKey, Buffer.from(text, 'utf8'), bound.content);
      dataKey.fill(0);
      return toText(kid, join(wrap), content);
    },

    open(sealed, place) {
      const { wrappedBy, wrap, content, bound } = parse(sealed, place, ring);
      const dataKey = decrypt(wrappedBy.key, wrap, bound.wrap, place);
      const text = decrypt(dataKey, content, bound.content, place);
      dataKey.fill(0);
      return text.toString('utf8');
    },

    rewrap(sealed, place) {
      const { version, wrappedBy, wrap, content, bound } = parse(sealed, place, ring);
      if (version === '1') return this.seal(this.open(sealed, place), place);
      if (wrappedBy.kid === kid) return undefined;
      const dataKey = decrypt(wrappedBy.key, wrap, bound.wrap, place);
      const anew = encrypt(sealing.key, dataKey, boundTo(place, kid).wrap);
      dataKey.fill(0);
      return toText(kid, join(anew), content);
    },

    fingerprint: (text) => createHmac('sha256', fingerprintKey).update(text).digest('hex').slice(0, 16),
  };
}

const wrappingKey = (kek: Buffer, purpose: VaultPurpose): WrappingKey => ({
  kid: keyId(kek),
  key: derive(kek, `gatewayctl ${purpose}`),
});

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

/**
 * What a text is bound to: the wrapped data key also to the name of the key that wraps it, the content to its place alone.
 * As JSON, because with a plain separator `a|b` and `c` would be bound like `a` and `b|c`.
 */
function boundTo({ table, column, row }: SealedPlace, kid: string) {
  return {
    wrap: Buffer.from(JSON.stringify(['gwenc', 2, 'data key', kid, table, column, row])),
    content: Buffer.from(JSON.stringify(['gwenc', 2, 'content', table, column, row])),
  };
}

/** In format 1 the content too was bound to the name of the key, so that no other key could take over. */
function boundBefore({ table, column, row }: SealedPlace, kid: string) {
  const both = Buffer.from(JSON.stringify(['gwenc', 1, kid, table, column, row]));
  return { wrap: both, content: both };
}

function parse(sealed: string, place: SealedPlace, ring: ReadonlyMap<string, WrappingKey>) {
  const [, version, kid, ...parts] = format.exec(sealed) ?? [];
  if (!kid) throw damaged(place);
  const wrappedBy = ring.get(kid);
  if (!wrappedBy) throw otherKey(place, kid, [...ring.keys()]);
  const [wrap, nonce, ciphertext, tag] = parts.map((part) => canonical(part, place));
  if (!wrap || !nonce || !ciphertext || !tag) throw damaged(place);
  const bound = version === '1' ? boundBefore(place, kid) : boundTo(place, kid);
  return { version, wrappedBy, wrap: unwrap(wrap), content: { nonce, ciphertext, tag }, bound };
}

const join = ({ nonce, ciphertext, tag }: Encrypted): Buffer => Buffer.concat([nonce, ciphertext, tag]);

const toText = (kid: string, wrap: Buffer, { nonce, ciphertext, tag }: Encrypted): string =>
  ['gwenc', '2', kid, ...[wrap, nonce, ciphertext, tag].map((part) => part.toString('base64url'))].join(':');

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

const otherKey = (place: SealedPlace, kid: string, known: readonly string[]): GatewayError =>
  new GatewayError(
    'config',
    'encryption_key_mismatch',
    `The encrypted ${named(place)} was sealed with encryption key ${kid}, and this gateway has ${known.join(' and ')}`,
    { hint: 'Give the encryption key the database was filled with, as encryption_key or encryption_key_previous.' },
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
