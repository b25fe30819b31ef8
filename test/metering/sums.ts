import assert from 'node:assert/strict';
import type { Pool } from 'pg';

/** Every sum the ledger keeps, compared with the rows it stands for. */
export async function assertSumsAreExact(pool: Pool): Promise<void> {
  for (const entity of ['key', 'team', 'user', 'organization']) {
    const { rows } = await pool.query(
      `select id, spend, coalesce((select sum(spend) from gatewayctl.spend_logs where ${entity}_id = each.id), 0) as sum
         from gatewayctl.${entity}s as each`,
    );
    for (const { id, spend, sum } of rows) assert.equal(spend, sum, `${entity} ${id}`);
  }
  for (const [table, name, column] of [
    ['customers', 'id', 'l.end_user = each.id'],
    ['tags', 'name', 'each.name = any (l.request_tags)'],
    ['organization_members', 'user_id', '(l.organization_id, l.user_id) = (each.organization_id, each.user_id)'],
  ] as const) {
    const { rows } = await pool.query(
      `select ${name} as id, spend, coalesce((select sum(l.spend) from gatewayctl.spend_logs l where ${column}), 0) as sum
         from gatewayctl.${table} as each`,
    );
    for (const { id, spend, sum } of rows) assert.equal(spend, sum, `${table} ${id}`);
  }
  const { rows: members } = await pool.query(
    `select m.spend, coalesce((select sum(spend) from gatewayctl.spend_logs l where (l.team_id, l.user_id) = (m.team_id, m.user_id)), 0) as sum
       from gatewayctl.team_members m`,
  );
  for (const { spend, sum } of members) assert.equal(spend, sum);
  const days = `date, key_id, team_id, user_id, organization_id, model, provider, prompt_tokens, completion_tokens,
                cache_read_tokens, cache_write_tokens, spend, requests, failed_requests`;
  const { rows: differences } = await pool.query(
    `with summed as (
       select (created_at at time zone 'utc')::date as date, key_id, coalesce(team_id, '') team_id, coalesce(user_id, '') user_id,
              coalesce(organization_id, '') organization_id, model, provider, sum(prompt_tokens)::bigint prompt_tokens,
              sum(completion_tokens)::bigint completion_tokens, sum(cache_read_tokens)::bigint cache_read_tokens,
              sum(cache_write_tokens)::bigint cache_write_tokens, sum(spend)::bigint spend, count(*) requests,
              count(*) filter (where status = 'failure') failed_requests
         from gatewayctl.spend_logs group by 1, 2, 3, 4, 5, 6, 7)
     (select ${days} from summed except select ${days} from gatewayctl.daily_spend)
     union all (select ${days} from gatewayctl.daily_spend except select ${days} from summed)`,
  );
  assert.deepEqual(differences, []);
  await assertDaysOf(
    pool,
    'daily_customer_spend',
    'customer_id',
    `select *, end_user as label from gatewayctl.spend_logs where end_user is not null`,
  );
  await assertDaysOf(
    pool,
    'daily_tag_spend',
    'tag',
    `select l.*, label from gatewayctl.spend_logs l, lateral (select distinct unnest(request_tags) as label) t`,
  );
}

/** @param calls each once for every label it counts under */
async function assertDaysOf(pool: Pool, table: string, column: string, calls: string): Promise<void> {
  const { rows: differences } = await pool.query(
    `with summed as (
       select (created_at at time zone 'utc')::date as date, label, key_id, coalesce(user_id, '') user_id, model, provider,
              sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, sum(cache_read_tokens)::bigint,
              sum(cache_write_tokens)::bigint, sum(spend)::bigint, count(*), count(*) filter (where status = 'failure')
         from (${calls}) calls group by 1, 2, 3, 4, 5, 6)
     , kept as (select date, ${column}, key_id, user_id, model, provider, prompt_tokens, completion_tokens,
                       cache_read_tokens, cache_write_tokens, spend, requests, failed_requests from gatewayctl.${table})
     (table summed except table kept) union all (table kept except table summed)`,
  );
  assert.deepEqual(differences, [], table);
}
