import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What is told of budgets, to whom, and whether it arrived; and of calls that were let through, what would have refused them. */
export class Migration0033Alerts extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of statements) this.addSql(statement);
  }
}

/** Who may have a budget, and the columns of their ids; as in 0010. */
const holders = [
  ['keys', 'key', 'id'],
  ['teams', 'team', 'id'],
  ['users', 'user', 'id'],
  ['organizations', 'organization', 'id'],
  ['team_members', 'member', 'team_id', 'user_id'],
  ['organization_members', 'organization_member', 'organization_id', 'user_id'],
  ['customers', 'customer', 'id'],
  ['tags', 'tag', 'name'],
] as const;

const literals = (values: readonly string[]) => values.map((value) => `'${value}'`).join(', ');

const idOf = (row: string) =>
  `concat_ws(chr(31), to_jsonb(${row}) ->> tg_argv[1], case when tg_nargs > 2 then to_jsonb(${row}) ->> tg_argv[2] end)`;

const statements = [
  `create table alerts (
    id text primary key,
    event text not null,
    percent integer not null,
    entity text not null,
    holder_id text not null,
    label text not null,
    model text not null,
    duration text not null,
    started_at timestamptz not null,
    ends_at timestamptz,
    mark bigint not null,
    spend bigint not null,
    max_budget bigint,
    soft_budget bigint,
    cause text not null,
    is_enforced boolean not null,
    created_at timestamptz not null default clock_timestamp(),
    rearmed_at timestamptz
  )`,
  // Once for each window and each amount of a budget, whichever daemon sees it first and however often it is seen.
  `create unique index alerts_once on alerts (entity, holder_id, model, duration, started_at, event, percent, mark)
    where rearmed_at is null`,
  'create index alerts_created_at on alerts (created_at, id)',
  `create table alert_deliveries (
    alert_id text not null references alerts (id) on delete cascade,
    webhook text not null,
    state text not null default 'pending',
    attempts integer not null default 0,
    due_at timestamptz not null default clock_timestamp(),
    claimed_by text,
    last_status integer,
    last_error text,
    ended_at timestamptz,
    primary key (alert_id, webhook)
  )`,
  `create index alert_deliveries_due on alert_deliveries (webhook, due_at) where state = 'pending'`,
  'create index alert_deliveries_state on alert_deliveries (state)',
  // What was spent is less than it was: what lies above it can be reached again.
  `create function rearm_alerts() returns trigger language plpgsql set search_path = ${SCHEMA} as $$
  begin
    update alerts set rearmed_at = clock_timestamp()
     where entity = tg_argv[0] and holder_id = ${idOf('new')} and model = '' and duration = '' and mark > new.spend
       and rearmed_at is null;
    return null;
  end $$`,
  `create function rearm_window_alerts() returns trigger language plpgsql set search_path = ${SCHEMA} as $$
  begin
    update alerts set rearmed_at = clock_timestamp()
     where (entity, holder_id, model, duration, started_at) = (new.entity, new.id, new.model, new.duration, new.started_at)
       and mark > new.spend and rearmed_at is null;
    return null;
  end $$`,
  // An id may be used again, by somebody of whom nothing was told yet.
  `create function retire_alerts() returns trigger language plpgsql set search_path = ${SCHEMA} as $$
  begin
    update alerts set rearmed_at = clock_timestamp()
     where entity = tg_argv[0] and holder_id = ${idOf('old')} and rearmed_at is null;
    return null;
  end $$`,
  ...holders.flatMap(([table, ...names]) => [
    `create trigger ${table}_alerts_rearmed after update of spend on ${table}
      for each row when (new.spend < old.spend) execute function rearm_alerts(${literals(names)})`,
    `create trigger ${table}_alerts_retired after delete on ${table}
      for each row execute function retire_alerts(${literals(names)})`,
  ]),
  `create trigger budget_windows_alerts_rearmed after update of spend on budget_windows
    for each row when (new.spend < old.spend and new.started_at = old.started_at) execute function rearm_window_alerts()`,
  'alter table spend_logs add column would_refuse text',
];
