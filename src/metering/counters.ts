import type pg from 'pg';
import { type BudgetEntity, type BudgetLimit, type Charge, maxAt } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { Accounts } from './accounts.ts';
import { type BudgetWatch, isWatched, RememberedBudgets, type Watched, watchedAt, watchedOf } from './budget-watch.ts';
import { believe, type Counted, type Counter } from './counter.ts';
import { cover, isDenied, NotHeld, type Shortage } from './coverage.ts';
import { bookOff } from './lease.ts';
import { Leases } from './leases.ts';
import { beginOpen, endOpen, OpenCallUnderWay, type OpenPart } from './open-call.ts';
import { checkedRefusalOf, refusalOf, refusalOfDenied, spendUnknown } from './refusal.ts';
import { loadSpent } from './spent.ts';

/** What a call holds of all its budgets until it is settled. */
export interface Reservation {
  readonly amount: bigint;
  readonly limits: readonly BudgetLimit[];
  /** Of each limit. */
  readonly counters: readonly Counter[];
  /** Why it would have been refused, where budgets are only observed. */
  readonly observed: GatewayError | undefined;
  /** Present where the call may cost more than the amount. */
  readonly open?: OpenPart;
}

/** What one budget has room for, at one moment. */
export interface BudgetRoom {
  readonly limit: BudgetLimit;
  /** Nano-dollars that may be spent at that moment; null is no limit. */
  readonly max: bigint | null;
  /** Nano-dollars: spent in the present window, and held by calls in flight. */
  readonly cost: bigint;
  readonly reserved: bigint;
  /** When the window ends, in milliseconds since 1970; infinity for one that has no end. */
  readonly endMs: number;
  /** Why a call of this amount does not fit. */
  readonly refusal: GatewayError | undefined;
}

/** After a flush: how much of an entity's spending has left this process, and the total the database has now. */
export interface Flushed extends Counted {
  readonly amount: bigint;
  /** Undefined when the window is over in the database. */
  readonly total: bigint | undefined;
}

export interface CountersOptions {
  readonly now?: () => Date;
  /** Entities kept, of each kind, when nothing is reserved or unflushed on them; one has some 300 bytes. */
  readonly most?: number;
  /** Who leases: the daemon that shares the budgets with others. Without, nothing is leased, and this process alone is looked at. */
  readonly daemon?: string;
  /** Told once in each window that a soft budget was passed. */
  readonly onSoftBudget?: (limit: BudgetLimit, spent: bigint) => void;
  /** Whether calls beyond a budget are let through. */
  readonly observes?: (() => boolean) | undefined;
  /** Told of what is spent and refused. */
  readonly watch?: BudgetWatch | undefined;
}

const retryMs = 1_000;

/**
 * The money counters of this process: synchronous, so that admission is one step that nothing can come between.
 *
 * What is reserved here never takes `spent + unflushed + reserved` past a budget, nor `unflushed + reserved` past what this
 * daemon holds of it. Other daemons' spending is seen with every flush, when the database answers with totals. A counter
 * of a window gives way to the next one's by the clock.
 */
export class Counters {
  readonly #pool: pg.Pool;
  readonly #options: CountersOptions;
  readonly #accounts: Accounts;
  readonly #leases: Leases | undefined;
  readonly #remembered = new RememberedBudgets();
  #tick = 0;
  #wanted: Counter[] = [];
  #nextLoad: Promise<void> | undefined;

  constructor(pool: pg.Pool, options: CountersOptions = {}) {
    this.#pool = pool;
    this.#options = options;
    this.#accounts = new Accounts(options.most ?? 100_000, (counter) => this.#remembered.keep(counter));
    const { daemon } = options;
    this.#leases =
      daemon === undefined
        ? undefined
        : new Leases({
            pool,
            daemon,
            beginRead: () => this.#beginRead(),
            isOver: ({ endMs }) => endMs <= this.#nowMs(),
          });
  }

  get size(): number {
    return this.#accounts.size;
  }

  /**
   * Sees to it that what all that a call is charged to has spent is known, and that some of each budget is held.
   *
   * @returns undefined when it is so; else a promise of the statement that does it, shared by all who wait
   * @throws GatewayError 503 when it cannot be known
   */
  prepare({ budgets }: Pick<Charge, 'budgets'>): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined;
    const leases = this.#leases;
    const nowMs = this.#nowMs();
    for (const limit of budgets) {
      const counter = this.#accounts.open(limit, nowMs);
      const max = maxAt(limit, nowMs);
      const wait = leases && max !== null && max > 0n ? this.#hold(leases, counter, max) : this.#readIfNeeded(counter);
      if (wait) (waits ??= []).push(wait);
    }
    return waits && Promise.all(waits).then(() => undefined);
  }

  /** The same, of what is spent alone: for those who only look. */
  ensure({ budgets }: Pick<Charge, 'budgets'>): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined;
    const nowMs = this.#nowMs();
    for (const limit of budgets) {
      const wait = this.#readIfNeeded(this.#accounts.open(limit, nowMs));
      if (wait) (waits ??= []).push(wait);
    }
    return waits && Promise.all(waits).then(() => undefined);
  }

  /** Waits until enough is held for a call that was refused with `NotHeld`; undefined for any other refusal. */
  cover(thrown: unknown): Promise<void> | undefined {
    if (thrown instanceof OpenCallUnderWay) return thrown.ended();
    const leases = this.#leases;
    if (!leases || !(thrown instanceof NotHeld)) return undefined;
    return Promise.all(thrown.shortages.map((shortage) => this.#cover(leases, shortage))).then(() => undefined);
  }

  async #cover(leases: Leases, shortage: Shortage): Promise<void> {
    try {
      await cover(leases, shortage);
    } catch (thrown) {
      // That there is no more is for `reserve` to say, which is asked next and lets the call through.
      if (this.#options.observes?.() && isDenied(shortage.counter, shortage.amount)) return;
      if (thrown instanceof GatewayError && thrown.type === 'budget_exceeded') {
        this.#refused(shortage.counter, shortage);
      }
      throw thrown;
    }
  }

  /** What another daemon says of what is held. */
  heard(payload: string): void {
    this.#leases?.heard(payload);
  }

  /** Gives back what is held. @param isEmpty whether all that was spent is booked */
  async close(options: { readonly isEmpty: boolean }): Promise<void> {
    await this.#leases?.close(options);
  }

  #hold(leases: Leases, counter: Counter, max: bigint): Promise<void> | undefined {
    if (!counter.lease?.isKnown) return leases.ask(counter, { max, amount: 0n });
    const isLess = max < counter.lease.max;
    if ((!counter.isStale && !isLess) || Date.now() < counter.retryAtMs) return undefined;
    return leases.ask(counter, { max, amount: 0n }).catch(() => void (counter.retryAtMs = Date.now() + retryMs));
  }

  #readIfNeeded(counter: Counter): Promise<void> | undefined {
    if (counter.spent === undefined) return this.#load(counter);
    // While the database is away, a total that is known is better than a key that is refused.
    const isDue = counter.isStale && Date.now() >= counter.retryAtMs;
    return isDue ? this.#load(counter).catch(() => undefined) : undefined;
  }

  /** The spend for good that came along with a look-up. A total that is known is never older, so it stays. */
  seed(entity: BudgetEntity, id: string, spent: bigint): void {
    this.#accounts.open({ entity, id }, this.#nowMs()).spent ??= spent;
  }

  /** What it has spent was changed by an administrator: it is read again before the next call. */
  refresh(entity: BudgetEntity, id: string): void {
    for (const counter of this.#accounts.concerned(entity, id)) {
      counter.isStale = true;
      counter.told = undefined;
      if (counter.lease) counter.lease.deniedUntilMs = 0;
      counter.refreshedAt = counter.changedAt = ++this.#tick;
    }
  }

  /**
   * Takes the amount from every budget, or from none.
   *
   * @param most for a call of no known length: taken instead from those that have room for it. From the others the amount is,
   *   and the call may pass them; so there is but one such call at a time in each
   *
   * @throws GatewayError `budget_exceeded` when one is used up, or could be passed by this call; `NotHeld` when this daemon
   *   holds too little of one, which `cover` may change; `OpenCallUnderWay`, which it waits for. Where budgets are only
   *   observed the first is in the answer
   */
  reserve(limits: readonly BudgetLimit[], amount: bigint, most?: bigint): Reservation {
    if (most === undefined) return this.#take(limits, amount);
    const { ample, tight } = this.#roomFor(limits, most);
    if (tight.length === 0) return this.#take(limits, most);
    const open = { ample, tight, missing: most - amount };
    const reservation = this.#take(limits, amount, open);
    beginOpen(open);
    return { ...reservation, open };
  }

  /** Which of them have room for a call in what this daemon holds now. Where it holds too little, more is asked for, for the next one. */
  #roomFor(limits: readonly BudgetLimit[], amount: bigint): Pick<OpenPart, 'ample' | 'tight'> {
    const [ample, tight]: [Counter[], Counter[]] = [[], []];
    const leases = this.#leases;
    const nowMs = this.#nowMs();
    for (const limit of limits) {
      const max = maxAt(limit, nowMs);
      if (max === null) continue;
      const counter = this.#accounts.open(limit, nowMs);
      const { spent } = counter;
      const isFree = spent !== undefined && !refusalOf(counter, { spent, max, amount, limit });
      const isHeld = !leases || leases.covers(counter, amount);
      (isFree && isHeld ? ample : tight).push(counter);
      if (isFree && !isHeld) leases.wish(counter, { max, amount });
    }
    return { ample, tight };
  }

  #take(limits: readonly BudgetLimit[], amount: bigint, open?: Pick<OpenPart, 'tight'>): Reservation {
    const counters: Counter[] = [];
    let shortages: Shortage[] | undefined;
    const leases = this.#leases;
    const { watch, observes } = this.#options;
    const isObserved = observes?.() === true;
    let observed: GatewayError | undefined;
    const nowMs = this.#nowMs();
    for (const limit of limits) {
      const counter = this.#accounts.open(limit, nowMs);
      const max = maxAt(limit, nowMs);
      if (watch && isWatched(limit)) counter.limit = limit;
      if (counter.spent === undefined) throw spendUnknown(limit);
      if (max !== null) {
        const refusal = checkedRefusalOf(counter, { spent: counter.spent, max, amount, limit });
        if (refusal) {
          this.#refused(counter, { limit, max, amount });
          if (!isObserved) throw refusal;
          observed ??= refusal;
        } else if (counter.open > 0 && !isObserved && open?.tight.includes(counter)) {
          throw new OpenCallUnderWay(counter, limit);
        } else if (leases) {
          if (!leases.covers(counter, amount)) (shortages ??= []).push({ counter, limit, max, amount });
          if (counter.lease) counter.lease.idleLooks = 0;
        }
      }
      if (limit.soft !== undefined) counter.isPastSoft ??= counter.spent + counter.unflushed >= limit.soft;
      counters.push(counter);
    }
    if (shortages) {
      const refusal = this.#refusalOfAny(shortages);
      if (!refusal || !isObserved) throw refusal ?? new NotHeld(shortages);
      observed ??= refusal;
    }
    for (const counter of counters) counter.reserved += amount;
    return { amount, limits, counters, observed };
  }

  #refused(counter: Counter, { limit, max, amount }: Pick<Shortage, 'limit' | 'max' | 'amount'>): void {
    const { spent = 0n, unflushed } = counter;
    // It would not fit into an untouched budget either, and says nothing of what is left of this one.
    if (amount > max && spent + unflushed < max) return;
    this.#options.watch?.refused(watchedAt(counter, limit, { spent: spent + unflushed, nowMs: this.#nowMs() }));
  }

  #refusalOfAny(shortages: readonly Shortage[]): GatewayError | undefined {
    for (const shortage of shortages) {
      const refusal = refusalOfDenied(shortage);
      if (!refusal) continue;
      // What a dead daemon holds comes back: nobody is told that the budget is used up.
      if (refusal.type === 'budget_exceeded') this.#refused(shortage.counter, shortage);
      return refusal;
    }
    return undefined;
  }

  /** What `reserve` would go by, of each budget. Nothing is taken. */
  look(limits: readonly BudgetLimit[], amount: bigint): BudgetRoom[] {
    const nowMs = this.#nowMs();
    return limits.map((limit) => {
      const counter = this.#accounts.open(limit, nowMs);
      const { spent, unflushed, reserved, endMs } = counter;
      if (spent === undefined) throw spendUnknown(limit);
      const max = maxAt(limit, nowMs);
      const refusal = max === null ? undefined : refusalOf(counter, { spent, max, amount, limit });
      return { limit, max, cost: spent + unflushed, reserved, endMs, refusal };
    });
  }

  /** Gives a reservation back and counts what the call really cost. Answers what its key has spent by now, for good. */
  settle({ amount, limits, counters, open }: Reservation, cost: bigint): bigint | undefined {
    let keySpend: bigint | undefined;
    if (open) endOpen(open);
    for (const [index, counter] of counters.entries()) {
      counter.reserved -= amount;
      counter.unflushed += cost;
      if (counter.lease?.share !== undefined) this.#leases?.settled(counter);
      const spent = (counter.spent ?? 0n) + counter.unflushed;
      if (counter.entity === 'key' && counter.duration === '') keySpend = spent;
      const limit = limits[index];
      if (limit?.soft === undefined || counter.isPastSoft || spent < limit.soft) continue;
      counter.isPastSoft = true;
      this.#options.onSoftBudget?.(limit, spent);
    }
    return keySpend;
  }

  /** Takes a reservation again that was given back in the same turn. */
  retake({ amount, counters, open }: Reservation): void {
    if (open) beginOpen(open);
    for (const counter of counters) counter.reserved += amount;
  }

  /** Spending of an earlier process that has still to reach the database. What is left of a window that is over counts in none. */
  addUnflushed(counted: Counted, amount: bigint): void {
    const counter = this.#accounts.open(counted, this.#nowMs());
    if (counter.startMs === counted.startMs) counter.unflushed += amount;
  }

  /** Spending that was given up to be booked: it counts in no budget, as it would not after a restart. */
  removeUnflushed(counted: Counted, amount: bigint): void {
    const counter = this.#accounts.find(counted);
    if (counter) counter.unflushed -= amount;
  }

  /** Budgets of calls that an earlier process has left, so that what they reach is told as well. */
  remember(budgets: Iterable<{ readonly counted: Counted; readonly limit: BudgetLimit }>): void {
    this.#remembered.keepAll(budgets);
  }

  /** What was booked on budgets that somebody watches. */
  watched(flushed: Iterable<Flushed>): Watched[] {
    const find = (counted: Counted) => this.#accounts.find(counted);
    return watchedOf(flushed, { find, remembered: this.#remembered, nowMs: this.#nowMs() });
  }

  /** Call before a flush. Give what it returns the totals after it: the ones an administrator has overtaken are not believed. */
  beginFlush(): (flushed: Iterable<Flushed>) => void {
    const startedAt = this.#tick;
    return (flushed) => {
      for (const each of flushed) {
        const counter = this.#accounts.find(each);
        if (!counter) continue;
        counter.unflushed -= each.amount;
        bookOff(counter, each.amount);
        if (each.total !== undefined && counter.refreshedAt <= startedAt) believe(counter, each.total);
        counter.changedAt = ++this.#tick;
      }
    };
  }

  #nowMs(): number {
    return this.#options.now?.().getTime() ?? Date.now();
  }

  #load(counter: Counter): Promise<void> {
    if (!counter.loading) {
      this.#wanted.push(counter);
      // A microtask later, so that all who ask in the same turn share one statement.
      this.#nextLoad ??= Promise.resolve().then(() => this.#readWanted());
      counter.loading = this.#nextLoad;
    }
    return counter.loading;
  }

  /** Call before a reading. What was read is believed unless a flush or a change that came in meanwhile knows better. */
  #beginRead(): (counter: Counter, total: bigint) => void {
    const startedAt = this.#tick;
    return (counter, total) => {
      if (counter.changedAt <= startedAt) believe(counter, total);
      else counter.spent ??= total;
    };
  }

  async #readWanted(): Promise<void> {
    const wanted = this.#wanted;
    this.#wanted = [];
    this.#nextLoad = undefined;
    const read = this.#beginRead();
    try {
      const totals = await loadSpent(this.#pool, wanted);
      // A key that is gone from the database has spent nothing that counts.
      for (const [index, counter] of wanted.entries()) read(counter, totals[index] ?? 0n);
    } catch (error) {
      for (const counter of wanted) counter.retryAtMs = Date.now() + retryMs;
      throw error;
    } finally {
      for (const counter of wanted) counter.loading = undefined;
    }
  }
}
