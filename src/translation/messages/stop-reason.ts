import type { LanguageModelV4FinishReason, SharedV4ProviderMetadata } from '@ai-sdk/provider';

export interface Stop {
  readonly stop_reason: string;
  readonly stop_sequence: string | null;
}

interface Finish {
  readonly finishReason: LanguageModelV4FinishReason;
  readonly providerMetadata?: SharedV4ProviderMetadata | undefined;
  /** Whether the answer has calls of tools in it. */
  readonly hasCalls: boolean;
}

/** Why a model stopped, in Anthropic's words. Undefined where it did not stop of itself: such an answer has no end. */
export function stopOf({ finishReason: { unified, raw }, providerMetadata, hasCalls }: Finish): Stop | undefined {
  if (unified === 'error' || unified === 'interrupted') return undefined;
  if (unified === 'length') return stopped(raw === 'model_context_window_exceeded' ? raw : 'max_tokens');
  if (unified === 'content-filter') return stopped('refusal');
  // Some servers say of calls that the model has just stopped.
  if (unified === 'tool-calls' || hasCalls) return stopped('tool_use');
  const sequence = sequenceIn(providerMetadata);
  if (sequence !== null || raw === 'stop_sequence') return { stop_reason: 'stop_sequence', stop_sequence: sequence };
  return stopped('end_turn');
}

/** A stream that ends like this has only broken off: packages that have no word of their own for that say it so. */
export const isBrokenOff = ({ unified, raw }: LanguageModelV4FinishReason): boolean =>
  unified === 'interrupted' || (unified === 'other' && raw === undefined);

const stopped = (reason: string): Stop => ({ stop_reason: reason, stop_sequence: null });

/** The providers that tell which sequence it was do so under one name. */
function sequenceIn(metadata: SharedV4ProviderMetadata | undefined): string | null {
  for (const { stopSequence } of Object.values(metadata ?? {})) {
    if (typeof stopSequence === 'string') return stopSequence;
  }
  return null;
}
