import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What customers have spent is looked up call by call as well: in logs, simulations and when sums are verified. */
export class Migration0029Reports extends Migration {
  override up(): void {
    this.addSql(
      `create index spend_logs_customer on ${SCHEMA}.spend_logs (end_user, created_at) where end_user is not null`,
    );
  }
}
