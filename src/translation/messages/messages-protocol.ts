import type { ClientProtocol } from '../client-protocol.ts';
import { MessageEvents } from './message-events.ts';
import { readRequest } from './read-request.ts';
import { errorBody } from './stream-error.ts';
import { writeAnswer } from './write-answer.ts';

/** Anthropic's messages (https://docs.anthropic.com/en/api/messages), for models that are reached by another protocol. */
export const messagesProtocol: ClientProtocol = {
  read: readRequest,
  answer: writeAnswer,
  events: (names) => new MessageEvents(names),
  error: (status, message) => errorBody(status, message),
};
