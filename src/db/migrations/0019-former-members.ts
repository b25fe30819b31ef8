import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What whoever left a team had there: with its limits and what it has spent it comes back, and not as somebody new. */
export class Migration0019FormerMembers extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of statements) this.addSql(statement);
  }
}

const isOld = 'team_id = old.team_id and user_id = old.user_id';

const statements = [
  `create table former_members (
    team_id text not null references teams on delete cascade,
    user_id text not null references users on delete cascade,
    budget_id text references budgets on delete set null,
    max_budget bigint,
    budget_duration text,
    tpm_limit bigint,
    rpm_limit bigint,
    spend bigint not null,
    primary key (team_id, user_id)
  )`,
  'create index former_members_user on former_members (user_id)',
  'create index former_members_budget on former_members (budget_id) where budget_id is not null',
  // The windows of a member stay for as long as it is known, be it as a former one.
  `create function drop_member_windows() returns trigger language plpgsql set search_path = ${SCHEMA} as $$
  begin
    if not exists (select 1 from team_members where ${isOld})
       and not exists (select 1 from former_members where ${isOld}) then
      delete from budget_windows where entity = 'member' and id = concat_ws(chr(31), old.team_id, old.user_id);
    end if;
    return null;
  end $$`,
  'drop trigger team_members_windows_dropped on team_members',
  ...['team_members', 'former_members'].map(
    (table) => `create trigger ${table}_windows_dropped after delete on ${table}
      for each row execute function drop_member_windows()`,
  ),
];
