import { GatewayError } from '../../kernel/errors.ts';

/** Anthropic's names, by status (https://docs.anthropic.com/en/api/errors). */
const types: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [503, 'overloaded_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
]);
const known: ReadonlySet<string> = new Set([...types.values(), 'invalid_request_error', 'api_error']);

/** @param type by which an error is known here, which counts where Anthropic has the same */
export const messagesErrorType = (status: number, type = ''): string =>
  known.has(type) ? type : (types.get(status) ?? (status >= 500 ? 'api_error' : 'invalid_request_error'));

/**
 * A conversation that Anthropic keeps: whose it is among those who share the operator's account nobody here could tell, and
 * how long it is neither. The official client goes on without one where `details` say that the server has none.
 */
export class ThreadRefused extends GatewayError {
  readonly details = { error_code: 'thread_unsupported_request', unsupported: ['thread'] } as const;

  constructor() {
    super('invalid', 'unsupported_field', 'thread is not served', {
      param: 'thread',
      hint: 'Send what was said in messages.',
    });
  }
}

/**
 * An error as Anthropic's clients read it. `code` is the type by which everything else here knows it, such as
 * `budget_exceeded`, which Anthropic has no word for.
 */
export function messagesError(error: GatewayError, requestId?: string) {
  const { type, message, param = null, status, kind, hint = null } = error;
  return {
    type: 'error',
    error: {
      type: messagesErrorType(status, type),
      message,
      code: type,
      param,
      kind,
      hint,
      ...(error instanceof ThreadRefused && { details: error.details }),
    },
    ...(requestId !== undefined && { request_id: requestId }),
  };
}

/** The service tier of an answer's usage under the name it has in prices: Anthropic calls its usual one `standard`. */
export const servedTier = (reported: unknown): unknown => (reported === 'standard' ? 'default' : reported);
