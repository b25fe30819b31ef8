import type pg from 'pg';
import { type BudgetLimit, maxAt } from '../access/principal.ts';
import { type Counted, type Counter, isBusy, nameOf, newCounter } from './counter.ts';
import type { Flushed } from './counters.ts';

/** A budget, and what was spent of it at one moment. Amounts are nano-dollars. */
export interface Watched {
  readonly counter: Pick<Counter, 'entity' | 'id' | 'model' | 'duration' | 'startMs' | 'endMs'> & {
    /** What was told of it by this process, in the watch's own words: what is in it is not asked of the database again. */
    told: Set<string> | undefined;
  };
  readonly limit: BudgetLimit;
  /** What may be spent at that moment. */
  readonly max: bigint | null;
  readonly spent: bigint;
}

/** Whoever is to know what becomes of the budgets. */
export interface BudgetWatch {
  /** Whether there is anybody to be told. */
  readonly isOn: boolean;
  /**
   * Notes what was reached, in the transaction that books it: then it is known for as long as the spending is.
   *
   * @returns to be called when that has been committed
   */
  booked(client: pg.ClientBase, watched: readonly Watched[]): Promise<() => void>;
  /** A call was refused, or would have been; called for every such call. */
  refused(watched: Watched): void;
}

/** Whether anything can be told of a budget. */
export const isWatched = ({ max, soft }: BudgetLimit): boolean => max !== null || soft !== undefined;

export function watchedAt(
  counter: Counter,
  limit: BudgetLimit,
  { spent, nowMs }: { spent: bigint; nowMs: number },
): Watched {
  return { counter, limit, max: maxAt(limit, nowMs), spent };
}

interface Remembered {
  readonly counter: Watched['counter'];
  readonly limit: BudgetLimit;
}

/** Of windows that are over, and of calls of an earlier process. */
const mostRemembered = 10_000;

/** The budgets whose spending is still to be booked, though no counter is left for it here. */
export class RememberedBudgets {
  readonly #budgets = new Map<string, Remembered>();

  /** Its window is over, and some of its calls are not booked yet. */
  keep(counter: Counter): void {
    if (counter.limit && isBusy(counter)) this.#set(counter, counter.limit);
  }

  keepAll(budgets: Iterable<{ readonly counted: Counted; readonly limit: BudgetLimit }>): void {
    for (const { counted, limit } of budgets) {
      // As of its beginning, so that its end is that of its window and not of the present one.
      const { endMs } = newCounter(counted, counted.startMs);
      this.#set({ ...counted, endMs, told: undefined }, limit);
    }
  }

  watched(counted: Counted, { spent, nowMs }: { readonly spent: bigint; readonly nowMs: number }): Watched | undefined {
    const known = this.#budgets.get(nameOf(counted));
    return known && { ...known, max: maxAt(known.limit, nowMs), spent };
  }

  #set(counter: Watched['counter'] & Counted, limit: BudgetLimit): void {
    const [oldest] = this.#budgets.keys();
    if (oldest !== undefined && this.#budgets.size >= mostRemembered) this.#budgets.delete(oldest);
    this.#budgets.set(nameOf(counter), { counter, limit });
  }
}

/** What was booked on budgets that somebody watches, of those that are here. */
export function watchedOf(
  flushed: Iterable<Flushed>,
  {
    find,
    remembered,
    nowMs,
  }: { find: (counted: Counted) => Counter | undefined; remembered: RememberedBudgets; nowMs: number },
): Watched[] {
  const watched: Watched[] = [];
  for (const { total: spent, ...counted } of flushed) {
    if (spent === undefined) continue;
    const counter = find(counted);
    const found = counter?.limit
      ? watchedAt(counter, counter.limit, { spent, nowMs })
      : remembered.watched(counted, { spent, nowMs });
    if (found) watched.push(found);
  }
  return watched;
}
