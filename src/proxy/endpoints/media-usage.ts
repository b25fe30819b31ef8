import { isRecord } from '../../kernel/record.ts';
import type { Units } from '../../metering/units.ts';
import { clampUsage, noTokens, type Usage } from '../../metering/usage.ts';

const count = (value: unknown): number => (typeof value === 'number' ? value : 0);
const inside = (usage: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> => {
  const value = usage[name];
  return isRecord(value) ? value : {};
};

/** Usage that is counted in nothing but units. */
export const unitsOnly = (units: Units): Usage => clampUsage({ ...noTokens, units });

/** The tokens of OpenAI's images, speech and transcripts: `input_tokens` and `output_tokens`; undefined where there are none. */
export function readMediaTokens(reported: unknown, made: 'images' | 'sound' | 'text'): Usage | undefined {
  if (!isRecord(reported)) return undefined;
  const { input_tokens: promptTokens, output_tokens: completionTokens } = reported;
  if (typeof promptTokens !== 'number' || typeof completionTokens !== 'number') return undefined;
  // OpenAI has both spellings, the first for images and the second for transcripts.
  const input = { ...inside(reported, 'input_tokens_details'), ...inside(reported, 'input_token_details') };
  const output = { ...inside(reported, 'output_tokens_details'), ...inside(reported, 'output_token_details') };
  return clampUsage({
    ...noTokens,
    promptTokens,
    completionTokens,
    cacheReadTokens: count(input['cached_tokens']),
    audioInputTokens: count(input['audio_tokens']),
    audioOutputTokens: made === 'sound' ? completionTokens : count(output['audio_tokens']),
    imageInputTokens: count(input['image_tokens']),
    // Whoever makes images and does not say which of the tokens are theirs means all.
    imageOutputTokens: made === 'images' ? count(output['image_tokens'] ?? completionTokens) : 0,
  });
}
