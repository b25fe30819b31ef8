import { GatewayError } from '../kernel/errors.ts';

/** Wrong keys one client may bring in a second that have to be looked up, and how many of them at once. */
const PER_SECOND = 20;
const BURST = 100;

/** Clients remembered; beyond them the one that was seen first is forgotten. */
const CLIENTS_AT_MOST = 10_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * Keeps one client from making the database look up guesses for it. Only keys that nobody knows are counted, and only
 * when they had to be looked up, so that a key that is cached always passes, and so does a burst of good ones.
 */
export class FailedCredentials {
  readonly #buckets = new Map<string, Bucket>();

  /** @throws GatewayError 429 when the client has brought too many wrong keys */
  requireRoom(client: string): void {
    const bucket = this.#buckets.get(client);
    if (!bucket || level(bucket) >= 1) return;
    throw new GatewayError(
      'limited',
      'too_many_failed_credentials',
      'Too many wrong keys have come from this address; no further one is looked up for the moment',
      { headers: { 'retry-after': '1' } },
    );
  }

  count(client: string): void {
    const known = this.#buckets.get(client);
    const tokens = (known ? level(known) : BURST) - 1;
    // Put back at the end, so that the first is the one that has been quiet for longest.
    this.#buckets.delete(client);
    if (this.#buckets.size >= CLIENTS_AT_MOST) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    this.#buckets.set(client, { tokens, atMs: performance.now() });
  }
}

const level = ({ tokens, atMs }: Bucket): number =>
  Math.min(BURST, tokens + ((performance.now() - atMs) / 1_000) * PER_SECOND);
