import type { Pool } from 'pg';
import { statementsSince } from './statements.ts';

/** The tables that grow with a site. */
const large = [
  'keys',
  'teams',
  'users',
  'team_members',
  'organization_members',
  'deleted_keys',
  'audit_log',
  'customers',
  'tags',
  'budgets',
];

/** How often each large table was read from end to end since the server began to count. */
export async function fullScans(pool: Pool): Promise<Map<string, number>> {
  // The daemon's backends report what they did when they are idle for a second, or at once when asked.
  await pool.query('select pg_stat_force_next_flush()');
  const { rows } = await pool.query<{ relname: string; seq_scan: string; n_live_tup: string }>(
    `select relname, seq_scan, n_live_tup from pg_stat_user_tables
      where schemaname = 'gatewayctl' and relname = any ($1) and n_live_tup > 1000`,
    [large],
  );
  return new Map(rows.map(({ relname, seq_scan: scans }) => [relname, Number(scans)]));
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly Plan[];
}

function* scansOf(plan: Plan): Generator<string> {
  const { 'Node Type': type, 'Relation Name': table, 'Index Name': index } = plan;
  if (index !== undefined) yield index;
  else if (type === 'Seq Scan' && table !== undefined && large.includes(table)) yield `SEQ SCAN ${table}`;
  for (const each of plan.Plans ?? []) yield* scansOf(each);
}

/** The indexes that the statements sent since the last reset go by, from `EXPLAIN (GENERIC_PLAN)`. */
export async function planOf(pool: Pool): Promise<string> {
  const names = new Set<string>();
  for (const { text } of await statementsSince(pool)) {
    if (!/^(select|with)\b/i.test(text) || !large.some((table) => text.includes(table))) continue;
    const { rows } = await pool.query<{ 'QUERY PLAN': readonly [{ Plan: Plan }] }>(
      `explain (generic_plan, format json) ${text}`,
    );
    const plan = rows[0]?.['QUERY PLAN'][0].Plan;
    if (plan) for (const name of scansOf(plan)) names.add(name);
  }
  return [...names].join(', ');
}
