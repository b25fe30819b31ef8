import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import type { Counted } from './counter.ts';
import { within } from './deadline.ts';

/** For how long what a daemon holds is kept for it. */
export const leaseMs = 60_000;

const answerWithinMs = 3_000;

/** What is wanted of one budget. Amounts are nano-dollars. */
export interface Wanted {
  readonly counted: Counted;
  readonly max: bigint;
  /** Less than this is of no use; nothing is read only. */
  readonly need: bigint;
  /** What all who wait could use. */
  readonly want: bigint;
  /** What is given back. */
  readonly gift: bigint;
  /** Whether others are told when there is too little. */
  readonly recalls: boolean;
  /** All of it is given back, and nothing taken. */
  readonly isIdle: boolean;
}

export interface Granted {
  /** Which of the wanted, from 0. */
  readonly index: number;
  readonly budget: string;
  readonly spent: bigint;
  readonly granted: bigint;
  /** What the database keeps for this daemon from now on. */
  readonly own: bigint;
  readonly others: bigint;
  readonly silent: bigint;
}

export interface Exchanged {
  readonly granted: readonly Granted[];
  /** Another than before: whatever was held is lost. */
  readonly generation: string;
}

interface Row {
  readonly place: string;
  readonly budget: string;
  readonly spent: string;
  readonly granted: string;
  readonly own: string;
  readonly others: string;
  readonly silent: string;
  readonly generation: string;
}

const sql = `select * from ${SCHEMA}.exchange_leases($1, $2 * interval '1 ms', $3, $4, $5, $6, $7::timestamptz[], $8, $9, $10, $11, $12, $13)`;

/** One statement for all budgets, which cannot be raced: see the function in the migration. It renews what is held, too. */
export async function exchange(pool: pg.Pool, daemon: string, wanted: readonly Wanted[]): Promise<Exchanged> {
  const values = [
    daemon,
    leaseMs,
    wanted.map(({ counted }) => counted.entity),
    wanted.map(({ counted }) => counted.id),
    wanted.map(({ counted }) => counted.model),
    wanted.map(({ counted }) => counted.duration),
    wanted.map(({ counted }) => new Date(counted.startMs)),
    wanted.map(({ max }) => max),
    wanted.map(({ need }) => need),
    wanted.map(({ want }) => want),
    wanted.map(({ gift }) => gift),
    wanted.map(({ recalls }) => recalls),
    wanted.map(({ isIdle }) => isIdle),
  ];
  const query = { name: 'gatewayctl-leases', text: sql, values, query_timeout: answerWithinMs };
  const { rows } = await within(answerWithinMs, pool.query<Row>(query));
  const [first, ...others] = rows.toSorted((one, other) => Number(one.place) - Number(other.place));
  return {
    generation: first?.generation ?? '',
    granted: others.map((row) => ({
      index: Number(row.place) - 1,
      budget: row.budget,
      spent: BigInt(row.spent),
      granted: BigInt(row.granted),
      own: BigInt(row.own),
      others: BigInt(row.others),
      silent: BigInt(row.silent),
    })),
  };
}

/** Gives all back at once: the daemon ends, and has nothing left to book. */
export async function leave(pool: pg.Pool, daemon: string): Promise<void> {
  const text = `delete from ${SCHEMA}.lease_holders where daemon = $1`;
  const query = { text, values: [daemon], query_timeout: answerWithinMs };
  await within(answerWithinMs, pool.query(query));
}
