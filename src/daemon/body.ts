import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { GatewayError } from '../kernel/errors.ts';
import { limits } from './limits.ts';
import type { State } from './state.ts';

/** Reads a JSON body into `ctx.state.body`. Runs after authentication: a stranger's bytes are not parsed. */
export const jsonBody: Middleware<State> = async (ctx, next) => {
  if (ctx.method === 'GET' || ctx.method === 'HEAD') return next();
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

/** Rejects and leaves the request as it is, so that the answer still reaches the client; node:http throws the rest away. */
function readAll(request: IncomingMessage): Promise<Buffer> {
  const { adminBodyBytes: most, adminBodyMs } = limits;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => {
    const message = `The body took longer than ${adminBodyMs / 1_000} s`;
    reject(new GatewayError('timeout', 'request_timeout', message, { headers: { connection: 'close' } }));
  }, adminBodyMs);
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= most) return void chunks.push(chunk);
    chunks.length = 0;
    return reject(new GatewayError('tooLarge', 'body_too_large', `The body is over ${most} bytes`));
  });
  request.on('end', () => resolve(Buffer.concat(chunks)));
  request.on('error', (cause) => {
    reject(new GatewayError('invalid', 'body_interrupted', 'The body ended before its end', { cause }));
  });
  return promise.finally(() => clearTimeout(timer));
}
