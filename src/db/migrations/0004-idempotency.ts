import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Answers kept for callers that send a change again. No row holds the Idempotency-Key, without which none can be read. */
export class Migration0004Idempotency extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    this.addSql(`create table idempotency_keys (
      id text primary key check (id ~ '^[0-9a-f]{64}$'),
      salt text not null,
      fingerprint text not null,
      answer text,
      created_at timestamptz not null,
      expires_at timestamptz not null
    )`);
    this.addSql('create index idempotency_keys_expires on idempotency_keys (expires_at)');
  }
}
