import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Whoever is at home in an organization is its member; users of before were not written down as such. */
export class Migration0009Owners extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    this.addSql(`insert into organization_members (organization_id, user_id, role, created_at)
      select organization_id, id, 'internal_user', created_at from users where organization_id is not null
      on conflict do nothing`);
  }
}
