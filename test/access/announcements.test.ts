import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Daemon, type Gateway, startDaemon, startGateway, aStateDir, until } from '../support/gateway.ts';
import { startUpstream } from '../proxy/upstream.ts';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

let gateway: Gateway;
before(async () => {
  // A cache that lives long, so that nothing but being told can empty it.
  gateway = await startGateway({ ownProcess: true, env: { GATEWAYCTL_AUTH_CACHE_TTL: '300s' } });
});
after(() => gateway[Symbol.asyncDispose]());

const notify = (payload: string) => gateway.pool.query('select pg_notify($1, $2)', ['gatewayctl', payload]);
const aKey = async (alias: string): Promise<string> =>
  (await gateway.request('POST', '/key/generate', { body: { key_alias: alias } })).body.key;
const lines = (text: RegExp) => gateway.daemon.log.filter((line) => text.test(line)).length;

describe('an announcement', () => {
  for (const payload of [
    '{"entity":{"toString":1,"valueOf":1}}',
    '{"entity":["team"],"id":"x"}',
    '{"entity":"team","id":{"toString":1}}',
    '{"entity":"user"}',
    '{"entity":"key","id":"x","hashes":[{"toString":1}]}',
    '{"entity":"key","id":"x","hashes":[null]}',
    '{"entity":"key","id":"x","hashes":{"length":1}}',
    '{"__proto__":{"entity":"model"}}',
    '[]',
  ]) {
    test(`that is ${payload} does no harm, and whatever it stood for is looked up anew`, async () => {
      const key = await aKey(`after ${payload}`);
      assert.equal((await gateway.chat(key, 'mock-gpt')).status, 200);
      // As if the announcement of this very change had been the one that could not be read.
      await gateway.pool.query('update gatewayctl.keys set blocked = true where alias = $1', [`after ${payload}`]);
      await notify(payload);
      await gateway.chatUntil(401, key);
      assert.equal(gateway.daemon.child.exitCode, null);
    });
  }

  test('that nobody can read is logged once a second, however many come', async () => {
    const already = lines(/nobody knows what/);
    const start = performance.now();
    for (let count = 0; count < 300; count++) await notify('nonsense');
    const key = await aKey('after the flood');
    assert.equal((await gateway.chat(key, 'mock-gpt')).status, 200);
    const seconds = Math.ceil((performance.now() - start) / 1_000);
    assert.ok(lines(/nobody knows what/) - already <= seconds + 1);
    assert.equal(lines(/cannot be heard of/), 0, 'the connection stays');
  });

  test('of a change covers retired secrets too, also when the clock of whoever makes it is ahead', async () => {
    const stateDir = await aStateDir();
    const ahead = `const Real = Date;
      globalThis.Date = class extends Real {
        constructor(...parts) { super(...(parts.length > 0 ? parts : [Real.now() + 7_200_000])); }
        static now() { return Real.now() + 7_200_000; }
      };`;
    const env = {
      GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey,
      GATEWAYCTL_ENCRYPTION_KEY_FILE: join(gateway.stateDir, 'encryption-key'),
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(ahead)}`,
    };
    const other: Daemon = await startDaemon({ stateDir, databaseUrl: gateway.databaseUrl, env });
    try {
      const old = await aKey('rotated');
      await gateway.request('POST', '/key/regenerate', { body: { key: 'rotated', grace_period: '1h' } });
      assert.equal((await gateway.chat(old, 'mock-gpt')).status, 200, 'within its grace');
      const { status, text } = await other.request('POST', '/key/block', { body: { key: 'rotated' } });
      assert.equal(status, 200, text);
      await until(async () => (await gateway.chat(old, 'mock-gpt')).status === 401, 2_000);
    } finally {
      await other.stop();
      await rm(stateDir, { recursive: true, force: true });
    }
  });

  test('of a credential or a model is followed by another daemon within a second', async () => {
    const upstream = await startUpstream({ text: 'hello' });
    const stateDir = await aStateDir();
    const env = {
      GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey,
      GATEWAYCTL_ENCRYPTION_KEY_FILE: join(gateway.stateDir, 'encryption-key'),
    };
    const other: Daemon = await startDaemon({ stateDir, databaseUrl: gateway.databaseUrl, env });
    const admin = async (method: string, path: string, body: object) => {
      const { status, text } = await gateway.request(method, path, { body });
      assert.equal(status, 200, text);
    };
    /** What the other daemon sends upstream: the credential, and the model. */
    const sent = async () => {
      const body = { model: 'far', messages: [{ role: 'user', content: 'hi' }] };
      const { status, text } = await other.request('POST', '/v1/chat/completions', { body });
      const last = upstream.requests.at(-1);
      return status === 200 ? [last?.headers.authorization, last?.body['model']] : [status, text];
    };
    const follows = (expected: readonly unknown[]) =>
      until(async () => JSON.stringify(await sent()) === JSON.stringify(expected), 1_000);
    try {
      const credential_values = { api_key: 'sk-first-0123456789', api_base: upstream.url };
      await admin('POST', '/credentials', { credential_name: 'far', credential_values });
      const litellm_params = { model: 'openai/one', litellm_credential_name: 'far', allow_private_network: true };
      await admin('POST', '/model/new', { model_name: 'far', litellm_params, model_info: { id: 'far' } });
      await follows(['Bearer sk-first-0123456789', 'one']);
      await admin('PATCH', '/credentials/far', { credential_values: { api_key: 'sk-second-0123456789' } });
      await follows(['Bearer sk-second-0123456789', 'one']);
      await admin('POST', '/model/update', { litellm_params: { model: 'openai/two' }, model_info: { id: 'far' } });
      await follows(['Bearer sk-second-0123456789', 'two']);
      await admin('POST', '/model/delete', { id: 'far' });
      await until(async () => [400, 404].includes(Number((await sent())[0])), 1_000);
    } finally {
      await other.stop();
      await upstream[Symbol.asyncDispose]();
      await rm(stateDir, { recursive: true, force: true });
    }
  });

  test('of a change covers secrets whose grace has ended, and these are forgotten', async () => {
    const old = await aKey('over');
    await gateway.request('POST', '/key/regenerate', { body: { key: 'over', grace_period: '1h' } });
    assert.equal((await gateway.chat(old, 'mock-gpt')).status, 200);
    await gateway.pool.query(
      `update gatewayctl.retired_tokens r set expires_at = now() from gatewayctl.keys k where k.id = r.key_id and k.alias = 'over'`,
    );
    await gateway.request('POST', '/key/update', { body: { key: 'over', metadata: {} } });
    await until(async () => (await gateway.chat(old, 'mock-gpt')).status === 401, 2_000);
    const { rows } = await gateway.pool.query(
      `select 1 from gatewayctl.retired_tokens r join gatewayctl.keys k on k.id = r.key_id where k.alias = 'over'`,
    );
    assert.equal(rows.length, 0);
  });
});
