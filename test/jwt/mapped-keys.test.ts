import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Members, mintToken, secretMint, seconds } from '../support/forge.ts';
import { aStateDir, type Gateway, startGateway, until } from '../support/gateway.ts';

const secret = 'a-shared-secret-of-32-bytes-and-more';
const first = secretMint('https://first.example', 'here', secret);
const second = secretMint('https://second.example', 'here', `${secret}-2`);

const configuration = JSON.stringify({
  model_list: ['small', 'large'].map((name) => ({ model_name: name, litellm_params: { model: `mock/${name}` } })),
  general_settings: {
    enable_jwt_auth: true,
    litellm_jwtauth: {
      user_id_jwt_field: 'user',
      virtual_key_claim_field: 'client.id',
      public_allowed_routes: ['/v1/models'],
    },
  },
  gatewayctl: {
    jwt: {
      issuers: [
        { issuer: first.issuer, audience: 'here', shared_secret: secret, clock_tolerance: 0 },
        { issuer: second.issuer, audience: 'here', shared_secret: `${secret}-2` },
      ],
    },
  },
});

let gateway: Gateway;
before(async () => {
  const config = join(await aStateDir(), 'config.yaml');
  await writeFile(config, configuration);
  gateway = await startGateway({ args: ['--config', config] });
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: object, key = gateway.daemon.masterKey) =>
  gateway.request('POST', path, { key, body });
const done = async (path: string, body: object) => {
  const answer = await post(path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const token = (claims: Members, mint = first) => mintToken(mint, { claims });
const statusOf = async (key: string, model = 'small') => (await gateway.chat(key, model)).status;
/** A key of these properties, and a token that it is mapped to. */
async function mapped(name: string, properties: object = {}): Promise<string> {
  await done('/key/generate', { key_alias: name, ...properties });
  await done('/jwt/key/mapping/new', { jwt_claim_name: 'client.id', jwt_claim_value: name, key: name });
  return token({ client: { id: name } });
}

describe('a token that a virtual key is mapped to', () => {
  test('is held to the routes, addresses and models of the key', async () => {
    const narrow = await mapped('narrow', { allowed_routes: ['/v1/models'], models: ['small'] });
    assert.equal(await statusOf(narrow), 403);
    assert.equal((await gateway.request('GET', '/v1/models', { key: narrow })).status, 200);
    assert.equal((await gateway.request('GET', '/key/info', { key: narrow })).status, 403);
    const elsewhere = await mapped('elsewhere', { allowed_ips: ['203.0.113.7'] });
    assert.equal(await statusOf(elsewhere), 403);
    assert.equal((await gateway.request('GET', '/key/info', { key: elsewhere })).status, 403);
  });

  test('follows the key: replaced, expired and deleted', async () => {
    const key = await mapped('moving');
    assert.equal(await statusOf(key), 200);
    await done('/key/regenerate', { key: 'moving' });
    for (let calls = 0; calls < 5; calls++) assert.equal(await statusOf(key), 200);
    await done('/key/update', { key: 'moving', expires: new Date(Date.now() + 1_000).toISOString() });
    await until(async () => (await statusOf(key)) === 401, 3_000);
    await done('/key/delete', { key_aliases: ['moving'] });
    await until(async () => (await statusOf(key)) === 403, 1_000);
    const { mappings } = (await gateway.request('GET', '/jwt/key/mapping/list')).body;
    assert.ok(!mappings.some((each: { jwt_claim_value: string }) => each.jwt_claim_value === 'moving'));
  });

  test('is one of the issuer that the mapping is for, where it is for one', async () => {
    await done('/key/generate', { key_alias: 'of-first' });
    const mapping = { jwt_claim_name: 'client.id', jwt_claim_value: 'shared', key: 'of-first' };
    await done('/jwt/key/mapping/new', { ...mapping, issuer: first.issuer });
    const claims = { client: { id: 'shared' } };
    assert.deepEqual([await statusOf(token(claims)), await statusOf(token(claims, second))], [200, 403]);
  });

  test('ends with the token, also for a change whose body takes its time', async () => {
    await mapped('short');
    const claims = { client: { id: 'short' }, iat: seconds(), exp: seconds(2) };
    const key = token(claims);
    assert.equal(await statusOf(key), 200);
    const body = new ReadableStream({
      async start(stream) {
        stream.enqueue(new TextEncoder().encode('{'));
        await until(async () => (await statusOf(key)) === 401, 4_000);
        stream.enqueue(new TextEncoder().encode('"key_alias":"too-late"}'));
        stream.close();
      },
    });
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const late = await fetch(`${gateway.daemon.url}/key/update`, { method: 'POST', body, headers, duplex: 'half' });
    assert.equal(late.status, 401);
  });

  test('is mapped by administrators alone', async () => {
    await done('/user/new', { user_id: 'ann', auto_create_key: false });
    const { key } = await done('/key/generate', { user_id: 'ann', key_alias: 'anns' });
    const mapping = { jwt_claim_name: 'client.id', jwt_claim_value: 'anns', key: 'anns' };
    for (const caller of [key, token({ user: 'ann' })]) {
      assert.equal((await post('/jwt/key/mapping/new', mapping, caller)).status, 403);
      assert.equal((await gateway.request('GET', '/jwt/key/mapping/list', { key: caller })).status, 403);
    }
  });
});

describe('a token at its edges', () => {
  test('of nobody may do what public_allowed_routes says, and nothing else', async () => {
    const nobody = token({});
    assert.equal((await gateway.request('GET', '/v1/models', { key: nobody })).status, 200);
    assert.equal(await statusOf(nobody), 403);
    assert.equal((await gateway.request('GET', '/key/list', { key: nobody })).status, 403);
    assert.equal((await post('/key/generate', {}, nobody)).status, 403);
  });

  test('names nobody by what is no name, and by the names that every object has', async () => {
    const odd = [
      '__proto__',
      'constructor',
      '',
      ' ',
      'ann ',
      'аnn',
      'ANN',
      ['', 'ann'],
      [['ann']],
      { id: 'ann' },
      true,
    ];
    for (const user of [...odd, Array.from({ length: 1_001 }, () => 'a'), 'a'.repeat(256), 'a\u0000', '\ud800']) {
      const info = await gateway.request('GET', '/user/info', { key: token({ user }) });
      assert.equal(info.status, 403, JSON.stringify(user)?.slice(0, 40));
    }
    assert.equal((await gateway.request('GET', '/user/info', { key: token({ user: ['ann', 'bob'] }) })).status, 200);
  });

  test('is in no query string, and neither in a log nor in an answer nor in the audit log', async () => {
    const tokens = [
      token({ user: 'ann', secret: 'canary' }),
      token({ client: { id: 'nowhere' } }),
      token({ exp: seconds(-100) }),
      `${token({ user: 'ann' }).slice(0, -8)}AAAAAAAA`,
      token({ user: 'x'.repeat(9_000) }),
    ];
    const answers: string[] = [];
    for (const key of tokens) {
      for (const path of [`/key/info?key=${key}`, `/v1/models?key=${key}&api_key=${key}&access_token=${key}`]) {
        const answer = await gateway.request('GET', path, { key: '' });
        assert.ok([401, 431].includes(answer.status), String(answer.status));
        answers.push(answer.text);
      }
      answers.push((await post('/key/generate', { user_id: key, key_alias: 'x' }, key)).text);
      answers.push((await gateway.chat(key, 'no-such-model')).text, (await post('/audit', {}, key)).text);
      answers.push((await gateway.request('GET', `/key/info?key=${key}`, { key })).text);
    }
    const huge = await gateway.request('GET', '/v1/models', { key: token({ user: 'x'.repeat(100_000) }) });
    assert.ok([401, 431].includes(huge.status), String(huge.status));
    const { rows } = await gateway.pool.query('select to_jsonb(a)::text as text from gatewayctl.audit_log a');
    const everything = [...answers, ...gateway.daemon.log, ...rows.map(({ text }) => text)].join('\n');
    for (const key of tokens) {
      const [, payload = '', signature = ''] = key.split('.');
      assert.ok(!everything.includes(signature.slice(0, 30)), 'signature');
      assert.ok(!everything.includes(payload.slice(40, 120)), 'payload');
    }
  });
});
