import { Egress } from '../egress/egress.ts';
import type { Allowed } from '../egress/guard.ts';

/** An identity provider that says more is not what it should be. */
const BYTES_AT_MOST = 256 * 1024;
const CONNECT_MS = 5_000;

/**
 * Gets documents of identity providers. Follows no redirect, which could lead to an address inside our network, and
 * inflates nothing, so that a few bytes stay a few bytes.
 */
export class DocumentFetcher implements AsyncDisposable {
  readonly #egress = new Egress({ connectMs: CONNECT_MS, agent: { maxResponseSize: BYTES_AT_MOST } });

  /** @throws Error with a message for the log */
  async json(url: string, allowed: Allowed, signal: AbortSignal): Promise<unknown> {
    const { origin, pathname, search } = new URL(url);
    const { statusCode, body } = await this.#egress.to(allowed).request({
      origin,
      path: pathname + search,
      method: 'GET',
      // The next one is asked for in minutes: by then the other side would have hung up.
      reset: true,
      headers: { accept: 'application/json, application/jwk-set+json' },
      signal,
    });
    if (statusCode !== 200) {
      await body.dump();
      throw new Error(`HTTP ${statusCode}`);
    }
    const parsed: unknown = JSON.parse(await body.text());
    return parsed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#egress[Symbol.asyncDispose]();
  }
}
