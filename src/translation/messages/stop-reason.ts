import type { LanguageModelV4FinishReason, SharedV4ProviderMetadata } from '@ai-sdk/provider';
import { type Ending, endingOf } from '../ending.ts';

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

/** Undefined where a model did not stop of itself. */
const reasons: Readonly<Record<Ending, string | undefined>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  'content-filter': 'refusal',
  'tool-calls': 'tool_use',
  error: undefined,
};

/** Why a model stopped, in Anthropic's words. Undefined for an answer that has no end. */
export function stopOf({ finishReason, providerMetadata, hasCalls }: Finish): Stop | undefined {
  const { raw } = finishReason;
  const reason = raw === 'model_context_window_exceeded' ? raw : reasons[endingOf(finishReason)];
  if (reason !== 'end_turn') return reason === undefined ? undefined : { stop_reason: reason, stop_sequence: null };
  // Some servers say of calls that the model has just stopped.
  if (hasCalls) return { stop_reason: 'tool_use', stop_sequence: null };
  const sequence = sequenceIn(providerMetadata);
  const isSequence = sequence !== null || raw === 'stop_sequence';
  return { stop_reason: isSequence ? 'stop_sequence' : reason, stop_sequence: sequence };
}

/** A stream that ends like this has only broken off: packages have no other word for it. */
export const isBrokenOff = ({ unified, raw }: LanguageModelV4FinishReason): boolean =>
  unified === 'other' && raw === undefined;

/** The providers that tell which sequence it was do so under one name. */
function sequenceIn(metadata: SharedV4ProviderMetadata | undefined): string | null {
  for (const { stopSequence } of Object.values(metadata ?? {})) {
    if (typeof stopSequence === 'string') return stopSequence;
  }
  return null;
}
