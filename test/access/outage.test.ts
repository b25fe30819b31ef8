import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { asDatabaseTrouble } from '../../src/db/errors.ts';
import { type EmbeddedServer } from '../../src/db/embedded.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { generateSecret, hashSecret } from '../../src/kernel/secret.ts';
import { aStateDir, type Daemon, gatewayctl, startDaemon, until, words } from '../support/gateway.ts';
import { startRelay } from '../support/postgres-relay.ts';
import { openCluster } from '../support/cluster.ts';

const masterKey = generateSecret('master');
const directories: string[] = [];
let database: EmbeddedServer;
let config: string;

before(async () => {
  directories.push(await aStateDir());
  database = await openCluster(directories[0]!);
  config = `${directories[0]}/config.yaml`;
  await writeFile(config, 'model_list:\n  - { model_name: mock-gpt, litellm_params: { model: mock/gpt } }\n');
});
after(async () => {
  await database[Symbol.asyncDispose]();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

async function aDaemon(databaseUrl: string, env: Record<string, string> = {}): Promise<Daemon> {
  const stateDir = await aStateDir();
  directories.push(stateDir);
  return startDaemon({
    stateDir,
    databaseUrl,
    args: ['--config', config],
    env: { GATEWAYCTL_MASTER_KEY: masterKey, GATEWAYCTL_AUTH_CACHE_TTL: '300s', ...env },
  });
}

async function direct(line: string): Promise<string> {
  const { out, err, exit } = await gatewayctl([...words(line), '--database-url', database.url]);
  assert.equal(exit, 0, err);
  return out.trim();
}

const sql = async (statement: string): Promise<void> => {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(statement);
  await client.end();
};

const status = async (daemon: Daemon, key: string) => (await daemon.chat(key, 'mock-gpt')).status;
type Relay = Awaited<ReturnType<typeof startRelay>>;

/** Calls until the daemon asks nobody for it: on a busy machine it may take its database for silent in between. */
const remembered = (daemon: Daemon, relay: Relay, key: string): Promise<void> =>
  until(async () => {
    const { lookups } = relay;
    return (await status(daemon, key)) === 200 && relay.lookups === lookups;
  });
const isLost = (daemon: Daemon) => daemon.log.some((line) => /Changes cannot be heard of/.test(line));

/** Ends the connection that hears of changes. */
const terminate = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gatewayctl-listen'`;

describe('while the database is away', () => {
  test('keys that were known call models, others do not, and nobody administers with one', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    await direct('user create --id chief --role proxy_admin');
    const warm = await direct('key generate --alias warm --user chief -q');
    const cold = await direct('key generate --alias cold -q');
    await remembered(daemon, relay, warm);
    assert.equal((await daemon.request('GET', '/key/list', { key: warm })).status, 200);

    relay.cut();
    await until(() => isLost(daemon));
    for (let more = 0; more < 5; more++) assert.equal(await status(daemon, warm), 200);
    for (const key of [cold, generateSecret('virtual')]) assert.equal(await status(daemon, key), 503);
    assert.equal((await daemon.request('GET', '/key/info', { key: warm })).status, 503);
    assert.equal((await daemon.request('POST', '/key/generate', { key: warm, body: {} })).status, 503);

    await direct('key delete warm --yes');
    relay.mend();
    await until(async () => (await status(daemon, cold)) === 200, 5_000);
    for (let more = 0; more < 5; more++) assert.equal(await status(daemon, warm), 401, 'it answers, so it counts');
  });

  test('a key whose time in the cache has just ended is a known key, too, and one that was deleted is not', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url, { GATEWAYCTL_AUTH_CACHE_TTL: '1s' });
    const [seldom, gone] = [
      await direct('key generate --alias seldom -q'),
      await direct('key generate --alias gone -q'),
    ];
    for (const key of [seldom, gone]) await remembered(daemon, relay, key);
    const start = performance.now();
    await until(() => performance.now() - start > 1_100);
    await direct('key delete gone --yes');
    // Announcements come in order, and this one is seen.
    const last = await direct('key generate --alias last-one -q');
    await until(async () => (await status(daemon, last)) === 200);
    relay.cut();
    await until(() => isLost(daemon));
    assert.equal(await status(daemon, seldom), 200);
    assert.equal(await status(daemon, gone), 503);
    relay.mend();
  });

  test('a key that was known is served no longer than was set', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url, { GATEWAYCTL_AUTH_STALE_MAX: '3s' });
    const key = await direct('key generate --alias for-a-second -q');
    await remembered(daemon, relay, key);
    relay.cut();
    await until(() => isLost(daemon));
    assert.equal(await status(daemon, key), 200);
    const start = performance.now();
    await until(async () => (await status(daemon, key)) === 503, 8_000);
    assert.ok(performance.now() - start < 5_000);
    // A daemon that cannot book waits ten seconds before it ends.
    relay.mend();
  });

  test('once it has answered, nothing from before is served when it is away again', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    const [key, other] = [await direct('key generate --alias seen -q'), await direct('key generate --alias asked -q')];
    await remembered(daemon, relay, key);
    relay.cut();
    await until(() => isLost(daemon));
    assert.equal(await status(daemon, key), 200);
    relay.mend();
    await until(async () => (await status(daemon, other)) === 200, 5_000);
    await until(() => daemon.log.some((line) => /Changes are heard of again/.test(line)));
    relay.cut();
    await until(async () => (await daemon.request('GET', '/health/readiness', { key: '' })).status === 503);
    assert.equal(await status(daemon, key), 503, 'it was not looked up since');
    relay.mend();
  });

  test('keys that were known call models, also when its connections die one after the other', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    const [key, other] = [await direct('key generate --alias before -q'), await direct('key generate --alias last -q')];
    const said = (what: RegExp) => daemon.log.filter((line) => what.test(line)).length;
    // Within a second, or it was no dying server: on a busy machine it may take several attempts to be so quick.
    for (let attempts = 0; ; attempts++) {
      assert.ok(attempts < 20, 'the machine is never quick enough');
      await until(async () => (await status(daemon, key)) === 200);
      const [lost, heard] = [said(/Changes cannot be heard of/), said(/Changes are heard of again/)];
      const start = performance.now();
      relay.shut();
      await sql(terminate);
      await until(() => said(/Changes cannot be heard of/) > lost);
      // By a connection that is left, once nobody else has it.
      await until(async () => (await status(daemon, other)) === 200);
      if (performance.now() - start < 900) break;
      relay.mend();
      await until(() => said(/Changes are heard of again/) > heard);
    }
    relay.cut();
    for (const known of [key, other]) assert.equal(await status(daemon, known), 200);
    relay.mend();
  });

  test('a key that a connection which was left found deleted is not served', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    const key = await direct('key generate --alias ended -q');
    assert.equal(await status(daemon, key), 200);
    relay.shut();
    await sql(terminate);
    await until(() => isLost(daemon));
    await direct('key delete ended --yes');
    await until(async () => (await status(daemon, key)) === 401);
    relay.cut();
    await until(async () => (await daemon.request('GET', '/health/readiness', { key: '' })).status === 503);
    assert.equal(await status(daemon, key), 503);
    relay.mend();
  });

  test('one line says so, without a stack, and one that it is back', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    const key = await direct('key generate --alias quiet -q');
    assert.equal(await status(daemon, key), 200);
    const from = daemon.log.length;
    relay.cut();
    await until(() => isLost(daemon));
    const start = performance.now();
    await until(async () => {
      await status(daemon, key);
      await status(daemon, generateSecret('virtual'));
      await daemon.request('GET', '/key/list');
      return performance.now() - start > 2_500;
    });
    relay.mend();
    await until(() => daemon.log.some((line) => /Changes are heard of again/.test(line)), 5_000);
    const lines = daemon.log.slice(from).filter((line) => /"level":"(warn|error)"/.test(line));
    assert.equal(lines.filter((line) => /cannot be heard of/.test(line)).length, 1);
    assert.ok(!lines.some((line) => line.includes('"stack"')), lines.join('\n'));
    assert.ok(lines.length <= 2, lines.join('\n'));
  });
});

describe('while the database stands still', () => {
  test('a look-up is refused within two seconds, and known keys are served on', async (t) => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    const known = await direct('key generate --alias stalled-known -q');
    assert.equal(await status(daemon, known), 200);
    relay.silence();
    const times = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const start = performance.now();
        const answer = await daemon.chat(generateSecret('virtual'), 'mock-gpt');
        assert.equal(answer.status, 503, answer.text);
        assert.ok(Number(answer.headers.get('retry-after')) >= 1);
        return performance.now() - start;
      }),
    );
    t.diagnostic(`slowest of 60: ${Math.round(Math.max(...times))} ms`);
    assert.ok(Math.max(...times) < 2_300, `${Math.max(...times)} ms`);
    assert.equal(await status(daemon, known), 200);
    relay.mend();
    await until(async () => (await status(daemon, generateSecret('virtual'))) === 401, 8_000);
  });
});

test('keys that come at the same time are looked up together, and nobody is taken for another', async (t) => {
  await using relay = await startRelay(database.url);
  await using daemon = await aDaemon(relay.url);
  const unseen = Array.from({ length: 300 }, () => generateSecret('virtual'));
  await sql(
    `insert into gatewayctl.keys (id, token, alias, name, created_at, created_by, updated_at, updated_by)
     values ${unseen.map((key) => `('${hashSecret(key)}', '${hashSecret(key)}', 'a${hashSecret(key)}', 'x', now(), 'test', now(), 'test')`).join()}`,
  );
  const lookups = relay.lookups;
  const info = (key: string) => daemon.request('GET', '/key/info', { key });
  const unknown = Array.from({ length: 30 }, () => generateSecret('virtual'));
  // For as long as none of the first is answered.
  const client = new Client({ connectionString: database.url });
  t.after(() => client.end());
  await client.connect();
  await client.query('begin; lock table gatewayctl.keys in access exclusive mode');
  const asking = Promise.all([...unseen, ...unknown].map(info));
  const start = performance.now();
  await until(() => performance.now() - start > 800);
  assert.equal(relay.lookups - lookups, 4);
  await client.query('commit');
  const answers = await asking;
  for (const [index, key] of unseen.entries()) {
    assert.equal(answers[index]!.status, 200, answers[index]!.text);
    assert.equal(answers[index]!.body.info.key_alias, `a${hashSecret(key)}`);
  }
  for (const { status: refused } of answers.slice(unseen.length)) assert.equal(refused, 401);
  t.diagnostic(`${relay.lookups - lookups} statements for 330 keys`);
  assert.ok(relay.lookups - lookups <= 60, `${relay.lookups - lookups} statements`);
});

test('a database that lets the daemon in no longer is trouble of ours, and no key is bad for it', async () => {
  await direct('migrate up');
  await sql(`create role rotated superuser login password 'before'`);
  const url = database.url.replace('//gatewayctl@', '//rotated@');
  assert.notEqual(url, database.url);
  await using daemon = await aDaemon(url);
  const key = await direct('key generate --alias shut-out -q');
  await sql('alter role rotated nologin');
  await sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotated'`);
  await until(() => isLost(daemon));
  const answer = await daemon.chat(key, 'mock-gpt');
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.body.error.type, 'database_unreachable');
  await sql('alter role rotated login');
  await until(async () => (await status(daemon, key)) === 200, 5_000);
});

for (const code of ['28P01', '28000', '3D000', 'EMFILE', 'ENFILE', 'ENETUNREACH', 'ECONNABORTED']) {
  test(`${code} is trouble of the database`, () => {
    const trouble = asDatabaseTrouble(new Error('x', { cause: Object.assign(new Error('y'), { code }) }));
    assert.ok(trouble instanceof GatewayError);
    assert.equal(trouble.status, 503);
  });
}
