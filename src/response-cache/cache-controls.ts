import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';

/** What a client says of the cache: LiteLLM's member `cache` of the body, and the header Cache-Control. */
export interface CacheControls {
  /** Not to be answered from the cache. */
  readonly noCache?: boolean | undefined;
  /** Not to be kept. */
  readonly noStore?: boolean | undefined;
  /** How long the answer is kept. */
  readonly ttlMs?: number | undefined;
  /** How old an answer from the cache may be. */
  readonly maxAgeMs?: number | undefined;
  /** Answers of another namespace are others. */
  readonly namespace?: string | undefined;
  /** Asks for the cache where that has to be asked for. */
  readonly useCache?: boolean | undefined;
}

const none: CacheControls = {};
const longestMs = 30 * 86_400_000;
const longestNamespace = 256;

/** @throws GatewayError 400 for one that is not understood */
export function readCacheControls(given: unknown): CacheControls {
  if (given === undefined || given === null) return none;
  if (!isRecord(given)) throw invalid('cache', 'must be an object such as {"no-cache": true}');
  for (const name of Object.keys(given)) {
    if (!known.has(name)) throw invalid(`cache.${name}`, `is none of ${[...known].join(', ')}`);
  }
  const namespace = given['namespace'] ?? undefined;
  if (namespace !== undefined && (typeof namespace !== 'string' || namespace.length > longestNamespace)) {
    throw invalid('cache.namespace', `must be a text of at most ${longestNamespace} characters`);
  }
  return {
    noCache: flag(given, 'no-cache'),
    noStore: flag(given, 'no-store'),
    useCache: flag(given, 'use-cache'),
    ttlMs: seconds(given, 'ttl'),
    maxAgeMs: seconds(given, 's-maxage') ?? seconds(given, 's-max-age'),
    namespace,
  };
}

/** `s-max-age` is how some of LiteLLM's pages spell it. */
const known: ReadonlySet<string> = new Set([
  'no-cache',
  'no-store',
  'use-cache',
  'ttl',
  's-maxage',
  's-max-age',
  'namespace',
]);

/** The header's words where the body has none. What is not known there is passed over, as HTTP wants it. */
export function withCacheHeader(controls: CacheControls, headers: IncomingHttpHeaders): CacheControls {
  const header = headers['cache-control'];
  if (header === undefined) return controls;
  const words = new Map(
    header.split(',').map((word) => {
      const [name = '', value = ''] = word.trim().toLowerCase().split('=', 2);
      return [name, value.replaceAll('"', '')] as const;
    }),
  );
  const age = words.get('s-maxage') ?? words.get('max-age');
  return {
    ...controls,
    noCache: controls.noCache ?? words.has('no-cache'),
    noStore: controls.noStore ?? words.has('no-store'),
    maxAgeMs: controls.maxAgeMs ?? (age !== undefined && /^\d{1,9}$/.test(age) ? Number(age) * 1_000 : undefined),
  };
}

function flag(given: Readonly<Record<string, unknown>>, name: string): boolean | undefined {
  const value = given[name] ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`cache.${name}`, 'must be true or false');
}

/** Milliseconds. */
function seconds(given: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = given[name] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= 0 && value * 1_000 <= longestMs) return Math.ceil(value * 1_000);
  throw invalid(`cache.${name}`, `must be a number of seconds, at most ${longestMs / 1_000}`);
}

const invalid = (name: string, what: string): GatewayError =>
  new GatewayError('invalid', 'invalid_request_error', `${name} ${what}`, { param: name });
