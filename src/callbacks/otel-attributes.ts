import { toDollars } from '../kernel/money.ts';
import type { CallType } from '../metering/call.ts';
import type { CallEvent } from './call-event.ts';
import { shownBodies } from './payload.ts';

/** Well-known names of operations; a kind of call that has none keeps its own. */
const operations: Partial<Record<CallType, string>> = {
  chat_completion: 'chat',
  anthropic_messages: 'chat',
  responses: 'chat',
  text_completion: 'text_completion',
  embedding: 'embeddings',
};
export const operationOf = (callType: CallType): string => operations[callType] ?? callType;

/** Well-known names of providers, where they are not ours. */
const providers: Readonly<Record<string, string>> = {
  azure: 'azure.ai.openai',
  azure_ai: 'azure.ai.inference',
  bedrock: 'aws.bedrock',
  gemini: 'gcp.gemini',
  vertex_ai: 'gcp.vertex_ai',
  mistral: 'mistral_ai',
  xai: 'x_ai',
};

const parameters: Readonly<Record<string, string>> = {
  temperature: 'gen_ai.request.temperature',
  top_p: 'gen_ai.request.top_p',
  max_tokens: 'gen_ai.request.max_tokens',
  max_completion_tokens: 'gen_ai.request.max_tokens',
  n: 'gen_ai.request.choice.count',
  seed: 'gen_ai.request.seed',
  frequency_penalty: 'gen_ai.request.frequency_penalty',
  presence_penalty: 'gen_ai.request.presence_penalty',
};

type Value = string | number | boolean | string[];

/** By OpenTelemetry's conventions for generative AI (1.41); what these have no name for begins with `gatewayctl.`. */
export function attributesOf(event: CallEvent, hasBodies: boolean): Record<string, Value> {
  const { usage, principal, provider, upstreamModel, model, trace, firstByteAt, startedAt } = event;
  const asked = Object.entries(event.parameters).map(([name, value]) => [parameters[name] ?? name, value] as const);
  return present({
    'gen_ai.operation.name': operationOf(event.callType),
    'gen_ai.provider.name': providers[provider] ?? provider,
    'gen_ai.request.model': upstreamModel || model,
    'gen_ai.request.stream': event.stream,
    ...Object.fromEntries(asked),
    'gen_ai.conversation.id': trace.sessionId,
    'gen_ai.usage.input_tokens': usage?.promptTokens,
    'gen_ai.usage.output_tokens': usage?.completionTokens,
    'gen_ai.usage.cache_read.input_tokens': usage?.cacheReadTokens || undefined,
    'gen_ai.usage.cache_creation.input_tokens': usage?.cacheWriteTokens || undefined,
    'gen_ai.usage.reasoning.output_tokens': usage?.reasoningTokens || undefined,
    'gen_ai.response.time_to_first_chunk':
      event.stream && firstByteAt !== undefined ? (firstByteAt - startedAt) / 1_000 : undefined,
    'http.response.status_code': event.httpStatus,
    'error.type': event.errorType,
    'gatewayctl.request.id': event.requestId,
    'gatewayctl.status': event.status,
    'gatewayctl.model_group': model,
    'gatewayctl.deployment.id': event.deploymentId,
    'gatewayctl.attempts': event.attempts,
    'gatewayctl.retries': event.retries,
    'gatewayctl.fallbacks': event.fallbacks,
    'gatewayctl.cost.usd': toDollars(event.totalCost),
    'gatewayctl.queue.duration_ms': event.queueMs,
    'gatewayctl.overhead.duration_ms': event.overheadMs,
    'gatewayctl.key.id': principal.keyId,
    'gatewayctl.key.alias': principal.alias,
    'gatewayctl.team.id': principal.teamId,
    'gatewayctl.team.alias': principal.teamAlias,
    'gatewayctl.user.id': principal.userId,
    'gatewayctl.organization.id': principal.organizationId,
    'gatewayctl.customer.id': event.customer,
    'gatewayctl.tags': event.tags.length > 0 ? [...event.tags] : undefined,
    ...(hasBodies && event.bodies && content(event.bodies)),
  });
}

function content(bodies: NonNullable<CallEvent['bodies']>) {
  const { request, response } = shownBodies(bodies);
  return { 'gatewayctl.request.body': request, 'gatewayctl.response.body': response };
}

function present(values: Readonly<Record<string, Value | null | undefined>>): Record<string, Value> {
  const attributes: Record<string, Value> = {};
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null) attributes[name] = value;
  }
  return attributes;
}
