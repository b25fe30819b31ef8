import { redactLooks } from '../kernel/mask.ts';
import { toDollars } from '../kernel/money.ts';
import type { Usage } from '../metering/usage.ts';
import { type CallBodies, type CallEvent, isSuccess } from './call-event.ts';

/** Put where a body was cut. */
export const cutMark = '…[truncated]';

/** What looks like a credential is blotted out. */
function shownBody(text: string | undefined, isCut: boolean): string | undefined {
  if (text === undefined) return undefined;
  return redactLooks(text) + (isCut ? cutMark : '');
}

/** Made once, however many are told: 64 KiB take a millisecond. */
const shown = new WeakMap<
  CallBodies,
  { readonly request: string | undefined; readonly response: string | undefined }
>();

/** What was asked and answered, as it may be seen. */
export function shownBodies(bodies: CallBodies): {
  readonly request: string | undefined;
  readonly response: string | undefined;
} {
  let made = shown.get(bodies);
  if (!made) {
    const { request, isRequestCut, response, isResponseCut } = bodies;
    made = { request: shownBody(request, isRequestCut), response: shownBody(response, isResponseCut) };
    shown.set(bodies, made);
  }
  return made;
}

/** Tokens by bucket, without those that are not there. */
export function tokensOf(usage: Usage): Record<string, number> {
  const details = {
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
    audio_input_tokens: usage.audioInputTokens,
    image_input_tokens: usage.imageInputTokens ?? 0,
    reasoning_tokens: usage.reasoningTokens,
    audio_output_tokens: usage.audioOutputTokens,
    image_output_tokens: usage.imageOutputTokens ?? 0,
  };
  return Object.fromEntries(Object.entries(details).filter(([, tokens]) => tokens > 0));
}

const seconds = (ms: number): number => Math.round(ms) / 1_000;
const rounded = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms * 1_000) / 1_000);

/** A call as webhooks and files have it: LiteLLM's StandardLoggingPayload, as far as there is such a thing here. */
export function payloadOf(event: CallEvent, { hasBodies }: { readonly hasBodies: boolean }): Record<string, unknown> {
  const { usage, principal, bodies, trace, startedAt, endedAt, firstByteAt } = event;
  const content = hasBodies && bodies ? shownBodies(bodies) : undefined;
  return {
    id: event.requestId,
    trace_id: trace.traceId ?? trace.existingTraceId ?? event.requestId,
    session_id: trace.sessionId ?? null,
    call_type: event.callType,
    stream: event.stream,
    status: isSuccess(event) ? 'success' : 'failure',
    is_interrupted: event.status === 'interrupted',
    http_status: event.httpStatus,
    error_information: event.errorType === undefined ? null : { error_class: event.errorType },
    startTime: seconds(startedAt),
    endTime: seconds(endedAt),
    completionStartTime: firstByteAt === undefined ? null : seconds(firstByteAt),
    response_time: seconds(endedAt - startedAt),
    queue_time_ms: rounded(event.queueMs),
    overhead_time_ms: rounded(event.overheadMs),
    model_group: event.model,
    model: event.upstreamModel,
    model_id: event.deploymentId,
    custom_llm_provider: event.provider,
    model_parameters: event.parameters,
    attempts: event.attempts,
    attempted_retries: event.retries,
    attempted_fallbacks: event.fallbacks,
    prompt_tokens: usage?.promptTokens ?? 0,
    completion_tokens: usage?.completionTokens ?? 0,
    total_tokens: (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0),
    token_details: usage ? tokensOf(usage) : {},
    usage_estimated: usage?.estimated ?? false,
    response_cost: toDollars(event.cost),
    total_cost: toDollars(event.totalCost),
    price_source: event.priceSource,
    request_tags: event.tags,
    end_user: event.customer ?? null,
    requester_ip_address: event.requesterIp,
    metadata: {
      user_api_key_hash: principal.hash,
      user_api_key_id: principal.keyId,
      user_api_key_alias: principal.alias,
      user_api_key_team_id: principal.teamId,
      user_api_key_team_alias: principal.teamAlias,
      user_api_key_user_id: principal.userId,
      user_api_key_org_id: principal.organizationId,
    },
    messages: content?.request ?? null,
    response: content?.response ?? null,
  };
}
