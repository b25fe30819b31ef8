import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Whether a call was answered from the response cache; null for rows of daemons that had none. */
export class Migration0024CacheHits extends Migration {
  override up(): void {
    this.addSql(`alter table ${SCHEMA}.spend_logs add column cache_hit boolean`);
  }
}
