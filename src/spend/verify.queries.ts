import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { dayOf } from '../kernel/period.ts';
import { type Difference, DIFFERENCES_AT_MOST } from './difference.ts';
import { verifyTotals, verifyWindows } from './verify-totals.ts';

export interface Verified {
  readonly days: number;
  readonly owners: number;
  readonly windows: number;
  readonly since: string | null;
  readonly differences: readonly Difference[];
}

const DAY_MS = 86_400_000;

const spender = [
  ['key_id', 'key_id'],
  ['team_id', `coalesce(team_id, '')`],
  ['user_id', `coalesce(user_id, '')`],
  ['organization_id', `coalesce(organization_id, '')`],
] as const;
const labelled = [
  ['key_id', 'key_id'],
  ['user_id', `coalesce(user_id, '')`],
] as const;
const called = [
  ['model', 'model'],
  ['provider', 'provider'],
] as const;

interface Aggregate {
  readonly table: string;
  readonly entity: string;
  readonly by: readonly (readonly [column: string, source: string])[];
  readonly from: string;
}

const aggregates: readonly Aggregate[] = [
  { table: 'daily_spend', entity: 'key', by: [...spender, ...called], from: `${SCHEMA}.spend_logs logs` },
  {
    table: 'daily_customer_spend',
    entity: 'customer',
    by: [['customer_id', 'end_user'], ...labelled, ...called],
    from: `(select * from ${SCHEMA}.spend_logs where end_user is not null) logs`,
  },
  {
    table: 'daily_tag_spend',
    entity: 'tag',
    by: [['tag', 'tag'], ...labelled, ...called],
    from: `${SCHEMA}.spend_logs logs cross join lateral (select distinct unnest(request_tags) as tag) as tags`,
  },
];

const sums = [
  ['spend', 'sum(spend)'],
  ['requests', 'count(*)'],
  ['failed_requests', `count(*) filter (where status = 'failure')`],
  ['prompt_tokens', 'sum(prompt_tokens)'],
  ['completion_tokens', 'sum(completion_tokens)'],
  ['cache_read_tokens', 'sum(cache_read_tokens)'],
  ['cache_write_tokens', 'sum(cache_write_tokens)'],
] as const;

/** The sums of one day that its calls do not add up to. */
function comparison({ table, entity, by, from }: Aggregate): string {
  const columns = by.map(([column]) => column);
  const names = sums.map(([name]) => name);
  return `
    select '${entity}' as entity, ${columns[0]} as id,
           sum(coalesce(kept.spend, 0))::text as found, sum(coalesce(booked.spend, 0))::text as expected,
           sum(coalesce(kept.requests, 0))::text as requests, sum(coalesce(booked.requests, 0))::text as expected_requests
      from (select ${by.map(([column, source]) => `${source} as ${column}`).join(', ')},
                   ${sums.map(([name, sum]) => `${sum}::bigint as ${name}`).join(', ')}
              from ${from} where created_at >= ? and created_at < ? group by ${by.map((_, at) => at + 1).join(', ')}) as booked
      full join (select * from ${SCHEMA}.${table} where date = ?::date) as kept using (${columns.join(', ')})
     where (${names.map((name) => `booked.${name}`).join(', ')}) is distinct from (${names.map((name) => `kept.${name}`).join(', ')})
     group by 1, 2 order by 2 limit ${DIFFERENCES_AT_MOST}`;
}

interface DayRow {
  readonly entity: string;
  readonly id: string;
  readonly found: string;
  readonly expected: string;
  readonly requests: string;
  readonly expected_requests: string;
}

/** The months of calls that are still kept, whole. Locked first: a month that is dropped meanwhile would be missed. */
async function keptSince(em: EntityManager): Promise<Date | undefined> {
  await em.execute(`lock table ${SCHEMA}.spend_logs in access share mode`);
  const [first] = await em.execute<{ name: string }[]>(
    `select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = to_regclass(?) and relname ~ '^spend_logs_\\d{4}_\\d{2}$' order by relname limit 1`,
    [`${SCHEMA}.spend_logs`],
  );
  const [, year, month] = /(\d{4})_(\d{2})$/.exec(first?.name ?? '') ?? [];
  return year && month ? new Date(`${year}-${month}-01T00:00:00Z`) : undefined;
}

/** The first and the last day with calls or sums, within what is kept. */
async function daysKept(em: EntityManager, since: Date): Promise<readonly Date[]> {
  const [ends] = await em.execute<{ first: string | null; last: string | null }[]>(
    `select (select min(least_of) from (
        select min((created_at at time zone 'utc')::date) as least_of from ${SCHEMA}.spend_logs where created_at >= ?
        union all select min(date) from ${SCHEMA}.daily_spend where date >= ?::date) f)::text as first,
      (select max(most_of) from (
        select max((created_at at time zone 'utc')::date) as most_of from ${SCHEMA}.spend_logs where created_at >= ?
        union all select max(date) from ${SCHEMA}.daily_spend) l)::text as last`,
    [since, dayOf(since), since],
  );
  if (!ends?.first || !ends.last) return [];
  const first = Date.parse(ends.first);
  const count = Math.max(0, (Date.parse(ends.last) - first) / DAY_MS + 1);
  return Array.from({ length: count }, (_, index) => new Date(first + index * DAY_MS));
}

/**
 * Compares what there is three times over: calls with the sums of their days, those with what each owner has spent in
 * all, and calls with the present windows of budgets, as all of them are at one moment.
 *
 * @param from calls before this are not looked at; everything that is kept when absent
 */
export async function verifySpend(em: EntityManager, from: Date | undefined): Promise<Verified> {
  const kept = await keptSince(em);
  const since = kept && from && from > kept ? new Date(dayOf(from)) : kept;
  const days = since ? await daysKept(em, since) : [];
  const differences: Difference[] = [];
  for (const day of days) {
    const next = new Date(day.getTime() + DAY_MS);
    for (const aggregate of aggregates) {
      const rows = await em.execute<DayRow[]>(comparison(aggregate), [day, next, dayOf(day)]);
      differences.push(...rows.map((row) => ofDay(row, day)));
    }
  }
  const totals = await verifyTotals(em);
  const windows = await verifyWindows(em, kept);
  return {
    days: days.length,
    owners: totals.compared,
    windows: windows.compared,
    since: since ? dayOf(since) : null,
    differences: [...differences, ...totals.differences, ...windows.differences],
  };
}

const ofDay = ({ expected_requests: expectedRequests, ...row }: DayRow, day: Date): Difference => ({
  ...row,
  expectedRequests,
  check: 'calls',
  period: dayOf(day),
  isSet: false,
});
