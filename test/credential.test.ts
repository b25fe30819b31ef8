import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startUpstream, type Upstream } from './proxy/upstream.ts';
import { type Gateway, startGateway, until } from './support/gateway.ts';

let gateway: Gateway;
let upstream: Upstream;
let key: string;
before(async () => {
  upstream = await startUpstream({ text: 'hello' });
  gateway = await startGateway({ env: { UPSTREAM_TEST_KEY: 'sk-from-the-environment' } });
  key = (await gateway.gatewayctl('key generate -q')).out.trim();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const request = (method: string, path: string, body?: unknown) => gateway.request(method, path, { body });
const lastAuthorization = () => upstream.requests.at(-1)?.headers.authorization;

/** All that the database has of credentials and of what was done to them, as text. */
async function kept(): Promise<string> {
  const { rows } = await gateway.pool.query<{ text: string }>(
    `select (select json_agg(c) from gatewayctl.credentials c)::text
         || (select json_agg(a) from gatewayctl.audit_log a where object_type = 'credential')::text as text`,
  );
  return rows[0]?.text ?? '';
}

for (const way of ['server', 'database-url'] as const) {
  describe(`credential, by ${way}`, () => {
    const run = (line: string, stdin = '', env = {}) => gateway.gatewayctl(line, way, { stdin, env });
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);

    test('create takes values from files, variables and standard input, and shows none of them again', async () => {
      const path = join(gateway.stateDir, `${way}-address`);
      await writeFile(path, `${upstream.url}\n`);
      const made = await run(
        `credential create ${way} --value-file api_base=${path} --value-env api_key=MY_KEY --info '{"custom_llm_provider":"openai"}' --json`,
        '',
        { MY_KEY: `sk-canary-of-${way}-9999` },
      );
      assert.equal(made.exit, 0, made.err);
      assert.match(made.err, new RegExp(`Credential ${way} created`));
      assert.partialDeepStrictEqual(JSON.parse(made.out), {
        credential_name: way,
        provider: 'openai',
        credential_values: { api_key: '…9999' },
        used_by: [],
      });
      for (const line of [`credential get ${way}`, 'credential list', `credential list -o wide`]) {
        const { out, err } = await run(line);
        assert.match(out, new RegExp(way));
        assert.doesNotMatch(`${out}${err}${made.out}`, /canary|127\.0\.0\.1/, line);
      }
      assert.doesNotMatch(await kept(), /canary|127\.0\.0\.1:9/);
    });

    test('a model calls with it, and with its new value within a second of a change', async () => {
      const made = await run(
        `model create ${way}-m --provider-model openai/x --credential ${way} --allow-private-network --json`,
      );
      assert.equal(made.exit, 0, made.err);
      assert.equal(JSON.parse(made.out).litellm_params.litellm_credential_name, way);
      await gateway.chatUntil(200, key, `${way}-m`);
      assert.equal(lastAuthorization(), `Bearer sk-canary-of-${way}-9999`);

      const { fingerprints: earlier } = await json(`credential get ${way}`);
      const changed = await run(`credential update ${way} --value-stdin api_key`, `sk-second-canary-${way}\n`);
      assert.equal(changed.exit, 0, changed.err);
      const start = performance.now();
      await until(async () => {
        await gateway.chat(key, `${way}-m`);
        return lastAuthorization() === `Bearer sk-second-canary-${way}`;
      }, 1_000);
      assert.ok(performance.now() - start < 1_000);
      const { fingerprints: afterwards } = await json(`credential get ${way}`);
      assert.notEqual(afterwards.api_key, earlier.api_key);
      assert.equal(afterwards.api_base, earlier.api_base);
    });

    test('delete is refused while a model uses it, by name, and goes afterwards', async () => {
      const [{ model_id: id }] = await json(`model get ${way}-m`);
      const refused = await run(`credential delete ${way} --yes`);
      assert.equal(refused.exit, 6);
      assert.match(refused.err, new RegExp(`is used by ${id}`));
      assert.deepEqual((await json(`credential get ${way}`)).used_by, [id]);
      assert.equal((await run(`model update ${way}-m --credential none --api-key -`, 'sk-own-canary-key-1')).exit, 0);
      assert.equal((await run(`credential delete ${way} --yes`)).exit, 0);
      assert.equal((await run(`credential get ${way}`)).exit, 3);
    });

    test('create --if-not-exists takes the one there is, if it has these values, and tells of no other', async () => {
      const line = `credential create again-${way} --value-stdin api_key --if-not-exists`;
      for (const exit of [0, 0]) assert.equal((await run(line, 'sk-first-canary-key-1')).exit, exit);
      const other = await run(line, 'sk-other-canary-key-2');
      assert.equal(other.exit, 6);
      assert.match(other.err, /credential_values\.api_key: differs/);
      assert.doesNotMatch(other.err, /canary/);
    });

    test('a value on the command line, one from nowhere, and a credential nobody knows are refused', async () => {
      const typed = await run(`credential create x --value-file sk-typed-canary-secret-1`);
      assert.equal(typed.exit, 2);
      assert.doesNotMatch(typed.err, /typed-canary/);
      assert.equal((await run(`credential create x --values '{"api_key":"sk-typed-canary-secret-1"}'`)).exit, 2);
      assert.match((await run('credential create x --value-env api_key=NOT_SET_HERE')).err, /NOT_SET_HERE is not set/);
      assert.match((await run('credential create x')).err, /a credential without a value is none/);
      const missing = await run('model create x --provider-model openai/x --credential nobody');
      assert.equal(missing.exit, 3);
      assert.match(missing.err, /No credential "nobody"/);
    });
  });
}

describe('credentials, as LiteLLM’s clients ask for them', () => {
  test('POST, GET by name and by model, PATCH and DELETE', async () => {
    const made = await request('POST', '/credentials', {
      credential_name: 'wire',
      credential_values: { api_key: 'os.environ/UPSTREAM_TEST_KEY', api_base: upstream.url },
      credential_info: { description: 'ours' },
    });
    assert.equal(made.status, 200, made.text);
    assert.partialDeepStrictEqual(made.body, { success: true, message: 'Credential created successfully' });
    const again = await request('POST', '/credentials', {
      credential_name: 'wire',
      credential_values: { api_key: 'x' },
    });
    assert.equal(again.status, 400);

    await request('POST', '/model/new', {
      model_name: 'wire-m',
      litellm_params: { model: 'openai/x', litellm_credential_name: 'wire', allow_private_network: true },
      model_info: { id: 'wire-m' },
    });
    assert.equal((await gateway.chat(key, 'wire-m')).status, 200);
    assert.equal(lastAuthorization(), 'Bearer sk-from-the-environment');
    for (const path of ['/credentials/by_name/wire', '/credentials/by_model/wire-m']) {
      const { status, body } = await request('GET', path);
      assert.equal(status, 200, path);
      assert.partialDeepStrictEqual(body, {
        credential_name: 'wire',
        credential_values: { api_key: 'os.environ/UPSTREAM_TEST_KEY' },
        credential_info: { description: 'ours' },
        used_by: ['wire-m'],
      });
    }
    const list = (await request('GET', '/credentials')).body;
    assert.equal(list.success, true);
    assert.ok(list.credentials.some(({ credential_name: name }: { credential_name: string }) => name === 'wire'));

    const patched = await request('PATCH', '/credentials/wire', { credential_values: { api_base: null } });
    assert.equal(patched.status, 200);
    assert.deepEqual(Object.keys(patched.body.credential.credential_values), ['api_key']);
    assert.equal((await request('PATCH', '/credentials/wire', { credential_values: { api_key: null } })).status, 400);
    assert.equal((await request('DELETE', '/credentials/wire')).status, 409);
    await request('POST', '/model/delete', { id: 'wire-m' });
    assert.equal((await request('DELETE', '/credentials/wire')).status, 200);
    assert.equal((await request('GET', '/credentials/by_name/wire')).status, 404);
  });

  test('a value without effect, and an address that is none, are refused by name', async () => {
    for (const [values, param] of [
      [{ aws_region_name: 'eu' }, 'credential_values.aws_region_name'],
      [{ api_base: 'ftp://x' }, 'credential_values.api_base'],
    ] as const) {
      const answer = await request('POST', '/credentials', { credential_name: 'bad', credential_values: values });
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.body.error.param, param);
    }
  });

  test('a virtual key sees no credential', async () => {
    for (const path of ['/credentials', '/credentials/by_name/server']) {
      assert.equal((await gateway.request('GET', path, { key })).status, 403, path);
    }
  });
});
