import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { BudgetWatch } from './budget-watch.ts';
import { bookRows, isRefusal, mayLackPartition } from './booking.ts';
import type { Counted } from './counter.ts';
import type { Counters } from './counters.ts';
import { within } from './deadline.ts';
import type { Batch, Journal } from './journal.ts';
import { createPartitions } from './partitions.ts';

/** Calls settled within this time share a transaction. Also how far behind the totals of other daemons may be. */
const gatherMs = 100;
const largestBatch = 500;
const firstPauseMs = 100;
/** With the time a connection takes, a database that has come back is used again within two seconds. */
const longestPauseMs = 1_500;

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

export interface LedgerParts {
  readonly journal: Journal;
  readonly counters: Counters;
  readonly pool: pg.Pool;
  readonly log: Log;
  /** Told of what is booked. */
  readonly watch?: BudgetWatch | undefined;
}

/**
 * Carries settled rows from the journal to the database, oldest first. A batch leaves the journal only after its commit,
 * so nothing is lost; and one that is sent twice adds nothing, so nothing is counted twice.
 */
export class Ledger {
  readonly #parts: LedgerParts;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isClosed = false;
  #failures = 0;
  #limit = largestBatch;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  /** Something was settled: it is flushed soon. Costs nothing when a flush is already due. */
  wake(): void {
    if (!this.#timer && !this.#round) this.#schedule(gatherMs);
  }

  /** Flushes until nothing is left or the time is over, and says which: true when the journal is empty. */
  async flush({ deadlineMs }: { readonly deadlineMs: number }): Promise<boolean> {
    const until = performance.now() + deadlineMs;
    const left = () => until - performance.now();
    while (this.#parts.journal.backlog > 0 && left() > 0) {
      if (this.#failures > 0) await sleep(Math.min(this.#pause(), Math.max(0, left())));
      // Late is not lost: the row is in the journal, and the run goes on.
      await within(Math.max(1, left()), this.#run()).catch(() => undefined);
    }
    return this.#parts.journal.backlog === 0;
  }

  /** Stops flushing and waits for a flush that is on its way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  #schedule(afterMs: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), afterMs).unref();
  }

  #pause(): number {
    const pause = Math.min(firstPauseMs * 2 ** (this.#failures - 1), longestPauseMs);
    // Jitter: daemons that lost the database together do not come back together.
    return pause * (0.75 + Math.random() / 4);
  }

  /** One run at a time; whoever asks while it goes on waits for the same. */
  #run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#round ??= this.#drain().finally(() => {
      this.#round = undefined;
      if (this.#parts.journal.backlog > 0) this.#schedule(this.#failures > 0 ? this.#pause() : gatherMs);
    });
    return this.#round;
  }

  /** Never rejects: whatever goes wrong is logged and tried again. */
  async #drain(): Promise<void> {
    try {
      do await this.#flushBatch();
      while (this.#parts.journal.backlog >= this.#limit && !this.#isClosed);
    } catch (error) {
      this.#failures++;
      this.#limit = Math.max(1, Math.ceil(this.#limit / 2));
      this.#parts.log('warn', 'Spend could not be written to the database; it is kept in the journal', {
        error,
        backlog: this.#parts.journal.backlog,
        failures: this.#failures,
      });
    }
  }

  async #flushBatch(): Promise<void> {
    const { journal, counters, pool, watch } = this.#parts;
    journal.writeHeld();
    const batch = journal.batch(this.#limit);
    if (!batch) return;

    const applyTotals = counters.beginFlush();
    try {
      let committed: (() => void) | undefined;
      const totals = await bookRows(pool, batch.rows, {
        daemon: journal.daemon,
        ...(watch?.isOn && {
          alsoDo: async (client, booked) => {
            const watched = counters.watched(booked);
            if (watched.length > 0) committed = await watch.booked(client, watched);
          },
        }),
      });
      committed?.();
      journal.forget(batch);
      applyTotals(totals);
      this.#limit = Math.min(largestBatch, this.#limit * 2);
    } catch (error) {
      if (!(await this.#mend(batch, error))) throw error;
    }
    this.#failures = 0;
  }

  /** What can be done about a batch the database refuses. False when it is not the batch's fault. */
  async #mend(batch: Batch, error: unknown): Promise<boolean> {
    const { journal, pool, log, counters } = this.#parts;
    if (mayLackPartition(error) && (await createPartitions(pool, journal.months(batch))) > 0) return true;
    if (!isRefusal(error)) return false;
    if (batch.size > 1) {
      // Some row in it is refused: halves find out which, and let the others pass.
      this.#limit = Math.floor(batch.size / 2);
      return true;
    }
    journal.setAside(batch, String(error));
    uncount(counters, batch.rows);
    log('error', 'The database refuses a spend row; it is set aside in the journal', { error, row: batch.rows });
    return true;
  }
}

interface Cost {
  readonly key_id: string;
  readonly team_id: string | null;
  readonly user_id: string | null;
  readonly counted?: readonly (Omit<Counted, 'startMs'> & { readonly start_ms: number })[];
  readonly spend: number;
}

/** Takes rows off the budgets they were counted in. */
function uncount(counters: Counters, rows: string): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- rows are written by spend-row.ts and by nobody else
  for (const { key_id: key, team_id: team, user_id: user, counted = [], spend } of JSON.parse(rows) as Cost[]) {
    const amount = BigInt(spend);
    const forGood = { model: '', duration: '', startMs: 0 };
    counters.removeUnflushed({ ...forGood, entity: 'key', id: key }, amount);
    if (team !== null) counters.removeUnflushed({ ...forGood, entity: 'team', id: team }, amount);
    if (user !== null) counters.removeUnflushed({ ...forGood, entity: 'user', id: user }, amount);
    for (const { start_ms: startMs, ...each } of counted) counters.removeUnflushed({ ...each, startMs }, amount);
  }
}
