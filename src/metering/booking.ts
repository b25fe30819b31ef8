import type pg from 'pg';
import type { BudgetEntity } from '../access/principal.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Flushed } from './counters.ts';
import { spendColumns } from './spend-row.ts';
import { transaction } from './transaction.ts';

const columns = Object.keys(spendColumns).join(', ');
const definitions = Object.entries(spendColumns)
  .map(([name, type]) => `${name} ${type}`)
  .join(', ');

const budgeted = ['key', 'team', 'user'] as const;
const counted = [...budgeted, 'organization'] as const;

/**
 * Adds what was inserted to the rows of one table. They are locked in the order of their ids, and the tables in the
 * order of `counted` (each waits for the one before): two daemons that flush at once cannot wait for each other.
 */
function addTo(entity: (typeof counted)[number], index: number): string {
  const table = `${SCHEMA}.${entity}s`;
  const before = counted[index - 1];
  const afterThat = before ? `and (select count(*) from ${before}_booked) >= 0` : '';
  return `
  ${entity}_amount as (
    select ${entity}_id as id, sum(spend)::bigint as amount from inserted
     where ${entity}_id is not null group by 1 having sum(spend) <> 0
  ), ${entity}_locked as materialized (
    select id from ${table} where id in (select id from ${entity}_amount) ${afterThat} order by id for no key update
  ), ${entity}_booked as (
    update ${table} as booked set spend = booked.spend + amount
      from ${entity}_amount join ${entity}_locked using (id) where booked.id = ${entity}_amount.id
    returning booked.id, booked.spend
  ),`;
}

/** Of every row that was sent, also those that had been inserted before: they have left this process as well. */
const flushed = (entity: BudgetEntity) => `
  select '${entity}' as entity, id, amount, coalesce(${entity}_booked.spend, now.spend, 0) as total
    from (select ${entity}_id as id, sum(spend)::bigint as amount from given where ${entity}_id is not null group by 1) as sent
    left join ${entity}_booked using (id) left join ${SCHEMA}.${entity}s as now using (id)`;

/**
 * One statement books a batch: the rows, and from those that were not there before every sum they belong to. A batch
 * that is sent again, because nobody knows whether the commit went through, adds nothing.
 */
const book = `
  with given as materialized (
    select * from json_to_recordset($1::json) as given (${definitions})
  ), inserted as (
    insert into ${SCHEMA}.spend_logs (${columns}) select ${columns} from given
    on conflict (request_id, created_at) do nothing
    returning *
  ), ${counted.map(addTo).join('')}
  member_amount as (
    select team_id, user_id, sum(spend)::bigint as amount from inserted
     where team_id is not null and user_id is not null group by 1, 2 having sum(spend) <> 0
  ), member_locked as materialized (
    select team_id, user_id from ${SCHEMA}.team_members
     where (team_id, user_id) in (select team_id, user_id from member_amount)
       and (select count(*) from organization_booked) >= 0
     order by 1, 2 for no key update
  ), member_booked as (
    update ${SCHEMA}.team_members as booked set spend = booked.spend + amount
      from member_amount join member_locked using (team_id, user_id)
     where (booked.team_id, booked.user_id) = (member_amount.team_id, member_amount.user_id)
    returning booked.team_id
  ), daily as (
    insert into ${SCHEMA}.daily_spend as daily
    select (created_at at time zone 'utc')::date, key_id, coalesce(team_id, ''), coalesce(user_id, ''),
           coalesce(organization_id, ''), model, provider, sum(prompt_tokens), sum(completion_tokens),
           sum(cache_read_tokens), sum(cache_write_tokens), sum(spend), count(*), count(*) filter (where status = 'failure')
      from inserted where (select count(*) from member_booked) >= 0
     group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
    on conflict (date, key_id, team_id, user_id, organization_id, model, provider) do update set
      prompt_tokens = daily.prompt_tokens + excluded.prompt_tokens,
      completion_tokens = daily.completion_tokens + excluded.completion_tokens,
      cache_read_tokens = daily.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = daily.cache_write_tokens + excluded.cache_write_tokens,
      spend = daily.spend + excluded.spend,
      requests = daily.requests + excluded.requests,
      failed_requests = daily.failed_requests + excluded.failed_requests
  ) ${budgeted.map(flushed).join(' union all ')}`;

/** A little longer than the server's own limit, for a server that answers nothing at all. */
const answerWithinMs = 6_000;

/** Books rows (a JSON array) in one transaction, and answers with what every key, team and user in them has spent now. */
export function bookRows(pool: pg.Pool, rows: string): Promise<Flushed[]> {
  return transaction(pool, async (client) => {
    // Named, so that it is planned once per connection and not once per batch (3 ms).
    const query = { name: 'gatewayctl-book', text: book, values: [rows], query_timeout: answerWithinMs };
    const { rows: totals } = await client.query<{ entity: BudgetEntity; id: string; amount: string; total: string }>(
      query,
    );
    return totals.map(({ entity, id, amount, total }) => ({
      entity,
      id,
      amount: BigInt(amount),
      total: BigInt(total),
    }));
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
