import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { whereAll } from './spend.queries.ts';

interface Source {
  readonly table: string;
  /** The column that says whose a call is; the empty text where it is nobody's. */
  readonly column: string;
  /** Where its owner stands, and how people call it there. */
  readonly owners: string;
  readonly id: string;
  readonly alias: string;
}

export const sources = {
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

export type Dimension = 'model' | 'provider' | 'key' | 'entity';

export interface Row extends Slice {
  readonly date: string;
  readonly dimension: Dimension;
}

/** What a day is broken down into has at most so many entries of a kind, the dearest: an organization can have 500,000 keys. */
const SLICES_AT_MOST = 50;

const names = [
  'spend',
  'prompt_tokens',
  'completion_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'requests',
  'failed_requests',
] as const satisfies readonly (keyof Sums)[];
const sumNames = names.join(', ');

/** `Sums` of rows that have such columns. */
export const sumsOfCalls = names
  .map((name) => `coalesce(sum(${name}), 0)::${name === 'spend' ? 'bigint' : 'float8'} as ${name}`)
  .join(', ');

/** Whose calls are asked for, and which of them. */
export interface Asked {
  readonly parts: readonly string[];
  readonly values: readonly unknown[];
  readonly entity: ActivityEntity;
}

interface SumRow extends Sums {
  readonly kind: 'total' | 'day' | 'model' | 'provider';
  readonly date: string;
  /** Of the total: how many days there are. */
  readonly name: string;
}

/** Sums of all days, and of those on the page by model and provider. */
export async function daysOf(em: EntityManager, { parts, values, entity }: Asked, page: Page) {
  const largest = (by: 'model' | 'provider') =>
    `select '${by}', date::text, name, ${sumNames} from (
       select date, ${by} as name, ${sumsOfCalls}, row_number() over (partition by date order by sum(spend) desc, ${by}) as place
       from cells join shown using (date) where ${by} <> '' group by date, ${by}
     ) as ranked where place <= ${SLICES_AT_MOST}`;
  const rows = await em.execute<SumRow[]>(
    `with cells as materialized (
       select daily.date, model, provider, ${sumsOfCalls} from ${SCHEMA}.${sources[entity].table} as daily ${whereAll(parts)}
       group by daily.date, model, provider
     ), days as materialized (
       select date, ${sumsOfCalls} from cells group by date
     ), shown as materialized (
       select date from days order by date desc limit ? offset ?
     )
     select 'total' as kind, '' as date, count(*)::text as name, ${sumsOfCalls} from days
     union all select 'day', date::text, '', ${sumNames} from days join shown using (date)
     union all ${largest('model')} union all ${largest('provider')}`,
    [...values, page.size, offsetOf(page)],
  );
  const of = (wanted: SumRow['kind']) => rows.filter(({ kind }) => kind === wanted);
  const [total] = of('total');
  if (!total) throw new Error('A sum without groups is always one row');
  return {
    total,
    dayCount: Number(total.name),
    days: of('day')
      .toSorted((one, other) => (one.date < other.date ? 1 : -1))
      .map(({ date, ...daily }) => ({ date, sums: daily })),
    slices: [...of('model').map(asRow('model')), ...of('provider').map(asRow('provider'))],
  };
}

const asRow =
  (dimension: 'model' | 'provider') =>
  (row: SumRow): Row => ({ ...row, dimension, alias: null, token: null, team_id: null });

/** Ranked by doubles, which takes a quarter less time than integers: exact up to nine million dollars a day. */
const ranked = (dimension: 'key' | 'entity', name: string) =>
  `(select '${dimension}' as dimension, ${name} as name from calls where ${name} <> ''
    group by ${name} order by sum(spend::float8) desc, ${name} limit ${SLICES_AT_MOST})`;

/** The keys and the owners that spent most on each of some days. */
export async function dearestOf(
  em: EntityManager,
  { parts, values, entity }: Asked,
  dates: readonly string[],
): Promise<Row[]> {
  if (dates.length === 0) return [];
  const { table, column, owners, id, alias } = sources[entity];
  const summed = (dimension: 'key' | 'entity', name: string) =>
    `select ${sumsOfCalls} from ${SCHEMA}.${table} as daily
     ${whereAll([`top.dimension = '${dimension}'`, 'daily.date = top.date', `${name} = top.name`, ...parts])} having count(*) > 0`;
  return em.execute<Row[]>(
    `select top.date::text, top.dimension, top.name, sums.*,
            coalesce(k.alias, k.name, gone.alias, ${alias}) as alias,
            coalesce(k.token, gone.token) as token, coalesce(k.team_id, gone.team_id) as team_id
     from (
       select days.date, ranked.* from unnest(?::date[]) as days (date) cross join lateral (
         with calls as materialized (
           select key_id, ${column}, spend from ${SCHEMA}.${table} as daily
           ${whereAll(['daily.date = days.date', ...parts])}
         ) ${ranked('key', 'key_id')} union all ${ranked('entity', column)}
       ) as ranked
     ) as top
     cross join lateral (${summed('key', 'key_id')} union all ${summed('entity', column)}) as sums
     left join ${SCHEMA}.keys k on top.dimension = 'key' and k.id = top.name
     left join ${SCHEMA}.deleted_keys gone on top.dimension = 'key' and gone.id = top.name
     left join ${SCHEMA}.${owners} e on top.dimension = 'entity' and e.${id} = top.name
     order by sums.spend desc, top.name`,
    [sqlArray(dates), ...values, ...values, ...values],
  );
}
