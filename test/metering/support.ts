import { rmSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type PoolConfig } from 'pg';
import { type BudgetLimit, type Principal, unlimited } from '../../src/access/principal.ts';
import { openOrm } from '../../src/db/orm.ts';
import { migrate } from '../../src/db/migrate.ts';
import type { CallStart } from '../../src/metering/call.ts';
import type { Log } from '../../src/metering/ledger.ts';
import { Metering, type MeteringOptions } from '../../src/metering/metering.ts';
import type { Usage } from '../../src/metering/usage.ts';
import type { Deployment } from '../../src/models/deployment.ts';
import { openCluster } from '../support/cluster.ts';

const directories: string[] = [];
process.once('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

export async function aDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'gatewayctl-metering-'));
  directories.push(directory);
  return directory;
}

/** A pool whose connections may be killed: what happens to an idle one is no affair of the test. */
export function aPool(url: string, options: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: url, max: 4, connectionTimeoutMillis: 1_000, ...options });
  pool.on('error', () => undefined);
  return pool;
}

/** A real PostgreSQL with our schema, one per test file. */
export async function aDatabase() {
  const stateDir = await aDirectory();
  // PostgreSQL runs as another user when the tests run as root.
  await chmod(stateDir, 0o711);
  const server = await openCluster(stateDir);
  const pool = aPool(server.url);
  const orm = await openOrm({ url: server.url, entities: [], poolSize: 1, applicationName: 'test' });
  await migrate(orm, server.url);
  await orm.close();
  return {
    url: server.url,
    pool,
    async [Symbol.asyncDispose]() {
      await pool.end();
      await server[Symbol.asyncDispose]();
    },
  };
}

export type Database = Awaited<ReturnType<typeof aDatabase>>;

let made = 0;
export const anId = (kind: string) => `${kind}-${process.pid}-${++made}`;

export function aPrincipal(given: Partial<Principal> & { max?: bigint | null } = {}): Principal {
  const keyId = given.keyId ?? anId('key');
  const { max = null, ...rest } = given;
  const budgets: BudgetLimit[] = [{ entity: 'key', id: keyId, label: keyId, max }];
  if (rest.teamId) budgets.push({ entity: 'team', id: rest.teamId, label: rest.teamId, max: null });
  if (rest.userId) budgets.push({ entity: 'user', id: rest.userId, label: rest.userId, max: null });
  return {
    ...unlimited,
    kind: 'key',
    keyId,
    hash: keyId,
    alias: null,
    userId: null,
    teamId: null,
    organizationId: null,
    role: 'internal_user',
    teamAlias: null,
    budgets,
    ...rest,
  };
}

/** Puts a principal's key, team, user and organization into the database. */
export async function enroll(pool: Pool, { keyId, teamId, userId, organizationId }: Principal): Promise<void> {
  const stamps = `now(), 'test', now(), 'test'`;
  const columns = 'created_at, created_by, updated_at, updated_by';
  const insert = (table: string, names: string, ...values: unknown[]) =>
    pool.query(
      `insert into gatewayctl.${table} (${names}, ${columns})
       values (${values.map((_, index) => `$${index + 1}`).join(', ')}, ${stamps}) on conflict do nothing`,
      values,
    );
  if (organizationId) await insert('organizations', 'id, alias', organizationId, organizationId);
  if (teamId) await insert('teams', 'id, alias', teamId, teamId);
  if (userId) await insert('users', 'id, alias', userId, userId);
  if (teamId && userId) {
    await pool.query(
      `insert into gatewayctl.team_members (team_id, user_id, role, created_at) values ($1, $2, 'user', now()) on conflict do nothing`,
      [teamId, userId],
    );
  }
  const token = Buffer.from(keyId).toString('hex').padEnd(64, '0').slice(-64);
  await insert('keys', 'id, token, name', keyId, token, keyId);
}

export const aDeployment = (given: Partial<Deployment> = {}): Deployment => ({
  id: 'deployment-1',
  name: 'mock',
  provider: 'mock',
  upstreamModel: 'mock',
  apiBase: undefined,
  apiKey: undefined,
  source: 'builtin',
  info: { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 },
  params: {},
  ...given,
});

const deployment = aDeployment();

export function aStart(given: Partial<CallStart> & { principal: Principal }): CallStart {
  return {
    requestId: anId('call'),
    deployment,
    model: 'mock',
    upstreamModel: 'mock',
    callType: 'chat_completion',
    stream: false,
    startedAt: new Date(),
    requesterIp: '127.0.0.1',
    promptTokens: 100,
    maxCompletionTokens: 100,
    charge: given.principal,
    ...given,
  };
}

export const aUsage = (given: Partial<Usage> = {}): Usage => ({
  promptTokens: 0,
  completionTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
  estimated: false,
  ...given,
});

export const success = (usage: Partial<Usage>) =>
  ({ status: 'success', httpStatus: 200, usage: aUsage(usage) }) as const;

export async function aMetering(pool: Pool, options: Partial<MeteringOptions> = {}) {
  const directory = await aDirectory();
  const messages: string[] = [];
  const log: Log = (level, message, fields) =>
    messages.push(`${level} ${message} ${fields?.['error'] instanceof Error ? fields['error'].message : ''}`);
  const metering = await Metering.open({
    journalPath: join(directory, 'spend.db'),
    pool,
    now: () => new Date(),
    log,
    ...options,
  });
  return { metering, messages, journalPath: join(directory, 'spend.db') };
}

/** Waits for something to become true. There is no sleeping in these tests for any other reason. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`It did not come about within ${withinMs} ms: ${String(holds)}`);
    await sleep(5);
  }
}
