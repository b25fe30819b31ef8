import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** The limits, owners and records of the management plane. Money is bigint nano-dollars, as in 0001. */
export class Migration0002Management extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of [...limits, ...holders, ...owners, ...records, ...indexes]) this.addSql(statement);
  }
}

/** What every holder of a budget can be limited by; a null is no limit. Limits by model are JSON, model to number. */
const limitColumns = `
    add column soft_budget bigint check (soft_budget >= 0),
    add column budget_duration text,
    add column tpm_limit bigint check (tpm_limit >= 0),
    add column rpm_limit bigint check (rpm_limit >= 0),
    add column max_parallel_requests integer check (max_parallel_requests >= 0),
    add column model_max_budget jsonb not null default '{}',
    add column model_rpm_limit jsonb not null default '{}',
    add column model_tpm_limit jsonb not null default '{}'`;

const stamps = `
    created_at timestamptz not null,
    created_by text not null,
    updated_at timestamptz not null,
    updated_by text not null`;

const limits = [
  `alter table budgets
    add column tpm_limit bigint check (tpm_limit >= 0),
    add column rpm_limit bigint check (rpm_limit >= 0),
    add column max_parallel_requests integer check (max_parallel_requests >= 0),
    add column model_max_budget jsonb not null default '{}',
    add column gen bigint not null default 1`,
  ...['keys', 'teams', 'users', 'organizations'].map((table) => `alter table ${table} ${limitColumns}`),
];

const holders = [
  `alter table keys
    add column budget_id text references budgets,
    add column budget_limits jsonb not null default '[]',
    add column rpm_limit_type text,
    add column tpm_limit_type text,
    add column tags text[] not null default '{}',
    add column permissions jsonb not null default '{}',
    add column aliases jsonb not null default '{}',
    add column allowed_routes text[] not null default '{}',
    add column enforced_params text[] not null default '{}',
    add column is_service_account boolean not null default false,
    add column auto_rotate boolean not null default false,
    add column rotation_interval text,
    add column last_rotation_at timestamptz,
    add column key_rotation_at timestamptz`,
  `alter table teams
    add column aliases jsonb not null default '{}',
    add column tags text[] not null default '{}',
    add column budget_limits jsonb not null default '[]',
    add column rpm_limit_type text,
    add column tpm_limit_type text,
    add column member_permissions text[] not null default '{}',
    add column member_max_budget bigint check (member_max_budget >= 0),
    add column member_budget_duration text,
    add column member_tpm_limit bigint check (member_tpm_limit >= 0),
    add column member_rpm_limit bigint check (member_rpm_limit >= 0),
    add column member_key_duration text`,
  `alter table users
    add column budget_id text references budgets,
    add column blocked boolean not null default false,
    add column sso_user_id text unique`,
  `alter table organizations
    add column budget_id text references budgets,
    add column blocked boolean not null default false,
    add column gen bigint not null default 1`,
  `alter table team_members
    add column budget_id text references budgets,
    add column budget_duration text,
    add column tpm_limit bigint check (tpm_limit >= 0),
    add column rpm_limit bigint check (rpm_limit >= 0),
    add column max_parallel_requests integer check (max_parallel_requests >= 0)`,
];

const owners = [
  `create table organization_members (
    organization_id text not null references organizations on delete cascade,
    user_id text not null references users on delete cascade,
    role text not null check (role in ('org_admin', 'internal_user', 'internal_user_viewer')),
    budget_id text references budgets,
    max_budget bigint check (max_budget >= 0),
    budget_duration text,
    spend bigint not null default 0,
    created_at timestamptz not null,
    primary key (organization_id, user_id)
  )`,
  // LiteLLM's end users: whoever the client names in the field `user` of a request.
  `create table customers (
    id text primary key,
    alias text,
    blocked boolean not null default false,
    allowed_model_region text check (allowed_model_region in ('eu', 'us')),
    default_model text,
    budget_id text references budgets,
    max_budget bigint check (max_budget >= 0),
    spend bigint not null default 0,
    gen bigint not null default 1,
    ${stamps}
  )`,
  `alter table customers ${limitColumns}`,
  `create table tags (
    name text primary key,
    description text,
    models text[] not null default '{}',
    budget_id text references budgets,
    max_budget bigint check (max_budget >= 0),
    spend bigint not null default 0,
    gen bigint not null default 1,
    ${stamps}
  )`,
  `alter table tags ${limitColumns}`,
  `create table invitations (
    id text primary key,
    user_id text not null references users on delete cascade,
    is_accepted boolean not null default false,
    accepted_at timestamptz,
    expires_at timestamptz not null,
    ${stamps}
  )`,
];

/** What was deleted, by whom and when. `record` is the object as administrators saw it last. */
const deletion = `
    record jsonb not null,
    deleted_at timestamptz not null,
    deleted_by text not null,
    deleted_by_api_key text,
    litellm_changed_by text`;

const records = [
  `create table deleted_keys (
    id text primary key,
    token text not null,
    alias text,
    team_id text,
    user_id text,
    organization_id text,
    created_at timestamptz not null,
    ${deletion}
  )`,
  `create table deleted_teams (
    id text not null,
    alias text,
    organization_id text,
    created_at timestamptz not null,
    ${deletion},
    primary key (id, deleted_at)
  )`,
];

const indexes = [
  'create index keys_budget on keys (budget_id) where budget_id is not null',
  'create index keys_created_by on keys (created_by)',
  'create index keys_rotation on keys (key_rotation_at) where auto_rotate',
  'create index users_budget on users (budget_id) where budget_id is not null',
  'create index organizations_budget on organizations (budget_id) where budget_id is not null',
  'create index organizations_created on organizations (created_at desc, id)',
  'create index organization_members_user on organization_members (user_id)',
  'create index organization_members_budget on organization_members (budget_id) where budget_id is not null',
  'create index team_members_budget on team_members (budget_id) where budget_id is not null',
  'create index customers_budget on customers (budget_id) where budget_id is not null',
  'create index customers_created on customers (created_at desc, id)',
  'create index tags_budget on tags (budget_id) where budget_id is not null',
  'create index tags_created on tags (created_at desc, name)',
  'create index budgets_created on budgets (created_at desc, id)',
  'create index invitations_user on invitations (user_id)',
  'create index deleted_keys_token on deleted_keys (token)',
  'create index deleted_keys_at on deleted_keys (deleted_at desc, id)',
  'create index deleted_keys_team on deleted_keys (team_id, deleted_at desc)',
  'create index deleted_keys_user on deleted_keys (user_id, deleted_at desc)',
  'create index deleted_keys_organization on deleted_keys (organization_id, deleted_at desc)',
  'create index deleted_keys_alias on deleted_keys (alias)',
  'create index deleted_teams_at on deleted_teams (deleted_at desc, id)',
];
