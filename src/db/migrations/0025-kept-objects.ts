import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Files and batches that upstreams keep, as they were last seen, so that their owners can list them. */
export class Migration0025KeptObjects extends Migration {
  override up(): void {
    this.addSql(`create table ${SCHEMA}.kept_objects (
      id text primary key,
      owner text not null,
      kind text not null,
      object jsonb not null,
      created_at timestamptz not null)`);
    this.addSql(`create index kept_objects_by_owner on ${SCHEMA}.kept_objects (owner, kind, created_at, id)`);
  }
}
