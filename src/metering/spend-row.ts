import type { Principal } from '../access/principal.ts';
import type { GatewayError } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';
import type { CallOutcome, CallStart, Settlement } from './call.ts';
import type { Price } from './price.ts';
import { noTokens, type Usage } from './usage.ts';

/**
 * A row of spend_logs as JSON text, written in two halves: the draft when the call starts and the rest when it is
 * settled. The halves are joined in the journal and travel to PostgreSQL as they are: nobody parses them in between.
 */
export const spendColumns = {
  request_id: 'text',
  started_at: 'timestamptz',
  call_type: 'text',
  stream: 'boolean',
  model: 'text',
  upstream_model: 'text',
  requester_ip: 'text',
  end_user: 'text',
  request_tags: 'text[]',
  key_id: 'text',
  api_key: 'text',
  team_id: 'text',
  user_id: 'text',
  organization_id: 'text',
  model_id: 'text',
  provider: 'text',
  created_at: 'timestamptz',
  first_byte_at: 'timestamptz',
  status: 'text',
  http_status: 'integer',
  error: 'text',
  prompt_tokens: 'bigint',
  completion_tokens: 'bigint',
  cache_read_tokens: 'bigint',
  cache_write_tokens: 'bigint',
  reasoning_tokens: 'bigint',
  usage_estimated: 'boolean',
  spend: 'bigint',
  price_source: 'text',
  attempts: 'integer',
  price_version: 'text',
  service_tier: 'text',
  usage_details: 'jsonb',
  cache_hit: 'boolean',
  would_refuse: 'text',
  budget_models: 'text[]',
} as const;

/** Names are indexed, and an index entry of PostgreSQL has at most 2,700 bytes: a longer one would block the whole batch. */
const longestName = 256;
const longestError = 500;

/** A text that PostgreSQL takes: without NUL and without half surrogates, which JSON allows and a text column does not. */
function quote(text: string, longest = longestName): string {
  const isClean = text.length <= longest && !text.includes('\0') && text.isWellFormed();
  return JSON.stringify(isClean ? text : text.slice(0, longest).replaceAll('\0', '').toWellFormed());
}

const quoteOrNull = (text: string | null | undefined): string => (text ? quote(text) : 'null');

let lastMs = Number.NaN;
let lastTime = '';

/** Many calls of a busy process fall into the same millisecond, and writing a date takes nearly a microsecond. */
function time(date: Date): string {
  const ms = date.getTime();
  if (ms !== lastMs) [lastMs, lastTime] = [ms, `"${date.toISOString()}"`];
  return lastTime;
}

const ofPrincipal = new WeakMap<Principal, string>();
const ofDeployment = new WeakMap<Deployment, string>();

/** Ids are never cut: two that differ at the end would become one. */
function principalFields(principal: Principal): string {
  let text = ofPrincipal.get(principal);
  if (text === undefined) {
    const { keyId, hash, teamId, userId, organizationId } = principal;
    text =
      `"key_id":${JSON.stringify(keyId)},"api_key":${JSON.stringify(hash)},"team_id":${JSON.stringify(teamId)},` +
      `"user_id":${JSON.stringify(userId)},"organization_id":${JSON.stringify(organizationId)}`;
    ofPrincipal.set(principal, text);
  }
  return text;
}

function deploymentFields(deployment: Deployment): string {
  let text = ofDeployment.get(deployment);
  if (text === undefined) {
    text = `"model_id":${quote(deployment.id)},"provider":${quote(deployment.provider)}`;
    ofDeployment.set(deployment, text);
  }
  return text;
}

/** What a row has of how the call was admitted; the first two are in the journal alone. */
interface Admitted {
  /** The counters that the call counts on beside those of its columns (`countedText`). */
  readonly counted?: string;
  /** The budgets it was measured by (`watchedText`). */
  readonly watched?: string;
  /** What would have refused it, where that is only observed. */
  readonly observed?: GatewayError | undefined;
}

/** The first half: an object that is not closed. */
export function draftRow(start: CallStart, { counted = '', watched = '', observed }: Admitted = {}): string {
  const tags = start.charge.tags.map((tag) => quote(tag));
  return (
    `{"request_id":${quote(start.requestId)},"started_at":${time(start.startedAt)},"call_type":"${start.callType}",` +
    `"stream":${start.stream},"model":${quote(start.model)},"upstream_model":${quote(start.upstreamModel)},` +
    `"requester_ip":${quoteOrNull(start.requesterIp)},"end_user":${quoteOrNull(start.endUser)},` +
    `"request_tags":[${tags.join(',')}],"attempts":${start.attempts ?? 1},${counted === '' ? '' : `"counted":${counted},`}${watched === '' ? '' : `"watched":${watched},`}${budgetModels(start)}${observed ? `"would_refuse":${quote(`${observed.type}: ${observed.message}`)},` : ''}${principalFields(start.principal)},${deploymentFields(start.deployment)}`
  );
}

/** Not shortened: they are those of the windows that the call counts in. */
function budgetModels({ charge }: CallStart): string {
  let list = '';
  for (const { model } of charge.budgets) {
    if (model !== undefined) list += `${list === '' ? '' : ','}${JSON.stringify(model)}`;
  }
  return list === '' ? '' : `"budget_models":[${list}],`;
}

/**
 * Parts of the usage that have no column and that few calls have, so that a call can be priced anew. @returns JSON, or
 * `null` when there is none of them
 */
function detailsOf(usage: Usage): string {
  const { cacheWriteHourTokens, audioInputTokens, audioOutputTokens, imageInputTokens, imageOutputTokens, units } =
    usage;
  if (
    !cacheWriteHourTokens &&
    !audioInputTokens &&
    !audioOutputTokens &&
    !imageInputTokens &&
    !imageOutputTokens &&
    !units
  )
    return 'null';
  return JSON.stringify({
    cache_write_1h_tokens: cacheWriteHourTokens,
    audio_input_tokens: audioInputTokens,
    audio_output_tokens: audioOutputTokens,
    image_input_tokens: imageInputTokens,
    image_output_tokens: imageOutputTokens,
    units,
  });
}

export interface Booking extends Pick<Settlement, 'cost'> {
  readonly price: Pick<Price, 'source' | 'version'>;
  /** That it was priced by: the one that served it, as far as it is known, or else the one that was asked for. */
  readonly serviceTier?: string | undefined;
  readonly at: Date;
  readonly outcome: Omit<CallOutcome, 'usage' | 'serviceTier'>;
  /** Sound (`clampUsage`). */
  readonly usage: Usage | undefined;
}

/** The second half. `created_at` is fixed here, so that a row that is sent twice meets itself. */
export function finishRow({ at, outcome, usage = noTokens, cost, price, serviceTier }: Booking): string {
  const { firstByteAt, status, httpStatus, error } = outcome;
  return (
    `,"created_at":${time(at)},"first_byte_at":${firstByteAt ? time(firstByteAt) : 'null'},"status":"${status}",` +
    `"http_status":${Math.trunc(httpStatus) || 0},"error":${error ? quote(error, longestError) : 'null'},` +
    `"prompt_tokens":${usage.promptTokens},"completion_tokens":${usage.completionTokens},` +
    `"cache_read_tokens":${usage.cacheReadTokens},"cache_write_tokens":${usage.cacheWriteTokens},` +
    `"reasoning_tokens":${usage.reasoningTokens},"usage_estimated":${usage.estimated},` +
    `"cache_hit":${outcome.isCached === true},"spend":${cost},"price_source":"${price.source}","price_version":${price.version === null ? 'null' : `"${price.version}"`},` +
    `"service_tier":${quoteOrNull(serviceTier)},"usage_details":${detailsOf(usage)}}`
  );
}
