import type { ClientProtocol } from '../client-protocol.ts';
import { chatAnswer } from './answer.ts';
import { ChatEvents } from './events.ts';
import { readChat } from './read.ts';

/** OpenAI's chat completions, with LiteLLM's additions. */
export const chatProtocol: ClientProtocol = {
  read: readChat,
  answer: chatAnswer,
  events: (names) => new ChatEvents(names),
  error: (status, message) => ({ error: { message, type: 'upstream_error', param: null, code: String(status) } }),
};
