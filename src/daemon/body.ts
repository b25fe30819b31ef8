import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { GatewayError } from '../kernel/errors.ts';
import { Gathered } from '../kernel/gathered.ts';
import { gunzipBody, isGzipped } from '../kernel/gzip.ts';
import { surveyJson } from '../kernel/json-survey.ts';
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
  requireShallow(bytes);
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
async function readAll(request: IncomingMessage): Promise<Buffer> {
  const { adminBodyBytes: most, adminBodyMs } = limits;
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => controller.abort(tooSlow()), adminBodyMs);
  request.on('error', (cause) => {
    controller.abort(new GatewayError('invalid', 'body_interrupted', 'The body ended before its end', { cause }));
  });
  try {
    if (isGzipped(request)) return await gunzipBody(request, { most, tooLarge, signal });
    return await readPlain(request, signal);
  } finally {
    clearTimeout(timer);
  }
}

function readPlain(request: IncomingMessage, signal: AbortSignal): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const body = new Gathered();
  let size = 0;
  signal.addEventListener('abort', () => reject(signal.reason));
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= limits.adminBodyBytes) return body.add(chunk);
    body.take();
    return reject(tooLarge());
  });
  request.on('end', () => resolve(body.take()));
  return promise;
}

const tooLarge = () =>
  new GatewayError('tooLarge', 'body_too_large', `The body is over ${limits.adminBodyBytes} bytes`);

const tooSlow = () =>
  new GatewayError('timeout', 'request_timeout', `The body took longer than ${limits.adminBodyMs / 1_000} s`, {
    headers: { connection: 'close' },
  });

/** Told before anything is built from it. @throws GatewayError 400 */
function requireShallow(bytes: Buffer): void {
  const { bodyDepth: depth, bodyNodes: nodes } = limits;
  const survey = surveyJson(bytes, noNames, { depth, nodes });
  if (survey.depth > depth) throw tooComplex(`The body is nested more than ${depth} levels deep`);
  if (survey.nodes > nodes) throw tooComplex(`The body holds more than ${nodes} values`);
}

const noNames: ReadonlySet<string> = new Set();

const tooComplex = (message: string) => new GatewayError('invalid', 'invalid_json', message);
