import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Pool } from 'pg';
import { generateSecret, hashSecret } from '../src/kernel/secret.ts';
import { aStateDir, type Daemon, startDaemon } from '../test/support/gateway.ts';
import { startRelay } from '../test/support/postgres-relay.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { startRedis } from '../test/support/redis.ts';
import { configFor, startUpstream } from './servers.ts';

export type Postgres = Awaited<ReturnType<typeof startPostgres>>;
export type Redis = Awaited<ReturnType<typeof startRedis>>;
export type Relay = Awaited<ReturnType<typeof startRelay>>;

export interface FaultSite extends AsyncDisposable {
  readonly postgres: Postgres;
  readonly redis: Redis;
  /** One before each daemon. */
  readonly relays: readonly Relay[];
  readonly daemons: readonly Daemon[];
  /** Ends one of them, and starts it again where it was. @returns its exit status, null when a signal ended it */
  restart(index: number, signal: NodeJS.Signals): Promise<number | null>;
  /** Past the relays, for whoever looks at the database. */
  readonly pool: Pool;
  /** Virtual keys with a budget, each in a team with one and of a user. */
  readonly keys: readonly string[];
}

const mostStarts = 10;

/** A daemon that does not end when it is asked is ended: the benchmark leaves nobody behind. */
const patienceMs = 20_000;

/** Several daemons on one PostgreSQL and one Redis, all of which can be stopped, killed, frozen and cut off. */
export async function startFaultSite(daemonCount: number, keyCount: number): Promise<FaultSite> {
  await using opened = new AsyncDisposableStack();
  const aDirectory = async (): Promise<string> => {
    const path = await aStateDir();
    opened.defer(() => rm(path, { recursive: true, force: true }));
    return path;
  };
  const databaseDir = await aDirectory();
  const upstream = opened.use(await startUpstream());
  // What it has said it has committed must survive its being killed: without fsync it does, the machine lives on.
  const postgres = opened.use(await startPostgres(databaseDir, { synchronous_commit: 'on', full_page_writes: 'on' }));
  const redis = opened.use(await startRedis());
  const pool = new Pool({ connectionString: postgres.url, max: 2, connectionTimeoutMillis: 5_000 });
  pool.on('error', () => undefined);
  opened.defer(() => pool.end());

  const config = join(databaseDir, 'config.yaml');
  await writeFile(config, configFor(upstream));
  const env = {
    GATEWAYCTL_MASTER_KEY: generateSecret('master'),
    GATEWAYCTL_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    GATEWAYCTL_REDIS_URL: redis.url,
  };
  const relays: Relay[] = [];
  const daemons: Daemon[] = [];
  const start = (stateDir: string, databaseUrl: string, port = 0): Promise<Daemon> =>
    startDaemon({ stateDir, databaseUrl, args: ['--config', config, '--port', String(port)], env });
  for (let index = 0; index < daemonCount; index++) {
    const stateDir = await aDirectory();
    const relay = opened.use(await startRelay(postgres.url));
    daemons.push(await start(stateDir, relay.url));
    opened.defer(() => end(daemons[index]));
    relays.push(relay);
  }
  async function restart(index: number, signal: NodeJS.Signals): Promise<number | null> {
    const [daemon, relay] = [daemons[index], relays[index]];
    if (!daemon || !relay) throw new Error('No daemon');
    const status = await daemon.stop(signal);
    const again = () => start(daemon.stateDir, relay.url, Number(new URL(daemon.url).port));
    // A daemon does not start without its database: as systemd does, it is started again.
    for (let attempt = 1; attempt < mostStarts; attempt++) {
      const started = await again().catch(() => wait(500));
      if (!started) continue;
      daemons[index] = started;
      return status;
    }
    daemons[index] = await again();
    return status;
  }
  const keys = await makeKeys(daemons, keyCount);
  const kept = opened.move();
  return { postgres, redis, relays, daemons, restart, pool, keys, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function end(daemon: Daemon | undefined): Promise<void> {
  if (!daemon) return;
  const patience = setTimeout(() => daemon.child.kill('SIGKILL'), patienceMs);
  await daemon.stop().finally(() => clearTimeout(patience));
}

const teamCount = 4;

async function makeKeys([daemon]: readonly Daemon[], count: number): Promise<string[]> {
  if (!daemon) throw new Error('No daemon');
  const post = async (path: string, body: object): Promise<{ readonly key: string }> => {
    const answer = await daemon.request('POST', path, { body });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  const budget = { max_budget: 1_000_000 };
  await post('/user/new', { user_id: 'caller' });
  for (let team = 0; team < teamCount; team++) {
    await post('/team/new', { team_id: `team-${team}`, ...budget });
    await post('/team/member_add', { team_id: `team-${team}`, member: { role: 'user', user_id: 'caller' } });
  }
  const keys: string[] = [];
  for (let index = 0; index < count; index++) {
    const owner = { team_id: `team-${index % teamCount}`, user_id: 'caller' };
    keys.push((await post('/key/generate', { ...owner, ...budget })).key);
  }
  return keys;
}

/** Keys that are in the database, and that no daemon has met or heard of. */
export async function unseenKeys(pool: Pool, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, () => generateSecret('virtual'));
  await insertKeys(pool, keys);
  return keys;
}

/** Past the gateway, so that nothing is announced. */
export async function insertKeys(pool: Pool, keys: readonly string[]): Promise<void> {
  await pool.query(
    `insert into gatewayctl.keys (id, token, name, created_at, created_by, updated_at, updated_by)
     select token, token, 'x', now(), 'bench', now(), 'bench' from unnest($1::text[]) token`,
    [keys.map(hashSecret)],
  );
}

/** @returns milliseconds until it held */
export async function until(holds: () => Promise<boolean>, withinMs: number, what: string): Promise<number> {
  const start = performance.now();
  while (!(await holds())) {
    if (performance.now() - start > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
    await wait(10);
  }
  return performance.now() - start;
}
