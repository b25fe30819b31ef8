import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Pool } from 'pg';
import { generateSecret } from '../src/kernel/secret.ts';
import { openCluster } from '../test/support/cluster.ts';
import { aStateDir, startDaemon } from '../test/support/gateway.ts';
import { startRedis } from '../test/support/redis.ts';
import { percentile } from './numbers.ts';

const { values: flags } = parseArgs({ options: { revocations: { type: 'string', default: '1000' } } });

const daemonCount = 4;
/** Calls a second on the key that is revoked, all daemons together. */
const callsPerSecond = 300;
const everyMs = (daemonCount * 1_000) / callsPerSecond;
/** A key that is refused so often in a row is refused for good. */
const refusalsInARow = 3;
const goalMs = 1_000;

type Daemon = Awaited<ReturnType<typeof startDaemon>>;

/** The ways a key is taken from somebody. A rotation without grace is one, too: it is the old secret that is meant. */
const ways = [
  ['delete', '/key/delete', (key: string) => ({ keys: [key] })],
  ['block', '/key/block', (key: string) => ({ key })],
  ['update', '/key/update', (key: string) => ({ key, models: ['no-default-models'] })],
  ['regenerate', '/key/regenerate', (key: string) => ({ key })],
] as const;

async function post(daemon: Daemon, path: string, body: object): Promise<{ readonly key: string }> {
  const answer = await daemon.request('POST', path, { body });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}

/** Calls with a key, as long as it is let in; when the last one that was let in came back. */
async function lastAnswer(daemon: Daemon, key: string, acknowledged: () => boolean): Promise<number> {
  let last = 0;
  for (let refusals = 0; refusals < refusalsInARow;) {
    const due = performance.now() + everyMs;
    const { status } = await daemon.chat(key, 'mock-gpt', { max_tokens: 1 });
    if (status >= 500) throw new Error(`A call was answered ${status}`);
    if (status < 300) last = performance.now();
    refusals = status < 300 || !acknowledged() ? 0 : refusals + 1;
    await wait(Math.max(0, due - performance.now()));
  }
  return last;
}

/** Milliseconds from the acknowledgement to the last answer that any daemon gave; 0 when none came after it. */
async function revoke(daemons: readonly Daemon[], index: number): Promise<number> {
  const [, path, body] = ways[index % ways.length] ?? ways[0];
  const through = daemons[index % daemons.length];
  if (!through) throw new Error('No daemon');
  const { key } = await post(through, '/key/generate', {});
  let acknowledgedAt = 0;
  const callers = daemons.map((daemon) => lastAnswer(daemon, key, () => acknowledgedAt > 0));
  // Until every daemon has let it in, and goes on doing so.
  await Promise.all(daemons.map((daemon) => daemon.chat(key, 'mock-gpt', { max_tokens: 1 })));
  await wait(2 * everyMs);
  await post(through, path, body(key));
  acknowledgedAt = performance.now();
  const last = Math.max(...(await Promise.all(callers)));
  return Math.max(0, last - acknowledgedAt);
}

/** Puts something wrong before a revocation, and returns what puts it right after it. */
type Fault = () => Promise<() => Promise<unknown>>;

async function series(daemons: readonly Daemon[], count: number, fault?: Fault): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const mend = await fault?.();
    times.push(await revoke(daemons, index));
    await mend?.();
  }
  return times.toSorted((one, other) => one - other);
}

const table = new Table({
  head: ['', 'revocations', 'p50 ms', 'p99 ms', 'max ms'],
  style: { head: [], border: [] },
});
let worst = 0;
function report(name: string, times: readonly number[]): void {
  const max = times.at(-1) ?? 0;
  worst = Math.max(worst, max);
  const shown = [percentile(times, 0.5), percentile(times, 0.99), max].map((each) => each.toFixed(1));
  table.push([name, String(times.length), ...shown]);
}

await using opened = new AsyncDisposableStack();
const stateDir = await aStateDir();
opened.defer(() => rm(stateDir, { recursive: true, force: true }));
const database = opened.use(await openCluster(stateDir));
const redis = opened.use(await startRedis());
const directory = await mkdtemp(join(tmpdir(), 'gatewayctl-bench-'));
opened.defer(() => rm(directory, { recursive: true, force: true }));
const config = join(directory, 'config.yaml');
await writeFile(
  config,
  'gatewayctl: {}\nmodel_list:\n  - model_name: mock-gpt\n    litellm_params: { model: mock/gpt, mock_prompt_tokens: 1, mock_completion_tokens: 1 }\n',
);
const shared = {
  GATEWAYCTL_MASTER_KEY: generateSecret('master'),
  GATEWAYCTL_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  GATEWAYCTL_REDIS_URL: redis.url,
  // Nothing but being told may empty a cache.
  GATEWAYCTL_AUTH_CACHE_TTL: '300s',
};
const daemons: Daemon[] = [];
for (let index = 0; index < daemonCount; index++) {
  const place = await aStateDir();
  opened.defer(() => rm(place, { recursive: true, force: true }));
  daemons.push(
    opened.use(
      await startDaemon({ stateDir: place, databaseUrl: database.url, args: ['--config', config], env: shared }),
    ),
  );
}
const pool = new Pool({ connectionString: database.url, max: 2 });
opened.defer(() => pool.end());

const count = Number(flags.revocations);
await series(daemons, 40);
report('all is well', await series(daemons, count));
const listening = `from pg_stat_activity where application_name = 'gatewayctl-listen'`;
const cut: Fault = async () => {
  await pool.query(`select pg_terminate_backend(pid) ${listening}`);
  return async () => undefined;
};
/** The connections stay, and nothing comes: each daemon hears it from Redis, or gives its connection up after a while. */
const halfOpen: Fault = async () => {
  const { rows } = await pool.query<{ pid: number }>(`select pid ${listening}`);
  for (const { pid } of rows) process.kill(pid, 'SIGSTOP');
  return async () => {
    for (const { pid } of rows) process.kill(pid, 'SIGCONT');
    // Those that were given up end, and each daemon has one again.
    for (let left = 0; left !== daemonCount; await wait(20)) {
      left = (await pool.query(`select 1 ${listening}`)).rows.length;
    }
    await wait(300);
  };
};
const fewer = Math.ceil(count / 5);
report('every notification connection cut', await series(daemons, fewer, cut));
report('every notification connection half-open', await series(daemons, fewer, halfOpen));
redis.pause();
report('Redis stopped', await series(daemons, fewer));
report('Redis stopped, every notification connection half-open', await series(daemons, Math.ceil(fewer / 4), halfOpen));
redis.resume();
process.stdout.write(`${table.toString()}\nGoal: at most ${goalMs} ms from the acknowledgement to the last answer.\n`);
process.exitCode = worst <= goalMs ? 0 : 1;
