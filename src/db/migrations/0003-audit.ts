import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** The audit log becomes a set of hash chains, and can only be added to. Rows from before have no place in a chain. */
export class Migration0003Audit extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of [...columns, ...chains, ...appendOnly]) this.addSql(statement);
  }
}

const columns = [
  `alter table audit_log
    add column request_id text,
    add column client text,
    add column key_id text,
    add column chain smallint,
    add column seq bigint,
    add column hash bytea`,
  'create unique index audit_log_chain on audit_log (key_id, chain, seq)',
  'create index audit_log_action on audit_log (action, at)',
  'create index audit_log_via on audit_log (via, at)',
];

const chains = [
  // What chains are made with, as the vault seals it.
  `create table audit_keys (
    id text primary key,
    sealed text not null,
    created_at timestamptz not null
  )`,
  // A head is updated with every row: pages with room keep its old versions from touching the index.
  `create table audit_heads (
    key_id text not null,
    chain smallint not null,
    seq bigint not null,
    hash bytea not null,
    mac bytea not null,
    primary key (key_id, chain)
  ) with (fillfactor = 20)`,
];

/** Statement triggers, because a row trigger does not see a TRUNCATE, nor a DELETE that meets no row. */
const appendOnly = [
  `create function refuse_audit_change() returns trigger language plpgsql as $$ begin
    raise exception '% on %.% is refused: the audit log can only be added to', tg_op, tg_table_schema, tg_table_name
      using errcode = 'insufficient_privilege',
            hint = 'What has happened stays in it. See docs/security.md.';
  end $$`,
  `create trigger audit_log_append_only before update or delete or truncate on audit_log
    for each statement execute function refuse_audit_change()`,
  `create trigger audit_keys_append_only before delete or truncate on audit_keys
    for each statement execute function refuse_audit_change()`,
  `create trigger audit_heads_append_only before delete or truncate on audit_heads
    for each statement execute function refuse_audit_change()`,
];
