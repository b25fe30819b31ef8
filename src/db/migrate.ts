import type { MikroORM } from '@mikro-orm/postgresql';
import { type Migration, Migrator } from '@mikro-orm/migrations';
import { Client, type Pool } from 'pg';
import { GatewayError } from '../kernel/errors.ts';
import { asDatabaseRefusal } from './errors.ts';
import { Migration0001Initial } from './migrations/0001-initial.ts';
import { Migration0002Management } from './migrations/0002-management.ts';
import { Migration0003Audit } from './migrations/0003-audit.ts';
import { Migration0004Idempotency } from './migrations/0004-idempotency.ts';
import { Migration0005Models } from './migrations/0005-models.ts';
import { Migration0006Keys } from './migrations/0006-keys.ts';
import { Migration0007Teams } from './migrations/0007-teams.ts';
import { Migration0008Users } from './migrations/0008-users.ts';
import { Migration0009Owners } from './migrations/0009-owners.ts';
import { Migration0010BudgetWindows } from './migrations/0010-budget-windows.ts';
import { Migration0011AuditScope } from './migrations/0011-audit-scope.ts';
import { Migration0012KeyMakers } from './migrations/0012-key-makers.ts';
import { Migration0013KeyNetworks } from './migrations/0013-key-networks.ts';
import { Migration0014Activity } from './migrations/0014-activity.ts';
import { Migration0015JwtKeyMappings } from './migrations/0015-jwt-key-mappings.ts';
import { Migration0019FormerMembers } from './migrations/0019-former-members.ts';
import { Migration0020PassThroughEndpoints } from './migrations/0020-pass-through-endpoints.ts';
import { Migration0022Attempts } from './migrations/0022-attempts.ts';
import { Migration0023Callbacks } from './migrations/0023-callbacks.ts';
import { Migration0024CacheHits } from './migrations/0024-cache-hits.ts';
import { Migration0025KeptObjects } from './migrations/0025-kept-objects.ts';
import { Migration0027BudgetLeases } from './migrations/0027-budget-leases.ts';
import { Migration0029Reports } from './migrations/0029-reports.ts';
import { Migration0030PriceVersions } from './migrations/0030-price-versions.ts';
import { Migration0031RateWindows } from './migrations/0031-rate-windows.ts';
import { Migration0032TemporaryBudgets } from './migrations/0032-temporary-budgets.ts';
import { Migration0033Alerts } from './migrations/0033-alerts.ts';
import { Migration0034Batches } from './migrations/0034-batches.ts';
import { Migration0035PassthroughRoutes } from './migrations/0035-passthrough-routes.ts';
import { Migration0040LeaseHalves } from './migrations/0040-lease-halves.ts';
import { Migration0041BudgetModels } from './migrations/0041-budget-models.ts';
import { SCHEMA } from './schema.ts';

type MigrationClass = new (...args: ConstructorParameters<typeof Migration>) => Migration;

/** Numbered, forward only. Expand in one release, contract in a later one: old daemons serve on while new ones start. */
const migrations: readonly { readonly name: string; readonly class: MigrationClass }[] = [
  { name: '0001-initial', class: Migration0001Initial },
  { name: '0002-management', class: Migration0002Management },
  { name: '0003-audit', class: Migration0003Audit },
  { name: '0004-idempotency', class: Migration0004Idempotency },
  { name: '0005-models', class: Migration0005Models },
  { name: '0006-keys', class: Migration0006Keys },
  { name: '0007-teams', class: Migration0007Teams },
  { name: '0008-users', class: Migration0008Users },
  { name: '0009-owners', class: Migration0009Owners },
  { name: '0010-budget-windows', class: Migration0010BudgetWindows },
  { name: '0011-audit-scope', class: Migration0011AuditScope },
  { name: '0012-key-makers', class: Migration0012KeyMakers },
  { name: '0013-key-networks', class: Migration0013KeyNetworks },
  { name: '0014-activity', class: Migration0014Activity },
  { name: '0015-jwt-key-mappings', class: Migration0015JwtKeyMappings },
  { name: '0019-former-members', class: Migration0019FormerMembers },
  { name: '0020-pass-through-endpoints', class: Migration0020PassThroughEndpoints },
  { name: '0022-attempts', class: Migration0022Attempts },
  { name: '0023-callbacks', class: Migration0023Callbacks },
  { name: '0024-cache-hits', class: Migration0024CacheHits },
  { name: '0025-kept-objects', class: Migration0025KeptObjects },
  { name: '0027-budget-leases', class: Migration0027BudgetLeases },
  { name: '0029-reports', class: Migration0029Reports },
  { name: '0030-price-versions', class: Migration0030PriceVersions },
  { name: '0031-rate-windows', class: Migration0031RateWindows },
  { name: '0032-temporary-budgets', class: Migration0032TemporaryBudgets },
  { name: '0033-alerts', class: Migration0033Alerts },
  { name: '0034-batches', class: Migration0034Batches },
  { name: '0035-passthrough-routes', class: Migration0035PassthroughRoutes },
  { name: '0040-lease-halves', class: Migration0040LeaseHalves },
  { name: '0041-budget-models', class: Migration0041BudgetModels },
];

export interface MigrationStatus {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  /** Applied by a newer gatewayctl: this one must not serve on such a schema. */
  readonly unknown: readonly string[];
}

export async function migrationStatus(pool: Pool): Promise<MigrationStatus> {
  const { rows: exists } = await pool.query<{ found: string | null }>(`select to_regclass($1) as found`, [
    `${SCHEMA}.migrations`,
  ]);
  const applied: string[] = [];
  if (exists[0]?.found) {
    const { rows } = await pool.query<{ name: string }>(`select name from ${SCHEMA}.migrations order by id`);
    applied.push(...rows.map(({ name }) => name));
  }
  const names = migrations.map(({ name }) => name);
  return {
    applied,
    pending: names.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !names.includes(name)),
  };
}

/** Refuses a schema that is not exactly the one this version knows. */
export function requireCurrent({ pending, unknown }: MigrationStatus): void {
  if (unknown.length > 0) throw unknownSchema(unknown);
  if (pending.length > 0) {
    throw new GatewayError('config', 'schema_outdated', `The database lacks ${pending.join(', ')}`, {
      hint: 'Run: gatewayctl migrate up',
    });
  }
}

const unknownSchema = (unknown: readonly string[]) =>
  new GatewayError(
    'config',
    'schema_unknown',
    `The database was migrated by a newer gatewayctl (${unknown.join(', ')})`,
    {
      hint: 'Install that version here; an older one could book or allow what the newer schema forbids.',
    },
  );

/** The SQL that `migrate up` would run. Nothing is changed. */
export function migrationPlan(orm: MikroORM, { pending }: MigrationStatus): string[] {
  return migrations
    .filter(({ name }) => pending.includes(name))
    .flatMap(({ class: Class }) => {
      const migration = new Class(orm.em.getDriver(), orm.config);
      void migration.up();
      return migration.getQueries().map(String);
    });
}

/**
 * Brings the schema up to date and says which migrations that took. All of them are one transaction, so a kill in the
 * middle leaves the schema as it was; a lock makes several daemons that start at once take turns.
 *
 * @throws GatewayError `limited` (exit 75) when another migration holds the lock for longer than `lockTimeoutMs`
 */
export async function migrate(orm: MikroORM, url: string, lockTimeoutMs = 60_000): Promise<readonly string[]> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    application_name: 'gatewayctl-migrate',
  });
  await client.connect();
  try {
    await client.query(`set lock_timeout = ${Math.trunc(lockTimeoutMs)}`);
    await client.query(`select pg_advisory_lock(hashtext('gatewayctl migrate'))`).catch((cause: unknown) => {
      throw new GatewayError('limited', 'migration_running', 'Another gatewayctl is migrating this database', {
        hint: 'Wait for it, then try again: gatewayctl migrate status',
        cause,
      });
    });
    orm.config.set('migrations', {
      ...orm.config.get('migrations'),
      tableName: 'migrations',
      schema: SCHEMA,
      migrationsList: [...migrations],
      snapshot: false,
      allOrNothing: true,
    });
    const done = await new Migrator(orm.em).up();
    return done.map(({ name }) => name);
  } catch (thrown) {
    throw asDatabaseRefusal(thrown);
  } finally {
    await client.end();
  }
}
