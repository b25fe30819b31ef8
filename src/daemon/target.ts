import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import { limits } from './limits.ts';

/**
 * What two programs could read in two ways: dots and slashes, escaped or not, back-slashes, `;`, `#`. Node's parser has
 * refused control characters. Behind dots an escaped `;` is as good as a plain one: servers of Java leave out what follows.
 */
const ambiguous = /\/\/|\/\.\.?(\/|$|%3b)|[\\;#]|%(2e|2f|5c|00|0a|0d|25)/i;

/**
 * Routes with a model's name in their path, which clients escape whole: `openai%2Fgpt-4o`. Nothing there is decided by a
 * segment of the path, so a slash may be either, and counts as one in what follows.
 */
const modelRoute = /^\/(v1\/)?models\/|^\/(openai\/deployments|engines)\/.+\/chat\/completions$/;

const plainly = (path: string): string => (modelRoute.test(path) ? path.replaceAll(/%2f/gi, '/') : path);

const host = /^[A-Za-z0-9.\-[\]:_]+$/;

/**
 * Refuses a request that a proxy before us, our router and our upstream might not read alike: a target that is not plain,
 * more than one Host or none that is plain, a body in a coding whose length another would see elsewhere. An authentication
 * bypass of LiteLLM (CVE-2026-49468) was built from such a difference. Node's parser has refused two lengths, and a length
 * beside chunks.
 */
export function requirePlainRequest({ url = '', headers, rawHeaders, httpVersion }: IncomingMessage): void {
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  if (!path.startsWith('/') || ambiguous.test(plainly(path))) {
    throw new GatewayError('invalid', 'ambiguous_path', 'The path could be read in more than one way', {
      hint: 'Send it in its plain form: no //, no ./ or ../, no escaped slashes or dots.',
    });
  }
  if (rawHeaders.length > 2 * limits.fields) {
    throw new GatewayError('tooLarge', 'headers_too_large', `The request has over ${limits.fields} header fields`, {
      status: 431,
    });
  }
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  if (hosts > 1 || (headers.host !== undefined && !host.test(headers.host))) {
    throw new GatewayError('invalid', 'bad_host', 'The Host header is not one plain host name');
  }
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion !== '1.1')) {
    throw new GatewayError('invalid', 'bad_transfer_encoding', 'The only transfer coding is chunked, in HTTP/1.1');
  }
}
