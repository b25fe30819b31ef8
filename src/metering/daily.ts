import { SCHEMA } from '../db/schema.ts';

interface Daily {
  readonly table: string;
  /** Columns that make a row of their own, and where each comes from. */
  readonly by: Readonly<Record<string, string>>;
  /** Calls that were inserted just now. */
  readonly from: string;
  /** What must have happened before, so that daemons that book at once lock rows in one order. */
  readonly after: string;
}

const sums = {
  prompt_tokens: 'sum(prompt_tokens)',
  completion_tokens: 'sum(completion_tokens)',
  cache_read_tokens: 'sum(cache_read_tokens)',
  cache_write_tokens: 'sum(cache_write_tokens)',
  spend: 'sum(spend)',
  requests: 'count(*)',
  failed_requests: `count(*) filter (where status = 'failure')`,
} as const;

/** Adds what was inserted to the sums of its day. */
function addToDays({ table, by, from, after }: Daily): string {
  const names = ['date', ...Object.keys(by)];
  const places = names.map((_, index) => index + 1).join(', ');
  const added = Object.keys(sums).map((name) => `${name} = daily.${name} + excluded.${name}`);
  return `
  ${table}_booked as (
    insert into ${SCHEMA}.${table} as daily (${[...names, ...Object.keys(sums)].join(', ')})
    select (created_at at time zone 'utc')::date, ${[...Object.values(by), ...Object.values(sums)].join(', ')}
      from ${from} where (select count(*) from ${after}) >= 0 group by ${places} order by ${places}
    on conflict (${names.join(', ')}) do update set ${added.join(', ')}
    returning 1
  )`;
}

const spender = {
  key_id: 'key_id',
  team_id: `coalesce(team_id, '')`,
  user_id: `coalesce(user_id, '')`,
  organization_id: `coalesce(organization_id, '')`,
} as const;
const called = { model: 'model', provider: 'provider' } as const;
const labelled = { key_id: spender.key_id, user_id: spender.user_id, ...called } as const;

/** A tag counts once for a call, however often a request names it. */
const tagged = `inserted cross join lateral (select distinct unnest(request_tags) as tag) as tags`;

/** Where the sums of days stand, what makes a row of them, and of which calls: those of `inserted` or of a table like it. */
export const dayTables = [
  { table: 'daily_spend', by: { ...spender, ...called }, from: 'inserted' },
  {
    table: 'daily_customer_spend',
    by: { customer_id: 'end_user', ...labelled },
    from: `(select * from inserted where end_user is not null) as named`,
  },
  { table: 'daily_tag_spend', by: { tag: 'tag', ...labelled }, from: tagged },
] as const satisfies readonly Omit<Daily, 'after'>[];

/**
 * The sums of days, from the rows of `inserted`: what is shown of spend long after the calls themselves are gone.
 *
 * @param after the part of the statement before which nothing of this may happen
 */
export const addToAllDays = (after: string): string =>
  dayTables
    .map((each, index) => {
      const before = dayTables[index - 1];
      return addToDays({ ...each, after: before ? `${before.table}_booked` : after });
    })
    .join(',');
