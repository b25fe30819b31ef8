import type { RateGranted, RateStore, RateWanted } from './rate-store.ts';

export interface RateStoresOptions {
  readonly redis: RateStore | undefined;
  readonly postgres: RateStore;
  /** Tells the other daemons that this one counts in PostgreSQL, though it knows a Redis. */
  readonly tellWithoutRedis: () => Promise<void>;
}

/** For so long after another daemon was heard to be without Redis, nobody counts in it. */
const withoutRedisMs = 10_000;
const tellEveryMs = 3_000;

/**
 * Redis where there is one and every daemon reaches it, else PostgreSQL: those that counted in Redis and those that did
 * not would each let a whole limit through.
 */
export class RateStores implements RateStore {
  readonly #options: RateStoresOptions;
  #withoutRedisUntilMs = Number.NEGATIVE_INFINITY;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #name: RateStore['name'];

  constructor(options: RateStoresOptions) {
    this.#options = options;
    this.#name = options.redis ? 'redis' : 'postgresql';
  }

  /** Where was counted last. */
  get name(): RateStore['name'] {
    return this.#name;
  }

  /** Another daemon does not reach Redis. */
  heardWithoutRedis(): void {
    this.#withoutRedisUntilMs = performance.now() + withoutRedisMs;
  }

  async exchange(wanted: readonly RateWanted[]): Promise<readonly RateGranted[]> {
    const { redis, postgres } = this.#options;
    if (redis && performance.now() >= this.#withoutRedisUntilMs) {
      try {
        const granted = await redis.exchange(wanted);
        this.#name = 'redis';
        return granted;
      } catch {
        // The link to Redis says so in the log. Who else counts there has to know before we count here.
        await this.#tell();
      }
    }
    const granted = await postgres.exchange(wanted);
    this.#name = 'postgresql';
    return granted;
  }

  async #tell(): Promise<void> {
    const now = performance.now();
    if (now - this.#toldAtMs < tellEveryMs) return;
    await this.#options.tellWithoutRedis();
    this.#toldAtMs = now;
  }
}
