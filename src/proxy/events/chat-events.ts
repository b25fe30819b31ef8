import { isRecord } from '../../kernel/record.ts';
import { type EventReading, nothing, type SseEvent, type StreamDialect } from './dialect.ts';

const finishReason = /finish_reason"\s*:\s*"/;

/** OpenAI's chat completions and completions in chunks; `[DONE]` ends them. */
export const chatEvents: StreamDialect = {
  marks: ['[DONE]', /usage"\s*:\s*\{/, /error"\s*:/],
  finish: finishReason,
  written: /"(?:content|reasoning_content|reasoning|arguments|refusal|text)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"/g,
  // Some servers end without it.
  hasLast: false,
  read,
  interruption: (error) => `data: ${JSON.stringify(error)}\n\ndata: [DONE]\n\n`,
};

function read({ payload, data }: SseEvent): EventReading | undefined {
  if (payload.trim() === '[DONE]') return { isLast: true };
  if (!data) return undefined;
  const { error, usage, choices, service_tier: tier } = data;
  if (isRecord(error) || typeof error === 'string') return { error };
  const isFinish = finishReason.test(payload);
  if (!isRecord(usage)) return isFinish ? { isFinish } : nothing;
  // OpenAI's last chunk, which has nothing else in it.
  const isAlone = Array.isArray(choices) && choices.length === 0;
  return { isFinish, usage, isUsageFinal: isAlone, tier, isHidden: isAlone };
}
