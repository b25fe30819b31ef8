import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'pg';
import { openEmbedded } from '../../src/db/embedded.ts';
import { aStateDir, type Daemon, gatewayctl, startDaemon } from '../support/gateway.ts';
import { chaosConfig, Target } from './support.ts';
import { openCluster } from '../support/cluster.ts';

export type ChaosSite = Awaited<ReturnType<typeof startChaosSite>>;

export interface ChaosOptions {
  /** Whether PostgreSQL keeps what it has committed when it is killed itself, as it does for an operator. */
  readonly durable?: boolean;
}

/** A daemon that can be killed and started again, on a database that outlives it, and the target its clients follow. */
export async function startChaosSite(apiBase: string, { durable = false }: ChaosOptions = {}) {
  await using started = new AsyncDisposableStack();
  const stateDir = await aStateDir();
  started.defer(() => rm(stateDir, { recursive: true, force: true }));
  const file = join(stateDir, 'config.yaml');
  await writeFile(file, chaosConfig(apiBase));
  const database = started.use(await (durable ? openEmbedded({ stateDir }) : openCluster(stateDir)));
  const pool = new Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => undefined);
  started.defer(() => pool.end());

  const target = new Target();
  const start = async (): Promise<Daemon> => {
    const next = await startDaemon({ stateDir, args: ['--config', file] });
    target.isAt(next.url);
    return next;
  };
  let daemon = await start();
  started.defer(async () => void (await daemon.stop('SIGKILL')));

  const { out, err, exit } = await gatewayctl(`key generate --alias subject -q --state-dir ${stateDir}`);
  assert.equal(exit, 0, err);
  const kept = started.move();
  return {
    stateDir,
    pool,
    target,
    key: out.trim(),
    get daemon() {
      return daemon;
    },
    start: async () => void (daemon = await start()),
    /** Ends the daemon; whoever calls from now on waits for the next one. */
    async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
      target.isGone();
      return daemon.stop(signal);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
