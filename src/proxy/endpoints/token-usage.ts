import { isRecord } from '../../kernel/record.ts';
import { clampUsage, type Usage } from '../../metering/usage.ts';

const details = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});

const count = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** The tokens an upstream reports in OpenAI's shape; undefined where it reports none. Zero stays zero. */
export function readTokens(reported: unknown): Usage | undefined {
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
    ...hourTokens(input['cache_creation_token_details']),
    reasoningTokens: count(output['reasoning_tokens']),
    audioInputTokens: count(input['audio_tokens']),
    audioOutputTokens: count(output['audio_tokens']),
    ...drawnTokens(output),
    estimated: false,
  });
}

/** Tokens of pictures in an answer, by LiteLLM's name and OpenRouter's; no member where there are none. */
function drawnTokens(output: Readonly<Record<string, unknown>>): { readonly imageOutputTokens?: number } {
  const tokens = count(output['image_tokens']);
  return tokens > 0 ? { imageOutputTokens: tokens } : {};
}

/** Those among the writes that are to be kept for an hour, by LiteLLM's name; no member where nothing is said of them. */
function hourTokens(reported: unknown): { readonly cacheWriteHourTokens?: number } {
  const tokens = count(details(reported)['ephemeral_1h_input_tokens']);
  return tokens > 0 ? { cacheWriteHourTokens: tokens } : {};
}

/** The same of calls that generate no text: `prompt_tokens` alone is all of it. */
export const readInputTokens = (reported: unknown): Usage | undefined =>
  isRecord(reported) ? readTokens({ completion_tokens: 0, ...reported }) : undefined;
