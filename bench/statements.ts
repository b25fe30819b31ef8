import type { Pool } from 'pg';

export interface Statement {
  readonly text: string;
  readonly calls: number;
  readonly milliseconds: number;
}

/** What the ledger sends to book a batch; nothing else may reach the database while keys are warm. */
const ledgers = [/^begin$/i, /^set local /i, /^commit$/i, /insert into gatewayctl\.spend_logs/i];

export const isBatch = ({ text }: Statement): boolean => text.includes('insert into gatewayctl.spend_logs');

/** A key that is known is read again when what is known of it is this old (`auth_cache_ttl`). */
const rereadAfterSeconds = 5;

export const isLookUp = ({ text }: Statement): boolean => text.includes('from gatewayctl.retired_tokens');

/** Of the one key that the load comes with. */
export const mostLookUps = (seconds: number): number => Math.floor(seconds / rereadAfterSeconds) + 1;

/** How the listener for changes makes sure that it is still heard: a few a second, however many requests there are. */
export const isHeartbeat = ({ text }: Statement): boolean => /^select \$1$/i.test(text);

export const mostHeartbeats = (seconds: number): number => 10 * (seconds + 1);

/** What the daemon holds of the budgets is renewed as one, whatever the load. */
export const isRenewal = ({ text }: Statement): boolean => text.includes('gatewayctl.exchange_leases(');

const renewAfterSeconds = 10;

export const mostRenewals = (seconds: number): number => Math.floor(seconds / renewAfterSeconds) + 1;

export const isLedgers = ({ text }: Statement): boolean => ledgers.some((look) => look.test(text));

export async function countStatements(pool: Pool): Promise<void> {
  await pool.query('create extension if not exists pg_stat_statements');
  await pool.query('select pg_stat_statements_reset()');
}

/** What was sent to the database since, but for what this file sends. */
export async function statementsSince(pool: Pool): Promise<Statement[]> {
  const { rows } = await pool.query<{ query: string; calls: string; total: number }>(
    `select query, calls, total_exec_time + total_plan_time as total from pg_stat_statements
      where query not like '%pg_stat_statements%' order by calls desc`,
  );
  return rows.map(({ query, calls, total }) => ({ text: query.trim(), calls: Number(calls), milliseconds: total }));
}
