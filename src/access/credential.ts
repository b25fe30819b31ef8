import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import { maskSecret } from '../kernel/mask.ts';

/** Where providers' own clients put their key, behind `Authorization`. */
const keyHeaders = ['x-api-key', 'api-key', 'x-goog-api-key', 'ocp-apim-subscription-key'] as const;

const invalid = (message: string) => new GatewayError('unauthenticated', 'auth_error', message);

/**
 * The secret a request came with: LiteLLM's own header first, then `Authorization: Bearer`, then the header each
 * provider's clients use, then the one the operator named.
 *
 * A request with two different credentials is refused: whichever was meant, some proxy before us may have read the other.
 * Node joins or drops repeated headers, so they are counted in `rawHeaders`.
 */
export function readCredential(request: IncomingMessage, ownHeader: string | undefined): string {
  const { headers } = request;
  const found = new Set<string>();
  if (headers.authorization !== undefined) found.add(bearer(headers.authorization, request));
  for (const name of ownHeader
    ? ['x-litellm-api-key', ownHeader, ...keyHeaders]
    : ['x-litellm-api-key', ...keyHeaders]) {
    const value = headers[name];
    if (typeof value === 'string' && value !== '')
      found.add(value.startsWith('Bearer ') ? value.slice(7).trim() : value.trim());
  }
  found.delete('');
  const [secret, other] = found;
  if (secret === undefined) throw invalid('Authentication Error, No api key passed in.');
  if (other !== undefined) throw invalid('Authentication Error, More than one api key passed in.');
  return secret;
}

function bearer(value: string, { rawHeaders }: IncomingMessage): string {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 13 && name.toLowerCase() === 'authorization') count++;
  }
  if (count > 1) throw invalid('Authentication Error, More than one Authorization header passed in.');
  if (!/^bearer /i.test(value)) {
    throw invalid('Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.');
  }
  return value.slice(7).trim();
}

/** What a refused request came with, as it may be written down; undefined when it was nothing, or cannot be told. */
export function maskedCredential(request: IncomingMessage, ownHeader: string | undefined): string | undefined {
  try {
    return maskSecret(readCredential(request, ownHeader));
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
}
