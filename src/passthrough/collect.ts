import { Gathered } from '../kernel/gathered.ts';
import { connectionFailure, invalidAnswer } from '../proxy/failures.ts';
import type { Receiver, UpstreamCall } from '../proxy/providers/provider.ts';
import type { RawRequest, Transport } from '../proxy/upstream.ts';

/** The only way out. */
export type Sender = Pick<Transport, 'relay'>;

/**
 * A small answer, read whole.
 *
 * @param most bytes of it
 * @throws GatewayError when there is none, or it is larger
 */
export function collect(send: Sender, most: number, request: RawRequest): Promise<{ status: number; body: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: Buffer }>();
  const receiver = new Collector(most, (status, body) => resolve({ status, body }), reject);
  receiver.call = send.relay(request, receiver);
  return promise;
}

class Collector implements Receiver {
  readonly #bytes = new Gathered();
  readonly #most: number;
  readonly #done: (status: number, body: Buffer) => void;
  readonly #failed: (error: Error) => void;
  #length = 0;
  #status = 0;
  call: UpstreamCall | undefined;

  constructor(most: number, done: (status: number, body: Buffer) => void, failed: (error: Error) => void) {
    this.#most = most;
    this.#done = done;
    this.#failed = failed;
  }

  sent(): void {}

  start(status: number): void {
    this.#status = status;
  }

  data(chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length <= this.#most) this.#bytes.add(chunk);
    else {
      this.#failed(invalidAnswer('is too large'));
      this.call?.abort();
    }
  }

  end(): void {
    this.#done(this.#status, this.#bytes.take());
  }

  fail(error: Error): void {
    this.#failed(connectionFailure(error));
  }
}
