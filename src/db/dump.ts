import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type pg from 'pg';
import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { SCHEMA } from './schema.ts';

/** Every table, owners before what they own, so that a restore meets no missing reference. */
export const dumpedTables = [
  'budgets',
  'organizations',
  'teams',
  'users',
  'team_members',
  'former_members',
  'organization_members',
  'invitations',
  'customers',
  'tags',
  'keys',
  'retired_tokens',
  'ended_tokens',
  'deleted_keys',
  'deleted_teams',
  'credentials',
  'models',
  'pass_through_endpoints',
  'jwt_key_mappings',
  'kept_objects',
  'batches',
  'owner_callbacks',
  'logging_disabled',
  'audit_keys',
  'audit_log',
  'audit_heads',
  'spend_logs',
  'daily_spend',
  'daily_customer_spend',
  'daily_tag_spend',
  'budget_windows',
  'alerts',
  'alert_deliveries',
] as const;

/**
 * Left out: what running daemons hold of budgets and limits; answers that are kept for a day for whoever asks again, and what was asked and answered in calls, which is to
 * be gone when it is due and not to last in backups.
 */
export const notDumped = [
  'idempotency_keys',
  'spend_log_bodies',
  'budget_leases',
  'lease_holders',
  'rate_windows',
] as const;

const rowsAtOnce = 500;

const Header = z.object({
  format: z.literal('gatewayctl-dump'),
  version: z.literal(1),
  migrations: z.array(z.string()),
});
const Section = z.object({ table: z.enum(dumpedTables) });

/**
 * The whole gateway as lines of JSON: a header, then for each table its name and its rows. PostgreSQL itself makes the
 * JSON, so that amounts keep every digit, and one snapshot is read, so that a running daemon does no harm.
 *
 * A format of our own because pg_dump comes with no npm package, and refuses a server newer than itself.
 */
export async function* dump(pool: pg.Pool, migrations: readonly string[]): AsyncGenerator<string> {
  const client = await pool.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    yield toLine({ format: 'gatewayctl-dump', version: 1, migrations });
    for (const table of dumpedTables) {
      yield toLine({ table });
      await client.query(
        `declare dump no scroll cursor for select row_to_json(t)::text as row from ${SCHEMA}.${table} t`,
      );
      for (;;) {
        const { rows } = await client.query<{ row: string }>(`fetch ${rowsAtOnce} from dump`);
        if (rows.length === 0) break;
        yield rows.map(({ row }) => `${row}\n`).join('');
      }
      await client.query('close dump');
    }
  } finally {
    // Nothing was written, so this ends a dump that went well and one that did not.
    await client.query('rollback').catch(() => {});
    client.release();
  }
}

const toLine = (value: object): string => `${JSON.stringify(value)}\n`;

export interface RestoreOptions {
  readonly pool: pg.Pool;
  /** What this database has applied: the dump must have been made on the same. */
  readonly migrations: readonly string[];
  /** Makes the tables that hold a month of spend logs. */
  readonly createMonths: (months: readonly Date[]) => Promise<unknown>;
}

/** Fills an empty gateway from a dump, whole or not at all. */
export async function restore(source: Readable, { pool, migrations, createMonths }: RestoreOptions): Promise<number> {
  const client = await pool.connect();
  let table: (typeof dumpedTables)[number] | undefined;
  let batch: string[] = [];
  let count = 0;
  const flush = async () => {
    if (batch.length === 0 || !table) return;
    if (table === 'spend_logs') await createMonths(monthsOf(batch));
    await client.query(
      `insert into ${SCHEMA}.${table} select * from jsonb_populate_recordset(null::${SCHEMA}.${table}, $1::jsonb)`,
      [`[${batch.join(',')}]`],
    );
    count += batch.length;
    batch = [];
  };
  try {
    await client.query('begin');
    await requireEmpty(client);
    let isHeader = true;
    for await (const text of createInterface({ input: source, crlfDelay: Infinity })) {
      if (isHeader) {
        requireSame(text, migrations);
        isHeader = false;
        continue;
      }
      const section = text.startsWith('{"table":') ? Section.safeParse(JSON.parse(text)) : undefined;
      if (section?.success) {
        await flush();
        table = section.data.table;
      } else {
        batch.push(text);
        if (batch.length >= rowsAtOnce) await flush();
      }
    }
    await flush();
    if (isHeader) throw notADump();
    await client.query('commit');
    return count;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}

/**
 * Reads a dump as a restore would, and writes nothing.
 *
 * @param pool of the database it would go to; undefined for one that has no tables yet
 */
export async function rehearse(
  source: Readable,
  { pool, migrations }: { readonly pool: pg.Pool | undefined; readonly migrations: readonly string[] },
): Promise<number> {
  if (pool) await requireEmpty(pool);
  let count = 0;
  let isHeader = true;
  for await (const text of createInterface({ input: source, crlfDelay: Infinity })) {
    if (isHeader) requireSame(text, migrations);
    else if (parse(text) === undefined) throw notADump();
    else if (!text.startsWith('{"table":')) count++;
    isHeader = false;
  }
  if (isHeader) throw notADump();
  return count;
}

function monthsOf(lines: readonly string[]): Date[] {
  const months = new Set(lines.flatMap((row) => /"created_at":"(\d{4}-\d{2})/.exec(row)?.[1] ?? []));
  return [...months].map((month) => new Date(`${month}-01T00:00:00Z`));
}

async function requireEmpty(client: Pick<pg.ClientBase, 'query'> | pg.Pool): Promise<void> {
  for (const table of dumpedTables) {
    const { rowCount } = await client.query(`select 1 from ${SCHEMA}.${table} limit 1`);
    if (!rowCount) continue;
    throw new GatewayError('conflict', 'database_not_empty', `The database is not empty: ${table} has rows`, {
      hint: 'Restore into a new state directory (--state-dir DIR) or an empty database.',
    });
  }
}

function requireSame(text: string, migrations: readonly string[]): void {
  const header = Header.safeParse(parse(text));
  if (!header.success) throw notADump();
  if (header.data.migrations.join() === migrations.join()) return;
  throw new GatewayError('conflict', 'schema_differs', 'The dump was made on another database schema', {
    hint: `The dump has ${header.data.migrations.join(', ')}; this gatewayctl has ${migrations.join(', ')}. Use the version it was made with.`,
  });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const notADump = () => new GatewayError('invalid', 'not_a_dump', 'That is not a dump of gatewayctl');
