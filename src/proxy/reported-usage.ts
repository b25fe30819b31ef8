import { clampUsage } from '../metering/usage.ts';
import type { Usage } from '../metering/usage.ts';
import type { Exchange } from './exchange.ts';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const details = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});

const count = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** The tokens an upstream reports in OpenAI's shape; undefined where it reports none. Zero stays zero. */
export function readUsage(reported: unknown): Usage | undefined {
  if (!isRecord(reported)) return undefined;
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = reported;
  if (typeof promptTokens !== 'number' || typeof completionTokens !== 'number') return undefined;
  const input = details(reported['prompt_tokens_details']);
  const output = details(reported['completion_tokens_details']);
  return clampUsage({
    promptTokens,
    completionTokens,
    cacheReadTokens: count(input['cached_tokens']),
    // LiteLLM's name and OpenRouter's: OpenAI itself does not charge for it.
    cacheWriteTokens: count(input['cache_creation_tokens'] ?? input['cache_write_tokens']),
    reasoningTokens: count(output['reasoning_tokens']),
    audioInputTokens: count(input['audio_tokens']),
    audioOutputTokens: count(output['audio_tokens']),
    estimated: false,
  });
}

/**
 * What a call is booked with: what the upstream reported of all of it; else the larger of what it reported on the way and
 * what was counted here, because some report with the first chunk only.
 */
export function usageOf(
  { usage, promptTokens, relay }: Pick<Exchange, 'usage' | 'promptTokens' | 'relay'>,
  counted: number,
): Usage {
  if (usage && relay?.isUsageFinal) return usage;
  const estimate = estimatedUsage(promptTokens, counted);
  return usage ? largerUsage(usage, estimate) : estimate;
}

/** The larger of two, bucket by bucket: the estimate has but two. */
function largerUsage(reported: Usage, estimate: Usage): Usage {
  const { promptTokens, completionTokens } = reported;
  if (promptTokens >= estimate.promptTokens && completionTokens >= estimate.completionTokens) return reported;
  return {
    ...reported,
    promptTokens: Math.max(promptTokens, estimate.promptTokens),
    completionTokens: Math.max(completionTokens, estimate.completionTokens),
    estimated: true,
  };
}

function estimatedUsage(promptTokens: number, completionTokens: number): Usage {
  return {
    promptTokens,
    completionTokens,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    audioInputTokens: 0,
    audioOutputTokens: 0,
    estimated: true,
  };
}
