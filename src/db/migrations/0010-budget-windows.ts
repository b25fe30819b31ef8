import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What was spent in the present window of each budget that has one. Money is bigint nano-dollars, as in 0001. */
export class Migration0010BudgetWindows extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of statements) this.addSql(statement);
  }
}

/** Whose budgets may have windows, and the columns of their ids. */
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

/** A member's id is its owner's and its user's with a control character between them, which no id can hold. */
const idOf = (row: string) =>
  `concat_ws(chr(31), to_jsonb(${row}) ->> tg_argv[1], case when tg_nargs > 2 then to_jsonb(${row}) ->> tg_argv[2] end)`;

const statements = [
  // One row for each window there is, of which only the latest is kept: a window that is over limits nobody.
  `create table budget_windows (
    entity text not null,
    id text not null,
    model text not null,
    duration text not null,
    started_at timestamptz not null,
    spend bigint not null,
    primary key (entity, id, model, duration)
  )`,
  // Spending only ever grows, so whoever lowers it resets the budget: the present windows must not keep more.
  `create function lower_windows() returns trigger language plpgsql set search_path = ${SCHEMA} as $$
  begin
    update budget_windows set spend = new.spend
     where entity = tg_argv[0] and id = ${idOf('new')} and model = '' and spend > new.spend;
    return null;
  end $$`,
  // An id may be used again, by somebody who has spent nothing yet.
  `create function drop_windows() returns trigger language plpgsql set search_path = ${SCHEMA} as $$
  begin
    delete from budget_windows where entity = tg_argv[0] and id = ${idOf('old')};
    return null;
  end $$`,
  ...holders.flatMap(([table, ...names]) => [
    `create trigger ${table}_spend_lowered after update of spend on ${table}
      for each row when (new.spend < old.spend) execute function lower_windows(${literals(names)})`,
    `create trigger ${table}_windows_dropped after delete on ${table}
      for each row execute function drop_windows(${literals(names)})`,
  ]),
];
