import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import type { FailureKind } from '../routing/failure.ts';
import { type CacheControls, readCacheControls } from '../response-cache/cache-controls.ts';
import { mostFallbacks, mostRetries } from '../routing/routing-settings.ts';

/** What a client says of how its call is to be routed: LiteLLM's fields and headers. Bounded by what the operator allows. */
export interface Wishes {
  readonly retries?: number | undefined;
  /** Names of models, tried in this order. */
  readonly fallbacks?: readonly string[] | undefined;
  /** Fields that a fallback has in the place of the request's. */
  readonly fallbackFields?: ReadonlyMap<string, Readonly<Record<string, unknown>>> | undefined;
  readonly hasNoFallbacks?: boolean | undefined;
  /** For the first byte of an answer, at each attempt. */
  readonly timeoutMs?: number | undefined;
  /** A failure of the first attempt that is made up. */
  readonly pretends?: FailureKind | undefined;
  /** An answer that is made up. */
  readonly mockResponse?: string | undefined;
  /** What it says of the response cache. */
  readonly cache?: CacheControls | undefined;
}

const noWishes: Wishes = {};

/** Fields of a body that are the gateway's and go nowhere else. */
export const wishFields = [
  'fallbacks',
  'num_retries',
  'timeout',
  'stream_timeout',
  'disable_fallbacks',
  'cache',
] as const;

/** LiteLLM's switches for tests, and what each makes of the first attempt. */
const pretences: Readonly<Record<string, FailureKind>> = {
  mock_testing_fallbacks: 'server',
  mock_testing_context_fallbacks: 'context_window',
  mock_testing_content_policy_fallbacks: 'content_policy',
  mock_testing_rate_limit_error: 'rate_limit',
};

/** Fields with which whoever administers the gateway tries out what it would do. Refused to everybody else. */
export const trialFields: ReadonlySet<string> = new Set(['mock_response', ...Object.keys(pretences)]);

type Fields = Readonly<Record<string, unknown>>;

/** Whether a body has any of them, which few have. */
export const hasWishes = (fields: Fields): boolean =>
  wishFields.some((name) => fields[name] !== undefined) ||
  fields['mock_response'] !== undefined ||
  Object.keys(pretences).some((name) => fields[name] !== undefined);

/** @param fields a copy, which is changed */
export function withoutWishes(fields: Record<string, unknown>): Record<string, unknown> {
  for (const name of [...wishFields, ...trialFields]) delete fields[name];
  return fields;
}

/** @throws GatewayError 400 for one that is not understood: to pass over it would be to do something else than asked */
export function readWishes(fields: Fields, headers: IncomingHttpHeaders, isStream: boolean): Wishes {
  const inHeaders =
    headers['x-litellm-num-retries'] ?? headers['x-litellm-timeout'] ?? headers['x-litellm-stream-timeout'];
  const inBody = hasWishes(fields);
  if (inHeaders === undefined && !inBody) return noWishes;
  return { ...(inBody && readFields(fields)), ...readLimits(fields, headers, isStream) };
}

/** A header wins over the body, and what is said of streams over what is said of all. */
function readLimits(fields: Fields, headers: IncomingHttpHeaders, isStream: boolean): Wishes {
  const retries = wished(fields, headers, 'num_retries', 'x-litellm-num-retries');
  const timeout =
    (isStream ? wished(fields, headers, 'stream_timeout', 'x-litellm-stream-timeout') : undefined) ??
    wished(fields, headers, 'timeout', 'x-litellm-timeout');
  if (retries && !(Number.isInteger(retries.value) && retries.value >= 0 && retries.value <= mostRetries)) {
    throw invalid(retries.name, `must be a whole number from 0 to ${mostRetries}`);
  }
  if (timeout && !(timeout.value > 0 && timeout.value <= 86_400)) {
    throw invalid(timeout.name, 'must be a number of seconds, more than 0');
  }
  return { retries: retries?.value, timeoutMs: timeout && Math.ceil(timeout.value * 1_000) };
}

interface Wished {
  readonly name: string;
  readonly value: number;
}

function wished(fields: Fields, headers: IncomingHttpHeaders, field: string, header: string): Wished | undefined {
  const inHeader = headers[header];
  if (inHeader !== undefined) {
    const isNumber = typeof inHeader === 'string' && /^\d+(?:\.\d+)?$/.test(inHeader);
    return { name: header, value: isNumber ? Number(inHeader) : Number.NaN };
  }
  const inBody = fields[field];
  if (inBody === undefined || inBody === null) return undefined;
  return { name: field, value: typeof inBody === 'number' ? inBody : Number.NaN };
}

function readFields(fields: Fields): Wishes {
  const { disable_fallbacks: disabled, mock_response: mock } = fields;
  if (disabled != null && typeof disabled !== 'boolean') throw invalid('disable_fallbacks', 'must be true or false');
  if (mock != null && typeof mock !== 'string') throw invalid('mock_response', 'must be a text');
  return {
    ...readFallbacks(fields['fallbacks']),
    hasNoFallbacks: disabled === true,
    mockResponse: mock ?? undefined,
    ...(fields['cache'] !== undefined && { cache: readCacheControls(fields['cache']) }),
    pretends: Object.keys(pretences).flatMap((name) => (fields[name] === true ? (pretences[name] ?? []) : []))[0],
  };
}

/** Each a name, or LiteLLM's `{"model": …}` with what else is different of the request. */
function readFallbacks(given: unknown): Pick<Wishes, 'fallbacks' | 'fallbackFields'> {
  if (given === undefined || given === null) return {};
  if (!Array.isArray(given) || given.length > mostFallbacks) {
    throw invalid('fallbacks', `must be a list of at most ${mostFallbacks} models`);
  }
  const fallbacks: string[] = [];
  const fallbackFields = new Map<string, Fields>();
  for (const each of given as readonly unknown[]) {
    const name = isRecord(each) ? each['model'] : each;
    if (typeof name !== 'string' || name === '') {
      throw invalid('fallbacks', 'must hold names of models, or objects with a model and what else is different');
    }
    fallbacks.push(name);
    if (isRecord(each)) fallbackFields.set(name, each);
  }
  return { fallbacks, fallbackFields };
}

const invalid = (name: string, what: string): GatewayError =>
  new GatewayError('invalid', 'invalid_request_error', `${name} ${what}`, { param: name });
