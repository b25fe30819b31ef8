import { messagesErrorType } from '../../proxy/endpoints/messages-protocol.ts';
import { redactLooks } from '../../kernel/mask.ts';
import { isRecord } from '../../kernel/record.ts';

const longest = 1_000;

/** The body of an answer with an error status, or the data of the event that says that a stream has failed. */
export const errorBody = (status: number, message: string, type?: string) => ({
  type: 'error',
  error: { type: messagesErrorType(status, type), message },
});

/** Of whatever a provider's package gives for an error: one of its classes, or what the upstream has sent. */
export function streamError(thrown: unknown) {
  const { message, type } = isRecord(thrown) ? thrown : {};
  const text =
    typeof message === 'string' && message !== '' ? message : 'The provider failed in the middle of its answer';
  return errorBody(502, redactLooks(text.slice(0, longest)), typeof type === 'string' ? type : undefined);
}
