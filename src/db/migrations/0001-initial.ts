import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Money is bigint nano-dollars throughout. Ids are opaque text; `gen` grows with every change that matters to access. */
export class Migration0001Initial extends Migration {
  override up(): void {
    this.addSql(`create schema if not exists ${SCHEMA}`);
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of [...objects, ...indexes, ...ledger]) this.addSql(statement);
  }
}

const stamps = `
  created_at timestamptz not null,
  created_by text not null,
  updated_at timestamptz not null,
  updated_by text not null`;

const objects = [
  `create table organizations (
    id text primary key,
    alias text not null unique,
    models text[] not null default '{}',
    metadata jsonb not null default '{}',
    max_budget bigint check (max_budget >= 0),
    spend bigint not null default 0,
    ${stamps}
  )`,
  `create table budgets (
    id text primary key,
    max_budget bigint check (max_budget >= 0),
    soft_budget bigint check (soft_budget >= 0),
    budget_duration text,
    ${stamps}
  )`,
  `create table teams (
    id text primary key,
    alias text unique,
    organization_id text references organizations,
    models text[] not null default '{}',
    metadata jsonb not null default '{}',
    max_budget bigint check (max_budget >= 0),
    spend bigint not null default 0,
    blocked boolean not null default false,
    gen bigint not null default 1,
    ${stamps}
  )`,
  `create table users (
    id text primary key,
    alias text,
    email text,
    role text not null default 'internal_user',
    organization_id text references organizations,
    models text[] not null default '{}',
    metadata jsonb not null default '{}',
    max_budget bigint check (max_budget >= 0),
    spend bigint not null default 0,
    gen bigint not null default 1,
    ${stamps}
  )`,
  `create table team_members (
    team_id text not null references teams on delete cascade,
    user_id text not null references users on delete cascade,
    role text not null check (role in ('admin', 'user')),
    max_budget bigint check (max_budget >= 0),
    spend bigint not null default 0,
    created_at timestamptz not null,
    primary key (team_id, user_id)
  )`,
  // `token` is LiteLLM's name for the SHA-256 of the secret; its rows can be taken over as they are.
  `create table keys (
    id text primary key,
    token text not null unique check (token ~ '^[0-9a-f]{64}$'),
    name text not null,
    alias text unique,
    team_id text references teams,
    user_id text references users,
    organization_id text references organizations,
    models text[] not null default '{}',
    metadata jsonb not null default '{}',
    max_budget bigint check (max_budget >= 0),
    spend bigint not null default 0,
    blocked boolean not null default false,
    expires_at timestamptz,
    rotation_count integer not null default 0,
    gen bigint not null default 1,
    ${stamps}
  )`,
  // The secret before the last rotation, for as long as it was given.
  `create table retired_tokens (
    token text primary key check (token ~ '^[0-9a-f]{64}$'),
    key_id text not null references keys on delete cascade,
    expires_at timestamptz not null
  )`,
  `create table models (
    id text primary key,
    name text not null,
    params jsonb not null,
    api_key text,
    info jsonb not null default '{}',
    ${stamps}
  )`,
  `create table credentials (
    id text primary key,
    name text not null unique,
    credential_values text not null,
    info jsonb not null default '{}',
    ${stamps}
  )`,
  `create table audit_log (
    id text primary key,
    at timestamptz not null,
    actor text not null,
    via text not null,
    changed_by text,
    action text not null,
    object_type text not null,
    object_id text not null,
    before jsonb,
    after jsonb
  )`,
];

/** A list may be filtered by each of these, so each has an index; the first two names are the ones operators know. */
const indexes = [
  'create index idx_verification_token_team on keys (team_id)',
  'create index idx_user_table_org on users (organization_id)',
  'create index keys_user on keys (user_id)',
  'create index keys_organization on keys (organization_id)',
  'create index keys_created on keys (created_at desc, id)',
  'create index keys_expires on keys (expires_at) where expires_at is not null',
  'create index retired_tokens_key on retired_tokens (key_id)',
  'create index teams_organization on teams (organization_id)',
  'create index teams_created on teams (created_at desc, id)',
  'create unique index users_email on users (lower(email))',
  // A part of an address is found by trigrams. They come with PostgreSQL, in a package that some installations leave out
  // and some owners may not add: there the search reads the table, and everything else is as fast.
  `do $$ begin
    create extension if not exists pg_trgm schema public;
    create index users_email_part on users using gin (lower(email) public.gin_trgm_ops);
  exception when others then raise notice 'no index for parts of addresses: %', sqlerrm;
  end $$`,
  'create index users_role on users (role)',
  'create index users_created on users (created_at desc, id)',
  'create index team_members_user on team_members (user_id)',
  'create index models_name on models (name)',
  'create index audit_log_object on audit_log (object_type, object_id, at)',
  'create index audit_log_at on audit_log (at)',
  'create index audit_log_actor on audit_log (actor, at)',
];

/**
 * `created_at` is when a call was booked. It is fixed in the journal, so that a row that is sent twice meets itself:
 * a partitioned table can only be unique together with its partition key.
 */
const ledger = [
  `create table spend_logs (
    request_id text not null,
    created_at timestamptz not null,
    started_at timestamptz not null,
    first_byte_at timestamptz,
    call_type text not null,
    key_id text not null,
    api_key text not null,
    team_id text,
    user_id text,
    organization_id text,
    end_user text,
    model text not null,
    upstream_model text not null,
    model_id text not null,
    provider text not null,
    stream boolean not null,
    status text not null check (status in ('success', 'interrupted', 'failure')),
    http_status integer not null,
    error text,
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    cache_read_tokens bigint not null,
    cache_write_tokens bigint not null,
    reasoning_tokens bigint not null,
    usage_estimated boolean not null,
    spend bigint not null,
    price_source text not null,
    request_tags text[] not null default '{}',
    requester_ip text,
    primary key (request_id, created_at)
  ) partition by range (created_at)`,
  'create index idx_spend_logs_date_model on spend_logs (created_at, model)',
  'create index spend_logs_key on spend_logs (key_id, created_at)',
  'create index spend_logs_api_key on spend_logs (api_key, created_at)',
  'create index spend_logs_team on spend_logs (team_id, created_at)',
  'create index spend_logs_user on spend_logs (user_id, created_at)',
  `create table daily_spend (
    date date not null,
    key_id text not null,
    team_id text not null,
    user_id text not null,
    organization_id text not null,
    model text not null,
    provider text not null,
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    cache_read_tokens bigint not null,
    cache_write_tokens bigint not null,
    spend bigint not null,
    requests bigint not null,
    failed_requests bigint not null,
    primary key (date, key_id, team_id, user_id, organization_id, model, provider)
  )`,
  'create index daily_spend_team on daily_spend (team_id, date)',
  'create index daily_spend_user on daily_spend (user_id, date)',
  'create index daily_spend_key on daily_spend (key_id, date)',
  'create index daily_spend_model on daily_spend (model, date)',
];
