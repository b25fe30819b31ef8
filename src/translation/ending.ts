import type { LanguageModelV4FinishReason } from '@ai-sdk/provider';
import { GatewayError } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';

/** How an answer came to its end. */
export type Ending = 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error';

/** Packages have one word for all they do not know, and a model that was broken off must not look as if it had stopped. */
const failures =
  /error|timeout|time_limit|abort|cancel|insufficient_system_resource|malformed|unexpected_tool_call|too_many_tool_calls|missing_thought_signature/i;
/** What the model could write is at its end, in the words of Anthropic and of Mistral. */
const full: ReadonlySet<string> = new Set(['model_context_window_exceeded', 'model_length']);
/** What Google says where it has kept the rest to itself; the same as LiteLLM takes it for. */
const withheld: ReadonlySet<string> = new Set(['OTHER', 'LANGUAGE', 'IMAGE_OTHER', 'NO_IMAGE']);

export function endingOf({ unified, raw = '' }: LanguageModelV4FinishReason): Ending {
  if (unified !== 'other') return unified;
  if (full.has(raw)) return 'length';
  if (failures.test(raw)) return 'error';
  return withheld.has(raw) ? 'content-filter' : 'stop';
}

/** A candidate of Google's without a reason is one that the model is still at. Elsewhere servers forget to give one. */
export const isEnded = ({ raw }: LanguageModelV4FinishReason, { provider, upstreamModel }: Deployment): boolean =>
  raw !== undefined || !(provider === 'gemini' || (provider === 'vertex_ai' && !upstreamModel.startsWith('claude')));

/** What to tell of an answer whose ending is `error`. */
export const failed = ({ raw }: LanguageModelV4FinishReason): GatewayError =>
  new GatewayError(
    'upstream',
    'upstream_error',
    `The model stopped because of an error${raw === undefined ? '' : `: ${raw.slice(0, 200)}`}`,
  );
