import type pg from 'pg';
import type { BudgetEntity, BudgetLimit, Principal } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { budgetExceeded } from './budget-exceeded.ts';
import { loadSpent, type Spent } from './spent.ts';

/** What one key, team or user has spent, in nano-dollars. */
interface Counter {
  readonly entity: BudgetEntity;
  readonly id: string;
  /** As the database last said; undefined when it was never asked. */
  spent: bigint | undefined;
  /** Settled here and not yet in the database. */
  unflushed: bigint;
  /** The worst case of the calls in flight. */
  reserved: bigint;
  /** Whether `spent` is to be read again before it is relied upon. */
  isStale: boolean;
  readAtMs: number;
  /** After a failed read, a total that is known serves on until then. */
  retryAtMs: number;
  /** When an administrator last changed it, and when anything last did, on the clock that `Counters` ticks. */
  refreshedAt: number;
  changedAt: number;
  /** Used since the last sweep. */
  isUsed: boolean;
  loading: Promise<void> | undefined;
}

/** What a call holds of the budgets of its key, team and user until it is settled. */
export interface Reservation {
  readonly amount: bigint;
  readonly counters: readonly Counter[];
}

/** After a flush: how much of an entity's spending has left this process, and the total the database has now. */
export interface Flushed extends Spent {
  readonly amount: bigint;
}

/** A refusal rests on a total that is read again when it is older: a budget may have been reset by someone we did not hear. */
const trustRefusalMs = 1_000;
const retryMs = 1_000;

/**
 * The money counters of this process: synchronous, so that admission is one step that nothing can come between.
 *
 * What is reserved here never takes `spent + unflushed + reserved` past a budget. Other daemons' spending is seen with
 * every flush, when the database answers with totals.
 */
export class Counters {
  readonly #pool: pg.Pool;
  readonly #most: number;
  readonly #counters: Readonly<Record<BudgetEntity, Map<string, Counter>>>;
  #tick = 0;
  #wanted: Counter[] = [];
  #nextLoad: Promise<void> | undefined;

  /** @param most counters kept, of each kind, when nothing is reserved or unflushed on them; one has some 300 bytes */
  constructor(pool: pg.Pool, most = 100_000) {
    this.#pool = pool;
    this.#most = most;
    this.#counters = { key: new Map(), team: new Map(), user: new Map() };
  }

  get size(): number {
    return this.#counters.key.size + this.#counters.team.size + this.#counters.user.size;
  }

  /**
   * Sees to it that what the principal's key, team and user have spent is known.
   *
   * @returns undefined when it is; else a promise of the one statement that reads it, shared by all who wait
   */
  ensure({ budgets }: Principal): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined;
    for (const { entity, id } of budgets) {
      const counter = this.#counter(entity, id);
      if (counter.spent === undefined) (waits ??= []).push(this.#load(counter));
      // While the database is away, a total that is known is better than a key that is refused.
      else if (counter.isStale && Date.now() >= counter.retryAtMs) {
        (waits ??= []).push(this.#load(counter).catch(() => undefined));
      }
    }
    return waits && Promise.all(waits).then(() => undefined);
  }

  /** The spend that came along with a key look-up. A total that is known is never older, so it stays. */
  seed(entity: BudgetEntity, id: string, spent: bigint): void {
    this.#counter(entity, id).spent ??= spent;
  }

  /** The total was changed by an administrator: it is read again before the next call. */
  refresh(entity: BudgetEntity, id: string): void {
    const counter = this.#counters[entity].get(id);
    if (!counter) return;
    counter.isStale = true;
    counter.refreshedAt = counter.changedAt = ++this.#tick;
  }

  /**
   * Takes the amount from every budget, or from none.
   *
   * @throws GatewayError `budget_exceeded` when one is used up, or could be passed by this call
   */
  reserve(limits: readonly BudgetLimit[], amount: bigint): Reservation {
    const counters: Counter[] = [];
    for (const limit of limits) {
      const counter = this.#counter(limit.entity, limit.id);
      if (counter.spent === undefined) throw spendUnknown(limit);
      if (limit.max !== null) admit(counter, counter.spent, limit.max, amount, limit);
      counters.push(counter);
    }
    for (const counter of counters) counter.reserved += amount;
    return { amount, counters };
  }

  /** Gives a reservation back and counts what the call really cost. Answers what its key has spent by now. */
  settle({ amount, counters }: Reservation, cost: bigint): bigint | undefined {
    let keySpend: bigint | undefined;
    for (const counter of counters) {
      counter.reserved -= amount;
      counter.unflushed += cost;
      if (counter.entity === 'key') keySpend = (counter.spent ?? 0n) + counter.unflushed;
    }
    return keySpend;
  }

  /** Spending of an earlier process that has still to reach the database. */
  addUnflushed(entity: BudgetEntity, id: string, amount: bigint): void {
    this.#counter(entity, id).unflushed += amount;
  }

  /** Spending that was given up to be booked: it counts in no budget, as it would not after a restart. */
  removeUnflushed(entity: BudgetEntity, id: string, amount: bigint): void {
    const counter = this.#counters[entity].get(id);
    if (counter) counter.unflushed -= amount;
  }

  /** Call before a flush. Give what it returns the totals after it: the ones an administrator has overtaken are not believed. */
  beginFlush(): (flushed: Iterable<Flushed>) => void {
    const startedAt = this.#tick;
    return (flushed) => {
      for (const { entity, id, amount, total } of flushed) {
        const counter = this.#counters[entity].get(id);
        if (!counter) continue;
        counter.unflushed -= amount;
        if (counter.refreshedAt <= startedAt) believe(counter, total);
        counter.changedAt = ++this.#tick;
      }
    };
  }

  #counter(entity: BudgetEntity, id: string): Counter {
    const counters = this.#counters[entity];
    let counter = counters.get(id);
    if (!counter) {
      if (counters.size >= this.#most) evict(counters);
      counter = newCounter(entity, id);
      counters.set(id, counter);
    }
    counter.isUsed = true;
    return counter;
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

  async #readWanted(): Promise<void> {
    const wanted = this.#wanted;
    this.#wanted = [];
    this.#nextLoad = undefined;
    const startedAt = this.#tick;
    try {
      const found = await loadSpent(this.#pool, wanted);
      const totals = new Map(found.map(({ entity, id, total }) => [`${entity} ${id}`, total]));
      for (const counter of wanted) {
        // A key that is gone from the database has spent nothing that counts.
        const total = totals.get(`${counter.entity} ${counter.id}`) ?? 0n;
        // A flush or a change that came in meanwhile knows better.
        if (counter.changedAt <= startedAt) believe(counter, total);
        else counter.spent ??= total;
      }
    } catch (error) {
      for (const counter of wanted) counter.retryAtMs = Date.now() + retryMs;
      throw error;
    } finally {
      for (const counter of wanted) counter.loading = undefined;
    }
  }
}

function newCounter(entity: BudgetEntity, id: string): Counter {
  return {
    entity,
    id,
    spent: undefined,
    unflushed: 0n,
    reserved: 0n,
    isStale: false,
    readAtMs: 0,
    retryAtMs: 0,
    refreshedAt: 0,
    changedAt: 0,
    isUsed: true,
    loading: undefined,
  };
}

function believe(counter: Counter, total: bigint): void {
  counter.spent = total;
  counter.isStale = false;
  counter.readAtMs = Date.now();
}

function admit(counter: Counter, spent: bigint, max: bigint, amount: bigint, limit: BudgetLimit): void {
  const cost = spent + counter.unflushed;
  const taken = cost + counter.reserved;
  if (taken < max && taken + amount <= max) return;
  if (Date.now() - counter.readAtMs > trustRefusalMs) counter.isStale = true;
  throw budgetExceeded(limit, { cost, max, reserved: counter.reserved, amount });
}

/** Counters an eviction looks at: enough to find one that was not used lately, few enough not to be felt. */
const sweepSteps = 64;

/** The oldest idle counter goes; one that was used since it was last passed over gets a second chance. */
function evict(counters: Map<string, Counter>): void {
  let idle: string | undefined;
  let steps = 0;
  for (const [id, counter] of counters) {
    if (++steps > sweepSteps) break;
    const isBusy = counter.reserved > 0n || counter.unflushed > 0n || counter.loading !== undefined;
    if (!isBusy) idle ??= id;
    if (!isBusy && !counter.isUsed) {
      idle = id;
      break;
    }
    counter.isUsed = false;
    counters.delete(id);
    counters.set(id, counter);
  }
  if (idle !== undefined) counters.delete(idle);
}

/** Only a caller that did not wait for `ensure` gets here. */
const spendUnknown = ({ entity, label }: BudgetLimit) =>
  new GatewayError('unavailable', 'spend_unknown', `What ${entity} ${label} has spent is not known yet`, {
    headers: { 'retry-after': '1' },
  });
