import type { GatewayError } from '../../kernel/errors.ts';
import { messagesError, servedTier } from '../endpoints/messages-protocol.ts';
import { useInBlock } from '../endpoints/server-tools.ts';
import { type EventReading, eventText, nothing, recordIn, type SseEvent, type StreamDialect } from './dialect.ts';

/** Anthropic's messages (https://docs.anthropic.com/en/api/messages-streaming); `message_stop` ends them. */
export const messageEvents: StreamDialect = {
  marks: ['message_', 'server_tool_use', 'tool_result_error', /error"?\s*[:\r\n]/],
  // Its last count of tokens comes in the very event that says so, which has a mark.
  finish: undefined,
  written: /"(?:text|thinking|partial_json)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"/g,
  hasLast: true,
  read,
  interruption: (error: GatewayError) => eventText('error', messagesError(error)),
};

function read({ name, data }: SseEvent, known: unknown): EventReading | undefined {
  if (!data) return undefined;
  // Clients go by the name of an event, and some by its type: each of the two counts.
  const { type } = data;
  const is = (kind: string): boolean => type === kind || name === kind;
  if (is('error')) return { error: data['error'] ?? data };
  if (is('message_stop')) return { isLast: true };
  if (is('message_start')) return startOf(recordIn(data, 'message'));
  if (is('message_delta')) return deltaOf(data, known);
  const block = recordIn(data, 'content_block');
  return block ? { toolUse: useInBlock(block) } : nothing;
}

/** The input is counted before the model begins. */
function startOf(message: Readonly<Record<string, unknown>> | undefined): EventReading {
  const usage = recordIn(message, 'usage');
  return usage ? { usage, isInputFinal: true, tier: servedTier(usage['service_tier']) } : nothing;
}

/** Counts are those of the whole message so far; of what is not in them the message's start has told. */
function deltaOf(data: Readonly<Record<string, unknown>>, known: unknown): EventReading {
  const isFinish = typeof recordIn(data, 'delta')?.['stop_reason'] === 'string';
  const reported = recordIn(data, 'usage');
  if (!reported) return { isFinish };
  const news = Object.entries(reported).filter(([, value]) => value !== null && value !== undefined);
  const usage: Record<string, unknown> = { ...recordIn({ known }, 'known'), ...Object.fromEntries(news) };
  return { isFinish, usage, isUsageFinal: isFinish, tier: servedTier(usage['service_tier']) };
}
