import { asDatabaseTrouble } from '../db/errors.ts';
import { GatewayError } from '../kernel/errors.ts';
import { RateLease } from './rate-lease.ts';
import { type RateGranted, rateLifeMs, type RateStore } from './rate-store.ts';
import type { SlidingCount } from './sliding-count.ts';

/** What becomes of limits while no store answers: nothing is admitted beyond what is held, or each daemon counts alone. */
export type WithoutStore = 'refuse' | 'per_instance';

export interface RateLeasesOptions {
  readonly store: RateStore;
  readonly withoutStore: WithoutStore;
  /** Told when no store answers any more, and when one does again. */
  readonly onAway?: (cause: unknown) => void;
  readonly onBack?: () => void;
}

/** Limits in one exchange. */
const mostAtOnce = 200;
const lookEveryMs = 1_000;
/** What nobody is short of is told and renewed so often. */
const renewEveryMs = 4_000;
/** The daemon's clock may run a little slower than the store's. */
const marginMs = 2_000;
/** What was freed is told of together. */
const soonMs = 20;
/** After a failure the stores are left alone for so long. */
const restMs = 250;

/**
 * What this daemon holds of the limits. One exchange with the store is under way at a time; what is wanted meanwhile is
 * in the next one.
 */
export class RateLeases {
  readonly #options: RateLeasesOptions;
  readonly #active = new Map<string, RateLease>();
  readonly #asked = new Map<RateLease, PromiseWithResolvers<void>>();
  readonly #looks: NodeJS.Timeout;
  readonly #freed = new Set<RateLease>();
  #soon: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #failure: unknown;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  /** No store answers. */
  #isAway = false;

  constructor(options: RateLeasesOptions) {
    this.#options = options;
    this.#looks = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  /** One for each name, or else what is held would be used twice. @param count of the last minute, where that counts */
  lease(name: string, most: number, count: SlidingCount | undefined): RateLease {
    return this.#active.get(name) ?? new RateLease(name, most, count);
  }

  /** Whether this daemon counts alone at the moment. */
  get isAlone(): boolean {
    return this.#isAway && this.#options.withoutStore === 'per_instance';
  }

  /** Whether no store has answered the last time. */
  get isAway(): boolean {
    return this.#isAway;
  }

  get withoutStore(): WithoutStore {
    return this.#options.withoutStore;
  }

  /**
   * Takes part in the next exchange.
   *
   * @throws GatewayError `limit_unavailable`
   */
  ask(lease: RateLease, amount: number): Promise<void> {
    if (this.isAlone) return Promise.resolve();
    if (performance.now() < this.#restUntilMs) return Promise.reject(unavailable(this.#failure));
    lease.waiting.push(amount);
    return this.#item(lease).promise;
  }

  /** The same, of which nobody waits for the end. */
  prepare(lease: RateLease): void {
    if (performance.now() >= this.#restUntilMs) this.#item(lease);
  }

  /** To be looked after, until nothing is held of it. */
  follow(lease: RateLease): void {
    lease.isActive = true;
    this.#active.set(lease.name, lease);
  }

  /** What was counted in the last minute is told as soon as it can be. */
  tellAll(): void {
    for (const lease of this.#active.values()) this.prepare(lease);
  }

  /** Others wait for what is free of it. */
  giveSoon(lease: RateLease): void {
    this.#freed.add(lease);
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      for (const each of this.#freed) this.prepare(each);
      this.#freed.clear();
    }, soonMs).unref();
  }

  /** Gives back what is held, and tells what was used. */
  async close(): Promise<void> {
    clearInterval(this.#looks);
    clearTimeout(this.#soon);
    await this.#round;
    const left = [...this.#active.values()];
    for (let first = 0; first < left.length && !this.#isAway; first += mostAtOnce) {
      await this.#exchange(left.slice(first, first + mostAtOnce), { isLast: true });
    }
  }

  #item(lease: RateLease): PromiseWithResolvers<void> {
    const found = this.#asked.get(lease);
    if (found) return found;
    const item = Promise.withResolvers<void>();
    // Not everybody who wants something waits for it.
    item.promise.catch(() => undefined);
    this.#asked.set(lease, item);
    lease.isAsked = true;
    if (!lease.isActive) this.follow(lease);
    // A microtask later, so that all who ask in the same turn share one statement.
    this.#round ??= Promise.resolve().then(() => this.#exchangeAll());
    return item;
  }

  /** Never rejects: whoever waits is told. */
  async #exchangeAll(): Promise<void> {
    try {
      do {
        const items = [...this.#asked].slice(0, mostAtOnce);
        for (const [lease] of items) this.#asked.delete(lease);
        if (performance.now() < this.#restUntilMs) {
          for (const [lease] of items) lease.dropped();
          this.#answer(items, false);
        } else {
          const leases = items.map(([lease]) => lease);
          this.#answer(items, await this.#exchange(leases, { isLast: false }));
        }
      } while (this.#asked.size > 0);
    } finally {
      this.#round = undefined;
    }
  }

  #answer(items: readonly (readonly [RateLease, PromiseWithResolvers<void>])[], isDone: boolean): void {
    for (const [, { resolve, reject }] of items) {
      if (isDone || this.isAlone) resolve();
      else reject(unavailable(this.#failure));
    }
  }

  /** @returns whether a store has answered */
  async #exchange(leases: readonly RateLease[], { isLast }: { readonly isLast: boolean }): Promise<boolean> {
    const sentMs = performance.now();
    const wanted = leases.map((lease) => lease.wanted(sentMs, isLast));
    const waited = leases.map((lease) => lease.waiting.splice(0));
    try {
      const granted = await this.#options.store.exchange(wanted);
      for (const [index, lease] of leases.entries()) {
        const each: RateGranted | undefined = granted[index];
        if (!each) throw new Error('A limit was left out of the answer');
        lease.took(each, waited[index] ?? [], { sentMs, lifeMs: rateLifeMs - marginMs });
        if (each.isStranger && !isLast) this.prepare(lease);
      }
      if (this.#isAway) this.#options.onBack?.();
      this.#isAway = false;
      return true;
    } catch (error) {
      for (const lease of leases) lease.failed();
      this.#failure = error;
      this.#restUntilMs = performance.now() + restMs;
      if (!this.#isAway) this.#options.onAway?.(error);
      this.#isAway = true;
      return false;
    }
  }

  /** Tells what was used and gives back what is not; forgets what nobody uses. */
  #look(): void {
    const nowMs = performance.now();
    for (const lease of this.#active.values()) {
      if (lease.isIdle()) {
        lease.retire();
        this.#active.delete(lease.name);
      } else if (this.#isAway || lease.isDue(nowMs, renewEveryMs)) this.prepare(lease);
    }
  }
}

const unavailable = (cause: unknown): GatewayError =>
  new GatewayError('unavailable', 'limit_unavailable', 'What is left of a limit is not known at the moment', {
    hint: 'What the daemons count together with does not answer, and without_shared_store is refuse.',
    headers: { 'retry-after': '1' },
    cause: asDatabaseTrouble(cause),
  });
