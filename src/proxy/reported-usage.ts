import { clampUsage } from '../metering/usage.ts';
import type { Usage } from '../metering/usage.ts';

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

export function estimatedUsage(promptTokens: number, completionTokens: number): Usage {
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
