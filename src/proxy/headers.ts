import type { IncomingHttpHeaders } from 'node:http';
import { toDollars } from '../kernel/money.ts';
import type { Settlement } from '../metering/call.ts';
import type { Held } from '../access/principal.ts';
import type { Allowance } from '../metering/rate-room.ts';
import type { Secrets } from './secrets.ts';

/** Headers of an upstream that reach the client, and what they are called there. All others stay behind. */
const passed: ReadonlyMap<string, string> = new Map([
  ['retry-after', 'retry-after'],
  ['retry-after-ms', 'retry-after-ms'],
  ['x-should-retry', 'x-should-retry'],
  ['x-request-id', 'llm_provider-x-request-id'],
  ['request-id', 'llm_provider-request-id'],
  ['openai-processing-ms', 'llm_provider-openai-processing-ms'],
  ['openai-version', 'llm_provider-openai-version'],
  // What a translation has left out.
  ['x-litellm-dropped-params', 'x-litellm-dropped-params'],
]);
const passedFamilies = /^(?:x|anthropic)-ratelimit-/;

/** What a header may hold: no control characters, so nobody can end the line and begin one of their own. */
const printable = /^[\t\u0020-\u007e\u0080-\u00ff]{0,1024}$/;
const plain = /^[\u0020-\u007e]{0,512}$/;
const unprintable = /[^\u0020-\u007e]/g;

/** The upstream's headers that may be shown, as a flat list of names and values. */
export function passedHeaders(headers: IncomingHttpHeaders, secrets: Secrets, { withLimits = true } = {}): string[] {
  const list: string[] = [];
  for (const name in headers) {
    const ours = passed.get(name) ?? (withLimits && passedFamilies.test(name) ? name : undefined);
    const value = ours && headers[name];
    if (!ours || typeof value !== 'string' || !printable.test(value) || secrets.areInText(value)) continue;
    list.push(ours, value);
  }
  return list;
}

/** Text of a client or an operator, made fit for a header: a name with a line end in it cannot add a header. */
export function headerText(text: string): string {
  if (plain.test(text)) return text;
  return text.replaceAll(unprintable, '?').slice(0, 512);
}

export interface CallNames {
  readonly id: string;
  /** Of the attempt's row: another than the call's when an earlier attempt has that. */
  readonly callId: string;
  readonly deploymentId: string;
  readonly model: string;
  readonly version: string;
}

/** LiteLLM's headers about a call, without its cost; and the one in which OpenAI's clients look for a request's id. */
export function callHeaders({ id, callId, deploymentId, model, version }: CallNames): string[] {
  const list = ['x-request-id', id, 'x-litellm-call-id', callId, 'x-litellm-version', version];
  if (deploymentId) list.push('x-litellm-model-id', headerText(deploymentId));
  if (model) list.push('x-litellm-model-group', headerText(model));
  return list;
}

export interface CourseTaken {
  readonly retries: number;
  readonly fallbacks: number;
  readonly durationMs: number;
  readonly overheadMs: number;
  readonly region: unknown;
}

/**
 * LiteLLM's headers about how a call went. `x-litellm-model-api-base` is not among them: where an operator's upstreams
 * are is nothing a key should tell, and the name of an internal host in it least of all.
 */
export function courseHeaders({ retries, fallbacks, durationMs, overheadMs, region }: CourseTaken): string[] {
  const list = [
    'x-litellm-attempted-retries',
    String(retries),
    'x-litellm-attempted-fallbacks',
    String(fallbacks),
    'x-litellm-response-duration-ms',
    durationMs.toFixed(3),
    'x-litellm-overhead-duration-ms',
    overheadMs.toFixed(3),
  ];
  if (typeof region === 'string') list.push('x-litellm-model-region', headerText(region));
  return list;
}

export function costHeaders({ cost, keySpend }: Settlement): string[] {
  const list = ['x-litellm-response-cost', String(toDollars(cost))];
  if (keySpend !== undefined) list.push('x-litellm-key-spend', String(toDollars(keySpend)));
  return list;
}

const headersOfKeys = new WeakMap<object, readonly string[]>();

/** LiteLLM's headers about the limits of the key itself; none of a caller without one. */
export function keyHeaders(principal: Held): readonly string[] {
  let list = headersOfKeys.get(principal);
  if (!list) headersOfKeys.set(principal, (list = limitsOfKey(principal)));
  return list;
}

function limitsOfKey({ budgets, rates }: Held): readonly string[] {
  const budget = budgets.find(({ entity, max }) => entity === 'key' && max !== null);
  const rate = rates.find(({ entity }) => entity === 'key');
  const limits = [
    ['x-litellm-key-tpm-limit', rate?.tokens],
    ['x-litellm-key-rpm-limit', rate?.requests],
    ['x-litellm-key-max-budget', budget?.max === null || budget === undefined ? null : toDollars(budget.max)],
  ] as const;
  return limits.flatMap(([name, value]) => (value === null || value === undefined ? [] : [name, String(value)]));
}

/** OpenAI's headers about limits: what is left of the tightest that the caller has. */
export function allowanceHeaders({ requests, tokens }: Allowance): string[] {
  const list: string[] = [];
  if (requests) list.push('x-ratelimit-limit-requests', String(requests.limit));
  if (requests) list.push('x-ratelimit-remaining-requests', String(requests.remaining));
  if (tokens) list.push('x-ratelimit-limit-tokens', String(tokens.limit));
  if (tokens) list.push('x-ratelimit-remaining-tokens', String(tokens.remaining));
  return list;
}
