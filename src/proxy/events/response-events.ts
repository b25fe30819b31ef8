import type { GatewayError } from '../../kernel/errors.ts';
import { isRecord } from '../../kernel/record.ts';
import { useInItem, withToolUses } from '../endpoints/server-tools.ts';
import { type EventReading, eventText, nothing, recordIn, type SseEvent, type StreamDialect } from './dialect.ts';

const sequenceNumber = /"sequence_number"\s*:\s*(\d{1,15})/g;

/** OpenAI's responses (https://platform.openai.com/docs/api-reference/responses-streaming): the last event holds the whole response. */
export const responseEvents: StreamDialect = {
  marks: [
    /response"\s*:|response\.(?:completed|incomplete|failed)|error"?\s*[:\r\n]|"error"|(?:search|interpreter)_call"/,
  ],
  finish: undefined,
  // The events that close a part repeat its text, under other names.
  written: /"delta"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"/g,
  hasLast: true,
  read,
  interruption,
};

function read({ name, data }: SseEvent): EventReading | undefined {
  if (!data) return undefined;
  const type = typeof data['type'] === 'string' ? data['type'] : name;
  if (type === 'error' || name === 'error')
    return { error: recordIn(data, 'error') ?? { ...data, type: data['code'] } };
  const response = recordIn(data, 'response');
  if (!response) {
    const item = recordIn(data, 'item');
    return item ? { toolUse: useInItem(item, data['output_index']) } : nothing;
  }
  const usage = withToolUses(response);
  const reading = {
    isNamed: true,
    tier: response['service_tier'],
    ...(isRecord(usage) && { usage, isUsageFinal: true }),
  };
  switch (type) {
    case 'response.completed':
    case 'response.incomplete':
      return { ...reading, isFinish: true, isLast: true };
    case 'response.failed':
      return { ...reading, isLast: true, error: recordIn(response, 'error') ?? 'The response failed' };
    default:
      return { isNamed: true };
  }
}

function interruption(error: GatewayError, before: string): string {
  const numbers = [...before.matchAll(sequenceNumber)].map(([, number]) => Number(number));
  const { type, message, param = null } = error;
  return eventText('error', {
    type: 'error',
    code: type,
    message,
    param,
    sequence_number: Math.max(-1, ...numbers) + 1,
  });
}
