import type pg from 'pg';
import { asDatabaseTrouble } from '../db/errors.ts';
import { GatewayError } from '../kernel/errors.ts';
import { isRefusal } from './booking.ts';
import { type Counter, nameOf } from './counter.ts';
import { exchange, type Granted, leaseMs, leave, type Wanted } from './lease-exchange.ts';
import { freeOf, type Lease, leastFor, lose, newLease, usedOf } from './lease.ts';

/** Told what a counter has by the database, as it was read. */
export type Read = (counter: Counter, spent: bigint) => void;

export interface LeasesOptions {
  readonly pool: pg.Pool;
  /** The same for each process of this daemon, and of no other daemon. */
  readonly daemon: string;
  /** Called before an exchange; gives what takes the totals that it brings. */
  readonly beginRead: () => Read;
  readonly isOver: (counter: Counter) => boolean;
}

interface Item {
  counter: Counter;
  max: bigint;
  /** What calls wait for. */
  readonly amounts: bigint[];
  gift: bigint;
  isIdle: boolean;
  readonly done: PromiseWithResolvers<void>;
}

/** Budgets in one statement. */
const mostAtOnce = 500;
/** The daemon's clock may run a little slower than the database's, and what is in use must be covered to the end. */
const marginMs = 2_000;
const lookEveryMs = 10_000;
/** Looks after which what nobody has used is given back: a minute. */
const idleLooks = 6;
const recallEveryMs = 50;
const shareForMs = 150;
/** Whoever wants what we have in use learns that we are alive, but not more often than this. */
const answerEveryMs = 400;
/** After a failure the database is left alone for so long. */
const restMs = 250;
/** After a failure nobody knows whether an exchange is still to come into effect; it is over by then. */
const doubtMs = 10_000;

const largest = (one: bigint, other: bigint): bigint => (one > other ? one : other);
const smallest = (one: bigint, other: bigint): bigint => (one < other ? one : other);

/**
 * What this daemon holds of the budgets: money that the database keeps for it, so that it may admit calls without asking
 * anybody. All daemons together never hold more than is left, so all together never spend more.
 *
 * One exchange with the database is under way at a time; what is wanted meanwhile is in the next one.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #held = new Map<string, Counter>();
  readonly #byBudget = new Map<string, Counter>();
  readonly #items = new Map<string, Item>();
  readonly #looks: NodeJS.Timeout;
  #round: Promise<void> | undefined;
  #generation: string | undefined;
  #validUntilMs = Number.NEGATIVE_INFINITY;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #doubtUntilMs = Number.NEGATIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;
  #failure: unknown;
  /** Exchanges made: what the bound on statements is proved by. */
  exchanges = 0;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#looks = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  /** Whether what is held has room for a call. Asks nobody. */
  covers(counter: Counter, amount: bigint): boolean {
    const { lease } = counter;
    if (!lease?.isKnown || performance.now() >= this.#validUntilMs) return false;
    return usedOf(counter) + leastFor(amount) <= lease.amount;
  }

  /**
   * Takes part in the next exchange: reads what is spent, and takes what there is for us to hold.
   *
   * @param amount what a call can cost at most; nothing is a reading
   * @throws GatewayError `budget_unavailable`
   */
  ask(counter: Counter, { max, amount }: { readonly max: bigint; readonly amount: bigint }): Promise<void> {
    if (performance.now() < this.#restUntilMs) return Promise.reject(unavailable(this.#failure));
    const item = this.#item(counter, max);
    item.max = smallest(item.max, max);
    if (amount > 0n) item.amounts.push(amount);
    return item.done.promise;
  }

  /** Asks for what no call waits for; not with every call, for others may leave no room for it as long as they hold the rest. */
  wish(counter: Counter, { max, amount }: { readonly max: bigint; readonly amount: bigint }): void {
    const { lease } = counter;
    const now = performance.now();
    if (!lease || now - lease.wishedAtMs < recallEveryMs) return;
    lease.wishedAtMs = now;
    this.ask(counter, { max, amount }).catch(() => undefined);
  }

  /** A call has ended: what another daemon waits for is put aside at once, before the next call takes it. */
  settled(counter: Counter): void {
    const { lease } = counter;
    if (lease?.share === undefined) return;
    if (performance.now() >= lease.shareUntilMs) lease.share = undefined;
    else this.#give(counter, lease, smallest(freeOf(counter, lease), lease.amount - lease.share));
  }

  /** What another daemon says of a budget. Whoever may connect may say something, so nothing about it is taken for granted. */
  heard(payload: string): void {
    const [, what, budget = '', from, need, share] =
      /^(wanted|returned) (-?\d{1,20}) (\S{1,64})(?: (\d{1,20}) (\d{1,20}))?$/.exec(payload) ?? [];
    const counter = this.#byBudget.get(budget);
    const lease = counter?.lease;
    if (!lease || from === this.#options.daemon) return;
    if (what === 'returned') {
      lease.deniedUntilMs = 0;
      lease.returned?.resolve();
    } else if (lease.isKnown && need !== undefined && share !== undefined) {
      // Only those who have less than their share can make us come down to ours.
      if (BigInt(share) > 0n) {
        lease.share = BigInt(share);
        lease.shareUntilMs = performance.now() + shareForMs;
      }
      const free = freeOf(counter, lease);
      if (free > 0n) this.#give(counter, lease, smallest(free, largest(BigInt(need), free / 2n)));
      else if (performance.now() - this.#lastMs >= answerEveryMs) this.#begin();
    }
  }

  /** @param isEmpty whether all that was spent is booked: then nothing is left to be covered */
  async close({ isEmpty }: { readonly isEmpty: boolean }): Promise<void> {
    clearInterval(this.#looks);
    await this.#round;
    if (isEmpty && this.#generation !== undefined) await leave(this.#options.pool, this.#options.daemon);
  }

  #give(counter: Counter, lease: Lease, gift: bigint): void {
    if (gift <= 0n) return;
    lease.amount -= gift;
    this.#item(counter, 0n).gift += gift;
  }

  #item(counter: Counter, max: bigint): Item {
    const name = nameOf(counter);
    const found = this.#items.get(name);
    if (found) {
      if (found.max === 0n) found.max = max;
      found.counter = counter;
      found.isIdle = false;
      return found;
    }
    const item: Item = { counter, max, amounts: [], gift: 0n, isIdle: false, done: Promise.withResolvers() };
    // Not everybody who wants something waits for it.
    item.done.promise.catch(() => undefined);
    this.#items.set(name, item);
    // A microtask later, so that all who ask in the same turn share one statement.
    this.#begin();
    return item;
  }

  /** Never rejects: whoever waits is told. */
  async #exchangeAll(): Promise<void> {
    try {
      do {
        const items = [...this.#items].slice(0, mostAtOnce);
        for (const [name] of items) this.#items.delete(name);
        if (performance.now() < this.#restUntilMs) this.#failed(items, this.#failure);
        else await this.#exchange(items);
      } while (this.#items.size > 0);
    } finally {
      this.#round = undefined;
    }
  }

  async #exchange(items: readonly (readonly [string, Item])[]): Promise<void> {
    const { pool, daemon, beginRead } = this.#options;
    const wanted = items.map(([name, item]) => this.#wantedOf(name, item));
    const versions = items.map(([, { counter }]) => counter.lease?.version);
    const read = beginRead();
    const sentMs = performance.now();
    this.#lastMs = sentMs;
    this.exchanges++;
    try {
      const { generation, granted } = await exchange(pool, daemon, wanted);
      if (this.#generation !== undefined && generation !== this.#generation) this.#loseAll();
      this.#generation = generation;
      this.#validUntilMs = sentMs + leaseMs - marginMs;
      for (const each of granted) {
        const item = items[each.index]?.[1];
        if (!item) continue;
        this.#take(item, each, versions[each.index]);
        read(item.counter, each.spent);
      }
      for (const [, { done }] of items) done.resolve();
    } catch (error) {
      // One budget that the database refuses for what it is must not keep the others from being leased.
      if (items.length > 1 && isRefusal(error)) {
        for (const item of items) await this.#exchange([item]);
        return;
      }
      this.#failure = error;
      this.#restUntilMs = performance.now() + restMs;
      this.#doubtUntilMs = performance.now() + doubtMs;
      this.#failed(items, error);
    }
  }

  #wantedOf(name: string, item: Item): Wanted {
    const { counter, max, amounts, gift, isIdle } = item;
    const former = this.#held.get(name);
    // Its counter was idle and is forgotten: the new one takes all that the database keeps for it.
    if (former && former !== counter) former.lease = undefined;
    const base = { counted: counter, max, gift, isIdle, need: 0n, want: 0n, recalls: false };
    if (isIdle) {
      this.#drop(name, counter);
      return base;
    }
    const lease = (counter.lease ??= newLease());
    this.#held.set(name, counter);
    lease.isAsked = true;
    // What is given back in an exchange is not taken again in the same one.
    if (amounts.length === 0 || (gift > 0n && lease.isKnown)) return base;
    const free = freeOf(counter, lease);
    const least = amounts.map(leastFor).reduce(smallest);
    const sum = amounts.reduce((total, each) => total + leastFor(each), 0n);
    const need = lease.isKnown ? largest(0n, least - free) : 0n;
    const now = performance.now();
    const recalls = need > 0n && now - lease.recalledAtMs >= recallEveryMs;
    if (recalls) lease.recalledAtMs = now;
    return { ...base, need, want: largest(need, sum - free), recalls };
  }

  #take(
    { counter, max }: Item,
    { budget, spent, granted, own, others, silent }: Granted,
    version: number | undefined,
  ): void {
    const { lease } = counter;
    if (!lease) return;
    // Nothing was booked meanwhile, and nothing is on its way to be: what the database says is all there is to know.
    const isQuiet = lease.version === version && usedOf(counter) === counter.reserved;
    if (!lease.isKnown) lease.amount += own;
    else if (isQuiet && performance.now() >= this.#doubtUntilMs) {
      lease.amount = own - (this.#items.get(nameOf(counter))?.gift ?? 0n);
      lease.isDoubtful = false;
    } else lease.amount += granted;
    lease.isKnown = true;
    lease.isAsked = false;
    lease.others = others;
    lease.silent = silent;
    if (lease.budget !== budget) {
      lease.budget = budget;
      this.#byBudget.set(budget, counter);
    }
    if (max > 0n) lease.max = max;
    // The budget was made smaller, or somebody has spent more than was held.
    const excess = spent + others + lease.amount - max;
    if (max > 0n && excess > 0n) this.#give(counter, lease, smallest(freeOf(counter, lease), excess));
  }

  #failed(items: readonly (readonly [string, Item])[], error: unknown): void {
    for (const [name, { counter, isIdle, done }] of items) {
      // What could not be given back is looked at again.
      if (isIdle) this.#held.set(name, counter);
      const lease = (counter.lease ??= newLease());
      lease.isAsked = false;
      lease.isDoubtful = true;
      done.reject(unavailable(error));
    }
  }

  #loseAll(): void {
    for (const { lease } of this.#held.values()) if (lease) lose(lease);
  }

  #drop(name: string, counter: Counter): void {
    this.#held.delete(name);
    if (counter.lease && this.#byBudget.get(counter.lease.budget) === counter) {
      this.#byBudget.delete(counter.lease.budget);
    }
    counter.lease = undefined;
  }

  /** Gives back what nobody uses, asks about what nobody is sure of, and renews the rest. */
  #look(): void {
    const now = performance.now();
    for (const counter of this.#held.values()) {
      const { lease } = counter;
      if (!lease) continue;
      const isIdle = ++lease.idleLooks > idleLooks || this.#options.isOver(counter);
      if (isIdle && usedOf(counter) === 0n) this.#item(counter, 0n).isIdle = true;
      else if (lease.isDoubtful && now >= this.#doubtUntilMs) this.#item(counter, 0n);
    }
    if (this.#held.size > 0 && now - this.#lastMs >= lookEveryMs / 2) this.#begin();
  }

  #begin(): void {
    this.#round ??= Promise.resolve().then(() => this.#exchangeAll());
  }
}

const unavailable = (cause: unknown): GatewayError =>
  new GatewayError('unavailable', 'budget_unavailable', 'What is left of a budget is not known at the moment', {
    hint: 'The database that the daemons share does not answer, or another daemon has died with a part of it.',
    headers: { 'retry-after': '1' },
    cause: asDatabaseTrouble(cause),
  });
