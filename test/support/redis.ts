import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { accessSync, constants } from 'node:fs';

const program = ['redis-server', 'valkey-server']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, name)))
  .find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** For a test's options: why it is skipped where there is no Redis. On CI it is not skipped, and fails. */
export const skipWithoutRedis =
  program === undefined && process.env['CI'] !== 'true' ? 'needs redis-server or valkey-server on the PATH' : false;

/** A Redis of its own on a Unix socket, which can be stopped in its tracks and go on. */
export async function startRedis() {
  if (program === undefined) throw new Error('There is no redis-server or valkey-server on the PATH');
  const directory = await mkdtemp(join(tmpdir(), 'gatewayctl-redis-'));
  const port = await freePort();
  const begin = async () => {
    const child = spawn(program, ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    const isReady = Promise.withResolvers<void>();
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (/ready to accept connections/i.test(text)) isReady.resolve();
    });
    await Promise.race([isReady.promise, ended.then(() => Promise.reject(new Error('Redis did not start')))]);
    return { child, ended };
  };
  let { child, ended } = await begin();
  const kill = async () => {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await ended;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    /** Keeps its connections and answers nothing. */
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    kill,
    /** Again, on the same port and with nothing in it. */
    async start() {
      ({ child, ended } = await begin());
    },
    /** One command in Redis' inline form, and its answer. */
    async ask(command: string): Promise<string> {
      const client = connect(port, '127.0.0.1');
      client.end(`${command}\r\nquit\r\n`);
      let answer = '';
      for await (const chunk of client.setEncoding('utf8')) answer += chunk;
      return answer;
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
