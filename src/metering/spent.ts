import type pg from 'pg';
import type { BudgetEntity } from '../access/principal.ts';
import { asDatabaseTrouble } from '../db/errors.ts';
import { SCHEMA } from '../db/schema.ts';
import { within } from './deadline.ts';

export interface Spent {
  readonly entity: BudgetEntity;
  readonly id: string;
  /** Nano-dollars, as the database has it. */
  readonly total: bigint;
}

const loadDeadlineMs = 2_000;

const sql = `
  select 'key' as entity, id, spend as total from ${SCHEMA}.keys where id = any ($1)
  union all
  select 'team', id, spend from ${SCHEMA}.teams where id = any ($2)
  union all
  select 'user', id, spend from ${SCHEMA}.users where id = any ($3)`;

/** What some keys, teams and users have spent, in one statement. Who is not in the database is not in the answer. */
export async function loadSpent(
  pool: pg.Pool,
  wanted: readonly { readonly entity: BudgetEntity; readonly id: string }[],
): Promise<Spent[]> {
  const ids = (entity: BudgetEntity) => wanted.filter((each) => each.entity === entity).map(({ id }) => id);
  try {
    const { rows } = await within(
      loadDeadlineMs,
      pool.query<{ entity: BudgetEntity; id: string; total: string }>(sql, [ids('key'), ids('team'), ids('user')]),
    );
    return rows.map(({ entity, id, total }) => ({ entity, id, total: BigInt(total) }));
  } catch (cause) {
    throw asDatabaseTrouble(cause);
  }
}
