import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { type Difference, DIFFERENCES_AT_MOST } from './difference.ts';

interface Owner {
  /** Where the totals stand, and by which columns. */
  readonly table: string;
  readonly id: readonly string[];
  /** Where its days stand, and by which columns there. */
  readonly daily: string;
  readonly columns: readonly string[];
  /** That a call is one of the owner `o`. */
  readonly ofCall: string;
}

const owners = {
  key: { table: 'keys', id: ['id'], daily: 'daily_spend', columns: ['key_id'], ofCall: 'l.key_id = o.id' },
  team: { table: 'teams', id: ['id'], daily: 'daily_spend', columns: ['team_id'], ofCall: 'l.team_id = o.id' },
  user: { table: 'users', id: ['id'], daily: 'daily_spend', columns: ['user_id'], ofCall: 'l.user_id = o.id' },
  organization: {
    table: 'organizations',
    id: ['id'],
    daily: 'daily_spend',
    columns: ['organization_id'],
    ofCall: 'l.organization_id = o.id',
  },
  member: {
    table: 'team_members',
    id: ['team_id', 'user_id'],
    daily: 'daily_spend',
    columns: ['team_id', 'user_id'],
    ofCall: 'l.team_id = o.team_id and l.user_id = o.user_id',
  },
  organization_member: {
    table: 'organization_members',
    id: ['organization_id', 'user_id'],
    daily: 'daily_spend',
    columns: ['organization_id', 'user_id'],
    ofCall: 'l.organization_id = o.organization_id and l.user_id = o.user_id',
  },
  customer: {
    table: 'customers',
    id: ['id'],
    daily: 'daily_customer_spend',
    columns: ['customer_id'],
    ofCall: 'l.end_user = o.id',
  },
  tag: {
    table: 'tags',
    id: ['name'],
    daily: 'daily_tag_spend',
    columns: ['tag'],
    ofCall: 'o.name = any (l.request_tags)',
  },
} as const satisfies Record<string, Owner>;

type Kind = keyof typeof owners;
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal
const kinds = Object.keys(owners) as Kind[];

interface Compared {
  readonly compared: number;
  readonly differences: readonly Difference[];
}

interface TotalRow {
  readonly id: string;
  readonly found: string;
  readonly expected: string;
  readonly period: string;
  readonly is_set: boolean;
}

const textOf = (names: readonly string[], of: string): string =>
  names.map((name) => `${of}.${name}`).join(` || ' in ' || `);

/** That an administrator has set what a key has spent: then its total is not the sum of its calls, and nobody has to wonder. */
const isSet = (kind: Kind): string =>
  kind === 'key'
    ? `exists (select 1 from ${SCHEMA}.audit_log a where a.object_type = 'key' and a.object_id = o.id
         and (a.before ->> 'total_spend' is distinct from a.after ->> 'total_spend'
           or a.before ->> 'spend' is distinct from a.after ->> 'spend')
         and (a.before is not null or coalesce((a.after ->> 'spend')::numeric, 0) <> 0))`
    : 'false';

/**
 * An owner's total is the sum of its days. One that was made, or made again, under a name that calls had before counts
 * from then on: its total lies between the calls since and all there are, and between these nothing can be told.
 */
function totals(kind: Kind): string {
  const { table, id, daily, columns, ofCall }: Owner = owners[kind];
  const isSame = columns.map((column, at) => `d.${column} = o.${id[at]}`).join(' and ');
  const made = `(o.created_at at time zone 'utc')::date`;
  return `
    select ${textOf([...id].toReversed(), 'o')} as id, o.spend::text as found, o.booked::text as expected, 'all' as period,
           ${isSet(kind)} as is_set
      from (select o.*, coalesce(d.booked, 0) as booked
              from ${SCHEMA}.${table} o
              left join (select ${columns.join(', ')}, sum(spend)::bigint as booked from ${SCHEMA}.${daily}
                          group by ${columns.join(', ')}) d on ${isSame}
             where o.spend <> coalesce(d.booked, 0)) o
     where o.spend > o.booked or o.spend < (
       select coalesce(sum(d.spend), 0) from ${SCHEMA}.${daily} d where ${isSame} and d.date > ${made}
     ) + (
       select coalesce(sum(l.spend), 0) from ${SCHEMA}.spend_logs l
        where ${ofCall} and l.created_at >= o.created_at and l.created_at < (${made} + 1)::timestamp at time zone 'utc')
     order by abs(o.spend - o.booked) desc limit ${DIFFERENCES_AT_MOST}`;
}

export async function verifyTotals(em: EntityManager): Promise<Compared> {
  const differences: Difference[] = [];
  let compared = 0;
  for (const kind of kinds) {
    const [counted] = await em.execute<{ count: string }[]>(`select count(*) from ${SCHEMA}.${owners[kind].table}`);
    compared += Number(counted?.count ?? 0);
    const rows = await em.execute<TotalRow[]>(totals(kind));
    differences.push(...rows.map((row) => differenceOf('total', kind, row)));
  }
  return { compared, differences };
}

/**
 * What a window has is at most what was spent since it began: a budget that was set in its midst counts from then on. The
 * days tell it where it is of all models and began with a day, else the calls.
 */
function windows(kind: Kind): string {
  const { id, daily, columns, ofCall }: Owner = owners[kind];
  const parts = id.map((name, at) => `split_part(w.id, chr(31), ${at + 1}) as ${name}`).join(', ');
  const isSame = columns.map((column, at) => `d.${column} = o.${id[at]}`).join(' and ');
  return `
    select ${textOf([...id].toReversed(), 'o')} as id, o.window_spend::text as found, o.booked::text as expected,
           o.duration || case when o.window_model = '' then '' else ' ' || o.window_model end as period, ${isSet(kind)} as is_set
      from (
        select o.*, case when o.window_model = '' and date_trunc('day', o.started_at at time zone 'utc') = o.started_at at time zone 'utc' then (
            select coalesce(sum(d.spend), 0) from ${SCHEMA}.${daily} d
             where ${isSame} and d.date >= (o.started_at at time zone 'utc')::date
          ) else (
            select coalesce(sum(l.spend), 0) from ${SCHEMA}.spend_logs l
             where ${ofCall} and l.created_at >= o.started_at and (o.window_model = '' or o.window_model = any(l.budget_models))
          ) end as booked
        from (select ${parts}, w.model as window_model, w.duration, w.started_at, w.spend as window_spend
                from ${SCHEMA}.budget_windows w where w.entity = '${kind}' and w.started_at >= ?) o
      ) o where o.window_spend > o.booked order by 1 limit ${DIFFERENCES_AT_MOST}`;
}

export async function verifyWindows(em: EntityManager, kept: Date | undefined): Promise<Compared> {
  if (!kept) return { compared: 0, differences: [] };
  const differences: Difference[] = [];
  for (const kind of kinds) {
    const rows = await em.execute<TotalRow[]>(windows(kind), [kept]);
    differences.push(...rows.map((row) => differenceOf('window', kind, row)));
  }
  const [counted] = await em.execute<{ count: string }[]>(
    `select count(*) from ${SCHEMA}.budget_windows where started_at >= ?`,
    [kept],
  );
  return { compared: Number(counted?.count ?? 0), differences };
}

const differenceOf = (check: Difference['check'], entity: Kind, row: TotalRow): Difference => ({
  check,
  entity,
  id: row.id,
  period: row.period,
  found: row.found,
  expected: row.expected,
  requests: '0',
  expectedRequests: '0',
  isSet: row.is_set,
});
