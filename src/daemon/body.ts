import type { Middleware } from 'koa';
import { GatewayError } from '../kernel/errors.ts';
import type { State } from './state.ts';

/** Bytes of an admin request at most, and how long they may take. */
const LIMIT = 1_048_576;
const DEADLINE_MS = 30_000;

/** Reads a JSON body into `ctx.state.body`. Runs after authentication: a stranger's bytes are not parsed. */
export const jsonBody: Middleware<State> = async (ctx, next) => {
  if (ctx.method === 'GET') return next();
  const bytes = await readAll(ctx.req);
  if (bytes.length > 0 && !ctx.is('application/json')) {
    throw new GatewayError('unsupportedMedia', 'unsupported_media_type', 'The body must be application/json', {
      hint: 'Send the header content-type: application/json.',
    });
  }
  try {
    ctx.state.body = bytes.length === 0 ? {} : JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new GatewayError('invalid', 'invalid_json', 'The body is not JSON', { cause });
  }
  if (typeof ctx.state.body !== 'object' || ctx.state.body === null || Array.isArray(ctx.state.body)) {
    throw new GatewayError('invalid', 'invalid_json', 'The body must be a JSON object');
  }
  return next();
};

async function readAll(request: AsyncIterable<Buffer> & { destroy(error?: Error): void }): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const slow = new GatewayError('timeout', 'request_timeout', `The body took longer than ${DEADLINE_MS / 1_000} s`);
  const timer = setTimeout(() => request.destroy(slow), DEADLINE_MS);
  try {
    for await (const chunk of request) {
      size += chunk.length;
      if (size > LIMIT) throw new GatewayError('tooLarge', 'body_too_large', `The body is over ${LIMIT} bytes`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}
