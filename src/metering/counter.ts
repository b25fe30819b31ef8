import type { BudgetEntity, BudgetLimit } from '../access/principal.ts';
import { parseDuration } from '../kernel/duration.ts';
import { windowOf } from '../kernel/window.ts';
import type { Lease } from './lease.ts';

/** What a counter counts: all that an entity spends, or what it spends in one window, on one model. */
export interface Counted {
  readonly entity: BudgetEntity;
  readonly id: string;
  /** Empty is all models, and for good. */
  readonly model: string;
  readonly duration: string;
  /** When the window began, in milliseconds since 1970; 0 for one that has no beginning. */
  readonly startMs: number;
}

/** Names a counter among all of them. */
export const nameOf = ({ entity, id, model, duration, startMs }: Counted): string =>
  `${entity}\u001f${id}\u001f${model}\u001f${duration}\u001f${startMs}`;

/** What one key, team or other entity has spent, in nano-dollars. */
export interface Counter extends Counted {
  readonly endMs: number;
  /** As the database last said; undefined when it was never asked. */
  spent: bigint | undefined;
  /** Settled here and not yet in the database. */
  unflushed: bigint;
  /** The worst case of the calls in flight. */
  reserved: bigint;
  /** Whether `spent` is to be read again before it is relied upon. */
  isStale: boolean;
  /** Calls in flight that may cost more than was reserved for them: one at most. */
  open: number;
  /** Somebody waits for that one to end. */
  openEnded: PromiseWithResolvers<void> | undefined;
  readAtMs: number;
  /** After a failed read, a total that is known serves on until then. */
  retryAtMs: number;
  /** When an administrator last changed it, and when anything last did, on the clock that `Counters` ticks. */
  refreshedAt: number;
  changedAt: number;
  /** Whether the soft budget was passed; undefined until it is looked at. */
  isPastSoft: boolean | undefined;
  /** The budget it was last measured by, where somebody watches; and what was told of it. */
  limit: BudgetLimit | undefined;
  told: Set<string> | undefined;
  loading: Promise<void> | undefined;
  /** What this daemon holds of the budget; undefined before it has one, and where nothing is leased. */
  lease: Lease | undefined;
  /** As it stands in the rows of its calls, once it was needed. */
  text: string | undefined;
}

export function newCounter({ entity, id, model = '', duration = '' }: BudgetLimit | Counted, nowMs: number): Counter {
  const parsed = parseDuration(duration);
  const window = parsed && windowOf(parsed, new Date(nowMs));
  return {
    entity,
    id,
    model,
    duration,
    startMs: window ? window.start.getTime() : 0,
    endMs: window ? window.end.getTime() : Number.POSITIVE_INFINITY,
    spent: undefined,
    unflushed: 0n,
    reserved: 0n,
    isStale: false,
    open: 0,
    openEnded: undefined,
    readAtMs: 0,
    retryAtMs: 0,
    refreshedAt: 0,
    changedAt: 0,
    isPastSoft: undefined,
    limit: undefined,
    told: undefined,
    loading: undefined,
    lease: undefined,
    text: undefined,
  };
}

/** Nothing was spent in a window that has just begun; what other daemons spend in it is read once. */
export const nextWindow = (last: Counter, nowMs: number): Counter => ({
  ...newCounter(last, nowMs),
  spent: 0n,
  isStale: true,
});

export const isBusy = ({ reserved, unflushed, loading }: Counter): boolean =>
  reserved > 0n || unflushed !== 0n || loading !== undefined;

export function believe(counter: Counter, total: bigint): void {
  counter.spent = total;
  counter.isStale = false;
  counter.readAtMs = Date.now();
}

/** The three whose ids are columns of every row; all others are named in it. */
const isInColumns = ({ entity, duration, model }: Counter): boolean =>
  duration === '' && model === '' && (entity === 'key' || entity === 'team' || entity === 'user');

/** The counters of a call, as its row names them: an array in JSON, or nothing when the columns say it all. */
export function countedText(counters: readonly Counter[]): string {
  let list = '';
  for (const counter of counters) {
    if (isInColumns(counter)) continue;
    list += `${list === '' ? '' : ','}${(counter.text ??= textOf(counter))}`;
  }
  return list === '' ? '' : `[${list}]`;
}

function textOf({ entity, id, model, duration, startMs }: Counter): string {
  return JSON.stringify({ entity, id, model, duration, start_ms: startMs });
}
