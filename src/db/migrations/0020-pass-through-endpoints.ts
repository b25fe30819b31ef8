import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Operators' own ways through, the values of their headers sealed one by one. */
export class Migration0020PassThroughEndpoints extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    this.addSql(`create table pass_through_endpoints (
      id text primary key,
      path text not null unique,
      target text not null,
      headers jsonb not null,
      default_query_params jsonb not null,
      forward_headers jsonb not null,
      include_subpath boolean not null,
      methods text[] not null,
      cost_per_request float8,
      timeout float8,
      allow_private_network boolean not null,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null,
      updated_by text not null)`);
  }
}
