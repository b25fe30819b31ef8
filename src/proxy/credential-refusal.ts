import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../kernel/record.ts';

/** What Amazon, Google and OpenAI call a credential that is no good, or an account that is closed. */
const ofCredential =
  /^(?:UnrecognizedClient|InvalidSignature|IncompleteSignature|ExpiredToken|InvalidClientTokenId|MissingAuthenticationToken)|^(?:API_KEY_(?:INVALID|EXPIRED)|ACCESS_TOKEN_\w+|CREDENTIALS_MISSING|CONSUMER_(?:INVALID|SUSPENDED)|ACCOUNT_STATE_INVALID|SERVICE_DISABLED|BILLING_DISABLED)$|^(?:invalid_api_key|account_deactivated)$/;

/**
 * Whether a 403 says that the gateway's credential is bad, as AWS and Google say it with that status. Elsewhere it may be one
 * request that is refused: for its content, or for a model that it names. Only names are looked at, because a message may
 * quote the client.
 *
 * @param error as the upstream's body has it
 */
export function isOfCredential(
  error: Readonly<Record<string, unknown>>,
  { 'x-amzn-errortype': amazon = '' }: IncomingHttpHeaders,
): boolean {
  const { code, type, details } = error;
  const reasons = Array.isArray(details) ? details.filter(isRecord).map(({ reason }) => reason) : [];
  return [code, type, ...reasons, amazon].some((name) => typeof name === 'string' && ofCredential.test(name));
}
