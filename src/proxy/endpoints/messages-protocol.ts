import type { GatewayError } from '../../kernel/errors.ts';

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
    },
    ...(requestId !== undefined && { request_id: requestId }),
  };
}

/** The service tier of an answer's usage under the name it has in prices: Anthropic calls its usual one `standard`. */
export const servedTier = (reported: unknown): unknown => (reported === 'standard' ? 'default' : reported);
