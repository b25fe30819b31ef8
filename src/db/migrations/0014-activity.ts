import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What customers spend, and what is spent under tags, added up by day as `daily_spend` is. Money is bigint nano-dollars. */
export class Migration0014Activity extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of statements) this.addSql(statement);
  }
}

const sums = `
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    cache_read_tokens bigint not null,
    cache_write_tokens bigint not null,
    spend bigint not null,
    requests bigint not null,
    failed_requests bigint not null`;

const daily = (table: string, label: string) => [
  `create table ${table} (
    date date not null,
    ${label} text not null,
    key_id text not null,
    user_id text not null,
    model text not null,
    provider text not null,
    ${sums},
    primary key (date, ${label}, key_id, user_id, model, provider)
  )`,
  `create index ${table}_${label} on ${table} (${label}, date)`,
  `create index ${table}_key on ${table} (key_id, date)`,
];

/** What the ledger still has of calls before; a call with several tags counts under each of them, once. */
const fill = (table: string, from: string, label: string) =>
  `insert into ${table}
   select (created_at at time zone 'utc')::date, ${label}, key_id, coalesce(user_id, ''), model, provider,
          sum(prompt_tokens), sum(completion_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(spend),
          count(*), count(*) filter (where status = 'failure')
     from ${from} group by 1, 2, 3, 4, 5, 6`;

const tagged = `(select distinct on (request_id, created_at, tag) spend_logs.*, tag
                   from spend_logs cross join lateral unnest(request_tags) as tag) as tagged`;

const statements = [
  ...daily('daily_customer_spend', 'customer_id'),
  ...daily('daily_tag_spend', 'tag'),
  fill('daily_customer_spend', `spend_logs where end_user is not null`, 'end_user'),
  fill('daily_tag_spend', tagged, 'tag'),
];
