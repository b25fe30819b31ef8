import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

export class Migration0008Users extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of indexes) this.addSql(statement);
  }
}

const indexes = [
  // What an administrator of an organization reads of the ledger.
  'create index spend_logs_organization on spend_logs (organization_id, created_at)',
  'create index daily_spend_organization on daily_spend (organization_id, date)',
  // A list of users is sorted by one of these, and each is read in either direction.
  'create index users_email_order on users (email, id)',
  'create index users_alias_order on users (alias, id)',
  'create index users_spend_order on users (spend, id)',
  'drop index users_role',
  'create index users_role on users (role, id)',
];
