import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { mintOf, mintToken } from '../support/forge.ts';
import { aStateDir, type Daemon, type Gateway, startDaemonHere, startGateway, until } from '../support/gateway.ts';
import { audience, type OpenIdProvider, signingKey, startOpenIdProvider } from '../support/openid-provider.ts';

/** A configuration with a model, and keys that are old after a second. */
const configuration = (issuer: string): string =>
  JSON.stringify({
    model_list: [{ model_name: 'mock-gpt', litellm_params: { model: 'mock/mock-gpt' } }],
    general_settings: { enable_jwt_auth: true, litellm_jwtauth: { public_key_ttl: 1 } },
    gatewayctl: { jwt: { issuers: [{ issuer, audience }] } },
  });

let provider: OpenIdProvider;
let gateway: Gateway;
let config: string;
before(async () => {
  provider = await startOpenIdProvider();
  config = join(await aStateDir(), 'config.yaml');
  await writeFile(config, configuration(provider.issuer));
  gateway = await startGateway({ args: ['--config', config] });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

const mint = (key = provider.firstKey) => mintToken(mintOf(provider.issuer, audience, key));
/** What a call for a model is answered with this token. */
const statusOf = async (token: string) => (await gateway.chat(token, 'mock-gpt')).status;

describe('a JWT at the front door', () => {
  test('of a configured issuer is believed, and may do nothing where it stands for nobody', async () => {
    const token = await provider.token({ scope: 'call litellm_proxy_admin' });
    const chat = await gateway.chat(token, 'mock-gpt');
    assert.equal(chat.status, 403);
    assert.match(chat.body.error.message, /no mapping/);
    for (const headers of [{ 'x-api-key': token }, { 'x-litellm-api-key': token }, { 'api-key': token }] as const) {
      assert.equal((await gateway.request('GET', '/v1/models', { key: '', headers })).status, 403);
    }
    assert.equal((await gateway.request('GET', '/key/list', { key: token })).status, 403);
    assert.equal((await gateway.request('POST', '/key/generate', { key: token, body: {} })).status, 403);
  });

  test('leaves virtual keys and the master key as they are', async () => {
    const { key } = (await gateway.request('POST', '/key/generate', { body: {} })).body;
    assert.equal(await statusOf(key), 200);
    assert.equal(await statusOf(gateway.daemon.masterKey), 200);
  });

  test('that is no good is refused without a word of why, which the logs have', async () => {
    const stranger = mint(await signingKey('RS256', 'first'));
    const expired = mintToken(mintOf(provider.issuer, audience, provider.firstKey), { claims: { iat: 1, exp: 2 } });
    const answers = await Promise.all(
      [stranger, expired].flatMap((key) => [
        gateway.chat(key, 'mock-gpt'),
        gateway.request('GET', '/key/list', { key }),
      ]),
    );
    const told = {
      message: 'Authentication Error, Invalid JWT Submitted',
      type: 'auth_error',
      param: null,
      code: '401',
    };
    for (const { status, body } of answers) {
      assert.equal(status, 401);
      assert.deepEqual(body.error, { ...told, kind: 'unauthenticated', hint: null });
    }
    await until(() => gateway.daemon.log.some((line) => line.includes('A JWT was refused') && line.includes('exp')));
    const { rows } = await gateway.pool.query(
      `select after->>'reason' as reason from gatewayctl.audit_log where after->>'reason' not like 'no mapping%' order by 1`,
    );
    assert.deepEqual(
      rows.map(({ reason }) => reason),
      [
        `"exp" claim timestamp check failed; issuer ${provider.issuer}`,
        `signature verification failed; issuer ${provider.issuer}`,
      ],
    );
    const everything = gateway.daemon.log.join('\n');
    for (const token of [stranger, expired]) assert.ok(!everything.includes(token.slice(-40)), 'no token is logged');
  });

  test('outlives a rotation of keys: none that is good is refused, and none of a removed key lives on', async () => {
    const next = await signingKey('RS256', 'next');
    const statuses: number[] = [];
    const call = async (key = provider.firstKey) => statuses.push(await statusOf(mint(key)));
    for (let calls = 0; calls < 20; calls++) await call();
    provider.use([next, provider.firstKey]);
    for (let calls = 0; calls < 20; calls++) await Promise.all([call(next), call()]);
    assert.equal(statuses.length, 60);
    assert.deepEqual(new Set(statuses), new Set([403]));
    provider.use([next]);
    await until(async () => (await statusOf(mint())) === 401);
    assert.equal(await statusOf(mint(next)), 403);
    provider.use([provider.firstKey]);
    await until(async () => (await statusOf(mint())) === 403);
  });

  test('goes on being known while the provider is away; one of an unknown key is our trouble', async () => {
    await provider.stop();
    for (let calls = 0; calls < 5; calls++) assert.equal(await statusOf(mint()), 403);
    await until(async () => {
      assert.equal(await statusOf(mint()), 403);
      return gateway.daemon.log.some((line) => line.includes('The keys of an issuer cannot be read'));
    });
    assert.equal(await statusOf(mint()), 403);
    const unknown = await gateway.chat(mint(await signingKey('RS256', 'unknown')), 'mock-gpt');
    assert.equal(unknown.status, 503);
    assert.ok(Number(unknown.headers.get('retry-after')) >= 1);
    const forged = `${mint().slice(0, -8)}AAAAAAAA`;
    assert.equal(await statusOf(forged), 401, 'of a key that is known it can be told');
  });

  test('is our trouble in a daemon that has never read a key, until the provider is back', async () => {
    const stateDir = await aStateDir();
    await using daemon: Daemon = await startDaemonHere({ stateDir, args: ['--config', config] });
    const answer = await daemon.chat(mint(), 'mock-gpt');
    assert.equal(answer.status, 503);
    assert.equal(answer.body.error.type, 'auth_provider_unavailable');
    assert.ok(Number(answer.headers.get('retry-after')) >= 1);
    await provider.start();
    await until(async () => (await daemon.chat(mint(), 'mock-gpt')).status === 403);
  });

  test('that is forged is not verified any more when too many come from one address; known ones pass', async () => {
    const good = mint();
    await until(async () => (await statusOf(good)) === 403);
    const forged = mintOf(provider.issuer, audience, await signingKey('RS256', 'first'));
    await until(async () => {
      const statuses = await Promise.all(Array.from({ length: 20 }, () => statusOf(mintToken(forged))));
      assert.ok(
        statuses.every((status) => status === 401 || status === 429),
        statuses.join(),
      );
      return statuses.includes(429);
    });
    assert.equal(await statusOf(good), 403);
  });
});
