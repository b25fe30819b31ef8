import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import type { Window } from '../kernel/window.ts';

interface Source {
  /** The column of calls, and of days. */
  readonly column: string;
  readonly daily: string;
  readonly dailyColumn: string;
  readonly name: string;
}

const sources = {
  key: {
    column: 'key_id',
    daily: 'daily_spend',
    dailyColumn: 'key_id',
    name: `(select coalesce(k.alias, k.name) from ${SCHEMA}.keys k where k.id = cuts.id)`,
  },
  team: {
    column: 'team_id',
    daily: 'daily_spend',
    dailyColumn: 'team_id',
    name: `(select t.alias from ${SCHEMA}.teams t where t.id = cuts.id)`,
  },
  user: {
    column: 'user_id',
    daily: 'daily_spend',
    dailyColumn: 'user_id',
    name: `(select u.email from ${SCHEMA}.users u where u.id = cuts.id)`,
  },
  organization: {
    column: 'organization_id',
    daily: 'daily_spend',
    dailyColumn: 'organization_id',
    name: `(select o.alias from ${SCHEMA}.organizations o where o.id = cuts.id)`,
  },
  customer: {
    column: 'end_user',
    daily: 'daily_customer_spend',
    dailyColumn: 'customer_id',
    name: `(select c.alias from ${SCHEMA}.customers c where c.id = cuts.id)`,
  },
} as const satisfies Record<string, Source>;

export type Simulated = keyof typeof sources;
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal
export const simulated = Object.keys(sources) as [Simulated, ...Simulated[]];

export interface Simulation {
  readonly by: Simulated;
  /** Nano-dollars. */
  readonly limit: bigint;
  readonly windows: readonly Window[];
  readonly most: number;
}

/** Who would have been refused in one window. Counts and nano-dollars are text, as int8 comes. */
export interface Cut {
  readonly id: string;
  readonly label: string | null;
  readonly started_at: string | Date;
  /** When the first call would have been refused. */
  readonly cut_at: string | Date;
  readonly spend: string;
  readonly refused_requests: string;
  readonly refused_spend: string;
}

/**
 * A call is refused when those before it in its window have used up the limit, as budgets refuse; what is refused uses up
 * nothing, and nothing is left by then. Only who has spent so much on the days of a window is looked at call by call.
 */
export async function simulateBudget(em: EntityManager, { by, limit, windows, most }: Simulation): Promise<Cut[]> {
  const { column, daily, dailyColumn, name } = sources[by];
  return em.execute<Cut[]>(
    `with windows as materialized (
       select started_at, ended_at from unnest(?::timestamptz[], ?::timestamptz[]) as w (started_at, ended_at)
     ), candidates as materialized (
       select w.started_at, w.ended_at, d.${dailyColumn} as id
         from windows w join ${SCHEMA}.${daily} d
           on d.date >= (w.started_at at time zone 'utc')::date
          and d.date <= ((w.ended_at - interval '1 microsecond') at time zone 'utc')::date
        where d.${dailyColumn} <> '' group by 1, 2, 3 having sum(d.spend) >= ?
     ), calls as (
       select c.id, c.started_at, l.created_at, l.spend,
              coalesce(sum(l.spend) over (partition by c.id, c.started_at order by l.created_at, l.request_id
                rows between unbounded preceding and 1 preceding), 0) as before
         from candidates c join ${SCHEMA}.spend_logs l
           on l.${column} = c.id and l.created_at >= c.started_at and l.created_at < c.ended_at
     )
     select cuts.*, ${name} as label from (
       select id, started_at, min(created_at) filter (where before >= ?) as cut_at, sum(spend)::bigint as spend,
              (count(*) filter (where before >= ?))::bigint as refused_requests,
              coalesce(sum(spend) filter (where before >= ?), 0)::bigint as refused_spend
         from calls group by id, started_at having count(*) filter (where before >= ?) > 0
     ) as cuts order by cuts.refused_spend desc, cuts.id, cuts.started_at limit ?`,
    [
      sqlArray(windows.map(({ start }) => start.toISOString())),
      sqlArray(windows.map(({ end }) => end.toISOString())),
      limit,
      limit,
      limit,
      limit,
      limit,
      most,
    ],
  );
}
