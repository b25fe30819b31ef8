import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { conditionsOf, whereAll } from './spend.queries.ts';
import { type SpendScope, withinScope } from './spend.scope.ts';

interface Source {
  readonly table: string;
  /** The column that says whose a call is; the empty text where it is nobody's. */
  readonly column: string;
  /** Where its owner stands, and how people call it there. */
  readonly owners: string;
  readonly id: string;
  readonly alias: string;
}

const sources = {
  user: { table: 'daily_spend', column: 'user_id', owners: 'users', id: 'id', alias: 'coalesce(e.alias, e.email)' },
  team: { table: 'daily_spend', column: 'team_id', owners: 'teams', id: 'id', alias: 'e.alias' },
  organization: {
    table: 'daily_spend',
    column: 'organization_id',
    owners: 'organizations',
    id: 'id',
    alias: 'e.alias',
  },
  customer: {
    table: 'daily_customer_spend',
    column: 'customer_id',
    owners: 'customers',
    id: 'id',
    alias: 'e.alias',
  },
  tag: { table: 'daily_tag_spend', column: 'tag', owners: 'tags', id: 'name', alias: 'null' },
} as const satisfies Record<string, Source>;

export type ActivityEntity = keyof typeof sources;

export interface ActivityFilter {
  /** Days, the last one included. */
  readonly since: string;
  readonly until: string;
  readonly model?: string | undefined;
  readonly keyId?: string | undefined;
}

export interface Wanted extends ActivityFilter {
  readonly scope: SpendScope;
  readonly entity: ActivityEntity;
  /** Only these users, teams, organizations, customers or tags. */
  readonly ids?: readonly string[] | undefined;
  /** Of days with calls, the newest first. */
  readonly page: Page;
}

/** Sums over calls. Counts are doubles, exact up to 2^53; `spend` is nano-dollars as text. */
export interface Sums {
  readonly spend: string;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cache_read_tokens: number;
  readonly cache_write_tokens: number;
  readonly requests: number;
  readonly failed_requests: number;
}

export interface Slice extends Sums {
  readonly name: string;
  readonly alias: string | null;
  readonly token: string | null;
  readonly team_id: string | null;
}

const dimensions = ['model', 'provider', 'key', 'entity'] as const;
export type Dimension = (typeof dimensions)[number];

interface Row extends Slice {
  readonly date: string;
  readonly dimension: Dimension;
}

export interface Day {
  readonly date: string;
  readonly sums: Sums;
  readonly slices: Readonly<Record<Dimension, readonly Slice[]>>;
}

export interface Activity {
  readonly days: readonly Day[];
  /** Over all days, not only those of the page. */
  readonly total: Sums;
  readonly dayCount: number;
}

/** What a day is broken down into has at most so many entries of a kind, the dearest: an organization can have 500,000 keys. */
export const SLICES_AT_MOST = 50;

const columns = ['spend', 'prompt_tokens', 'completion_tokens', 'cache_read_tokens', 'cache_write_tokens'] as const;
/** `Sums` of the rows of a table that has days. */
export const sumsOfCalls = [
  ...columns.map((name) => `coalesce(sum(${name}), 0)::${name === 'spend' ? 'bigint' : 'float8'} as ${name}`),
  'coalesce(sum(requests), 0)::float8 as requests',
  'coalesce(sum(failed_requests), 0)::float8 as failed_requests',
].join(', ');

const conditions = {
  since: 'daily.date >= ?::date',
  until: 'daily.date <= ?::date',
  model: 'model = ?',
  keyId: 'key_id = ?',
} as const satisfies Record<keyof ActivityFilter, string>;

/**
 * What was spent day by day, from the aggregates: two statements, however many calls, days and keys there were. The
 * parts of a day are added up day by day, so that no more than a day's keys are ever sorted.
 */
export async function activity(em: EntityManager, { scope, entity, ids, page, ...filter }: Wanted): Promise<Activity> {
  const { table, column } = sources[entity];
  const given = conditionsOf(filter, conditions);
  const within = withinScope(scope);
  const parts = [
    ...given.parts,
    ...(within ? [within.text] : []),
    ...(ids ? [`${column} = any (?::text[])`] : []),
    // A call without a team, an organization, a customer or a tag belongs to none of them.
    ...(entity === 'user' ? [] : [`${column} <> ''`]),
  ];
  const values = [...given.values, ...(within?.values ?? []), ...(ids ? [sqlArray(ids)] : [])];
  const all = await em.execute<(Sums & { date: string })[]>(
    `select date::text as date, ${sumsOfCalls} from ${SCHEMA}.${table} as daily ${whereAll(parts)}
     group by daily.date order by daily.date desc`,
    values,
  );
  const shown = all.slice(offsetOf(page), offsetOf(page) + page.size);
  const slices = await slicesOf(em, { parts, values, entity, dates: shown.map(({ date }) => date) });
  const ofDay = Map.groupBy(slices, ({ date }) => date);
  const days = shown.map(({ date, ...daily }): Day => {
    const of = (wanted: Dimension) => (ofDay.get(date) ?? []).filter(({ dimension }) => dimension === wanted);
    const parted = { model: of('model'), provider: of('provider'), key: of('key'), entity: of('entity') };
    return { date, sums: daily, slices: parted };
  });
  return { days, total: all.reduce(add, nothing), dayCount: all.length };
}

const nothing: Sums = {
  spend: '0',
  prompt_tokens: 0,
  completion_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  requests: 0,
  failed_requests: 0,
};

const add = (one: Sums, other: Sums): Sums => ({
  spend: String(BigInt(one.spend) + BigInt(other.spend)),
  prompt_tokens: one.prompt_tokens + other.prompt_tokens,
  completion_tokens: one.completion_tokens + other.completion_tokens,
  cache_read_tokens: one.cache_read_tokens + other.cache_read_tokens,
  cache_write_tokens: one.cache_write_tokens + other.cache_write_tokens,
  requests: one.requests + other.requests,
  failed_requests: one.failed_requests + other.failed_requests,
});

interface Asked {
  readonly parts: readonly string[];
  readonly values: readonly unknown[];
  readonly entity: ActivityEntity;
  readonly dates: readonly string[];
}

async function slicesOf(em: EntityManager, { parts, values, entity, dates }: Asked): Promise<Row[]> {
  if (dates.length === 0) return [];
  const { table, column, owners, id, alias } = sources[entity];
  const columnOf = { model: 'model', provider: 'provider', key: 'key_id', entity: column };
  const dearest = dimensions.map(
    (dimension) =>
      `(select '${dimension}' as dimension, ${columnOf[dimension]} as name, ${sumsOfCalls} from calls
        where ${columnOf[dimension]} <> '' group by 2 order by sum(spend) desc, 2 limit ${SLICES_AT_MOST})`,
  );
  return em.execute<Row[]>(
    `select days.date, slices.*,
            coalesce(k.alias, k.name, gone.alias, ${alias}) as alias,
            coalesce(k.token, gone.token) as token, coalesce(k.team_id, gone.team_id) as team_id
     from unnest(?::text[]) as days (date) cross join lateral (
       with calls as materialized (
         select * from ${SCHEMA}.${table} as daily ${whereAll(['daily.date = days.date::date', ...parts])}
       ) ${dearest.join(' union all ')}
     ) as slices
     left join ${SCHEMA}.keys k on slices.dimension = 'key' and k.id = slices.name
     left join ${SCHEMA}.deleted_keys gone on slices.dimension = 'key' and gone.id = slices.name
     left join ${SCHEMA}.${owners} e on slices.dimension = 'entity' and e.${id} = slices.name
     order by slices.spend desc, slices.name`,
    [sqlArray(dates), ...values],
  );
}
