import { createLocalJWKSet, importJWK, type JWK, type LocalJWKSet } from 'jose';
import { z } from 'zod';
import type { Algorithm } from '../config/jwt-settings.ts';

const KEYS_AT_MOST = 100;
const RSA_BITS = { least: 2_048, most: 8_192 } as const;

const KeySetDocument = z.object({ keys: z.array(z.unknown()).max(KEYS_AT_MOST) });

const text = z.string();
const common = {
  kid: text.optional(),
  alg: text.optional(),
  use: z.literal('sig').optional(),
  key_ops: z.array(text).optional(),
  // A private key that somebody has published is everybody's.
  d: z.undefined().optional(),
};

/** The members that make up a public key. Everything else of it is somebody's remark. */
const PublicKey = z.discriminatedUnion('kty', [
  z.object({ kty: z.literal('RSA'), n: text.refine(isRsaSize), e: text, ...common }),
  z.object({ kty: z.literal('EC'), crv: text, x: text, y: text, ...common }),
  z.object({ kty: z.literal('OKP'), crv: text, x: text, ...common }),
]);
type PublicKey = z.output<typeof PublicKey>;

const curves: ReadonlyMap<string, Algorithm> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
  ['Ed25519', 'EdDSA'],
]);

/**
 * The keys of a key set that can verify something, as jose looks them up: by algorithm and `kid`. Each has exactly one
 * algorithm: the one it names, otherwise the first of the issuer's list that it fits.
 *
 * @throws Error with a message for the log when it is no key set, or has no such key
 */
export async function readKeySet(document: unknown, algorithms: readonly Algorithm[]): Promise<LocalJWKSet> {
  const read = KeySetDocument.safeParse(document);
  if (!read.success) throw new Error(`it is no key set of at most ${KEYS_AT_MOST} keys`);
  const keys: JWK[] = [];
  for (const each of read.data.keys) {
    const key = usable(each, algorithms);
    if (key && (await isValid(key))) keys.push(key);
  }
  if (keys.length === 0) throw new Error(`it has no key for ${algorithms.join(', ')}`);
  return createLocalJWKSet({ keys });
}

function usable(given: unknown, algorithms: readonly Algorithm[]): JWK | undefined {
  const read = PublicKey.safeParse(given);
  if (!read.success) return undefined;
  const { kid, alg: _named, use: _use, key_ops: operations, d: _none, ...material } = read.data;
  if (operations && !operations.includes('verify')) return undefined;
  const alg = algorithmOf(read.data, algorithms);
  return alg && { ...material, alg, ...(kid !== undefined && { kid }) };
}

function algorithmOf(key: PublicKey, algorithms: readonly Algorithm[]): Algorithm | undefined {
  const named = key.alg === 'Ed25519' ? 'EdDSA' : key.alg;
  return algorithms.find((each) => {
    if (named !== undefined && named !== each) return false;
    return key.kty === 'RSA' ? /^[RP]S/.test(each) : curves.get(key.crv) === each;
  });
}

function isRsaSize(modulus: string): boolean {
  const bytes = Buffer.from(modulus, 'base64url');
  const first = bytes.findIndex((byte) => byte !== 0);
  if (first === -1) return false;
  const bits = (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
  return bits >= RSA_BITS.least && bits <= RSA_BITS.most;
}

/** Whether it is a key at all, and not a point beside the curve. */
const isValid = (key: JWK): Promise<boolean> =>
  importJWK(key).then(
    () => true,
    () => false,
  );
