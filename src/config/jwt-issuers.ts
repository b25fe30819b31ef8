import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { claimFields, claimShape, items, keyUrl, millisecondsFrom, texts } from './jwt-fields.ts';
import { type Algorithm, type ClaimFields, type KeySource, publicKeyAlgorithms } from './jwt-settings.ts';
import type { Place } from './problems.ts';
import { readSecretFile } from './secret-file.ts';
import { type StructureContext, type Values } from './structures.ts';
import type { Tree } from './yaml.ts';

export interface JwtContext extends StructureContext {
  readonly warn: (at: Place, key: string, message?: string) => void;
  readonly secret: (value: string) => void;
}

/** An issuer as it was written down: what is common to all of them is still to come. */
export interface IssuerEntry {
  readonly at: Place | string;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly keySources: readonly KeySource[];
  readonly sharedSecret?: string | undefined;
  readonly algorithms?: readonly Algorithm[] | undefined;
  readonly mayGrantAdmin?: boolean | undefined;
  readonly tokenTypes?: readonly string[] | undefined;
  readonly maxLifetimeMs?: number | undefined;
  readonly clockToleranceMs?: number | undefined;
  readonly claims: ClaimFields;
}

const leastSecretBytes = 32;
const day = 86_400_000;

const tokenType = z
  .string()
  .regex(/^[\w.+-]{1,100}(?:\/[\w.+-]{1,100})?$/, 'must be values of the header typ, such as at+jwt')
  .transform((typ) => typ.toLowerCase().replace(/^application\//, ''));

const litellmShape = {
  issuer: z.string().min(1).max(500),
  audience: texts,
  jwks_url: keyUrl,
  disable_audience_validation: z.boolean(),
  ...claimShape,
};

const ownShape = {
  issuer: litellmShape.issuer,
  audience: texts,
  jwks_url: keyUrl,
  discovery_url: keyUrl,
  algorithms: z.array(z.enum([...publicKeyAlgorithms, 'HS256'])).min(1),
  shared_secret: z.string().min(1),
  may_grant_admin: z.boolean(),
  token_types: z.array(tokenType).min(1),
  max_lifetime: millisecondsFrom(1_000, 30 * day, 'a length of time up to 30d, such as 24h'),
  clock_tolerance: millisecondsFrom(0, 60_000, 'a length of time up to 60s'),
  ...claimShape,
};

type Given = Values<typeof ownShape> & Pick<Values<typeof litellmShape>, 'disable_audience_validation'>;

/** Reads `gatewayctl.jwt.issuers`, or LiteLLM's `litellm_jwtauth.issuers`, which have fewer settings. */
export function readIssuers(tree: Tree | undefined, whose: 'own' | 'litellm', context: JwtContext): IssuerEntry[] {
  const entries = whose === 'own' ? items(tree, ownShape, context) : items(tree, litellmShape, context);
  return entries.flatMap(({ item, values }) => issuerOf(item, values, context) ?? []);
}

function issuerOf(item: Tree, given: Given, context: JwtContext): IssuerEntry | undefined {
  const { problems } = context;
  const { at } = item;
  const { issuer, audience } = given;
  if (item.kind !== 'map') return undefined;
  if (given.disable_audience_validation) {
    const place = item.entries.get('disable_audience_validation')?.at ?? at;
    problems.add(place, 'disable_audience_validation is not served: a token for any other application would do here');
  }
  if (issuer === undefined && !item.entries.has('issuer')) {
    problems.add(at, 'issuer is missing: the text that stands in iss of its tokens');
  }
  if (audience === undefined && !item.entries.has('audience')) {
    problems.add(at, 'audience is missing: the text that stands in aud of tokens for this gateway');
  }
  const sharedSecret = secretOf(item.entries.get('shared_secret')?.value, given.shared_secret, context);
  if (given.shared_secret !== undefined) requireSecretAlone(item, given, context);
  else if (given.algorithms?.includes('HS256')) {
    problems.add(item.entries.get('algorithms')?.at ?? at, 'HS256 needs a shared_secret');
  }
  if (issuer === undefined || audience === undefined) return undefined;
  return {
    at,
    issuer,
    audiences: audience,
    keySources: given.shared_secret === undefined ? sourcesOf(given, issuer, item, context) : [],
    sharedSecret,
    algorithms: given.shared_secret === undefined ? given.algorithms : ['HS256'],
    mayGrantAdmin: given.may_grant_admin,
    tokenTypes: given.token_types,
    maxLifetimeMs: given.max_lifetime,
    clockToleranceMs: given.clock_tolerance,
    claims: claimFields(item, context),
  };
}

/** A public key that is taken for the secret is known to everybody, so an issuer has one kind of key. */
function requireSecretAlone(item: Tree, { algorithms = ['HS256'] }: Given, { problems }: JwtContext): void {
  if (item.kind !== 'map') return;
  for (const name of ['jwks_url', 'discovery_url']) {
    const entry = item.entries.get(name);
    if (entry) problems.add(entry.at, `${name} cannot be given beside shared_secret: an issuer has one kind of key`);
  }
  if (algorithms.every((algorithm) => algorithm === 'HS256')) return;
  const place = item.entries.get('algorithms')?.at ?? item.at;
  problems.add(place, 'algorithms can be nothing but HS256 beside shared_secret: an issuer has one kind of key');
}

function secretOf(tree: Tree | undefined, given: string | undefined, context: JwtContext): string | undefined {
  if (!tree || given === undefined) return undefined;
  const { problems } = context;
  const file = given.startsWith('@')
    ? readSecretFile(resolve(dirname(tree.at.source.path), given.slice(1)))
    : { text: given };
  if ('problem' in file) {
    problems.add(tree.at, `shared_secret: ${file.problem}`);
    return undefined;
  }
  context.secret(file.text);
  if (Buffer.byteLength(file.text) >= leastSecretBytes) return file.text;
  problems.add(tree.at, `shared_secret must have at least ${leastSecretBytes} bytes; one: openssl rand -base64 32`);
  return undefined;
}

function sourcesOf(given: Given, issuer: string, item: Tree, { problems }: JwtContext): KeySource[] {
  const { jwks_url: jwks, discovery_url: discovery } = given;
  if (jwks !== undefined && discovery !== undefined) {
    problems.add(item.at, 'jwks_url and discovery_url cannot both be given');
  }
  if (jwks !== undefined) return [sourceAt(jwks)];
  if (discovery !== undefined) return [{ kind: 'discovery', url: discovery }];
  // One that was wrong has been reported.
  if (item.kind === 'map' && (item.entries.has('jwks_url') || item.entries.has('discovery_url'))) return [];
  const source = discoveryOf(issuer);
  if (source) return [source];
  problems.add(item.at, 'the issuer is no https:// URL below which its keys can be discovered; jwks_url is missing');
  return [];
}

const wellKnown = '/.well-known/openid-configuration';

/** As LiteLLM tells them apart: a discovery document by its well-known path. */
export const sourceAt = (url: string): KeySource => ({ kind: url.includes(wellKnown) ? 'discovery' : 'jwks', url });

/** Where an issuer's discovery document is when nobody says. */
export function discoveryOf(issuer: string): KeySource | undefined {
  const url = issuer.replace(/\/$/, '') + wellKnown;
  return keyUrl.safeParse(url).success ? { kind: 'discovery', url } : undefined;
}
