import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { type EmbeddedServer } from '../../src/db/embedded.ts';
import { generateSecret, hashSecret } from '../../src/kernel/secret.ts';
import { aStateDir, type Daemon, startDaemonHere, until } from '../support/gateway.ts';
import { skipWithoutRedis, startRedis } from '../support/redis.ts';
import { openCluster } from '../support/cluster.ts';

type Redis = Awaited<ReturnType<typeof startRedis>>;

describe('what stands in Redis', { skip: skipWithoutRedis }, () => {
  const directories: string[] = [];
  let database: EmbeddedServer;
  let redis: Redis;
  let daemon: Daemon;
  let entry: string;
  let stored: string;
  const masterKey = generateSecret('master');
  const key = generateSecret('virtual');

  before(async () => {
    for (let count = 0; count < 2; count++) directories.push(await aStateDir());
    database = await openCluster(directories[0]!);
    redis = await startRedis();
    const config = `${directories[0]}/config.yaml`;
    await writeFile(config, 'model_list:\n  - { model_name: mock-gpt, litellm_params: { model: mock/gpt } }\n');
    daemon = await startDaemonHere({
      stateDir: directories[1]!,
      databaseUrl: database.url,
      args: ['--config', config],
      env: { GATEWAYCTL_MASTER_KEY: masterKey, GATEWAYCTL_REDIS_URL: redis.url },
    });
    await insert(key);
    assert.equal(await status(key), 200);
    await until(async () => /^gatewayctl/m.test(await redis.ask('keys gatewayctl*')));
    const names = (await redis.ask('keys gatewayctl*')).split('\r\n').filter((line) => line.startsWith('gatewayctl'));
    assert.equal(names.length, 1);
    entry = names[0]!;
    stored = await keptAt(entry);
  });
  after(async () => {
    await daemon.stop();
    await redis[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
    for (const directory of directories) await rm(directory, { recursive: true, force: true });
  });

  /** Without an announcement: after one, only the database is believed for some seconds. */
  async function insert(secret: string): Promise<void> {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(
      `insert into gatewayctl.keys (id, token, name, created_at, created_by, updated_at, updated_by)
       values ($2, $1, 'x', now(), 'test', now(), 'test')`,
      [hashSecret(secret), secret.slice(-8)],
    );
    await client.end();
  }
  /** No answer waits until Redis has what was looked up. */
  async function keptAt(name: string): Promise<string> {
    let kept = '';
    await until(async () => {
      kept = (await redis.ask(`get ${name}`)).split('\r\n')[1] ?? '';
      return /value/.test(kept);
    });
    return kept;
  }
  const status = async (secret: string) => (await daemon.chat(secret, 'mock-gpt')).status;
  const put = async (secret: string, text: string) => {
    const name = entry.replace(/[0-9a-f]{64}/, hashSecret(secret));
    assert.match(await redis.ask(`set ${name} ${JSON.stringify(text)}`), /OK/);
  };

  test('is no secret, and opens nothing', async () => {
    assert.ok(!stored.includes(key) && !entry.includes(key) && !stored.includes(masterKey));
    for (const word of [...stored.matchAll(/[\w-]{16,}/g)].map(([found]) => found)) {
      for (const guess of [word, `sk-${word}`])
        assert.equal((await daemon.request('GET', '/v1/models', { key: guess })).status, 401);
    }
  });

  const forged: readonly (readonly [what: string, forge: (text: string) => string])[] = [
    ['another key’s entry', (text) => text],
    ['another key’s entry with its hash put in', (text) => text.replaceAll(hashSecret(key), hashSecret('sk-x'))],
    ['an administrator', (text) => text.replaceAll('internal_user', 'proxy_admin')],
    ['a row read in the future', (text) => text.replace(/readAt\\":\d+/, String.raw`readAt\":9999999999999`)],
    ['an empty object', () => '{"value":"{}"}'],
    ['an empty object with a code', () => '{"value":"AAAA.{}"}'],
    ['an object where text should be', () => '{"value":{"principal":{"role":"proxy_admin"},"readAt":9999999999999}}'],
    ['a number', () => '{"value":7}'],
    ['nothing', () => '{}'],
    ['no JSON', () => 'x'],
    [
      'an entry without a code',
      (text) =>
        JSON.stringify({
          value: String(JSON.parse(text).value)
            .replace(/^[^{]*/, '')
            .replace('internal_user', 'proxy_admin'),
        }),
    ],
  ];
  for (const [index, [what, forge]] of forged.entries()) {
    test(`is passed over when it is ${what}`, async () => {
      const stranger = `sk-forged-by-whoever-may-write-${index}`;
      await put(stranger, forge(stored));
      const answer = await daemon.request('POST', '/key/generate', { key: stranger, body: {} });
      assert.equal(answer.status, 401, answer.text);
      const known = generateSecret('virtual');
      await insert(known);
      await put(known, forge(stored));
      const own = await daemon.request('POST', '/key/generate', { key: known, body: {} });
      assert.equal(own.status, 403, 'the database is asked, and it is no administrator');
      assert.equal(await status(known), 200);
    });
  }

  test('is passed over when it was put back after the key was deleted', async () => {
    const gone = generateSecret('virtual');
    await insert(gone);
    assert.equal(await status(gone), 200);
    const name = entry.replace(/[0-9a-f]{64}/, hashSecret(gone));
    const copy = await keptAt(name);
    await daemon.request('POST', '/key/delete', { body: { keys: [gone] } });
    await put(gone, copy);
    assert.equal(await status(gone), 401);
  });

  test('is said to be strange once, not at every entry', () => {
    assert.equal(daemon.log.filter((line) => /no daemon with our keys has written/.test(line)).length, 1);
  });
});
