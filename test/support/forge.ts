import { createHmac, createPrivateKey, createPublicKey, createSecretKey, type KeyObject, sign } from 'node:crypto';
import { constants } from 'node:crypto';
import type { JWK } from 'jose';
import type { SigningAlgorithm } from './openid-provider.ts';

/** An issuer, as somebody knows it who has its key. */
export interface Mint {
  readonly issuer: string;
  readonly audience: string;
  readonly alg: SigningAlgorithm | 'HS256';
  readonly kid: string;
  readonly key: KeyObject;
}

export const mintOf = (issuer: string, audience: string, { alg, kid, ...jwk }: JWK): Mint => ({
  issuer,
  audience,
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made by `signingKey`
  alg: alg as SigningAlgorithm,
  kid: kid ?? '',
  key: createPrivateKey({ key: jwk, format: 'jwk' }),
});

export const secretMint = (issuer: string, audience: string, secret: string): Mint => ({
  issuer,
  audience,
  alg: 'HS256',
  kid: 'shared',
  key: createSecretKey(Buffer.from(secret)),
});

export type Members = Readonly<Record<string, unknown>>;

/** What a token has that is as it should be. Members that are undefined are left out. */
export const goodHeader = ({ alg, kid }: Mint, more: Members = {}): Members => ({ alg, kid, typ: 'at+jwt', ...more });

export const seconds = (from = 0): number => Math.floor(Date.now() / 1_000) + from;

export const goodClaims = ({ issuer, audience }: Mint, more: Members = {}): Members => ({
  iss: issuer,
  aud: audience,
  sub: 'somebody',
  iat: seconds(),
  exp: seconds(300),
  jti: Math.random().toString(36),
  ...more,
});

const encode = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url');

/** A token of exactly these texts. */
export function write(
  mint: Pick<Mint, 'alg' | 'key'>,
  header: string | Uint8Array,
  payload: string | Uint8Array,
): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${encode(signature(mint, input))}`;
}

/** A good token, but for what is given. */
export const mintToken = (
  mint: Mint,
  { header = {}, claims = {} }: { header?: Members; claims?: Members } = {},
): string => write(mint, JSON.stringify(goodHeader(mint, header)), JSON.stringify(goodClaims(mint, claims)));

export function signature({ alg, key }: Pick<Mint, 'alg' | 'key'>, input: string): Buffer {
  const data = Buffer.from(input);
  if (alg === 'HS256') return createHmac('sha256', key).update(data).digest();
  if (alg === 'EdDSA') return sign(null, data, key);
  if (alg === 'ES256') return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
  if (alg === 'RS256') return sign('sha256', data, key);
  return sign('sha256', data, {
    key,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  });
}

/** Everything a stranger may have of a key, and may try as a secret. */
export function publicForms({ key }: Mint): Buffer[] {
  if (key.type === 'secret') return [];
  const open = createPublicKey(key);
  const pem = open.export({ type: 'spki', format: 'pem' }).toString();
  const jwk = open.export({ format: 'jwk' });
  return [
    Buffer.from(pem),
    Buffer.from(pem.trimEnd()),
    open.export({ type: 'spki', format: 'der' }),
    Buffer.from(JSON.stringify(jwk)),
    Buffer.from(jwk.n ?? jwk.x ?? '', 'base64url'),
    Buffer.from(jwk.n ?? jwk.x ?? ''),
  ];
}

export interface Forged {
  /** What is wrong with it. */
  readonly name: string;
  readonly token: string;
}

/** The issuer whose tokens are forged, and what a forger has: a key, and an issuer that the gateway knows as well. */
export interface Scene {
  readonly target: Mint;
  /** The same issuer and algorithm with a key of the forger. */
  readonly forger: Mint;
  /** Another issuer of the gateway, with its key. */
  readonly other: Mint;
}

/** Tokens that are wrong in the same way, with a name each. */
export const named = (kind: string, tokens: readonly string[]): Forged[] =>
  tokens.map((token, index) => ({ name: `${kind} ${index + 1}`, token }));
