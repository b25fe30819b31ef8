import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Where teams and keys have their calls reported, each variable sealed for itself; and what was asked and answered, sealed too. */
export class Migration0023Callbacks extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    this.addSql(`create table owner_callbacks (
      id text primary key,
      team_id text references teams on delete cascade,
      key_id text references keys on delete cascade,
      callback_name text not null,
      callback_type text not null check (callback_type in ('success', 'failure', 'success_and_failure')),
      callback_vars jsonb not null,
      turn_off_message_logging boolean,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null,
      updated_by text not null,
      unique (team_id, callback_name),
      unique (key_id, callback_name),
      check (num_nonnulls(team_id, key_id) = 1))`);
    this.addSql(`create table logging_disabled (
      id text primary key,
      team_id text unique references teams on delete cascade,
      key_id text unique references keys on delete cascade,
      created_at timestamptz not null,
      created_by text not null,
      check (num_nonnulls(team_id, key_id) = 1))`);
    // No partitions: rows are few days old, and go in small portions.
    this.addSql(`create table spend_log_bodies (
      request_id text primary key,
      created_at timestamptz not null,
      key_id text,
      team_id text,
      request text,
      response text,
      redacted_at timestamptz,
      redacted_by text)`);
    this.addSql(`create index spend_log_bodies_created on spend_log_bodies (created_at)`);
  }
}
