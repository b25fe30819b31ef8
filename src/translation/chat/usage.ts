import type { LanguageModelV4Usage } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';

const count = (value: unknown): number => (typeof value === 'number' && value > 0 ? value : 0);

/** Usage in OpenAI's shape, with LiteLLM's names for what OpenAI has none for. Undefined where nothing was reported. */
export function usageFor({ inputTokens, outputTokens, raw }: LanguageModelV4Usage) {
  if (inputTokens.total === undefined && outputTokens.total === undefined) return undefined;
  const prompt = inputTokens.total ?? 0;
  const completion = outputTokens.total ?? 0;
  const written = count(inputTokens.cacheWrite);
  const hour = hourTokensIn(raw);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      cached_tokens: count(inputTokens.cacheRead),
      audio_tokens: modalityIn(raw, 'promptTokensDetails', 'AUDIO'),
      ...(written > 0 && {
        cache_creation_tokens: written,
        cache_creation_token_details: {
          ephemeral_5m_input_tokens: Math.max(0, written - hour),
          ephemeral_1h_input_tokens: hour,
        },
      }),
    },
    completion_tokens_details: {
      reasoning_tokens: count(outputTokens.reasoning),
      audio_tokens: modalityIn(raw, 'candidatesTokensDetails', 'AUDIO'),
      ...imageTokens(raw),
    },
  };
}

/** What was written to a cache for an hour is dearer, and told of by Anthropic and by Bedrock each in its own way. */
export function hourTokensIn(raw: LanguageModelV4Usage['raw']): number {
  const anthropic = raw?.['cache_creation'];
  if (isRecord(anthropic)) return count(anthropic['ephemeral_1h_input_tokens']);
  const bedrock = raw?.['cacheDetails'];
  if (!Array.isArray(bedrock)) return 0;
  return bedrock
    .filter(isRecord)
    .filter(({ ttl }) => ttl === '1h')
    .reduce((sum, { inputTokens }) => sum + count(inputTokens), 0);
}

/** Those of pictures that a model has drawn, which cost many times what text does; no member where there are none. */
function imageTokens(raw: LanguageModelV4Usage['raw']): { readonly image_tokens?: number } {
  const tokens = modalityIn(raw, 'candidatesTokensDetails', 'IMAGE');
  return tokens > 0 ? { image_tokens: tokens } : {};
}

/** Google's count of one kind of tokens. */
function modalityIn(raw: LanguageModelV4Usage['raw'], member: string, modality: string): number {
  const details = raw?.[member];
  if (!Array.isArray(details)) return 0;
  return details
    .filter(isRecord)
    .filter((each) => each['modality'] === modality)
    .reduce((sum, { tokenCount }) => sum + count(tokenCount), 0);
}
