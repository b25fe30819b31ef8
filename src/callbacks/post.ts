import type { Egress } from '../egress/egress.ts';
import type { Allowed } from '../egress/guard.ts';
import type { Delivery } from './destination.ts';

export interface Posted {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  /** As much of it as is read: 64 KiB. */
  readonly body: string;
}

export interface Target {
  readonly url: string;
  readonly allowed: Allowed;
}

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  readonly signal: AbortSignal;
}

export type Post = (target: Target, message: Message) => Promise<Posted>;

const mostAnswer = 64 * 1024;

/**
 * The way to destinations over HTTP. No redirect is followed: it could lead inside.
 *
 * @throws Error when there is no answer
 */
export const postThrough =
  (egress: Egress, userAgent: string): Post =>
  async ({ url, allowed }, { headers, body, signal }) => {
    const { origin, pathname, search } = new URL(url);
    const {
      statusCode,
      headers: answered,
      body: answer,
    } = await egress.to(allowed).request({
      origin,
      path: pathname + search,
      method: 'POST',
      headers: { ...headers, 'user-agent': userAgent },
      body,
      signal,
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer) {
      if (!Buffer.isBuffer(chunk) || (length += chunk.length) > mostAnswer) break;
      chunks.push(chunk);
    }
    return {
      status: statusCode,
      retryAfterMs: retryAfterOf(answered['retry-after']),
      body: Buffer.concat(chunks).toString(),
    };
  };

/** Seconds, or a date. */
function retryAfterOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** Answers after which the same is worth another attempt: whoever answered had no time, or is not there yet. */
const isPassing = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505);

/** What an answer means where it is about the whole batch. */
export function deliveryOf({ status, retryAfterMs }: Posted): Delivery {
  if (status >= 200 && status <= 299) return { outcome: 'delivered' };
  const reason = `HTTP ${status}`;
  return isPassing(status) ? { outcome: 'failed', reason, afterMs: retryAfterMs } : { outcome: 'refused', reason };
}
