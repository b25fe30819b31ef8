import { z } from 'zod';
import { announceAll, type Change, type ChangedSpender, changedSpenders } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Work } from '../db/work.ts';
import { places } from './booking.ts';
import { dayTables } from './daily.ts';
import { type Spender, spenderNames, spenders } from './spent.ts';

/** A booked call, and what is to stand in its row in the place of what does. Amounts are nano-dollars. */
export interface Correction {
  readonly requestId: string;
  readonly createdAt: Date;
  /** As it was read: a row that somebody else has corrected meanwhile stays as it is. */
  readonly was: bigint;
  readonly spend: bigint;
  readonly priceSource: string;
  readonly priceVersion: string | null;
  /** Absent where the tokens stay. */
  readonly tokens?: CorrectedTokens | undefined;
}

export interface CorrectedTokens {
  readonly prompt: number;
  readonly completion: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly reasoning: number;
  readonly isEstimated: boolean;
  readonly serviceTier: string | null;
}

const tokenColumns = ['prompt_tokens', 'completion_tokens', 'cache_read_tokens', 'cache_write_tokens'] as const;
const amounts = ['spend', ...tokenColumns] as const;

/** What stands in the row afterwards: null in what is given leaves it. */
const taken = [...tokenColumns, 'reasoning_tokens', 'usage_estimated', 'service_tier'] as const;

const given = `
  given as materialized (
    select * from json_to_recordset(?::json) as given (
      request_id text, created_at timestamptz, was bigint, spend bigint, price_source text, price_version text,
      prompt_tokens bigint, completion_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
      reasoning_tokens bigint, usage_estimated boolean, service_tier text)
  ), found as materialized (
    select l.* from ${SCHEMA}.spend_logs l join given using (request_id, created_at)
     where l.spend = given.was and l.created_at between ?::timestamptz and ?::timestamptz order by l.created_at, l.request_id for update of l
  ), corrected as (
    update ${SCHEMA}.spend_logs l
       set spend = given.spend, price_source = given.price_source, price_version = given.price_version,
           ${taken.map((name) => `${name} = coalesce(given.${name}, l.${name})`).join(', ')}
      from given join found using (request_id, created_at)
     where l.request_id = given.request_id and l.created_at = given.created_at and l.spend = given.was
       and l.created_at between ?::timestamptz and ?::timestamptz
    returning l.*
  ), inserted as materialized (
    select c.request_id, c.created_at, c.key_id, c.team_id, c.user_id, c.organization_id, c.end_user, c.request_tags,
           c.model, c.provider, c.budget_models, ${amounts.map((name) => `c.${name} - found.${name} as ${name}`).join(', ')}
      from corrected c join found using (request_id, created_at)
  )`;

/** A tag counts once for a call, however often a request names it. */
const tagged = `(select distinct request_id, created_at, budget_models, spend, unnest(request_tags) as tag from inserted) as tagged`;

/**
 * Adds what was corrected to the totals of one kind of owner, those of calls since the owner was made: one that was made
 * again under an old name has never counted the others. Rows are locked in the order in which the ledger books them.
 */
function addTo(entity: Spender, index: number): string {
  const { table, id } = spenders[entity];
  const from = places[entity];
  const before = spenderNames[index - 1];
  const isOwn = id.map((column, at) => `o.${column} = i.${from[at]}`).join(' and ');
  const calls = entity === 'tag' ? tagged.replace(/ as tagged$/, ' as i') : 'inserted as i';
  const list = id.join(', ');
  return `
  ${entity}_locked as materialized (
    select o.${id.join(', o.')}, o.created_at from ${SCHEMA}.${table} o
     where (o.${id.join(', o.')}) in (select ${from.map((name) => `i.${name}`).join(', ')} from ${calls} where i.spend <> 0)
       ${before ? `and (select count(*) from ${before}_booked) >= 0` : ''} order by ${list} for no key update of o
  ), ${entity}_amount as (
    select o.${id.join(', o.')}, sum(i.spend)::bigint as amount from ${calls} join ${entity}_locked o on ${isOwn}
     where i.created_at >= o.created_at group by o.${id.join(', o.')}
  ), ${entity}_booked as (
    update ${SCHEMA}.${table} as booked set spend = greatest(0, booked.spend + a.amount) from ${entity}_amount a
     where ${id.map((column) => `booked.${column} = a.${column}`).join(' and ')}
    returning 1
  )`;
}

const idOf = (entity: Spender): string => places[entity].map((name) => `i.${name}`).join(' || chr(31) || ');

const owned = spenderNames
  .map(
    (entity) =>
      `select '${entity}' as entity, ${idOf(entity)} as id, i.created_at, i.budget_models, i.spend
         from ${entity === 'tag' ? tagged.replace(/ as tagged$/, ' as i') : 'inserted as i'} where i.spend <> 0`,
  )
  .join(' union all ');

/**
 * The present windows of budgets, of calls since they began. A window counts at most what was spent in it, so it is never
 * less than nothing.
 */
const windows = `
  owned as materialized (
    select * from (${owned}
      union all select 'gateway', 'gateway', created_at, budget_models, spend from inserted where spend <> 0) as all_owned
     where id is not null
  ), window_amount as materialized (
    select w.entity, w.id, w.model, w.duration, w.started_at, sum(owned.spend)::bigint as amount
      from ${SCHEMA}.budget_windows w join owned on owned.entity = w.entity and owned.id = w.id
       and owned.created_at >= w.started_at and (w.model = '' or w.model = any(owned.budget_models))
     group by 1, 2, 3, 4, 5 having sum(owned.spend) <> 0
  ), window_locked as materialized (
    select w.entity, w.id, w.model, w.duration, a.amount, a.started_at
      from ${SCHEMA}.budget_windows w join window_amount a using (entity, id, model, duration)
     where (select count(*) from ${spenderNames.at(-1)}_booked) >= 0
     order by w.entity, w.id, w.model, w.duration for no key update of w
  ), window_booked as (
    update ${SCHEMA}.budget_windows w set spend = greatest(0, w.spend + a.amount) from window_locked a
     where (w.entity, w.id, w.model, w.duration, w.started_at) = (a.entity, a.id, a.model, a.duration, a.started_at)
    returning 1
  )`;

/** The sums of days, which are there: calls that are booked have made them. */
const days = dayTables.map(({ table, by, from }, index) => {
  const names = ['date', ...Object.keys(by)];
  const list = names.join(', ');
  const before = dayTables[index - 1]?.table ?? 'window';
  return `
  ${table}_amount as materialized (
    select (created_at at time zone 'utc')::date as date,
           ${Object.entries(by)
             .map(([name, source]) => `${source} as ${name}`)
             .join(', ')},
           ${amounts.map((name) => `sum(${name})::bigint as ${name}`).join(', ')}
      from ${from} group by ${names.map((_, at) => at + 1).join(', ')}
  ), ${table}_locked as materialized (
    select ${names.map((name) => `d.${name}`).join(', ')} from ${SCHEMA}.${table} d join ${table}_amount using (${list})
     where (select count(*) from ${before}_booked) >= 0 order by ${list} for no key update of d
  ), ${table}_booked as (
    update ${SCHEMA}.${table} d set ${amounts.map((name) => `${name} = d.${name} + a.${name}`).join(', ')}
      from ${table}_amount a join ${table}_locked using (${list})
     where ${names.map((name) => `d.${name} = a.${name}`).join(' and ')}
    returning 1
  )`;
});

const statement = `
  with ${[given, ...spenderNames.map(addTo), windows, ...days].join(', ')}
  select (select count(*) from inserted) as rows,
         coalesce((select json_agg(distinct jsonb_build_array(entity, id)) from owned
                    where entity in (${changedSpenders.options.map((name) => `'${name}'`).join(', ')})), '[]') as owners,
         (select count(*) from ${dayTables.at(-1)?.table}_booked) as days`;

const Answer = z.object({
  rows: z.coerce.number(),
  owners: z.array(z.tuple([changedSpenders, z.string()])),
});

/**
 * Puts other amounts into booked calls and moves every sum they are in by the difference, in one statement. What is
 * corrected already is left alone, so that a correction that is sent again does nothing.
 *
 * @returns how many were corrected
 */
export async function correctSpend(work: Work, corrections: readonly Correction[]): Promise<number> {
  if (corrections.length === 0) return 0;
  const times = corrections.map(({ createdAt }) => createdAt.getTime());
  const least = times.reduce((one, other) => Math.min(one, other));
  const most = times.reduce((one, other) => Math.max(one, other));
  // Named twice, so that only the partitions between them are looked at.
  const ends = [new Date(least), new Date(most)];
  const values = [JSON.stringify(corrections.map(rowOf)), ...ends, ...ends];
  // A list in JSON is taken for one of a hundred rows, and the joins for loops: at 10,000 they took minutes.
  await work.em.execute(`select set_config('enable_nestloop', 'off', true)`);
  const [answer] = await work.em.execute<unknown[]>(statement, values);
  await work.em.execute(`select set_config('enable_nestloop', 'on', true)`);
  const { rows, owners } = Answer.parse(answer);
  await announceAll(work, changesOf(owners));
  return rows;
}

const rowOf = ({ requestId, createdAt, was, spend, priceSource, priceVersion, tokens }: Correction) => ({
  request_id: requestId,
  created_at: createdAt.toISOString(),
  was: String(was),
  spend: String(spend),
  price_source: priceSource,
  price_version: priceVersion,
  ...(tokens && {
    prompt_tokens: tokens.prompt,
    completion_tokens: tokens.completion,
    cache_read_tokens: tokens.cacheRead,
    cache_write_tokens: tokens.cacheWrite,
    reasoning_tokens: tokens.reasoning,
    usage_estimated: tokens.isEstimated,
    service_tier: tokens.serviceTier,
  }),
});

/** Of owners in one payload: a notification has 8,000 at most. */
const payloadBytes = 7_000;

/** Tells every daemon whose sums are others now: what it knows of their budgets is read again. */
function changesOf(owners: readonly (readonly [entity: ChangedSpender, id: string])[]): Change[] {
  const changes: Change[] = [];
  let portion: (readonly [ChangedSpender, string])[] = [];
  let bytes = 0;
  for (const owner of owners) {
    const length = Buffer.byteLength(JSON.stringify(owner)) + 1;
    if (bytes + length > payloadBytes && portion.length > 0) {
      changes.push({ entity: 'spend', owners: portion });
      [portion, bytes] = [[], 0];
    }
    portion.push(owner);
    bytes += length;
  }
  if (portion.length > 0) changes.push({ entity: 'spend', owners: portion });
  return changes;
}
