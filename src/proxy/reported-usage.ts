import type { Usage } from '../metering/usage.ts';

/** More than any model can read or write in one call; what is above is the upstream's mistake and must not cost a fortune. */
const absurd = 100_000_000;

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function count(value: unknown, most: number): number {
  if (typeof value !== 'number' || !(value > 0)) return 0;
  return Math.min(Math.trunc(value), most);
}

const details = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});

/** The tokens an upstream reports in OpenAI's shape; undefined where it reports none. Zero stays zero. */
export function readUsage(reported: unknown): Usage | undefined {
  if (!isRecord(reported)) return undefined;
  const { prompt_tokens: prompt, completion_tokens: completion } = reported;
  if (typeof prompt !== 'number' || typeof completion !== 'number') return undefined;
  const input = details(reported['prompt_tokens_details']);
  const output = details(reported['completion_tokens_details']);
  const promptTokens = count(prompt, absurd);
  const completionTokens = count(completion, absurd);
  const cacheReadTokens = count(input['cached_tokens'], promptTokens);
  const reasoningTokens = count(output['reasoning_tokens'], completionTokens);
  const written = input['cache_creation_tokens'] ?? input['cache_write_tokens'];
  const cacheWriteTokens = count(written, promptTokens - cacheReadTokens);
  return {
    promptTokens,
    completionTokens,
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens,
    audioInputTokens: count(input['audio_tokens'], promptTokens - cacheReadTokens - cacheWriteTokens),
    audioOutputTokens: count(output['audio_tokens'], completionTokens - reasoningTokens),
    estimated: false,
  };
}

/** Whether an upstream's numbers could not be believed as they were. */
export function isImplausible(reported: unknown): boolean {
  if (!isRecord(reported)) return false;
  return ['prompt_tokens', 'completion_tokens'].some((name) => {
    const value = reported[name];
    return typeof value === 'number' && !(value >= 0 && value <= absurd);
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
