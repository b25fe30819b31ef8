import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Which pass-through routes a key, and the keys of a team, may call; empty is all of them. */
export class Migration0035PassthroughRoutes extends Migration {
  override up(): void {
    for (const table of ['keys', 'teams']) {
      this.addSql(`alter table ${SCHEMA}.${table} add column allowed_passthrough_routes text[] not null default '{}'`);
    }
  }
}
