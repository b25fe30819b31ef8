import { chmodSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { BudgetLimit } from '../access/principal.ts';
import type { Counted } from './counter.ts';
import { backlogFull, cannotOpen, cannotWrite } from './journal-errors.ts';
import { budgetsIn, createTables, daemonOf, finishCut, unflushedIn } from './journal-file.ts';

/** A call that was running when the process before this one died. */
export interface OpenCall {
  readonly price: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Settled rows on their way to the database. */
export interface Batch {
  readonly size: number;
  /** A JSON array. */
  readonly rows: string;
  readonly sequence: string;
}

export interface JournalState {
  /** Settled rows that are not in the database yet. */
  readonly pending: number;
  /** Rows that the database refuses for what they are. */
  readonly setAside: number;
}

export interface JournalOptions {
  readonly path: string;
  /**
   * `process`: what was written survives kill -9, because it is in the operating system's hands; a power cut may take
   * the rows since the last checkpoint (about the last 500 calls), never more and never half a row.
   * `power`: every row is on the disk before the call goes on, at the price of two fsyncs a call (0.4 ms measured).
   */
  readonly durability?: 'process' | 'power';
  /** Settled rows kept while the database is away; above that no call is admitted. */
  readonly maxRows?: number;
  /** The second half of a row whose call a crash cut (`finishRow`). */
  readonly finish: (call: OpenCall) => string;
  /** Told when settled rows are in the file; `isKept` is false when the disk took one of them not, and it is held in memory. */
  readonly onSettled?: (isKept: boolean) => void;
}

/** What is written in one turn of the event loop. */
interface Group {
  /** The second halves of rows, by their number. */
  readonly settled: Map<number, string>;
  /** Fulfilled once it is over, with the reason when nothing of it was kept. */
  readonly written: Promise<Error | undefined>;
  readonly end: (failure: Error | undefined) => void;
  readonly timer: NodeJS.Immediate;
}

/** A row has some 900 bytes; four times that is room for the free pages between them. */
const bytesPerRow = 4_096;

/**
 * Every call between its admission and the database, in a SQLite file.
 *
 * One table: a call is inserted when it starts and the same row is completed when it is settled. Two tables need an
 * insert and a delete to settle, which writes twice the pages: measured 26 against 18 µs of CPU a call.
 *
 * All that starts or is settled in one turn of the event loop shares a transaction. Whoever goes on with a call waits for
 * it (`written`): its upstream is called, and its answer ended, only when the row is in the file.
 */
export class Journal {
  readonly #db: DatabaseSync;
  /** Whose journal it is: what an earlier process held of the budgets covers what it has left here. */
  readonly daemon: string;
  readonly #maxRows: number;
  readonly #onSettled: (isKept: boolean) => void;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #insert: StatementSync;
  readonly #complete: StatementSync;
  readonly #checkpoint: StatementSync;
  readonly #restart: StatementSync;
  #next: number;
  /** Settled rows in order, from `#first` on; the ones before that are in the database and gone from the file. */
  #settled: number[];
  #first = 0;
  /** Settled, but the disk took no more: written as soon as it does, and no call is admitted until then. */
  readonly #unwritten = new Map<number, string>();
  #group: Group | undefined;

  private constructor(db: DatabaseSync, maxRows: number, onSettled: (isKept: boolean) => void) {
    this.#db = db;
    this.daemon = daemonOf(db);
    this.#maxRows = maxRows;
    this.#onSettled = onSettled;
    this.#begin = db.prepare('begin');
    this.#commit = db.prepare('commit');
    this.#insert = db.prepare('insert into calls values (?, 0, ?, ?, ?, 0, zeroblob(200))');
    this.#complete = db.prepare(`update calls set settled = 1, row = row || ?, price = '', room = null where seq = ?`);
    this.#checkpoint = db.prepare('update calls set completion_tokens = ? where seq = ? and settled = 0');
    this.#restart = db.prepare(
      'update calls set row = ?, price = ?, prompt_tokens = ?, completion_tokens = 0 where seq = ? and settled = 0',
    );
    this.#settled = db
      .prepare('select seq from calls order by seq')
      .all()
      .map(({ seq }) => Number(seq));
    this.#next = (this.#settled.at(-1) ?? 0) + 1;
  }

  /** @throws GatewayError `state_dir_in_use` when another process, or this one, has it open */
  static open({ path, durability = 'process', maxRows = 1_000_000, finish, onSettled }: JournalOptions): Journal {
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, { timeout: 0 });
      chmodSync(path, 0o600);
      // The lock is the operating system's: it goes with the process, so kill -9 leaves nothing behind.
      db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; begin immediate; commit');
      db.exec(`pragma synchronous = ${durability === 'power' ? 'full' : 'normal'}`);
      db.exec(`pragma max_page_count = ${Math.max(64, Math.ceil((maxRows * bytesPerRow) / 4_096))}`);
      createTables(db);
      finishCut(db, finish);
      return new Journal(db, maxRows, onSettled ?? (() => undefined));
    } catch (cause) {
      if (db?.isOpen) db.close();
      throw cannotOpen(path, cause);
    }
  }

  /** Settled rows that are not yet in the database. */
  get backlog(): number {
    return this.#settled.length - this.#first + this.#unwritten.size + (this.#group?.settled.size ?? 0);
  }

  /** Fulfilled when what was started and settled in this turn is in the file; with an error when nothing that was started is. */
  get written(): Promise<Error | undefined> | undefined {
    return this.#group?.written;
  }

  /**
   * Wait for `written` before the call goes on.
   *
   * @throws GatewayError `ledger_unavailable` when the row cannot be kept: a call that cannot be booked is not made
   */
  start(draft: string, price: string, promptTokens: number): number {
    if (this.backlog >= this.#maxRows) throw backlogFull(this.#maxRows);
    const seq = this.#next;
    try {
      if (this.#unwritten.size > 0) this.writeHeld();
      this.#join();
      this.#insert.run(seq, draft, price, promptTokens);
    } catch (cause) {
      this.#abandon(cause);
      throw cannotWrite(cause);
    }
    this.#next++;
    return seq;
  }

  /** Ends the turn's transaction now. What the disk has not taken of it is made known to whoever waits. */
  write(): void {
    const group = this.#group;
    if (!group) return;
    try {
      this.#commit.run();
    } catch (cause) {
      return this.#abandon(cause);
    }
    this.#leave(group, undefined);
    if (group.settled.size === 0) return;
    this.#settled.push(...group.settled.keys());
    this.#onSettled(true);
  }

  #join(): Group {
    if (this.#group) return this.#group;
    this.#begin.run();
    const { promise: written, resolve: end } = Promise.withResolvers<Error | undefined>();
    return (this.#group = { settled: new Map(), written, end, timer: setImmediate(() => this.write()) });
  }

  #leave(group: Group, failure: Error | undefined): void {
    this.#group = undefined;
    clearImmediate(group.timer);
    group.end(failure);
  }

  /** Nothing of the turn was kept: what it started does not go on, and what it settled is written row by row. */
  #abandon(cause: unknown): void {
    const group = this.#group;
    if (!group) return;
    // On a full disk SQLite has ended the transaction by itself.
    if (this.#db.isTransaction) this.#db.exec('rollback');
    this.#leave(group, cannotWrite(cause));
    if (group.settled.size === 0) return;
    let isKept = true;
    for (const [seq, rest] of group.settled) if (!this.#settleAlone(seq, rest)) isKept = false;
    this.#onSettled(isKept);
  }

  #settleAlone(seq: number, rest: string): boolean {
    try {
      // None is there when it was started in the same turn: it is not made.
      if (this.#complete.run(rest, seq).changes > 0) this.#settled.push(seq);
      return true;
    } catch {
      this.#unwritten.set(seq, rest);
      return false;
    }
  }

  /** Another attempt takes the place of one that cost nothing. @throws GatewayError `ledger_unavailable`; the row is as it was */
  restart(seq: number, draft: string, { price, promptTokens }: Pick<OpenCall, 'price' | 'promptTokens'>): void {
    this.write();
    try {
      this.#restart.run(draft, price, promptTokens, seq);
    } catch (cause) {
      throw cannotWrite(cause);
    }
  }

  /** Best effort: without it, a crash books fewer of the tokens delivered. */
  checkpoint(seq: number, completionTokens: number): void {
    try {
      this.#checkpoint.run(completionTokens, seq);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }

  /**
   * Completes a call's row; wait for `written` before its client is told. On a full disk it is held in memory instead;
   * should the process die like that, the call is booked from its draft, like any other that was cut.
   */
  settle(seq: number, rest: string): void {
    try {
      const { settled } = this.#join();
      settled.set(seq, rest);
      // Of a call that was never kept there is no row.
      if (this.#complete.run(rest, seq).changes === 0) settled.delete(seq);
    } catch (cause) {
      if (this.#group) return this.#abandon(cause);
      this.#onSettled(this.#settleAlone(seq, rest));
    }
  }

  /** Writes what a full disk has kept back. */
  writeHeld(): void {
    this.write();
    for (const [seq, rest] of this.#unwritten) {
      this.#complete.run(rest, seq);
      this.#unwritten.delete(seq);
      this.#settled.push(seq);
    }
  }

  /** The oldest settled rows. Until they are forgotten, they stay and come again. */
  batch(limit: number): Batch | undefined {
    this.write();
    const chosen = this.#settled.slice(this.#first, this.#first + limit);
    if (chosen.length === 0) return undefined;
    const sequence = JSON.stringify(chosen);
    const { rows } = this.#run(
      `select '[' || group_concat(row, ',') || ']' as rows from calls where seq in (select value from json_each(?))`,
      sequence,
    );
    return { size: chosen.length, rows: String(rows), sequence };
  }

  forget(batch: Batch): void {
    this.write();
    this.#run('delete from calls where seq in (select value from json_each(?))', batch.sequence);
    this.#first += batch.size;
    if (this.#first < 10_000 && this.#first < this.#settled.length) return;
    this.#settled = this.#settled.slice(this.#first);
    this.#first = 0;
  }

  /** Keeps rows that the database refuses for what they are, out of the way of the others. They stay in `set_aside`. */
  setAside(batch: Batch, reason: string): void {
    this.write();
    this.#run(
      'insert into set_aside select seq, row, ?2 from calls where seq in (select value from json_each(?1))',
      batch.sequence,
      reason,
    );
    this.forget(batch);
  }

  /** What is settled here and not yet in the database, by what it counts on. For the counters, after a restart. */
  unflushed(): { readonly counted: Counted; readonly amount: bigint }[] {
    return unflushedIn(this.#db);
  }

  /** The budgets that the calls of `unflushed` were measured by, as far as their rows name them. */
  budgets(): { readonly counted: Counted; readonly limit: BudgetLimit }[] {
    return budgetsIn(this.#db);
  }

  /** The months a batch falls into, each as its first day: what partitions it needs. */
  months(batch: Batch): Date[] {
    return this.#db
      .prepare(
        `select distinct substr(row ->> 'created_at', 1, 7) as month from calls where seq in (select value from json_each(?))`,
      )
      .all(batch.sequence)
      .map(({ month }) => new Date(`${String(month)}-01T00:00:00Z`));
  }

  /** What is on its way to the database, and what the database has refused. */
  get state(): JournalState {
    return { pending: this.backlog, setAside: Number(this.#run('select count(*) as count from set_aside')['count']) };
  }

  close(): void {
    if (!this.#db.isOpen) return;
    this.write();
    this.#db.close();
  }

  readonly #statements = new Map<string, StatementSync>();

  #run(sql: string, ...values: string[]): Record<string, unknown> {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement.get(...values) ?? {};
  }
}
