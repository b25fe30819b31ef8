import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'pg';
import { generateSecret } from '../src/kernel/secret.ts';
import { aStateDir, type Daemon, startDaemon } from '../test/support/gateway.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { startRedis } from '../test/support/redis.ts';

/** Answers of different lengths: what a call costs is known only when it is there. */
export const models = ['bench-short', 'bench-middle', 'bench-long'] as const;

export const maxTokens = 100;

const answers = { 'bench-short': [10, 5], 'bench-middle': [40, 15], 'bench-long': [95, 30] } as const;

const config = JSON.stringify({
  model_list: models.map((name) => ({
    model_name: name,
    litellm_params: {
      model: `mock/${name}`,
      input_cost_per_token: 1e-6,
      output_cost_per_token: 2e-6,
      mock_prompt_tokens: 10,
      mock_completion_tokens: answers[name][0],
      mock_latency_ms: answers[name][1],
    },
  })),
});

export interface BudgetSite extends AsyncDisposable {
  readonly pool: Pool;
  /** Runs of scripts since Redis started; absent where there is none. */
  readonly redisScripts: (() => Promise<number>) | undefined;
  /** Those that run; one that was killed gives its place to the next on its state directory. */
  readonly daemons: Daemon[];
  post(path: string, body: object): Promise<Record<string, unknown>>;
  kill(index: number): Promise<void>;
  restart(index: number): Promise<void>;
}

/** Several daemons on one PostgreSQL, and on a Redis or on none. */
export async function startBudgetSite(
  count: number,
  { hasRedis }: { readonly hasRedis: boolean },
): Promise<BudgetSite> {
  await using opened = new AsyncDisposableStack();
  const aDirectory = async (): Promise<string> => {
    const path = await aStateDir();
    opened.defer(() => rm(path, { recursive: true, force: true }));
    return path;
  };
  const databaseDir = await aDirectory();
  const postgres = opened.use(
    await startPostgres(databaseDir, { shared_preload_libraries: 'pg_stat_statements', max_connections: '200' }),
  );
  const redis = hasRedis ? opened.use(await startRedis()) : undefined;
  const pool = new Pool({ connectionString: postgres.url, max: 2 });
  pool.on('error', () => undefined);
  opened.defer(() => pool.end());
  const path = join(databaseDir, 'config.json');
  await writeFile(path, config);
  const env = {
    GATEWAYCTL_MASTER_KEY: generateSecret('master'),
    GATEWAYCTL_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    ...(redis && { GATEWAYCTL_REDIS_URL: redis.url }),
  };
  const start = (stateDir: string) =>
    startDaemon({ stateDir, databaseUrl: postgres.url, args: ['--config', path], env });
  const daemons: Daemon[] = [];
  opened.defer(async () => void (await Promise.all(daemons.map((daemon) => daemon.stop()))));
  for (let index = 0; index < count; index++) daemons.push(await start(await aDirectory()));
  const at = (index: number): Daemon => {
    const daemon = daemons[index];
    if (!daemon) throw new Error('No such daemon');
    return daemon;
  };
  const kept = opened.move();
  return {
    pool,
    redisScripts:
      redis && (async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.ask('info commandstats'))?.[1] ?? 0)),
    daemons,
    async post(route, body) {
      const answer = await at(0).request('POST', route, { body });
      if (answer.status !== 200) throw new Error(`${route}: ${answer.status} ${answer.text}`);
      return answer.body;
    },
    async kill(index) {
      await at(index).stop('SIGKILL');
    },
    async restart(index) {
      daemons[index] = await start(at(index).stateDir);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
