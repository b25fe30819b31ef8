import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { operations } from '../../src/operations.ts';
import { gatewayctl, until } from '../support/gateway.ts';
import { skipWithoutRedis } from '../support/redis.ts';
import { tryAdminRoutes } from './admin-paths.ts';
import { bringCredentials, callModels } from './call-paths.ts';
import { type Kind, unique } from './canaries.ts';
import { readConfigurations, runCommands, runDirect } from './command-paths.ts';
import { endKeys, keepMetadata, keepSecrets, sendBrokenBodies } from './kept-secrets.ts';
import { filesBelow, processesBelow, tablesAsText } from './sinks.ts';
import { coreOf, startWorld, textOf, type World } from './world.ts';

let world: World;
let user: string;
let viewer: string;
let keys: Readonly<Record<string, string>>;
let paths = 0;
before(async () => {
  world = await startWorld();
  user = await world.newKey('key of somebody');
  await world.request('POST', '/user/new', { body: { user_id: 'looker', user_role: 'proxy_admin_viewer' } });
  viewer = await world.newKey('key of a viewer', { user_id: 'looker' });
  keys = await endKeys(world);
});
after(() => world[Symbol.asyncDispose]());

const none = (found: readonly string[], where: string) => assert.deepEqual([...found], [], where);

/** Everything that was answered with an error since the last time. */
function noneWasTold() {
  const told = world.told.splice(0);
  none(
    told.flatMap(({ where, text }) => world.canaries.find(text).map((each) => `${where}: ${each}`)),
    'in an error',
  );
}

test('no admin route tells in an error what was sent to it', async () => {
  paths += await tryAdminRoutes(world, { user, viewer });
  noneWasTold();
});

test('no change that goes wrong tells of the secret it was to keep', async () => {
  paths += await keepSecrets(world);
  paths += await sendBrokenBodies(world);
  noneWasTold();
});

test('no refusal tells of the credential, or of another header', async () => {
  await keepMetadata(world);
  paths += await bringCredentials(world, Object.values(keys));
  noneWasTold();
});

test('no call for a model tells of the credential of its provider, which repeats it', async () => {
  paths += await callModels(world, user);
  noneWasTold();
});

test('no command says it, however loud', async () => {
  paths += await runCommands(world);
  paths += await runDirect(world);
  noneWasTold();
});

test('no configuration that is wrong is quoted with its secrets', async () => {
  paths += await readConfigurations(world);
  noneWasTold();
});

test('an Idempotency-Key is nowhere, nor is the new key it brings a second time', async () => {
  const headers = { 'idempotency-key': world.planted('Idempotency-Key') };
  const made = await world.request('POST', '/key/generate', { headers, body: {} });
  const key = world.canaries.plant('key that was made twice', made.body.key, { core: coreOf(made.body.key) });
  assert.equal((await world.request('POST', '/key/generate', { headers, body: {} })).body.key, key);
  assert.equal(
    (await world.request('POST', '/key/generate', { headers, body: { max_budget: 1 } })).status >= 400,
    true,
  );
  noneWasTold();
});

test('SEC-04: what administrators read shows no secret, and nothing stored is a credential', async () => {
  const texts: string[] = [];
  for (const { route, follows } of operations) {
    const [method, path] = route;
    if (method !== 'GET' || follows) continue;
    const answer = await world.daemon.request('GET', path.replace(/:\w+/, 'kept'));
    texts.push(textOf(answer));
    none(world.canaries.find(texts.at(-1) ?? '', ['secret', 'content']), path);
  }
  const tables = await tablesAsText(world.pool);
  const ofKeys = ['keys', 'retired_tokens', 'ended_tokens', 'deleted_keys'].map((name) => tables.get(name));
  const stored = new Set(
    [...ofKeys, ...tables.values()]
      .join('\n')
      .match(/gwenc:[\w:+/=.-]+|[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g),
  );
  const kinds = [/^gwenc/, /^[0-9a-f]{64}$/, /-/].map((kind) =>
    [...stored].filter((each) => kind.test(each)).slice(0, 40),
  );
  assert.ok(
    kinds.every(({ length }) => length > 3),
    'there is something of each kind',
  );
  for (const [index, credential] of kinds.flat().entries()) {
    const header = ['x-api-key', 'x-litellm-api-key', 'authorization'][index % 3] ?? '';
    for (const value of [credential, `Bearer ${credential}`, `sk-${credential}`]) {
      const { status } = await world.daemon.request('GET', '/v1/models', { key: '', headers: { [header]: value } });
      assert.equal(status, 401, `${header}: ${value.slice(0, 20)}…`);
    }
  }
});

test('trouble with Redis and with the database is no occasion to tell it', async () => {
  const { relay, redis, daemon, request } = world;
  redis?.pause();
  for (const key of [user, keys['active'] ?? '', keys['retired'] ?? '']) await request('GET', '/v1/models', { key });
  redis?.resume();
  relay.cut();
  const strangers = [1, 2, 3].map((count) => world.planted(`key of a stranger without a database ${count}`, 'sk-'));
  for (const key of [user, daemon.masterKey, ...strangers]) {
    await request('GET', '/key/list', { key });
    await request('POST', '/credentials', {
      key,
      body: {
        credential_name: 'lost',
        credential_values: { api_key: world.planted(`value that is lost ${key.slice(-4)}`) },
      },
    });
    await daemon.chat(key, 'mock-gpt').then((answer) => world.told.push({ where: 'chat', text: textOf(answer) }));
    paths += 3;
  }
  paths += await runDirect(world);
  relay.mend();
  noneWasTold();
  await until(async () => (await daemon.request('GET', '/key/list')).status === 200);
});

test('a dump of the database holds none in the clear, and only its owner reads it', async () => {
  const path = join(world.stateDir, 'dump.jsonl');
  const file = join(world.stateDir, 'database-url');
  const { exit, err } = await gatewayctl(['db', 'dump', path, '--database-url', `@${file}`]);
  assert.equal(exit, 0, err);
  none(world.canaries.find(await readFile(path), ['secret', 'content']), 'in the dump');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('another encryption key changes nothing of it', async () => {
  const newKey = join(world.stateDir, 'new-key');
  await writeFile(newKey, `${world.canaries.plant('next encryption key', randomBytes(32).toString('base64'))}\n`, {
    mode: 0o600,
  });
  const file = join(world.stateDir, 'database-url');
  const env = { GATEWAYCTL_ENCRYPTION_KEY_FILE: world.encryptionKeyFile };
  const { out, err, exit } = await gatewayctl(
    ['crypto', 'rotate', '--new-key-file', newKey, '--debug', '--database-url', `@${file}`],
    { env },
  );
  assert.equal(exit, 0, err);
  none(world.canaries.find(out + err), 'crypto rotate');
  paths++;
});

test('nothing of it is in the logs', () => {
  assert.ok(paths >= 300, `${paths} paths`);
  assert.ok(world.canaries.names.size >= 60);
  none(world.canaries.find(world.daemon.log.join('\n')), 'in the log');
  none(world.canaries.find(world.daemon.printed.join('')), 'on standard output');
});

test('nor in Redis', { skip: skipWithoutRedis }, () => {
  const heard = world.redis?.heard() ?? '';
  assert.match(heard, /gatewayctl/);
  none(world.canaries.find(heard), 'in Redis');
});

test(
  'nor in the list of processes, nor in the environment of a process that was started',
  { skip: process.platform !== 'linux' },
  async () => {
    const { lines, environments } = await processesBelow(process.pid);
    assert.match(lines, /postgres/);
    none(world.canaries.find(lines), 'in a command line');
    for (const [pid, environment] of environments) {
      // The operator gave the daemon its own.
      if (pid !== world.daemon.child.pid) none(world.canaries.find(environment), `in the environment of ${pid}`);
    }
  },
);

test('nor may it be in a core dump of the service', async () => {
  const unit = await readFile(new URL('../../packaging/gatewayctl.service', import.meta.url), 'utf8');
  assert.match(unit, /^LimitCORE=0$/m);
});

/** What the test itself wrote, as an operator would. */
const written = /\/(config\.yaml|wrong-\d+\.yaml|database-url|encryption-key|new-key)$/;

test('nor in a file of the daemon, and what it writes is for its owner alone', async () => {
  for (const { path, mode, read } of await filesBelow(world.stateDir)) {
    assert.equal(mode & 0o077, 0, path);
    if (!written.test(path)) none(world.canaries.find(await read(), ['secret', 'content']), path);
  }
});

/** Where metadata is kept as it was given. */
const holdMetadata = new Set(['keys', 'teams', 'deleted_keys', 'deleted_teams']);

test('nor in the database', async () => {
  for (const [table, text] of await tablesAsText(world.pool)) {
    const kinds: readonly Kind[] = holdMetadata.has(table) ? ['secret', 'content'] : ['secret', 'misplaced', 'content'];
    none(world.canaries.find(text, kinds), `in the table ${table}`);
  }
  await world.pool.query('checkpoint');
  for (const file of await filesBelow(world.clusterDir)) {
    none(world.canaries.find(await file.read(), ['secret', 'content']), file.path);
  }
});

test('a credential that is kept is blotted out of the logs, also where it looks like nothing', async () => {
  const credential = unique();
  const params = {
    model: 'openai/*',
    api_base: 'http://127.0.0.1:9/v1',
    allow_private_network: true,
    api_key: credential,
  };
  await world.request('POST', '/model/new', { body: { model_name: 'any/*', litellm_params: params } });
  assert.equal((await world.daemon.chat(user, `any/${credential}-and-more`)).status, 502);
  await until(() => world.daemon.log.some((line) => line.includes('-and-more')));
  assert.ok(!world.daemon.log.join().includes(credential));
});

test('and each of these searches finds what is there', async () => {
  const { canaries, pool, redis } = world;
  const canary = canaries.plant('canary', `sk-${unique(28)}`);
  const found = (text: string | Buffer) => canaries.find(text).some((each) => each.startsWith('canary: '));
  for (const text of [
    canary,
    canary.slice(7, 20),
    Buffer.from(`x${canary}`).toString('base64'),
    Buffer.from(canary).toString('hex'),
  ]) {
    assert.ok(found(`before ${text} after`), text);
  }
  await pool.query(
    'create table gatewayctl.canary_text (note jsonb); create table gatewayctl.canary_bytes (raw bytea)',
  );
  await pool.query('insert into gatewayctl.canary_text values ($1)', [{ deep: [canary] }]);
  await pool.query('insert into gatewayctl.canary_bytes values ($1)', [Buffer.from(canary)]);
  const tables = await tablesAsText(pool);
  for (const table of ['canary_text', 'canary_bytes']) assert.ok(found(tables.get(table) ?? ''), table);
  await pool.query('checkpoint');
  const files = await Promise.all((await filesBelow(world.clusterDir)).map(({ read }) => read()));
  assert.ok(files.some(found), 'in the files of the database');
  if (redis) {
    await redis.ask(`set canary ${canary}`);
    await until(() => found(redis.heard()));
  }
  await writeFile(join(world.stateDir, 'canary'), canary);
  const below = await filesBelow(world.stateDir);
  assert.ok(found((await below.find(({ path }) => path.endsWith('/canary'))?.read()) ?? ''));
  if (process.platform !== 'linux') return;
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', canary], { env: { CANARY: canary } });
  await until(async () => found((await processesBelow(process.pid)).lines));
  assert.ok(found((await processesBelow(process.pid)).environments.get(child.pid ?? 0) ?? ''));
  child.kill('SIGKILL');
});
