import type pg from 'pg';
import type { BudgetEntity } from '../access/principal.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Flushed } from './counters.ts';
import { addToAllDays } from './daily.ts';
import { spendColumns } from './spend-row.ts';
import { isNamed, type Spender, spenderNames, spenders } from './spent.ts';
import { transaction } from './transaction.ts';

const columns = Object.keys(spendColumns).join(', ');
const definitions = Object.entries(spendColumns)
  .map(([name, type]) => `${name} ${type}`)
  .join(', ');

/** Where in a row the ids of an entity stand. */
export const places = {
  key: ['key_id'],
  team: ['team_id'],
  user: ['user_id'],
  organization: ['organization_id'],
  member: ['team_id', 'user_id'],
  organization_member: ['organization_id', 'user_id'],
  customer: ['end_user'],
  tag: ['tag'],
} as const satisfies Record<Spender, readonly string[]>;

/** A tag counts once for a call, however often a request names it. */
const tagged = `(select distinct request_id, created_at, spend, unnest(request_tags) as tag from inserted) as tagged`;

/**
 * Adds what was inserted to the rows of one table. They are locked in the order of their ids, and the tables in the
 * order of `spenders` (each waits for the one before): two daemons that flush at once cannot wait for each other.
 */
function addTo(entity: Spender, index: number): string {
  const { table, id } = spenders[entity];
  const from = places[entity];
  const names = id.map((_, position) => `id${position + 1}`);
  const list = names.join(', ');
  const before = spenderNames[index - 1];
  const afterThat = before ? `and (select count(*) from ${before}_booked) >= 0` : '';
  const as = (sources: readonly string[]) => sources.map((source, at) => `${source} as ${names[at]}`).join(', ');
  return `
  ${entity}_amount as (
    select ${as(from)}, sum(spend)::bigint as amount from ${entity === 'tag' ? tagged : 'inserted'}
     where ${from.map((name) => `${name} is not null`).join(' and ')} group by ${list} having sum(spend) <> 0
  ), ${entity}_locked as materialized (
    select ${as(id)} from ${SCHEMA}.${table}
     where (${id.join(', ')}) in (select ${list} from ${entity}_amount) ${afterThat} order by ${list} for no key update
  ), ${entity}_booked as (
    update ${SCHEMA}.${table} as booked set spend = booked.spend + amount
      from ${entity}_amount join ${entity}_locked using (${list})
     where ${id.map((column, at) => `booked.${column} = ${entity}_amount.${names[at]}`).join(' and ')}
    returning ${as(id.map((column) => `booked.${column}`))}, booked.spend
  ),`;
}

/**
 * What left this process, whether it was inserted now or before, and what the database has since. Those in `columns` are
 * found in the columns of the rows, the others in `counted`.
 */
const flushed = (entity: Spender) => {
  const isInColumns = entity === 'key' || entity === 'team' || entity === 'user';
  const sent = isInColumns
    ? `(select ${places[entity][0]} as id, sum(spend)::bigint as amount from given where ${places[entity][0]} is not null group by 1)`
    : `(select id, amount from sent where entity = '${entity}' and duration = '')`;
  const { table, id } = spenders[entity];
  const booked = id.map((_, position) => `${entity}_booked.id${position + 1}`).join(' || chr(31) || ');
  return `
  select '${entity}' as entity, sent.id, '' as model, '' as duration, 0::float8 as start_ms, sent.amount,
         coalesce(${entity}_booked.spend, now.spend, 0) as total
    from ${sent} as sent left join ${entity}_booked on ${booked} = sent.id
    left join ${SCHEMA}.${table} as now on ${isNamed(entity, 'now', 'sent.id')}`;
};

/** Of each window only the latest is kept: what is over limits nobody. */
const windows = `
  counted as materialized (
    select c.entity, c.id, c.model, c.duration, c.start_ms, given.spend, inserted.request_id is not null as is_new
      from given cross join lateral json_to_recordset(given.counted)
             as c (entity text, id text, model text, duration text, start_ms float8)
      left join inserted using (request_id, created_at)
  ), sent as (
    select entity, id, model, duration, start_ms, sum(spend)::bigint as amount from counted group by 1, 2, 3, 4, 5
  ), window_amount as (
    select distinct on (entity, id, model, duration)
           entity, id, model, duration, to_timestamp(start_ms / 1000) as started_at, sum(spend)::bigint as spend
      from counted where (duration <> '' or entity = 'gateway') and is_new
     group by entity, id, model, duration, start_ms order by entity, id, model, duration, start_ms desc
  ), window_booked as (
    insert into ${SCHEMA}.budget_windows as kept (entity, id, model, duration, started_at, spend)
    select entity, id, model, duration, started_at, spend from window_amount
     where (select count(*) from ${spenderNames.at(-1)}_booked) >= 0 order by entity, id, model, duration
    on conflict (entity, id, model, duration) do update set
      spend = case when kept.started_at < excluded.started_at then excluded.spend
                   when kept.started_at = excluded.started_at then kept.spend + excluded.spend
                   else kept.spend end,
      started_at = greatest(kept.started_at, excluded.started_at)
    returning entity, id, model, duration, started_at, spend
  ),`;

const flushedWindows = `
  select sent.entity, sent.id, sent.model, sent.duration, sent.start_ms, sent.amount, coalesce(booked.spend, now.spend)
    from sent
    left join window_booked as booked
      on (booked.entity, booked.id, booked.model, booked.duration) = (sent.entity, sent.id, sent.model, sent.duration)
     and booked.started_at = to_timestamp(sent.start_ms / 1000)
    left join ${SCHEMA}.budget_windows as now
      on (now.entity, now.id, now.model, now.duration) = (sent.entity, sent.id, sent.model, sent.duration)
     and now.started_at = to_timestamp(sent.start_ms / 1000)
   where sent.duration <> '' or sent.entity = 'gateway'`;

/**
 * What is booked is held no longer: it moves from the one to the other, so that nobody ever sees it twice or not at all.
 * Locked in the order in which an exchange writes them.
 */
const leases = `
  lease_amount as materialized (
    ${(['key', 'team', 'user'] as const)
      .map(
        (entity) => `
    select '${entity}' as entity, ${entity}_id as id, '' as model, '' as duration, to_timestamp(0) as started_at, sum(spend)::bigint as amount
      from inserted where ${entity}_id is not null and spend <> 0 group by ${entity}_id
    union all`,
      )
      .join('')}
    select entity, id, model, duration, to_timestamp(start_ms / 1000), sum(spend)::bigint
      from counted where is_new and spend <> 0 group by entity, id, model, duration, start_ms
  ), lease_locked as materialized (
    select l.entity, l.id, l.model, l.duration, l.started_at, a.amount as booked
      from ${SCHEMA}.budget_leases l join lease_amount a using (entity, id, model, duration, started_at)
     where l.daemon = $2 and (select count(*) from window_booked) >= 0
     order by l.entity, l.id, l.model, l.duration, l.started_at for update of l
  ), lease_booked as (
    update ${SCHEMA}.budget_leases as l set amount = greatest(0, l.amount - b.booked)
      from lease_locked b
     where l.daemon = $2
       and (l.entity, l.id, l.model, l.duration, l.started_at) = (b.entity, b.id, b.model, b.duration, b.started_at)
    returning 1
  ),`;

/**
 * One statement books a batch: the rows, and from those that were not there before every sum they belong to. A batch
 * that is sent again, because nobody knows whether the commit went through, adds nothing.
 */
const book = `
  with given as materialized (
    select * from json_to_recordset($1::json) as given (${definitions}, counted json)
  ), inserted as (
    insert into ${SCHEMA}.spend_logs (${columns}) select ${columns} from given
    on conflict (request_id, created_at) do nothing
    returning *
  ), ${spenderNames.map(addTo).join('')} ${windows} ${leases}
  ${addToAllDays('window_booked')}
  ${[...spenderNames.map(flushed), flushedWindows].join(' union all ')}`;

/** A little longer than the server's own limit, for a server that answers nothing at all. */
const answerWithinMs = 6_000;

interface FlushedRow {
  readonly entity: BudgetEntity;
  readonly id: string;
  readonly model: string;
  readonly duration: string;
  readonly start_ms: number;
  readonly amount: string;
  readonly total: string | null;
}

/**
 * Books rows (a JSON array) in one transaction, and answers with what everybody who is counted has spent now.
 *
 * @param daemon whose leases cover them
 * @param alsoDo done in the same transaction, with what everybody has spent
 */
export function bookRows(
  pool: pg.Pool,
  rows: string,
  {
    daemon,
    alsoDo,
  }: { readonly daemon: string; readonly alsoDo?: (client: pg.PoolClient, booked: Flushed[]) => Promise<void> },
): Promise<Flushed[]> {
  return transaction(pool, async (client) => {
    // Named, so that it is planned once per connection and not once per batch (3 ms).
    const query = { name: 'gatewayctl-book', text: book, values: [rows, daemon], query_timeout: answerWithinMs };
    const { rows: totals } = await client.query<FlushedRow>(query);
    const booked = totals.map(({ entity, id, model, duration, start_ms: startMs, amount, total }) => ({
      entity,
      id,
      model,
      duration,
      startMs,
      amount: BigInt(amount),
      total: total === null ? undefined : BigInt(total),
    }));
    await alsoDo?.(client, booked);
    return booked;
  });
}

/**
 * Whether the rows themselves are at fault, so that sending them again cannot help: SQLSTATE classes 22 (data exception),
 * 23 (integrity constraint violation) and 54 (program limit exceeded).
 */
export const isRefusal = (error: unknown): boolean => /^(22|23|54)/.test(sqlState(error));

/** 23514, check violation: also what an insert into a month without a partition is answered with. */
export const mayLackPartition = (error: unknown): boolean => sqlState(error) === '23514';

function sqlState(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
