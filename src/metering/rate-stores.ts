import { setTimeout as wait } from 'node:timers/promises';
import type { RateGranted, RateStore, RateWanted } from './rate-store.ts';

export interface RateStoresOptions {
  readonly redis: (RateStore & { isUp(): boolean }) | undefined;
  readonly postgres: RateStore;
  /** Tells all daemons, this one too, that one of them does not reach Redis, or that it has forgotten. */
  readonly tellWithoutRedis: () => Promise<void>;
  /** Everything that was counted in the last minute is to be told to another store. */
  readonly onSwitch: () => void;
}

/**
 * For so long after a daemon was heard to be without Redis, nobody counts in it: longer than a minute, so that what it
 * knows from before counts no more, and is not counted again.
 */
const withoutRedisMs = 65_000;
const tellEveryMs = 20_000;
/** All daemons change from one store to the other at the same time; each has told what it knows by then. */
const settleMs = 500;

/**
 * Redis where there is one and every daemon reaches it, else PostgreSQL: those that counted in Redis and those that did
 * not would each let a whole limit through.
 */
export class RateStores implements RateStore {
  readonly #options: RateStoresOptions;
  #withoutRedisUntilMs = Number.NEGATIVE_INFINITY;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #settledAtMs = Number.NEGATIVE_INFINITY;
  #back: NodeJS.Timeout | undefined;
  #name: RateStore['name'];

  constructor(options: RateStoresOptions) {
    this.#options = options;
    this.#name = options.redis ? 'redis' : 'postgresql';
  }

  /** Where was counted last. */
  get name(): RateStore['name'] {
    return this.#name;
  }

  /** A daemon does not reach Redis. */
  heardWithoutRedis(): void {
    if (!this.#options.redis) return;
    this.#withoutRedisUntilMs = performance.now() + withoutRedisMs;
    this.#use('postgresql');
    clearTimeout(this.#back);
    this.#back = setTimeout(() => this.#options.onSwitch(), withoutRedisMs + 1).unref();
  }

  async exchange(wanted: readonly RateWanted[]): Promise<readonly RateGranted[]> {
    const { redis, postgres } = this.#options;
    if (redis && performance.now() >= this.#withoutRedisUntilMs) {
      const granted = redis.isUp() ? await this.#askRedis(redis, wanted) : undefined;
      if (granted) return granted;
      await this.#tell();
    }
    this.#use('postgresql');
    return this.#ask(postgres, wanted);
  }

  /** Undefined when it does not answer, or has forgotten what was counted. */
  async #askRedis(redis: RateStore, wanted: readonly RateWanted[]): Promise<readonly RateGranted[] | undefined> {
    try {
      this.#use('redis');
      const granted = await this.#ask(redis, wanted);
      const isForgotten = granted.some(
        ({ isStranger }, index) => isStranger && wanted[index]?.generation?.startsWith(redis.name),
      );
      return isForgotten ? undefined : granted;
    } catch {
      // The link to Redis says so in the log.
      return undefined;
    }
  }

  #use(name: RateStore['name']): void {
    if (name === this.#name) return;
    this.#name = name;
    this.#settledAtMs = performance.now() + settleMs;
    this.#options.onSwitch();
  }

  async #ask(store: RateStore, wanted: readonly RateWanted[]): Promise<readonly RateGranted[]> {
    const leftMs = this.#settledAtMs - performance.now();
    if (leftMs <= 0) return store.exchange(wanted);
    const told = await store.exchange(wanted.map((each) => ({ ...each, need: 0, want: 0, target: 0 })));
    if (told.some(({ isStranger }) => isStranger)) return told;
    await wait(leftMs, undefined, { ref: false });
    return told;
  }

  async #tell(): Promise<void> {
    const now = performance.now();
    if (now - this.#toldAtMs < tellEveryMs) return;
    await this.#options.tellWithoutRedis();
    this.#toldAtMs = now;
  }
}
