import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Which virtual key a claim of a token stands for. Without a key there is no mapping: it goes with it. */
export class Migration0015JwtKeyMappings extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    this.addSql(`create table jwt_key_mappings (
      id text primary key,
      claim_name text not null,
      claim_value text not null,
      issuer text,
      key_id text not null references keys (id) on delete cascade,
      description text,
      is_active boolean not null default true,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null,
      updated_by text not null)`);
    this.addSql(`create unique index jwt_key_mappings_claim
      on jwt_key_mappings (claim_name, claim_value, coalesce(issuer, ''))`);
    this.addSql('create index jwt_key_mappings_key on jwt_key_mappings (key_id)');
    this.addSql('create index jwt_key_mappings_order on jwt_key_mappings (created_at, id)');
  }
}
