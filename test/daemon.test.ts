import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { openGatewayOrm } from '../src/gateway-orm.ts';
import { dumpedTables, notDumped } from '../src/db/dump.ts';
import { type EmbeddedServer, openEmbedded, throwaway } from '../src/db/embedded.ts';
import { generateSecret } from '../src/kernel/secret.ts';
import { aStateDir, bin, cleanEnv, type Daemon, gatewayctl, startDaemon, until, words } from './support/gateway.ts';

const masterKey = generateSecret('master');
const directories: string[] = [];
let database: EmbeddedServer;

async function newStateDir(): Promise<string> {
  const directory = await aStateDir();
  directories.push(directory);
  return directory;
}

before(async () => {
  database = await openEmbedded({ stateDir: await newStateDir(), settings: throwaway });
});
after(async () => {
  await database[Symbol.asyncDispose]();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

const chatModel = `
model_list:
  - model_name: slow
    litellm_params: { model: mock/slow, mock_response: "one two three four five six", mock_chunk_interval_ms: 60 }
`;

async function configured(text = chatModel): Promise<string> {
  const path = join(await newStateDir(), 'config.yaml');
  await writeFile(path, text);
  return path;
}

async function aDaemon(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Daemon> {
  return startDaemon({
    stateDir: await newStateDir(),
    databaseUrl: database.url,
    args: ['--config', await configured(), ...args],
    env: { GATEWAYCTL_MASTER_KEY: masterKey, ...env },
  });
}

interface Ended {
  readonly status: number | null;
  readonly err: string;
}

/** A daemon that is expected to end by itself. */
async function serve(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [bin, 'serve', ...args], {
    env: cleanEnv({ GATEWAYCTL_DATABASE_URL: database.url, GATEWAYCTL_MASTER_KEY: masterKey, ...env }),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, err };
}

const direct = (line: string, url = database.url) => gatewayctl([...words(line), '--database-url', url]);

/** Code that the daemon's process runs before ours. */
const preload = (code: string): string => `--import=data:text/javascript,${encodeURIComponent(code)}`;

const ended = async ({ child }: { child: ChildProcess }): Promise<number | null> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
};

describe('a daemon', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await aDaemon();
  });
  after(() => daemon.stop());

  test('says without a credential that it lives, is ready, and what it can do', async () => {
    const get = (path: string) => daemon.request('GET', path, { key: '' });
    for (const path of ['/health/liveliness', '/health/liveness']) {
      const { status, body } = await get(path);
      assert.equal(status, 200);
      assert.equal(body, "I'm alive!");
    }
    const ready = await get('/health/readiness');
    assert.equal(ready.status, 200);
    assert.partialDeepStrictEqual(ready.body, { status: 'connected', db: 'connected' });
    assert.deepEqual(ready.body.limits, { counted_in: 'postgresql', without_shared_store: 'per_instance' });
    const document = await get('/openapi.json');
    assert.equal(document.status, 200);
    assert.match(document.body.openapi, /^3\.1/);
    assert.equal((await get('/nowhere')).status, 404);
  });

  test('opens its admin socket to its owner alone', async () => {
    const { mode } = await stat(join(daemon.stateDir, 'admin.sock'));
    assert.equal(mode & 0o777, 0o600);
  });

  test('at no moment opens its admin socket to anybody else, whatever the umask', async () => {
    const probe = `import { statSync } from 'node:fs';
      import { Server } from 'node:net';
      const { listen } = Server.prototype;
      Server.prototype.listen = function (...parts) {
        const made = listen.apply(this, parts);
        if (typeof parts[0] === 'string') console.error('mode at once:', (statSync(parts[0]).mode & 0o777).toString(8));
        return made;
      };`;
    const usual = process.umask(0);
    try {
      await using other = await aDaemon([], { NODE_OPTIONS: preload(probe) });
      assert.deepEqual(
        other.log.filter((line) => line.startsWith('mode at once')),
        ['mode at once: 600'],
      );
      assert.equal((await stat(other.stateDir)).mode & 0o022, 0);
    } finally {
      process.umask(usual);
    }
  });

  test('shows no secret in its command line or its log', async () => {
    const key = (await direct('key generate --alias logged -q')).out.trim();
    assert.equal((await daemon.chat(key, 'slow')).status, 200);
    await daemon.chat(`${key}x`, 'slow');
    const commandLine = await readFile(`/proc/${daemon.child.pid}/cmdline`, 'utf8').catch(() => '');
    for (const text of [commandLine, daemon.log.join('\n')]) {
      assert.ok(!text.includes(masterKey) && !text.includes(key));
    }
  });

  test('has its state directory to itself', async () => {
    const { status, err } = await serve(['--port', '0', '--state-dir', daemon.stateDir]);
    assert.equal(status, 78);
    assert.match(err, /Another gatewayctl uses the spend journal/);
    assert.equal((await daemon.request('GET', '/health/readiness')).status, 200);
    const socket = await gatewayctl(['key', 'list', '--state-dir', daemon.stateDir]);
    assert.equal(socket.exit, 0, 'its admin socket is still there');
  });

  test('ends with 73 when the port that was chosen is taken', async () => {
    const { port } = new URL(daemon.url);
    const { status, err } = await serve(['--port', port, '--state-dir', await newStateDir()]);
    assert.equal(status, 73);
    assert.match(err, new RegExp(`Cannot listen on 127.0.0.1:${port} \\(EADDRINUSE\\)`));
  });
});

test('the default port gives way to the next', async () => {
  const squatter = createServer().listen(4000, '127.0.0.1');
  // Somebody else may have it already, which is as good.
  await once(squatter, 'listening').catch(() => undefined);
  const child = spawn(process.execPath, [bin, 'serve', '--state-dir', await newStateDir(), '--log-format', 'json'], {
    env: cleanEnv({ GATEWAYCTL_DATABASE_URL: database.url, GATEWAYCTL_MASTER_KEY: masterKey }),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  await until(() => /listens on/.test(log) || child.exitCode !== null, 20_000);
  child.kill('SIGTERM');
  assert.equal(await ended({ child }), 0, log);
  squatter.close();
  assert.match(log, /Port 4000 is taken; using 40(0[1-9]|10)/);
});

describe('a daemon that cannot start', () => {
  test('says all that is wrong with its configuration at once, and ends with 78', async () => {
    const { status, err } = await serve(['--port', 'x', '--state-dir', await newStateDir()], {
      GATEWAYCTL_DRAIN_TIMEOUT: 'soon',
      GATEWAYCTL_LOG_LEVEL: 'loud',
    });
    assert.equal(status, 78);
    for (const name of [/--port/, /GATEWAYCTL_DRAIN_TIMEOUT/, /GATEWAYCTL_LOG_LEVEL/]) assert.match(err, name);
  });

  test('refuses a published master key, unless told that it is for tests', async () => {
    const key = { GATEWAYCTL_MASTER_KEY: 'sk-1234' };
    const { status, err } = await serve(['--port', '0', '--state-dir', await newStateDir()], key);
    assert.equal(status, 78);
    assert.match(err, /--insecure-dev-key/);
    assert.ok(!err.includes('sk-1234'));
    await using daemon = await aDaemon(['--insecure-dev-key'], key);
    assert.equal((await daemon.request('GET', '/key/list', { key: 'sk-1234' })).status, 200);
  });

  test('ends with 69 when the database is not there, so that it is started again', async () => {
    const { status, err } = await serve(['--port', '0', '--state-dir', await newStateDir()], {
      GATEWAYCTL_DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
    });
    assert.equal(status, 69);
    assert.match(err, /database/i);
  });
});

describe('a daemon in which something is thrown that nobody catches', () => {
  for (const [what, code] of [
    ['an exception', `throw new Error('a mistake of ours');`],
    ['a rejection', `Promise.reject(new Error('a mistake of ours'));`],
  ] as const) {
    test(`ends in order with 70 after ${what}, and books what was spent`, async () => {
      const daemon = await aDaemon([], { NODE_OPTIONS: preload(`process.on('SIGUSR2', () => { ${code} });`) });
      const alias = what.replace(' ', '-');
      const key = (await direct(`key generate --alias ${alias} -q`)).out.trim();
      assert.equal((await daemon.chat(key, 'slow')).status, 200);
      daemon.child.kill('SIGUSR2');
      assert.equal(await ended(daemon), 70);
      assert.ok(daemon.log.some((line) => /A fault that nobody caught/.test(line) && /a mistake of ours/.test(line)));
      assert.equal(JSON.parse((await direct(`spend logs --key ${alias} --json`)).out).length, 1);
      await assert.rejects(stat(join(daemon.stateDir, 'admin.sock')), 'its socket is gone');
    });
  }
});

describe('a daemon that is told to stop', () => {
  /** Begins a stream and hands over once its first bytes are there. */
  async function begin(daemon: Daemon, key: string) {
    const response = await fetch(`${daemon.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'slow', stream: true, messages: [{ role: 'user', content: 'go' }] }),
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader.read();
    return {
      async rest(): Promise<string> {
        let text = first.value ?? '';
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return text;
          text += value;
        }
      },
    };
  }

  test('finishes a running stream, takes no new call, books the spend and ends with 0', async () => {
    const daemon = await aDaemon();
    const key = (await direct('key generate --alias drained -q')).out.trim();
    const stream = await begin(daemon, key);
    daemon.child.kill('SIGTERM');
    const text = await stream.rest();
    assert.match(text, /six/);
    assert.match(text, /\[DONE\]\s*$/);
    assert.equal(await ended(daemon), 0);
    await assert.rejects(daemon.chat(key, 'slow'));
    const logs = JSON.parse((await direct('spend logs --key drained --json')).out);
    assert.equal(logs.length, 1);
    assert.equal(logs[0].status, 'success');
    await assert.rejects(stat(join(daemon.stateDir, 'admin.sock')), 'its socket is gone');
  });

  test('does not wait for a client that stopped in the middle of a request, or does nothing at all', async () => {
    const daemon = await aDaemon();
    const port = Number(new URL(daemon.url).port);
    const sockets = [
      '',
      'GET /key/list HTTP/1.1\r\nHost: a\r\n',
      `POST /key/generate HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${masterKey}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
    ].map((text) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text));
      socket.on('error', () => undefined);
      return socket;
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await daemon.request('GET', '/key/list');
    const start = performance.now();
    assert.equal(await daemon.stop(), 0);
    assert.ok(performance.now() - start < 8_000, `${performance.now() - start} ms`);
    for (const socket of sockets) socket.destroy();
  });

  test('ends at once at the second signal', async () => {
    const daemon = await aDaemon();
    const key = (await direct('key generate -q')).out.trim();
    const stream = await begin(daemon, key);
    daemon.child.kill('SIGTERM');
    await until(() => daemon.log.some((line) => /stopping; running requests may finish/.test(line)));
    daemon.child.kill('SIGTERM');
    assert.equal(await ended(daemon), 143);
    await stream.rest().catch(() => '');
  });
});

/** An empty database beside the first. */
async function anEmptyDatabase(name: string): Promise<string> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  return database.url.replace('/gatewayctl?', `/${name}?`);
}

describe('the schema', () => {
  test('is planned, then made once by eight that come at the same time, and then is up to date', async () => {
    const url = await anEmptyDatabase('fresh');
    const pending = await direct('migrate status', url);
    assert.equal(pending.exit, 1);
    assert.match(pending.out, /^0001-initial\tpending\n(?:\d{4}-[a-z-]+\tpending\n)+$/);
    const plan = await direct('migrate plan', url);
    assert.match(plan.out, /create table keys/);
    assert.equal(
      (await direct('key list', url)).exit,
      78,
      'a command does not migrate an operator’s database by itself',
    );

    const outcomes = await Promise.all(Array.from({ length: 8 }, () => direct('migrate up', url)));
    for (const { exit, err } of outcomes) assert.equal(exit, 0, err);
    assert.equal(outcomes.filter(({ err }) => /Applied 0001-initial/.test(err)).length, 1);
    const applied = pending.out.replaceAll('pending', 'applied');
    assert.deepEqual(await direct('migrate status', url), { out: applied, err: '', exit: 0 });
    assert.equal((await direct('migrate plan', url)).out, '');
    assert.equal((await direct('key list', url)).exit, 0);
  });

  test('of a newer version is refused', async () => {
    const url = await anEmptyDatabase('newer');
    await direct('migrate up', url);
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(`insert into gatewayctl.migrations (name) values ('9999-from-the-future')`);
    await client.end();
    for (const line of ['key list', 'migrate up']) {
      const { exit, err } = await direct(line, url);
      assert.equal(exit, 78, line);
      assert.match(err, /migrated by a newer gatewayctl \(9999-from-the-future\)/);
    }
    const { status } = await serve(['--port', '0', '--state-dir', await newStateDir()], {
      GATEWAYCTL_DATABASE_URL: url,
    });
    assert.equal(status, 78);
  });

  test('has every column that an entity reads, of the same nullability', async () => {
    await direct('migrate up');
    await using opened = new AsyncDisposableStack();
    const orm = await openGatewayOrm({ url: database.url, poolSize: 1, applicationName: 'test' });
    opened.defer(() => orm.close());
    const columns: { table: string; column: string; nullable: boolean }[] = await orm.em.fork().execute(
      `select table_name as "table", column_name as "column", is_nullable = 'YES' as nullable
         from information_schema.columns where table_schema = 'gatewayctl'`,
    );
    for (const meta of orm.getMetadata().getAll().values()) {
      for (const property of Object.values(meta.properties)) {
        const [name = ''] = property.fieldNames;
        const found = columns.find(({ table, column }) => table === meta.tableName && column === name);
        assert.ok(found, `${meta.tableName}.${name} is missing`);
        assert.equal(found.nullable, property.nullable ?? false, `${meta.tableName}.${name}`);
      }
    }
  });
});

describe('the database', () => {
  test('is dumped and restored into a new state directory, row by row', async () => {
    await direct('migrate up');
    await direct('team create --id dumped --alias Dumped --metadata {"a":[1,"ü\\\\n"]}');
    await direct('key generate --alias dumped --team dumped --max-budget 12.345678901 -q');
    await direct('key rotate dumped --grace 1h --yes -q');
    const file = join(await newStateDir(), 'dump.jsonl');
    const dumped = await direct(`db dump ${file}`);
    assert.equal(dumped.exit, 0, dumped.err);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.notEqual((await direct(`db dump ${file}`)).exit, 0, 'never overwritten');

    const stateDir = await newStateDir();
    const restored = await gatewayctl(['db', 'restore', file, '--state-dir', stateDir]);
    assert.equal(restored.exit, 0, restored.err);
    const rows = (await readFile(file, 'utf8'))
      .split('\n')
      .filter((line) => line && !/^\{"(format|table)":/.test(line));
    assert.equal(restored.err, `${rows.length} rows restored.\n`);
    const again = await gatewayctl(['db', 'dump', '-', '--state-dir', stateDir]);
    const lines = (text: string) => text.split('\n').toSorted();
    assert.deepEqual(lines(again.out), lines(await readFile(file, 'utf8')));

    const twice = await gatewayctl(['db', 'restore', file, '--state-dir', stateDir]);
    assert.equal(twice.exit, 6);
    assert.match(twice.err, /The database is not empty/);
  });

  test('has no table that a dump forgets', async () => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<{ name: string }>(
      `select c.relname as name from pg_class c where c.relnamespace = 'gatewayctl'::regnamespace
       and c.relkind in ('r', 'p') and not c.relispartition`,
    );
    await client.end();
    const names = rows.map(({ name }) => name).filter((name) => name !== 'migrations');
    assert.deepEqual(names.toSorted(), [...dumpedTables, ...notDumped].toSorted());
  });

  test('has an address, whose password is shown only when asked for', async () => {
    const stored = 'postgres://anna:pa55word@db.example/gateway';
    const env = { GATEWAYCTL_DATABASE_URL: stored };
    assert.equal((await gatewayctl('db url', { env })).out, 'postgres://anna:…@db.example/gateway\n');
    assert.equal((await gatewayctl('db url --reveal', { env })).out, `${stored}\n`);
    const stopped = await gatewayctl(['db', 'url', '--state-dir', await newStateDir()]);
    assert.equal(stopped.exit, 1);
    assert.match(stopped.err, /is not running/);
  });

  const hasPsql = promisify(execFile)('psql', ['--version']).then(
    () => true,
    () => false,
  );
  test('opens in psql', async (t) => {
    if (!(await hasPsql) && process.env['CI'] !== 'true') return t.skip('needs psql on the PATH');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [bin, 'db', 'psql', '--', '-tAc', 'select count(*) > 0 from gatewayctl.migrations'],
      { env: cleanEnv({ GATEWAYCTL_DATABASE_URL: database.url }) },
    );
    assert.equal(stdout, 't\n');
    return undefined;
  });
});
