import type { Pool } from 'pg';
import { addToAllDays } from '../src/metering/daily.ts';

/** Calls of the last ninety days, spread evenly, by a thousand keys of a hundred teams on ten models. */
export interface LedgerSize {
  readonly rows: number;
  readonly days: number;
}

const keys = 1_000;

const owners = [
  `insert into organizations (id, alias, created_at, created_by, updated_at, updated_by)
   select 'org-' || i, 'Org ' || i, now() - interval '1 year', 'bench', now(), 'bench' from generate_series(0, 9) i`,
  `insert into users (id, email, role, created_at, created_by, updated_at, updated_by)
   select 'u' || i, 'u' || i || '@example.com', 'internal_user', now() - interval '1 year', 'bench', now(), 'bench' from generate_series(0, 199) i`,
  `insert into teams (id, alias, organization_id, created_at, created_by, updated_at, updated_by)
   select 't' || i, 'Team ' || i, 'org-' || i % 10, now() - interval '1 year', 'bench', now(), 'bench' from generate_series(0, 99) i`,
  `insert into keys (id, token, name, alias, team_id, user_id, organization_id, created_at, created_by, updated_at, updated_by)
   select 'k' || i, encode(sha256(('ledger-' || i)::bytea), 'hex'), 'sk-gw1_…0000', 'ledger-' || i, 't' || i % 100, 'u' || i % 200,
          'org-' || i % 10, now() - interval '1 year', 'bench', now(), 'bench' from generate_series(0, ${keys - 1}) i`,
];

/** Every tenth call is for a customer, every fifth has tags; a hundredth failed. Times are whole milliseconds, as they are booked. */
const calls = (table: string, { rows, days }: LedgerSize): string => `
  insert into ${table} (request_id, created_at, started_at, first_byte_at, call_type, key_id, api_key, team_id, user_id, organization_id,
    end_user, model, upstream_model, model_id, provider, stream, status, http_status, prompt_tokens, completion_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_estimated, spend, price_source, request_tags, requester_ip, attempts)
  select 'ledger-' || i, at, at - interval '900 milliseconds', at - interval '500 milliseconds', 'chat_completion', 'k' || k,
         'hash-of-ledger-' || k, 't' || k % 100, 'u' || k % 200, 'org-' || k % 10,
         case when i % 10 = 0 then 'customer-' || i % 1000 end, 'model-' || m, 'upstream-' || m, 'deployment-' || m,
         case when m < 5 then 'openai' else 'anthropic' end, i % 2 = 0, case when i % 100 = 0 then 'failure' else 'success' end,
         case when i % 100 = 0 then 500 else 200 end, 500 + i % 1000, 100 + i % 300, 0, 0, 0, false, 100000 + i % 1000000, 'catalogue',
         case when i % 5 = 0 then array['tag-' || i % 20, 'all'] else '{}' end, '127.0.0.1', 1
    from (select i, (i * 7919) % ${keys} as k, (i / 7) % 10 as m,
                 date_trunc('milliseconds', now() - interval '${days} days' + i * (interval '${days} days' / ${rows})) as at
            from generate_series($1::bigint, $2::bigint) i) as planned
   where at >= $3 and at < $4`;

const totals = [
  ['keys', 'id', 'key_id'],
  ['teams', 'id', 'team_id'],
  ['users', 'id', 'user_id'],
  ['organizations', 'id', 'organization_id'],
] as const;

const DAY_MS = 86_400_000;

function monthsOf(days: number): readonly (readonly [start: Date, end: Date])[] {
  const months: (readonly [Date, Date])[] = [];
  const now = new Date();
  for (let at = new Date(now.getTime() - days * DAY_MS); at <= now;) {
    const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
    at = new Date(Date.UTC(year, month + 1));
    months.push([new Date(Date.UTC(year, month)), at]);
  }
  return months;
}

/**
 * Fills the ledger as no API could: each month is written without indexes and gets them when it is attached. Nothing of
 * it is written ahead (unlogged): the benchmark's own database is thrown away.
 */
export async function seedLedger(pool: Pool, size: LedgerSize): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query(`set search_path to gatewayctl; set maintenance_work_mem = '512MB'; set work_mem = '256MB'`);
    for (const statement of owners) await client.query(statement);
    const from = Date.now() - size.days * DAY_MS;
    const numberAt = (at: Date) => Math.round(((at.getTime() - from) / (size.days * DAY_MS)) * size.rows);
    for (const [start, end] of monthsOf(size.days)) {
      const table = `spend_logs_${start.toISOString().slice(0, 7).replace('-', '_')}`;
      await client.query(`drop table if exists ${table};
        create unlogged table ${table} (like spend_logs including defaults including constraints)`);
      // A little beyond both ends: the month says itself what is in it.
      const ends = [Math.max(1, numberAt(start) - 1_000), Math.min(size.rows, numberAt(end) + 1_000)];
      await client.query(calls(table, size), [...ends, start, end]);
      await client.query(
        `alter table spend_logs attach partition ${table} for values from ('${start.toISOString()}') to ('${end.toISOString()}')`,
      );
    }
    await client.query(`with inserted as (select * from spend_logs where request_id like 'ledger-%'), ready as (select 1),
      ${addToAllDays('ready')} select 1`);
    for (const [table, id, column] of totals) {
      await client.query(`update ${table} set spend = summed.spend
        from (select ${column} as id, sum(spend) as spend from daily_spend group by 1) as summed where summed.id = ${table}.${id}`);
    }
    await client.query('vacuum analyze spend_logs, daily_spend, daily_customer_spend, daily_tag_spend');
  } finally {
    client.release();
  }
}
