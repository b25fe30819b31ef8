import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { conditionsOf, whereAll } from './spend.queries.ts';
import { idsIn, type SpendScope, withinScope } from './spend.scope.ts';

export type ActivityEntity = 'user' | 'team' | 'organization';

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
  /** Only these users, teams or organizations. */
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

const dimensions = ['day', 'model', 'provider', 'key', 'entity'] as const;
export type Dimension = Exclude<(typeof dimensions)[number], 'day'>;

interface Row extends Slice {
  readonly date: string;
  readonly dimension: (typeof dimensions)[number];
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
const sums = [
  ...columns.map((name) => `coalesce(sum(${name}), 0)::${name === 'spend' ? 'bigint' : 'float8'} as ${name}`),
  'coalesce(sum(requests), 0)::float8 as requests',
  'coalesce(sum(failed_requests), 0)::float8 as failed_requests',
].join(', ');

const conditions = {
  since: 'date >= ?::date',
  until: 'date <= ?::date',
  model: 'model = ?',
  keyId: 'key_id = ?',
} as const satisfies Record<keyof ActivityFilter, string>;

/** How an owner is called where a day is broken down by it. */
const aliases = { user: 'coalesce(e.alias, e.email)', team: 'e.alias', organization: 'e.alias' } as const;

/** What was spent day by day, from the aggregates: three statements, however many calls, days and keys there were. */
export async function activity(em: EntityManager, { scope, entity, ids, page, ...filter }: Wanted): Promise<Activity> {
  const given = conditionsOf(filter, conditions);
  const within = withinScope(scope);
  const values = [...given.values, ...(within?.values ?? []), ...(ids ? [JSON.stringify(ids)] : [])];
  const where = whereAll([
    ...given.parts,
    ...(within ? [within.text] : []),
    // A call without an owner of this kind belongs to none of them.
    ids ? `${entity}_id in (${idsIn})` : entity === 'user' ? 'true' : `${entity}_id <> ''`,
  ]);
  const [total] = await em.execute<(Sums & { days: number })[]>(
    `select ${sums}, count(distinct date)::float8 as days from ${SCHEMA}.daily_spend ${where}`,
    values,
  );
  const dates = await em.execute<{ date: string }[]>(
    `select date::text as date from ${SCHEMA}.daily_spend ${where} group by daily_spend.date
     order by daily_spend.date desc limit ? offset ?`,
    [...values, page.size, offsetOf(page)],
  );
  const rows = await rowsOf(em, { where, values, entity, dates: dates.map(({ date }) => date) });
  const { days: dayCount, ...rest } = total ?? { ...nothing, days: 0 };
  return { days: daysOf(rows), total: rest, dayCount };
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

interface Asked {
  readonly where: string;
  readonly values: readonly unknown[];
  readonly entity: ActivityEntity;
  readonly dates: readonly string[];
}

async function rowsOf(em: EntityManager, { where, values, entity, dates }: Asked): Promise<Row[]> {
  if (dates.length === 0) return [];
  return em.execute<Row[]>(
    `with summed as (
       select date, model, provider, key_id, ${entity}_id as entity_id,
              grouping(model, provider, key_id, ${entity}_id) as kind, ${sums}
       from ${SCHEMA}.daily_spend ${where} and date in (select d::date from (${idsIn} as d) as days)
       group by grouping sets ((date), (date, model), (date, provider), (date, key_id), (date, ${entity}_id))
     ), ranked as (
       select summed.*, row_number() over (partition by date, kind order by spend desc, key_id, model, provider, entity_id) as rank,
              case kind when 15 then 'day' when 7 then 'model' when 11 then 'provider' when 13 then 'key' else 'entity' end as dimension
       from summed
     )
     select r.date::text as date, r.dimension, coalesce(r.model, r.provider, r.key_id, r.entity_id, '') as name,
            coalesce(k.alias, k.name, gone.alias, ${aliases[entity]}) as alias,
            coalesce(k.token, gone.token) as token, coalesce(k.team_id, gone.team_id) as team_id,
            r.spend, r.prompt_tokens, r.completion_tokens, r.cache_read_tokens, r.cache_write_tokens, r.requests, r.failed_requests
     from ranked r
     left join ${SCHEMA}.keys k on r.dimension = 'key' and k.id = r.key_id
     left join ${SCHEMA}.deleted_keys gone on r.dimension = 'key' and gone.id = r.key_id
     left join ${SCHEMA}.${entity}s e on r.dimension = 'entity' and e.id = r.entity_id
     where r.rank <= ? and not (r.dimension = 'entity' and r.entity_id = '') order by r.date desc, r.rank`,
    [...values, JSON.stringify(dates), SLICES_AT_MOST],
  );
}

function daysOf(rows: readonly Row[]): Day[] {
  return [...Map.groupBy(rows, ({ date }) => date)].map(([date, ofDay]) => {
    const of = (wanted: Row['dimension']) => ofDay.filter(({ dimension }) => dimension === wanted);
    const slices = { model: of('model'), provider: of('provider'), key: of('key'), entity: of('entity') };
    return { date, sums: of('day')[0] ?? nothing, slices };
  });
}
