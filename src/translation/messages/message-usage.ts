import type { LanguageModelV4Usage } from '@ai-sdk/provider';
import { hourTokensIn } from '../chat/usage.ts';

/**
 * Tokens in Anthropic's buckets, which do not overlap. All are zero where the provider has told none, because clients
 * compute with them: the gateway does not take that for a count.
 */
export function messageUsage({ inputTokens, outputTokens, raw }: LanguageModelV4Usage) {
  const { total = 0, noCache, cacheRead = 0, cacheWrite = 0 } = inputTokens;
  const hour = Math.min(hourTokensIn(raw), cacheWrite);
  const input = noCache ?? Math.max(0, total - cacheRead - cacheWrite);
  return {
    input_tokens: input,
    output_tokens: outputTokens.total ?? 0,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
    ...(hour > 0 && {
      cache_creation: { ephemeral_5m_input_tokens: cacheWrite - hour, ephemeral_1h_input_tokens: hour },
    }),
    ...(outputTokens.reasoning && { output_tokens_details: { thinking_tokens: outputTokens.reasoning } }),
  };
}

export type MessageUsage = ReturnType<typeof messageUsage>;

/** Before the provider has told any. */
export const noUsage: MessageUsage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_read_input_tokens: 0,
  cache_creation_input_tokens: 0,
};
