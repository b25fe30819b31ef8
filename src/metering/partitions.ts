import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import { transaction } from './transaction.ts';

/** spend_logs is kept by month: what is past its retention goes as whole tables, in no time and without dead rows. */

const monthOf = (date: Date): Date => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1));
const nextMonth = (month: Date): Date => new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1));

function tableOf(month: Date): string {
  const [year = '', number = ''] = month.toISOString().split('-');
  return `spend_logs_${year}_${number}`;
}

/** The partitions of this month and the next, so that the turn of the month finds its table ready. */
export function ensurePartitions(pool: pg.Pool, now: Date): Promise<number> {
  const month = monthOf(now);
  return createPartitions(pool, [month, nextMonth(month)]);
}

/** Creates those that are missing and says how many that were. Several daemons may ask at once: they take turns. */
export function createPartitions(pool: pg.Pool, months: readonly Date[]): Promise<number> {
  return exclusively(pool, async (client) => {
    let created = 0;
    for (const month of months.map(monthOf)) {
      const table = tableOf(month);
      const { rows } = await client.query<{ found: string | null }>('select to_regclass($1) as found', [
        `${SCHEMA}.${table}`,
      ]);
      if (rows[0]?.found) continue;
      // Created apart and then attached: `create table … partition of` would lock out everybody who reads spend_logs.
      await client.query(
        `create table ${SCHEMA}.${table} (like ${SCHEMA}.spend_logs including defaults including constraints);
         alter table ${SCHEMA}.spend_logs attach partition ${SCHEMA}.${table}
           for values from ('${month.toISOString()}') to ('${nextMonth(month).toISOString()}')`,
      );
      created++;
    }
    return created;
  });
}

/**
 * Drops the months that ended longer ago than the retention and returns their names. The daily sums stay.
 *
 * It is the database's clock that counts: a daemon whose clock has jumped years ahead must not empty the ledger.
 */
export function dropExpired(pool: pg.Pool, retentionDays: number): Promise<string[]> {
  return exclusively(pool, async (client) => {
    const { rows } = await client.query<{ name: string; before: Date }>(
      `select relname as name, now() - make_interval(days => $2) as before
         from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = to_regclass($1) and relname ~ '^spend_logs_\\d{4}_\\d{2}$' order by relname`,
      [`${SCHEMA}.spend_logs`, retentionDays],
    );
    const expired = rows.filter(({ name, before }) => nextMonth(monthNamed(name)) <= before).map(({ name }) => name);
    for (const name of expired) await client.query(`drop table ${SCHEMA}.${name}`);
    return expired;
  });
}

function monthNamed(table: string): Date {
  const [, year, month] = /(\d{4})_(\d{2})$/.exec(table) ?? [];
  return new Date(Date.UTC(Number(year), Number(month) - 1, 1));
}

/** A lock that cannot be had in two seconds is tried another time: whoever queues for it holds up the flushes behind. */
function exclusively<Value>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<Value>): Promise<Value> {
  return transaction(pool, async (client) => {
    await client.query(`select pg_advisory_xact_lock(hashtext('gatewayctl partitions'))`);
    return work(client);
  });
}
