import type { IncomingMessage } from 'node:http';
import { createGunzip } from 'node:zlib';
import { GatewayError } from './errors.ts';
import { Gathered } from './gathered.ts';

/**
 * Whether a request's body is compressed. One coding is taken and no list of them: each could be another bomb.
 *
 * @throws GatewayError 415 for a coding other than gzip
 */
export function isGzipped({ headers }: IncomingMessage): boolean {
  const coding = headers['content-encoding'];
  if (coding === undefined) return false;
  switch (coding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return false;
    case 'gzip':
    case 'x-gzip':
      return true;
    default:
      throw new GatewayError(
        'unsupportedMedia',
        'unsupported_media_type',
        'The request body is not compressed by gzip',
        {
          hint: 'Send it as it is, or with content-encoding: gzip alone.',
          headers: { 'accept-encoding': 'gzip, identity' },
        },
      );
  }
}

export interface Inflation {
  /** Bytes of the inflated body, and of what came for it: a body may be made of empty members without end. */
  readonly most: number;
  /** What is thrown when either is more. */
  readonly tooLarge: () => GatewayError;
  /** Ends it early; its reason is thrown. */
  readonly signal: AbortSignal;
  /** Told how many bytes have come so far. */
  readonly onArrived?: (bytes: number) => void;
}

const notGzip = (cause: unknown): GatewayError =>
  new GatewayError('invalid', 'invalid_gzip', 'The request body is not gzip, or ends before its end', { cause });

/**
 * The inflated body of a request: of one that inflates to too much, no more than the limit is ever in memory. The request
 * is let go of and not destroyed, so that the client gets to read the answer.
 */
export async function gunzipBody(
  request: IncomingMessage,
  { most, tooLarge, signal, onArrived }: Inflation,
): Promise<Buffer> {
  const gunzip = createGunzip();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const body = new Gathered();
  let arrived = 0;
  let inflated = 0;
  const onData = (chunk: Buffer) => {
    arrived += chunk.length;
    if (arrived > most) reject(tooLarge());
    else onArrived?.(arrived);
  };
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  gunzip.on('data', (chunk: Buffer) => {
    inflated += chunk.length;
    if (inflated <= most) return body.add(chunk);
    body.take();
    return reject(tooLarge());
  });
  gunzip.on('end', () => resolve(body.take()));
  gunzip.on('error', (cause) => reject(notGzip(cause)));
  request.on('data', onData).pipe(gunzip);
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    request.off('data', onData).unpipe(gunzip);
    request.resume();
    gunzip.destroy();
  }
}
