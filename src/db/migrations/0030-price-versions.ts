import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/**
 * What a call was priced by, and what it takes to price it anew: null for rows of daemons that did not keep it, and where
 * there is nothing to say. `usage_details` has the parts of the usage that have no column.
 */
export class Migration0030PriceVersions extends Migration {
  override up(): void {
    this.addSql(
      `alter table ${SCHEMA}.spend_logs add column price_version text, add column service_tier text, add column usage_details jsonb`,
    );
  }
}
