import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/**
 * Batches whose calls are still to be paid for: each is booked at its worst case until its output says what it cost.
 * `batch_size` is what the calls in an input file can use at most.
 */
export class Migration0034Batches extends Migration {
  override up(): void {
    this.addSql(`alter table ${SCHEMA}.kept_objects add column batch_size jsonb`);
    this.addSql(`create table ${SCHEMA}.batches (
      id text primary key,
      request_id text not null,
      deployment_id text not null,
      upstream_id text not null,
      upstream_model text not null,
      lines bigint not null,
      state text not null default 'open' check (state in ('open', 'booked', 'given_up')),
      looks integer not null default 0,
      next_look_at timestamptz not null,
      created_at timestamptz not null)`);
    this.addSql(`create index batches_due on ${SCHEMA}.batches (next_look_at) where state = 'open'`);
  }
}
