import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { until } from '../support/gateway.ts';

const execute = promisify(execFile);

/** Where Debian and PostgreSQL's own packages put a version's programs. */
export function installedPostgres(major: number): string | undefined {
  return [`/usr/lib/postgresql/${major}/bin`, `/usr/pgsql-${major}/bin`].find((path) =>
    existsSync(join(path, 'initdb')),
  );
}

const idOf = async (flag: string) => Number((await execute('id', [flag, 'nobody'])).stdout);

/** PostgreSQL refuses to run as root; `nobody` is everywhere, and owns nothing else here. */
async function unprivileged(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  return { uid: await idOf('-u'), gid: await idOf('-g') };
}

/** A server of its own, with a password and a TCP port as an operator's has, on the loopback address only. */
export async function startPostgres(programs: string) {
  const user = await unprivileged();
  const home = await mkdtemp(join(tmpdir(), 'gatewayctl-postgres-'));
  await chmod(home, 0o711);
  const data = join(home, 'data');
  await mkdir(data, { mode: 0o700 });
  if (user) await chown(data, user.uid, user.gid);
  const options = { ...user, cwd: data, env: { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', TZ: 'UTC' } };
  await execute(
    join(programs, 'initdb'),
    ['-D', data, '-A', 'trust', '-U', 'gateway', '--no-sync', '-E', 'UTF8'],
    options,
  );

  const port = await freePort();
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', fsync: 'off' };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(join(programs, 'postgres'), ['-D', data, ...flags], { ...options, stdio: 'ignore' });
  const url = `postgresql://gateway@127.0.0.1:${port}/postgres`;
  await until(() => answers(url), 30_000);
  return {
    url,
    async [Symbol.asyncDispose]() {
      // Immediate: nobody will miss the data.
      if (server.exitCode === null) {
        server.kill('SIGQUIT');
        await once(server, 'exit');
      }
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}
