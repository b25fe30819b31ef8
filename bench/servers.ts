import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Pool } from 'pg';
import { openEmbedded } from '../src/db/embedded.ts';
import type { Cores } from './cores.ts';
import { model, translatedModel, translatedUpstreamModel, upstreamModel } from './shape.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
export const bin = here('../bin/gatewayctl.js');

/** Nothing of whoever runs the benchmark: no keys, no proxies, no settings of Node. */
const environment = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '/',
  LANG: 'C.UTF-8',
  NODE_ENV: 'production',
  ...more,
});

export interface Server extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

interface Launch {
  readonly name: string;
  readonly before: readonly string[];
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Finds the port in a line of its output. */
  readonly ready: RegExp;
  readonly port?: number;
}

const startWithinMs = 30_000;

async function launch({ name, before, args, env = {}, ready, port }: Launch): Promise<Server> {
  const [program = process.execPath, ...rest] = [...before, process.execPath, ...args];
  const child = spawn(program, rest, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  const said = await firstMatch(child, ready, name);
  if (child.pid === undefined) throw new Error(`${name} has no process`);
  return {
    name,
    port: port ?? Number(said),
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const patience = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(patience);
    },
  };
}

async function firstMatch(child: ChildProcess, ready: RegExp, name: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      if (output.length < 100) output.push(line);
      const match = ready.exec(line);
      if (match) resolve(match[1] ?? '');
    });
  }
  const failed = (what: string) => reject(new Error(`${name} ${what}:\n${output.join('\n')}`));
  child.once('error', (error) => failed(String(error)));
  child.once('exit', (status) => failed(`ended with ${status}`));
  const deadline = setTimeout(() => {
    child.kill('SIGKILL');
    failed('did not start in time');
  }, startWithinMs);
  return promise.finally(() => clearTimeout(deadline));
}

const listening = /^listening on (\d+)/;

export const startUpstream = (): Promise<Server> =>
  launch({ name: 'upstream', before: [], args: [here('upstream.ts')], ready: listening });

export const startRelay = (cores: Cores, upstream: Server): Promise<Server> =>
  launch({
    name: 'relay',
    before: cores.server,
    args: [here('relay.ts'), `http://127.0.0.1:${upstream.port}`],
    ready: listening,
  });

/** Portkey takes no port 0, so a free one is looked for; it speaks up a little before it listens. */
export async function startPortkey(cores: Cores): Promise<Server> {
  const program = createRequire(import.meta.url).resolve('@portkey-ai/gateway/build/start-server.js');
  const port = await freePort();
  const server = await launch({
    name: 'portkey',
    before: cores.server,
    args: [program, `--port=${port}`, '--headless'],
    ready: /AI Gateway is Up|Ready for connections|localhost:/i,
    port,
  });
  await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).ok);
  return server;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('There is no free port');
  return address.port;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + startWithinMs;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error('A server does not answer');
    await wait(50);
  }
}

export interface Gateway extends Server {
  /** A virtual key with a budget. */
  readonly key: string;
  readonly masterKey: string;
  /** Of PostgreSQL, whose backends are its children. */
  readonly postmaster: number;
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly stateDir: string;
  /** Of PostgreSQL. */
  readonly log: string;
}

/**
 * The gateway as it is installed: its own PostgreSQL with its own settings, the journal on, a model with a price, a key
 * with a budget in a team and of a user. PostgreSQL is started by us, and so runs beside the load, not beside the gateway.
 */
export async function startGateway(
  cores: Cores,
  upstream: Server,
  settings: Readonly<Record<string, string>> = { shared_preload_libraries: 'pg_stat_statements' },
  env: Readonly<Record<string, string>> = {},
): Promise<Gateway> {
  await using opened = new AsyncDisposableStack();
  const stateDir = await mkdtemp(join(tmpdir(), 'gatewayctl-bench-'));
  opened.defer(() => rm(stateDir, { recursive: true, force: true }));
  // An embedded PostgreSQL that root starts runs as somebody else, who must get in.
  await chmod(stateDir, 0o711);
  const config = join(stateDir, 'config.yaml');
  await writeFile(config, configFor(upstream));

  const database = opened.use(await openEmbedded({ stateDir, settings }));
  const pool = new Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => undefined);
  opened.defer(() => pool.end());

  const server = opened.use(await launchDaemon(cores, stateDir, { config, env }));
  const masterKey = (await readFile(join(stateDir, 'master-key'), 'utf8')).trim();
  const key = await generateKey(server, masterKey);
  const postmaster = await postmasterOf(pool);
  const kept = opened.move();
  const log = join(stateDir, 'postgres', 'server.log');
  const { url: databaseUrl } = database;
  return {
    ...server,
    key,
    masterKey,
    postmaster,
    pool,
    databaseUrl,
    stateDir,
    log,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

interface Daemon {
  readonly config: string;
  readonly env: Readonly<Record<string, string>>;
}

const launchDaemon = (cores: Cores, stateDir: string, { config, env }: Daemon): Promise<Server> =>
  launch({
    name: 'gatewayctl',
    before: cores.server,
    args: [bin, 'serve', '--port', '0', '--state-dir', stateDir, '--config', config, '--log-format', 'text'],
    env,
    ready: /listens on http:\/\/[^\s:]+:(\d+)/,
  });

/** A further daemon of the same installation: with the same database and secrets, and a journal of its own. */
export async function startAnother(
  cores: Cores,
  { stateDir: first, databaseUrl, masterKey }: Gateway,
  env: Readonly<Record<string, string>>,
): Promise<Server> {
  const stateDir = await mkdtemp(join(tmpdir(), 'gatewayctl-bench-'));
  const server = await launchDaemon(cores, stateDir, {
    config: join(first, 'config.yaml'),
    env: {
      ...env,
      GATEWAYCTL_DATABASE_URL: databaseUrl,
      GATEWAYCTL_MASTER_KEY: masterKey,
      GATEWAYCTL_ENCRYPTION_KEY_FILE: join(first, 'encryption-key'),
    },
  });
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

export const configFor = (upstream: Server): string => `
model_list:
  - model_name: ${model}
    litellm_params:
      model: openai/${upstreamModel}
      api_base: http://127.0.0.1:${upstream.port}/v1
      api_key: sk-bench-upstream
    model_info:
      input_cost_per_token: 1.5e-7
      output_cost_per_token: 6e-7
      max_output_tokens: 4096
  - model_name: ${translatedModel}
    litellm_params:
      model: anthropic/${translatedUpstreamModel}
      api_base: http://127.0.0.1:${upstream.port}
      api_key: sk-bench-upstream
    model_info:
      input_cost_per_token: 1.5e-7
      output_cost_per_token: 6e-7
      max_output_tokens: 4096
`;

async function generateKey({ port }: Server, masterKey: string): Promise<string> {
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the gateway answers is an object
    return JSON.parse(text) as Record<string, unknown>;
  };
  await post('/team/new', { team_id: 'bench', team_alias: 'bench', max_budget: 1_000_000 });
  await post('/user/new', { user_id: 'bench' });
  await post('/team/member_add', { team_id: 'bench', member: { role: 'user', user_id: 'bench' } });
  const { key } = await post('/key/generate', {
    key_alias: 'bench',
    team_id: 'bench',
    user_id: 'bench',
    max_budget: 1_000_000,
  });
  return String(key);
}

async function postmasterOf(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
  const stat = await readFile(`/proc/${rows[0]?.pid ?? 0}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}
