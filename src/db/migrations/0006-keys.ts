import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

export class Migration0006Keys extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of [endedTokens, ...indexes]) this.addSql(statement);
  }
}

/**
 * The hash of every secret that once opened a key and was replaced or deleted. A caller who chooses a key's secret must
 * not choose one of these: whoever still holds it would be let in again.
 */
const endedTokens = `create table ended_tokens (
    token text primary key check (token ~ '^[0-9a-f]{64}$'),
    key_id text not null,
    ended_at timestamptz not null
  )`;

/**
 * A list of keys is sorted by one of these, and each is read in either direction: the second column follows the first.
 * What belongs to an owner is found and sorted by one index, however many keys the owner has.
 */
const indexes = [
  'create index keys_updated on keys (updated_at, id)',
  'create index keys_alias_order on keys (alias, id)',
  'create index keys_spend on keys (spend, id)',
  'create index keys_max_budget on keys (max_budget, id)',
  'create index keys_expiry on keys (expires_at, id)',
  'drop index keys_expires',
  'drop index idx_verification_token_team',
  'create index idx_verification_token_team on keys (team_id, created_at desc, id)',
  'create index keys_user_created on keys (user_id, created_at desc, id)',
  'create index keys_organization_created on keys (organization_id, created_at desc, id)',
  'drop index keys_user',
  'drop index keys_organization',
  'drop index keys_created_by',
  'create index keys_created_by on keys (created_by, created_at desc, id)',
  'create index keys_blocked on keys (created_at desc, id) where blocked',
  `create index keys_tags on keys using gin (tags) where tags <> '{}'`,
  // As for parts of addresses in 0001: without the extension the search reads the index of aliases.
  `do $$ begin
    create index keys_alias_part on keys using gin (alias public.gin_trgm_ops);
  exception when others then raise notice 'no index for parts of aliases: %', sqlerrm;
  end $$`,
];
