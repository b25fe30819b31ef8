import { GatewayError } from '../kernel/errors.ts';
import { Gathered } from '../kernel/gathered.ts';
import { gunzipBody, isGzipped } from '../kernel/gzip.ts';
import { clientGone } from './exchange.ts';
import type { Exchange } from './exchange.ts';

const isJson = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const charset = /;\s*charset\s*=\s*"?([\w-]+)/i;

const unsupported = (message: string): GatewayError =>
  new GatewayError('unsupportedMedia', 'unsupported_media_type', message);

const isForm = /^multipart\/form-data\s*;/i;

function refuseOtherMedia(type: string | undefined, takesForm: boolean): void {
  if (takesForm) {
    if (type && isForm.test(type)) return;
    throw unsupported('The request body must be multipart/form-data');
  }
  if (!type) return;
  if (!isJson.test(type)) throw unsupported('The request body must be application/json');
  const named = charset.exec(type)?.[1]?.toLowerCase();
  if (named && named !== 'utf-8' && named !== 'utf8' && named !== 'us-ascii') {
    throw unsupported('The request body must be UTF-8');
  }
}

export const tooLarge = (limit: number): GatewayError =>
  new GatewayError('tooLarge', 'request_too_large', `The request body is larger than ${limit} bytes`);

export const tooSlow = (): GatewayError =>
  new GatewayError('timeout', 'request_timeout', 'The request body did not arrive in time', {
    headers: { connection: 'close' },
  });

/** A body that does not say how long it is earns its time as it comes. */
function giveTime(exchange: Exchange, bytes: number): void {
  exchange.bodyDeadlineMs = exchange.startedMs + exchange.context.limits.bodyMs + bytes / 100;
}

/** Reads the request's body, when its headers give no reason not to. */
export function readBody(exchange: Exchange): Promise<void> {
  const { context, endpoint } = exchange;
  const takesForm = endpoint.takesForm === true;
  refuseOtherMedia(exchange.request.headers['content-type'], takesForm);
  return readBytes(exchange, takesForm ? context.limits.formBytes : undefined);
}

/** The same of any media type. */
export function readBytes(exchange: Exchange, most = exchange.context.limits.bodyBytes): Promise<void> {
  const { request, endpoint } = exchange;
  const isCompressed = isGzipped(request);
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > most) throw tooLarge(most);
  giveTime(exchange, announced);
  if (isCompressed) return readGzip(exchange, most);

  return new Promise((resolve, reject) => {
    // Of a form, of which there are few at once, it is believed how long it is.
    const body = new Gathered(endpoint.takesForm ? announced : 0);
    let length = 0;
    exchange.onStop = reject;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > most) reject(tooLarge(most));
      else body.add(chunk);
      if (length > announced) giveTime(exchange, length);
    });
    request.on('end', () => {
      exchange.bodyDeadlineMs = 0;
      exchange.onStop = undefined;
      exchange.body = body.take();
      resolve();
    });
    request.on('error', () => {
      reject(clientGone);
    });
  });
}

async function readGzip(exchange: Exchange, most: number): Promise<void> {
  const { request } = exchange;
  const controller = new AbortController();
  exchange.onStop = (reason) => controller.abort(reason);
  request.on('error', () => controller.abort(clientGone));
  exchange.body = await gunzipBody(request, {
    most,
    tooLarge: () => tooLarge(most),
    signal: controller.signal,
    onArrived: (bytes) => giveTime(exchange, Math.max(bytes, Number(request.headers['content-length'] ?? 0))),
  });
  exchange.bodyDeadlineMs = 0;
  exchange.onStop = undefined;
}

/**
 * After an answer that came before the whole request: what is still on its way is thrown away by node:http, so that the
 * client gets to read the answer, but not without end.
 */
export function limitRest({ request, context }: Exchange): void {
  if (request.complete) return;
  let length = 0;
  request.removeAllListeners('data');
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > context.limits.bodyBytes) request.destroy();
  });
}
