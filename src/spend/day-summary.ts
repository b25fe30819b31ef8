import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { toDollars } from '../kernel/money.ts';
import { dayOf } from '../kernel/period.ts';
import { conditionsOf, whereAll } from './spend.queries.ts';
import { type SpendScope, withinScope } from './spend.scope.ts';

export interface SummaryFilter {
  /** Days, the last one included. */
  readonly since: string;
  readonly until: string;
  readonly keyId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly userId?: string | undefined;
  readonly model?: string | undefined;
}

/** A day as LiteLLM sums it up: dollars in all, by user, by model, and beside them by the hash of each key. */
export type SummedDay = Readonly<Record<string, string | number | Readonly<Record<string, number>>>>;

/** Of keys, of users and of models a day names the dearest: an organization can have 500,000 keys. */
export const NAMED_AT_MOST = 100;

const DAY_MS = 86_400_000;

const conditions = {
  since: 'date >= ?::date',
  until: 'date <= ?::date',
  keyId: 'key_id = ?',
  teamId: 'team_id = ?',
  userId: 'user_id = ?',
  model: 'model = ?',
} as const satisfies Record<keyof SummaryFilter, string>;

interface Cell {
  readonly date: string;
  readonly kind: 'day' | 'key' | 'user' | 'model';
  readonly name: string;
  readonly spend: string;
}

/** Sums of every day of a time, those without calls included, the oldest first: one statement over the aggregates. */
export async function summedDays(
  em: EntityManager,
  { filter, scope }: { readonly filter: SummaryFilter; readonly scope: SpendScope },
): Promise<SummedDay[]> {
  const { parts, values } = conditionsOf(filter, conditions);
  const within = withinScope(scope);
  const dearest = (kind: Cell['kind'], column: string) =>
    `select date, '${kind}' as kind, name, spend from (
       select date, ${column} as name, sum(spend) as spend,
              row_number() over (partition by date order by sum(spend) desc, ${column}) as place
         from cells group by date, ${column}
     ) as ranked where place <= ${NAMED_AT_MOST}`;
  const cells = await em.execute<Cell[]>(
    `with cells as materialized (
       select date, key_id, user_id, model, sum(spend) as spend from ${SCHEMA}.daily_spend
       ${whereAll([...parts, ...(within ? [within.text] : [])])} group by date, key_id, user_id, model
     )
     select found.date::text, found.kind, found.spend::bigint as spend,
            case when found.kind = 'key' then coalesce(k.token, gone.token, found.name) else found.name end as name
       from (
         select date, 'day' as kind, '' as name, sum(spend) as spend from cells group by date
         union all ${dearest('key', 'key_id')} union all ${dearest('user', 'user_id')} union all ${dearest('model', 'model')}
       ) as found
       left join ${SCHEMA}.keys k on found.kind = 'key' and k.id = found.name
       left join ${SCHEMA}.deleted_keys gone on found.kind = 'key' and gone.id = found.name
      order by found.date, found.spend desc`,
    [...values, ...(within?.values ?? [])],
  );
  const byDate = Map.groupBy(cells, ({ date }) => date);
  return daysFrom(filter).map((date) => dayFrom(date, byDate.get(date) ?? []));
}

function daysFrom({ since, until }: SummaryFilter): string[] {
  const length = (Date.parse(until) - Date.parse(since)) / DAY_MS + 1;
  return Array.from({ length }, (_, index) => dayOf(new Date(Date.parse(since) + index * DAY_MS)));
}

function dayFrom(date: string, cells: readonly Cell[]): SummedDay {
  const of = (wanted: Cell['kind']) =>
    Object.fromEntries(
      cells.filter(({ kind }) => kind === wanted).map(({ name, spend }) => [name, toDollars(BigInt(spend))]),
    );
  return { ...of('key'), startTime: date, spend: of('day')[''] ?? 0, users: of('user'), models: of('model') };
}
