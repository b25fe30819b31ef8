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
  /** The present: no call is later. */
  readonly now: Date;
}

/** Who would have been refused in one window. Amounts are nano-dollars. */
export interface Cut {
  readonly id: string;
  readonly label: string | null;
  readonly windowStart: Date;
  /** When the first call would have been refused. */
  readonly cutAt: Date;
  readonly spend: bigint;
  readonly refusedRequests: bigint;
  readonly refusedSpend: bigint;
}

interface Course {
  spend: bigint;
  cutAt: Date | undefined;
  refusedRequests: bigint;
  refusedSpend: bigint;
}

const DAY_MS = 86_400_000;

/** A window day by day: no statement reads more calls than a day has. */
function daysOf({ start, end }: Window, now: Date): Window[] {
  const days: Window[] = [];
  const last = Math.min(end.getTime(), now.getTime());
  for (let at = start.getTime(); at < last;) {
    const next = Math.min(last, (Math.floor(at / DAY_MS) + 1) * DAY_MS);
    days.push({ start: new Date(at), end: new Date(next) });
    at = next;
  }
  return days;
}

interface DayRow {
  readonly id: string;
  readonly spend: string;
  readonly cut_at: string | Date | null;
  readonly refused_requests: string;
  readonly refused_spend: string;
}

/** Who has spent so much on the days of a window that a look at the calls is worth it. */
async function candidates(em: EntityManager, { daily, dailyColumn }: Source, window: Window & { limit: bigint }) {
  const rows = await em.execute<{ id: string }[]>(
    `select ${dailyColumn} as id from ${SCHEMA}.${daily}
      where date >= (?::timestamptz at time zone 'utc')::date
        and date <= ((?::timestamptz - interval '1 microsecond') at time zone 'utc')::date and ${dailyColumn} <> ''
      group by 1 having sum(spend) >= ? order by 1`,
    [window.start, window.end, window.limit],
  );
  return new Map(
    rows.map(({ id }): [string, Course] => [
      id,
      { spend: 0n, cutAt: undefined, refusedRequests: 0n, refusedSpend: 0n },
    ]),
  );
}

/** What became of a day's calls, by what was spent in the window before. */
async function addDay(
  em: EntityManager,
  { column }: Source,
  { day, limit, courses }: { day: Window; limit: bigint; courses: ReadonlyMap<string, Course> },
): Promise<void> {
  const rows = await em.execute<DayRow[]>(
    `with calls as (
       select c.id, l.created_at, l.spend, c.spent + coalesce(sum(l.spend) over (partition by c.id
                order by l.created_at, l.request_id rows between unbounded preceding and 1 preceding), 0) as before
         from unnest(?::text[], ?::bigint[]) as c (id, spent)
         join ${SCHEMA}.spend_logs l on l.${column} = c.id and l.created_at >= ? and l.created_at < ?
     )
     select id, sum(spend)::bigint as spend, min(created_at) filter (where before >= limits.most) as cut_at,
            (count(*) filter (where before >= limits.most))::bigint as refused_requests,
            coalesce(sum(spend) filter (where before >= limits.most), 0)::bigint as refused_spend
       from calls cross join (select ?::bigint as most) as limits group by id`,
    [
      sqlArray([...courses.keys()]),
      sqlArray([...courses.values()].map(({ spend }) => String(spend))),
      day.start,
      day.end,
      limit,
    ],
  );
  for (const row of rows) {
    const course = courses.get(row.id);
    if (!course) continue;
    course.spend += BigInt(row.spend);
    course.refusedRequests += BigInt(row.refused_requests);
    course.refusedSpend += BigInt(row.refused_spend);
    if (row.cut_at !== null) course.cutAt ??= new Date(row.cut_at);
  }
}

/**
 * A call is refused when those before it in its window have used up the limit, as budgets refuse; what is refused uses up
 * nothing, and nothing is left by then. Only who has spent so much on the days of a window is looked at call by call.
 */
export async function simulateBudget(em: EntityManager, { by, limit, windows, now }: Simulation): Promise<Cut[]> {
  const source = sources[by];
  const cuts: Omit<Cut, 'label'>[] = [];
  for (const window of windows) {
    const courses = await candidates(em, source, { ...window, limit });
    if (courses.size === 0) continue;
    for (const day of daysOf(window, now)) await addDay(em, source, { day, limit, courses });
    for (const [id, { cutAt, ...course }] of courses) {
      if (cutAt) cuts.push({ id, cutAt, windowStart: window.start, ...course });
    }
  }
  const labels = await labelsOf(em, source, new Set(cuts.map(({ id }) => id)));
  return cuts.map((cut) => Object.assign({ label: labels.get(cut.id) ?? null }, cut));
}

async function labelsOf(em: EntityManager, { name }: Source, ids: ReadonlySet<string>) {
  const rows = await em.execute<{ id: string; label: string | null }[]>(
    `select cuts.id, ${name} as label from unnest(?::text[]) as cuts (id)`,
    [sqlArray([...ids])],
  );
  return new Map(rows.map(({ id, label }) => [id, label]));
}
