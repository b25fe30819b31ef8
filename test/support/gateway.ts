import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Pool } from 'pg';
import { openCluster } from './cluster.ts';
import { cleanEnv, type CommandWorld, gatewayctl, type Outcome, words } from './command-line.ts';
import { type Served, serveHere } from './serve-here.ts';

export { cleanEnv, type CommandWorld, gatewayctl, type Outcome, words } from './command-line.ts';

export const bin = fileURLToPath(new URL('../../bin/gatewayctl.js', import.meta.url));

/** The ways a command can reach the gateway. */
export const ways = ['server', 'socket', 'database-url', 'embedded'] as const;
export type Way = (typeof ways)[number];

/** A directory that an embedded PostgreSQL can use, also when the tests run as root. */
export async function aStateDir(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'gatewayctl-'));
  await chmod(path, 0o711);
  return path;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; whatever it is, the test says what it expects. */
  // oxlint-disable-next-line typescript/no-explicit-any -- see above
  readonly body: any;
}

export interface DaemonOptions {
  readonly stateDir: string;
  readonly databaseUrl?: string | undefined;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export type Daemon = Awaited<ReturnType<typeof startDaemon>>;

const flagsOf = ({ stateDir, args = [] }: DaemonOptions): string[] =>
  ['--port', '0', '--state-dir', stateDir, '--log-format', 'json'].concat(args);

const variablesOf = ({ databaseUrl, env }: DaemonOptions): Record<string, string> => ({
  ...(databaseUrl !== undefined && { GATEWAYCTL_DATABASE_URL: databaseUrl }),
  ...env,
});

/** `gatewayctl serve` as a process of its own, on a port of its own. */
export async function startDaemon(options: DaemonOptions) {
  const child = spawn(process.execPath, [bin, 'serve', ...flagsOf(options)], {
    env: cleanEnv(variablesOf(options)),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  const printed: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  const start = awaitStart(log);
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line);
    start.read(line);
  });
  child.on('exit', start.end);
  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    }
    return child.exitCode;
  }
  return aDaemon(options, await start.url, { child, log, printed, stop });
}

/** The same in the process of the test, for daemons that nobody looks at from outside. See `serveHere`. */
export async function startDaemonHere(options: DaemonOptions): Promise<Daemon> {
  const log: string[] = [];
  const start = awaitStart(log);
  const served = serveHere(flagsOf(options), variablesOf(options), (line) => {
    log.push(line);
    start.read(line);
  });
  void served.ended.then(start.end, start.fail);
  return aDaemon(options, await start.url, served);
}

/** The url that a daemon says it listens on. */
function awaitStart(log: readonly string[]) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const deadline = setTimeout(() => reject(new Error(`The daemon does not listen:\n${log.join('\n')}`)), 30_000);
  return {
    url: promise.finally(() => clearTimeout(deadline)),
    read(line: string): void {
      const url = /listens on (http:\/\/[^\s"]+)/.exec(line)?.[1];
      if (url) resolve(url);
    },
    end: (status: number | null) => reject(new Error(`The daemon ended with ${status}:\n${log.join('\n')}`)),
    fail: reject,
  };
}

async function aDaemon({ stateDir, env = {} }: DaemonOptions, url: string, served: Served) {
  const masterKey = env['GATEWAYCTL_MASTER_KEY'] ?? (await readFile(join(stateDir, 'master-key'), 'utf8')).trim();

  async function request(
    method: string,
    path: string,
    options: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const { key = masterKey, body, headers = {} } = options;
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(key !== '' && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: asJson(text) };
  }

  return {
    url,
    masterKey,
    stateDir,
    /** Of a daemon with a process of its own. */
    get child() {
      return served.child;
    },
    log: served.log,
    /** What it wrote to standard output, where nothing belongs. */
    printed: served.printed,
    request,
    chat: (key: string, model: string, more: object = {}) =>
      request('POST', '/v1/chat/completions', {
        key,
        body: { model, messages: [{ role: 'user', content: 'hello there' }], ...more },
      }),
    stop: (signal?: NodeJS.Signals) => served.stop(signal),
    async [Symbol.asyncDispose]() {
      await served.stop();
    },
  };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export type Gateway = Awaited<ReturnType<typeof startGateway>>;

export interface GatewayOptions extends Pick<DaemonOptions, 'args' | 'env'> {
  /** For a test that looks at the process of the daemon, sends it signals, or gives variables to Node itself. */
  readonly ownProcess?: boolean;
}

/** A database and a daemon of their own, and a command line that reaches them in every way. */
export async function startGateway({ ownProcess = false, ...options }: GatewayOptions = {}) {
  // A gateway that fails to start must take its database with it: a held connection would keep the test file running.
  await using opened = new AsyncDisposableStack();
  const stateDir = await aStateDir();
  opened.defer(() => rm(stateDir, { recursive: true, force: true }));
  const server = opened.use(await openCluster(stateDir));
  const pool = new Pool({ connectionString: server.url, max: 4 });
  pool.on('error', () => undefined);
  opened.defer(() => pool.end());
  const daemon = opened.use(await (ownProcess ? startDaemon : startDaemonHere)({ stateDir, ...options }));

  // As an operator has it: with a password, and therefore in a file.
  const urlFile = join(stateDir, 'database-url');
  await writeFile(urlFile, `${server.url.replace('gatewayctl@', 'gatewayctl:a-password@')}\n`, { mode: 0o600 });

  /** What tells a command which way to go. */
  const toward = (way: Way): { flags: string[]; env: Record<string, string> } => {
    if (way === 'server') return { flags: ['--server', daemon.url], env: { GATEWAYCTL_KEY: daemon.masterKey } };
    if (way === 'socket') return { flags: ['--state-dir', stateDir], env: {} };
    const encryption = { GATEWAYCTL_ENCRYPTION_KEY_FILE: join(stateDir, 'encryption-key') };
    if (way === 'database-url') return { flags: ['--database-url', `@${urlFile}`], env: encryption };
    return { flags: ['--direct', '--state-dir', stateDir], env: {} };
  };

  const kept = opened.move();
  return {
    daemon,
    stateDir,
    databaseUrl: server.url,
    pool,
    request: daemon.request,
    chat: daemon.chat,
    /** Calls until the answer has a status: a change in direct mode reaches the daemon a moment after the command. */
    async chatUntil(status: number, key: string, model = 'mock-gpt'): Promise<Answer> {
      let answer = await daemon.chat(key, model);
      await until(async () => {
        if (answer.status !== status) answer = await daemon.chat(key, model);
        return answer.status === status;
      }, 5_000);
      return answer;
    },
    gatewayctl(line: string | readonly string[], way: Way = 'server', world: CommandWorld = {}): Promise<Outcome> {
      const { flags, env } = toward(way);
      return gatewayctl([...(typeof line === 'string' ? words(line) : line), ...flags], {
        ...world,
        env: { ...env, ...world.env },
      });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Waits for something to become true. There is no other waiting in these tests. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`It did not come about within ${withinMs} ms: ${String(holds)}`);
    await wait(5);
  }
}
