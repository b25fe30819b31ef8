import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { throwaway } from '../../src/db/embedded.ts';
import { codeOf } from '../../src/db/embedded-failure.ts';
import { placeIn } from '../../src/db/embedded-place.ts';
import { launch, livingPostmaster, stop } from '../../src/db/embedded-process.ts';
import { settle } from '../../src/db/embedded-user.ts';
import { usablePrograms } from '../../src/db/postgres-programs.ts';
import { openCluster } from './cluster.ts';

/** @throws where PostgreSQL does not run there, or has only begun to start */
export async function postmasterPid(stateDir: string): Promise<number> {
  return Number.parseInt(await readFile(join(stateDir, 'postgres/data/postmaster.pid'), 'utf8'), 10);
}

/**
 * A PostgreSQL that nobody starts again by themselves, so that a test can do to it whatever happens to servers.
 *
 * @param settings beyond those of a throwaway server
 */
export async function startPostgres(stateDir: string, settings: Readonly<Record<string, string>> = {}) {
  // Makes the cluster where it is not copied, and ends the server.
  await (await openCluster(stateDir))[Symbol.asyncDispose]();
  const place = placeIn(stateDir);
  const user = await settle(place);
  const programs = await usablePrograms({ place, user });
  const url = place.url('gatewayctl');

  async function query(text: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Returns when it lets clients in. */
  async function start(): Promise<void> {
    const deadline = performance.now() + 30_000;
    let server = await launch({ place, user, programs, extra: { ...throwaway, ...settings } });
    for (;;) {
      const failure = await query('select 1').then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) return;
      if (performance.now() > deadline) throw new Error(`PostgreSQL did not start: ${await server.output()}`);
      await wait(10);
      // The children of one that was killed keep the next from starting until they have ended.
      if (server.hasExited) server = await launch({ place, user, programs, extra: { ...throwaway, ...settings } });
    }
  }

  /** The postmaster and all that it has forked: stopping it alone leaves backends that go on answering. */
  async function signal(name: NodeJS.Signals): Promise<void> {
    const postmaster = await livingPostmaster(place);
    if (postmaster === undefined) return;
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
    const children = stdout
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([pid, parent]) => (parent === postmaster && pid !== undefined ? [pid] : []));
    for (const pid of [postmaster, ...children]) {
      try {
        process.kill(pid, name);
      } catch (error) {
        // A backend whose client has just left ends by itself.
        if (codeOf(error) !== 'ESRCH') throw error;
      }
    }
  }

  /** As another program that opens too many; those of gatewayctl are ended until it has none. */
  async function takeEveryConnection(): Promise<AsyncDisposable> {
    const held: Client[] = [];
    const takeOne = async (): Promise<boolean> => {
      const client = new Client({ connectionString: url, application_name: 'others' });
      client.on('error', () => undefined);
      const isTaken = await client.connect().then(
        () => true,
        () => false,
      );
      if (isTaken) held.push(client);
      return isTaken;
    };
    await takeOne();
    const [{ max_connections: all } = {}] = await query('show max_connections');
    const deadline = performance.now() + 10_000;
    // Counted by those that are held: one that is just being let in has no name yet.
    while (held.length < Number(all)) {
      if (performance.now() > deadline) throw new Error(`Only ${held.length} of ${String(all)} connections were free`);
      await held[0]?.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'gatewayctl%'`,
      );
      while (await takeOne());
    }
    return {
      async [Symbol.asyncDispose]() {
        await Promise.all(held.splice(0).map((client) => client.end()));
      },
    };
  }

  await start();
  return {
    url,
    takeEveryConnection,
    socketDirectory: join(stateDir, 'postgres'),
    query,
    start,
    /** As an administrator stops it: clients are sent away. */
    stop: () => stop(place),
    kill: () => signal('SIGKILL'),
    /** Keeps its connections and answers nothing. */
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async [Symbol.asyncDispose]() {
      try {
        await signal('SIGCONT');
      } finally {
        await stop(place);
      }
    },
  };
}
