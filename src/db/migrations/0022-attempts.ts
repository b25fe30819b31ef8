import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Which attempt of its client's call a row is of; null for rows of daemons that made one only. */
export class Migration0022Attempts extends Migration {
  override up(): void {
    this.addSql(`alter table ${SCHEMA}.spend_logs add column attempts integer`);
  }
}
