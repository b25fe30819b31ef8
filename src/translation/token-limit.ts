import type { LanguageModelV4CallOptions } from '@ai-sdk/provider';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import { defaultMaxCompletionTokens } from '../metering/worst-case.ts';
import type { Deployment } from '../models/deployment.ts';
import type { Receiver, UpstreamCall } from '../proxy/providers/provider.ts';
import type { Outgoing } from './upstream-fetch.ts';

/** As small as Anthropic takes it. */
const leastBudget = 1_024;

/**
 * Anthropic wants a limit. Where the client sets none, it is what the call was reserved with: a package would put the
 * most in its place that the model can write.
 */
export function withLimit(options: LanguageModelV4CallOptions, deployment: Deployment): LanguageModelV4CallOptions {
  if (options.maxOutputTokens !== undefined || !wantsLimit(deployment)) return options;
  const ofModel = deployment.info['max_output_tokens'] ?? deployment.info['max_tokens'];
  const maxOutputTokens = typeof ofModel === 'number' && ofModel > 0 ? ofModel : defaultMaxCompletionTokens;
  return { ...options, maxOutputTokens };
}

const wantsLimit = ({ provider, upstreamModel }: Deployment): boolean =>
  provider === 'anthropic' ||
  ((provider === 'vertex_ai' || provider === 'bedrock') && upstreamModel.includes('claude'));

type Send = (outgoing: Outgoing, receiver: Receiver) => UpstreamCall | Promise<UpstreamCall>;

/**
 * Packages add what a model may think to what the client allows for the whole answer, which is what was reserved. Here it
 * is part of that, as it is at Anthropic.
 *
 * @param most tokens of the answer; undefined where the client sets no limit
 */
export const limited =
  (send: Send, most: number | undefined): Send =>
  (outgoing, receiver) => {
    const { body } = outgoing;
    // Most requests have no thinking in them, and are not taken apart.
    if (!body.includes('"budget_tokens"')) return send(outgoing, receiver);
    const fields: unknown = JSON.parse(body.toString());
    if (!isRecord(fields)) return send(outgoing, receiver);
    return send({ ...outgoing, body: Buffer.from(JSON.stringify(cut(fields, most))) }, receiver);
  };

function cut(fields: Record<string, unknown>, given: number | undefined): Record<string, unknown> {
  const thinking = thinkingIn(fields);
  const budget = thinking?.['budget_tokens'];
  if (!thinking || typeof budget !== 'number') return fields;
  const place = isRecord(fields['inferenceConfig']) ? fields['inferenceConfig'] : fields;
  const name = place === fields ? 'max_tokens' : 'maxTokens';
  const written = Number(place[name] ?? 0);
  // The package's own limit, without what it has added to it.
  const most = given ?? Math.max(written - budget, 0);
  thinking['budget_tokens'] = fit(budget, most);
  place[name] = most;
  return fields;
}

/** Anthropic's own member, or the one that Bedrock passes on to it. */
function thinkingIn(fields: Record<string, unknown>): Record<string, unknown> | undefined {
  const more = fields['additionalModelRequestFields'];
  const thinking = fields['thinking'] ?? (isRecord(more) ? more['thinking'] : undefined);
  return isRecord(thinking) ? thinking : undefined;
}

/** An answer needs room beside the thoughts. */
function fit(budget: number, most: number): number {
  if (budget < most) return budget;
  const half = Math.floor(most / 2);
  if (half >= leastBudget) return half;
  throw new GatewayError('invalid', 'invalid_request_error', 'max_tokens leaves this model no room to think', {
    param: 'max_tokens',
    hint: `Set max_tokens to ${2 * leastBudget} at least, or ask for no reasoning.`,
  });
}
