import type { IncomingHttpHeaders } from 'node:http';
import { UnfitStatus } from '../proxy/failures.ts';
import type { Receiver, UpstreamCall } from '../proxy/providers/provider.ts';
import type { ProviderCount } from './provider-count.ts';

export type Fetch = typeof globalThis.fetch;

/** A request as a provider's package has made it. */
export interface Outgoing {
  readonly url: URL;
  /** Without those that are the gateway's to say. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Bytes of an answer that wait for the package to read them. */
const highWaterMark = 64 * 1024;

interface Sending {
  /** Sends a request by the gateway's own way out. */
  open(outgoing: Outgoing, receiver: Receiver): UpstreamCall | Promise<UpstreamCall>;
  /** Told when it goes out. */
  sent(): void;
  /** Told what comes back. */
  readonly count: ProviderCount;
}

/** The `fetch` that a provider's package gets for one call. */
export function fetchBy(sending: Sending): Fetch {
  return async (input, init) => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const answer = new FetchedAnswer(sending, resolve, reject);
    const { signal } = init ?? {};
    const url = new URL(input instanceof Request ? input.url : input);
    answer.call = await sending.open({ url, headers: headersOf(init), body: bodyOf(init?.body) }, answer);
    if (signal?.aborted) answer.abort(signal.reason);
    signal?.addEventListener('abort', () => answer.abort(signal.reason), { once: true });
    return promise;
  };
}

/** The transport says who is calling, and takes no compressed answers. */
const ours: ReadonlySet<string> = new Set(['user-agent', 'accept-encoding', 'content-length', 'host', 'connection']);

function headersOf(init: RequestInit | undefined): Record<string, string> {
  const given = [...new Headers(init?.headers)];
  return Object.fromEntries(given.filter(([name]) => !ours.has(name)));
}

function bodyOf(body: unknown): Buffer {
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return Buffer.from(body);
  throw new TypeError('A package of a provider sent a body that is neither text nor bytes');
}

/** An answer as the fetch standard has it. It is read only as fast as the package asks for it. */
class FetchedAnswer implements Receiver {
  readonly #sending: Sending;
  readonly #began: (response: Response) => void;
  readonly #failed: (error: unknown) => void;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isOver = false;
  call: UpstreamCall | undefined;

  constructor(sending: Sending, began: (response: Response) => void, failed: (error: unknown) => void) {
    this.#sending = sending;
    this.#began = began;
    this.#failed = failed;
  }

  sent(): void {
    this.#sending.sent();
  }

  start(status: number, headers: IncomingHttpHeaders): void {
    this.#sending.count.begin(status, headers);
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#body = controller),
        pull: () => this.call?.resume(),
        cancel: (reason) => this.abort(reason),
      },
      new ByteLengthQueuingStrategy({ highWaterMark }),
    );
    // The fetch standard knows no others: one would throw where nobody expects it.
    if (status < 200 || status > 599) return this.#refuse(status);
    // Statuses whose answers have no body may not be given one.
    const isEmpty = status === 204 || status === 205 || status === 304;
    this.#began(new Response(isEmpty ? null : body, { status, headers: plainHeaders(headers) }));
  }

  data(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#sending.count.data(chunk);
    this.#body?.enqueue(chunk);
    if ((this.#body?.desiredSize ?? 1) <= 0) this.call?.pause();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sending.count.end();
    this.#body?.close();
  }

  fail(error: Error): void {
    this.#stop(error);
  }

  abort(reason: unknown): void {
    this.call?.abort();
    this.#stop(reason);
  }

  #refuse(status: number): void {
    this.#stop(new UnfitStatus(status));
    this.call?.abort();
  }

  #stop(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failed(reason);
    this.#body?.error(reason);
  }
}

function plainHeaders(headers: IncomingHttpHeaders): Headers {
  const plain = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const each of [value].flat()) if (each !== undefined) plain.append(name, each);
  }
  return plain;
}
