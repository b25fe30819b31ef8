import type { EntityManager } from '@mikro-orm/postgresql';
import { sqlArray } from '../db/sql-array.ts';
import type { Page } from '../kernel/page.ts';
import {
  type ActivityEntity,
  daysOf,
  dearestOf,
  type Dimension,
  type Row,
  type Slice,
  sources,
  type Sums,
} from './activity.queries.ts';
import { conditionsOf } from './spend.queries.ts';
import { type SpendScope, withinScope } from './spend.scope.ts';

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

const conditions = {
  since: 'daily.date >= ?::date',
  until: 'daily.date <= ?::date',
  model: 'model = ?',
  keyId: 'key_id = ?',
} as const satisfies Record<keyof ActivityFilter, string>;

/**
 * What was spent day by day, from the aggregates: two statements, however many calls, days and keys there were.
 *
 * One pass makes of all days what has few values: sums, models and providers. Keys and owners can be many thousands a
 * day, so those of the days that are shown are ranked by what they spent alone, day by day, and the rest is added up for
 * the dearest of them.
 */
export async function activity(em: EntityManager, { scope, entity, ids, page, ...filter }: Wanted): Promise<Activity> {
  const { column } = sources[entity];
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
  const asked = { parts, values, entity };
  const { total, dayCount, days, slices } = await daysOf(em, asked, page);
  const dearest = await dearestOf(
    em,
    asked,
    days.map(({ date }) => date),
  );
  const byDate = Map.groupBy([...slices, ...dearest], ({ date }) => date);
  return {
    total,
    dayCount,
    days: days.map(({ date, sums }) => ({ date, sums, slices: slicesByDimension(byDate.get(date) ?? []) })),
  };
}

function slicesByDimension(rows: readonly Row[]): Day['slices'] {
  const of = (wanted: Dimension) => rows.filter(({ dimension }) => dimension === wanted);
  return { model: of('model'), provider: of('provider'), key: of('key'), entity: of('entity') };
}
