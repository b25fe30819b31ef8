import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import type { Watched } from '../metering/budget-watch.ts';
import type { AlertWebhook } from './alert-settings.ts';
import type { Reached } from './marks.ts';

/** Something to be told of one budget. */
export interface Crossing {
  readonly watched: Watched;
  readonly reached: Reached;
  /** Whether calls are refused for it. */
  readonly isEnforced: boolean;
}

const insert = `
  with given as (
    select * from json_to_recordset($1::json) as given (
      id text, event text, percent integer, entity text, holder_id text, label text, model text, duration text,
      started_at timestamptz, ends_at timestamptz, mark bigint, spend bigint, max_budget bigint, soft_budget bigint,
      cause text, is_enforced boolean)
  ), noted as (
    insert into ${SCHEMA}.alerts (id, event, percent, entity, holder_id, label, model, duration, started_at, ends_at, mark,
      spend, max_budget, soft_budget, cause, is_enforced)
    select id, event, percent, entity, holder_id, label, model, duration, started_at, ends_at, mark, spend, max_budget,
      soft_budget, cause, is_enforced
      from given order by entity, holder_id, model, duration, started_at, event, percent, mark
    on conflict do nothing
    returning id, event
  )
  insert into ${SCHEMA}.alert_deliveries (alert_id, webhook)
  select noted.id, webhook.name from noted
    join json_to_recordset($2::json) as webhook (name text, events json) on webhook.events::jsonb ? noted.event`;

/**
 * Notes what is to be told, for each webhook that wants it. What was noted before is passed over, whoever noted it: the
 * index of the table says what is the same. In the order of that index, so that two who note at once do not wait for
 * each other in a circle.
 *
 * @returns how many deliveries there are to make
 */
export async function noteAlerts(
  client: pg.ClientBase | pg.Pool,
  crossings: readonly Crossing[],
  webhooks: readonly Pick<AlertWebhook, 'name' | 'events'>[],
): Promise<number> {
  const rows = crossings.map(({ watched: { counter, limit, max, spent }, reached, isEnforced }) => ({
    id: `alert_${randomUUID()}`,
    event: reached.event,
    percent: reached.percent,
    entity: counter.entity,
    holder_id: counter.id,
    label: limit.label,
    model: counter.model,
    duration: counter.duration,
    started_at: new Date(counter.startMs),
    ends_at: Number.isFinite(counter.endMs) ? new Date(counter.endMs) : null,
    mark: String(reached.mark),
    spend: String(spent),
    max_budget: max === null ? null : String(max),
    soft_budget: limit.soft === undefined ? null : String(limit.soft),
    cause: reached.cause,
    is_enforced: isEnforced,
  }));
  const wanted = webhooks.map(({ name, events }) => ({ name, events }));
  const { rowCount } = await client.query(insert, [JSON.stringify(rows), JSON.stringify(wanted)]);
  return rowCount ?? 0;
}

/** An alert that is to be delivered, with the names that whoever gets it knows its holder by. Amounts are nano-dollars. */
export interface DueAlert {
  readonly alert_id: string;
  readonly webhook: string;
  readonly attempts: number;
  readonly event: string;
  readonly percent: number;
  readonly entity: string;
  readonly holder_id: string;
  readonly label: string;
  readonly model: string;
  readonly duration: string;
  readonly started_ms: number;
  readonly ends_ms: number | null;
  readonly spend: string;
  readonly max_budget: string | null;
  readonly soft_budget: string | null;
  readonly cause: string;
  readonly is_enforced: boolean;
  readonly created_ms: number;
  readonly token: string | null;
  readonly key_alias: string | null;
  readonly team_id: string | null;
  readonly team_alias: string | null;
  readonly user_id: string | null;
  readonly user_email: string | null;
  readonly organization_id: string | null;
}

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;
const part = (number: number) => `split_part(a.holder_id, chr(31), ${number})`;

const claim = `
  with due as (
    select alert_id, webhook from ${SCHEMA}.alert_deliveries
     where state = 'pending' and due_at <= clock_timestamp() and webhook = $1
     order by due_at limit $4 for update skip locked
  ), claimed as (
    update ${SCHEMA}.alert_deliveries d
       set claimed_by = $2, attempts = d.attempts + 1, due_at = clock_timestamp() + $3 * interval '1 ms'
      from due where (d.alert_id, d.webhook) = (due.alert_id, due.webhook)
    returning d.alert_id, d.webhook, d.attempts
  )
  select c.alert_id, c.webhook, c.attempts, a.event, a.percent, a.entity, a.holder_id, a.label, a.model, a.duration,
         ${ms('a.started_at')} as started_ms, ${ms('a.ends_at')} as ends_ms, a.spend, a.max_budget, a.soft_budget, a.cause,
         a.is_enforced, ${ms('a.created_at')} as created_ms, k.token, k.alias as key_alias,
         coalesce(k.team_id, t.id) as team_id, t.alias as team_alias,
         coalesce(k.user_id, u.id) as user_id, u.email as user_email,
         coalesce(k.organization_id, t.organization_id,
           case a.entity when 'organization' then a.holder_id when 'organization_member' then ${part(1)} end) as organization_id
    from claimed c join ${SCHEMA}.alerts a on a.id = c.alert_id
    left join ${SCHEMA}.keys k on a.entity = 'key' and k.id = a.holder_id
    left join ${SCHEMA}.teams t
      on t.id = case a.entity when 'team' then a.holder_id when 'member' then ${part(1)} else k.team_id end
    left join ${SCHEMA}.users u
      on u.id = case a.entity when 'user' then a.holder_id when 'member' then ${part(2)}
                              when 'organization_member' then ${part(2)} else k.user_id end
   order by a.created_at`;

export interface Claim {
  readonly webhook: string;
  readonly daemon: string;
  /** For so long nobody else takes them. */
  readonly holdMs: number;
  readonly most: number;
}

/** Takes deliveries that are due, for this daemon alone until their hold is over. */
export async function claimDue(pool: pg.Pool, { webhook, daemon, holdMs, most }: Claim): Promise<DueAlert[]> {
  const { rows } = await pool.query<DueAlert>(claim, [webhook, daemon, holdMs, most]);
  return rows;
}

/** What a daemon had taken when it died is due again. */
export async function releaseClaims(pool: pg.Pool, daemon: string, webhook: string): Promise<void> {
  await pool.query(
    `update ${SCHEMA}.alert_deliveries set due_at = clock_timestamp(), claimed_by = null
      where state = 'pending' and claimed_by = $1 and webhook = $2`,
    [daemon, webhook],
  );
}

export interface Delivered {
  readonly alertId: string;
  readonly webhook: string;
  readonly state: 'pending' | 'sent' | 'failed';
  readonly status: number | undefined;
  readonly error: string | undefined;
  /** Until the next attempt of what is still pending. */
  readonly againInMs?: number;
}

export async function noteDelivery(
  pool: pg.Pool,
  { alertId, webhook, state, status, error, againInMs = 0 }: Delivered,
): Promise<void> {
  await pool.query(
    `update ${SCHEMA}.alert_deliveries
        set state = $3, last_status = $4, last_error = $5, claimed_by = null,
            due_at = clock_timestamp() + $6 * interval '1 ms',
            ended_at = case when $3 <> 'pending' then clock_timestamp() end
      where alert_id = $1 and webhook = $2 and state = 'pending'`,
    [alertId, webhook, state, status ?? null, error ?? null, againInMs],
  );
}

/** When the next delivery is due, in milliseconds from now; undefined when nothing waits. */
export async function nextDue(pool: pg.Pool, webhook: string): Promise<number | undefined> {
  const { rows } = await pool.query<{ in_ms: number | null }>(
    `select (extract(epoch from min(due_at) - clock_timestamp()) * 1000)::float8 as in_ms
       from ${SCHEMA}.alert_deliveries where state = 'pending' and webhook = $1`,
    [webhook],
  );
  return rows[0]?.in_ms ?? undefined;
}

const keptDays = 30;

/**
 * Gives up what is pending for longer than `giveUpMs`, also for webhooks that are configured nowhere any more, and drops
 * alerts that nobody asks for: an alert of a window that is not over says that it was given.
 */
export async function clearAlerts(pool: pg.Pool, giveUpMs: number): Promise<number> {
  const { rowCount } = await pool.query(
    `update ${SCHEMA}.alert_deliveries d
        set state = 'failed', ended_at = clock_timestamp(), last_error = coalesce(last_error, 'nobody could deliver it')
       from ${SCHEMA}.alerts a
      where a.id = d.alert_id and d.state = 'pending' and d.due_at <= clock_timestamp()
        and a.created_at < clock_timestamp() - $1 * interval '1 ms'`,
    [giveUpMs + 3_600_000],
  );
  await pool.query(
    `delete from ${SCHEMA}.alerts where id in (
       select id from ${SCHEMA}.alerts
        where created_at < clock_timestamp() - interval '${keptDays} days' and (rearmed_at is not null or ends_at < clock_timestamp())
        order by created_at limit 1000)`,
  );
  return rowCount ?? 0;
}
