import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/**
 * Whose administrators read an entry of the audit log. An entry of before keeps to the administrators of the gateway: it
 * cannot be changed, and what its object belonged to then is not known.
 */
export class Migration0011AuditScope extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    this.addSql('alter table audit_log add column organization_ids text[]');
    this.addSql(`create index audit_log_organizations on audit_log using gin (organization_ids)
      where organization_ids is not null`);
  }
}
