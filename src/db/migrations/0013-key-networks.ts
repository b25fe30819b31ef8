import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Where a key may be used from; empty is everywhere. */
export class Migration0013KeyNetworks extends Migration {
  override up(): void {
    this.addSql(`alter table ${SCHEMA}.keys add column allowed_ips text[] not null default '{}'`);
  }
}
