import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Whose keys were made by somebody else is told by the index alone: of 100,000 none is looked up in the table. */
export class Migration0012KeyMakers extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    this.addSql('drop index keys_created_by');
    this.addSql('create index keys_created_by on keys (created_by, created_at desc, id) include (user_id)');
  }
}
