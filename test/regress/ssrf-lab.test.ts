import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { aStateDir, type Gateway, startGateway } from '../support/gateway.ts';
import { overrides } from '../support/override-spellings.ts';
import { startTrap, type Trap } from '../support/trap.ts';

const providerKey = 'sk-provider-own-0123456789abcdef';

let upstream: Upstream;
let trap: Trap;
let gateway: Gateway;
let key: string;
let dir: string;

/** The operator's own file, with an upstream on this machine as nobody had to allow. */
const config = () => `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_base: "${upstream.url}", api_key: ${providerKey} }
  - model_name: by-name
    litellm_params: { model: openai/gpt-4o, api_base: "${upstream.url.replace('127.0.0.1', 'localhost')}" }
  - model_name: strict
    litellm_params: { model: openai/gpt-4o, api_base: "http://127.0.0.1:${trap.port}/v1", allow_private_network: false }
`;

before(async () => {
  upstream = await startUpstream();
  trap = await startTrap();
  dir = await aStateDir();
  await writeFile(join(dir, 'config.yaml'), config());
  const proxies = ['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'];
  const env = Object.fromEntries(proxies.map((name) => [name, `http://127.0.0.1:${trap.port}`]));
  gateway = await startGateway({
    ownProcess: true,
    args: ['--config', join(dir, 'config.yaml')],
    env: { ...env, NODE_USE_ENV_PROXY: '1', GATEWAYCTL_NUM_RETRIES: '0', no_proxy: '' },
  });
  key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await trap[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});
beforeEach(() => upstream.script({}));

const hello = { model: 'gpt-4o', messages: [{ role: 'user', content: 'hello there' }] };
const post = (path: string, body: object) => gateway.request('POST', path, { body });

/** Other spellings of this machine, each with the port of the trap. */
const spellings = () =>
  [
    'localhost', 'LOCALHOST', 'localhost.', 'ⓛocalhost', 'sub.localhost', '127.0.0.1', '127.1', '127.0.1', '127.0.0.1.',
    '0', '0.0.0.0', '0x7f.1', '0x7f000001', '0x7F.0x0.0x0.0x1', '0177.0.0.1', '017700000001', '2130706433', '127.255.0.1',
    '①②⑦.⓪.⓪.①', '127。0。0。1', '[::1]', '[0:0:0:0:0:0:0:1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]',
    '[::127.0.0.1]', '[64:ff9b::127.0.0.1]', '[2002:7f00:1::]',
  ].map((host) => `http://${host}:${trap.port}`); // prettier-ignore

describe('SEC-62: an upstream on this machine', () => {
  test('of the operator’s own file is called, with nothing set; and not by way of a proxy of the environment', async () => {
    for (const model of ['gpt-4o', 'by-name']) assert.equal((await gateway.chat(key, model)).status, 200);
    assert.equal((await gateway.chat(key, 'strict')).body.error.type, 'upstream_address_refused');
    assert.ok(gateway.daemon.log.some((line) => line.includes('all_proxy: set and not used')));
    assert.equal(trap.connections, 0);
  });

  test('of a model made over the network is refused when it is made, however it is spelled', async () => {
    const slashes = [`http:\\\\127.0.0.1:${trap.port}`, `http:/127.0.0.1:${trap.port}`, `http:127.0.0.1:${trap.port}`];
    const users = [`http://a@127.0.0.1:${trap.port}`, `http://api.openai.com#@127.0.0.1:${trap.port}`];
    for (const base of [...spellings(), ...slashes, ...users]) {
      const { status, body, text } = await post('/model/new', {
        model_name: 'near',
        litellm_params: { model: 'openai/x', api_base: base },
      });
      assert.deepEqual([status, body.error.param], [400, 'litellm_params.api_base'], `${base}: ${text}`);
    }
    const { body } = await post('/model/new', {
      model_name: 'near',
      litellm_params: { model: 'openai/x', api_base: `http://localhost:${trap.port}` },
    });
    assert.match(body.error.hint, /--allow-private-network, or litellm_params.allow_private_network: true/);
    assert.match(body.error.message, /localhost is not on the public internet/);
    assert.equal(trap.connections, 0);
  });

  test('that only a credential names is refused when it is called', async () => {
    for (const [index, base] of spellings().entries()) {
      const name = `near-${index}`;
      const kept = await post('/credentials', { credential_name: name, credential_values: { api_base: base } });
      assert.equal(kept.status, 200, `${base}: ${kept.text}`);
      const params = { model: 'openai/x', litellm_credential_name: name, api_key: 'sk-not-for-the-trap-1' };
      assert.equal((await post('/model/new', { model_name: name, litellm_params: params })).status, 200);
      const { status, body, text } = await gateway.chat(key, name);
      assert.equal(status, 502, base);
      assert.equal(body.error.type, 'upstream_address_refused', base);
      assert.doesNotMatch(text, /127|localhost|::/);
    }
    assert.equal(trap.connections, 0);
    const why = gateway.daemon.log.filter((line) => line.includes('is not public; a model says allow_private_network'));
    assert.ok(why.length >= spellings().length);
  });

  test('is called where the model says so, and no longer when it says so no more', async () => {
    const params = { model: 'openai/x', api_base: upstream.url, allow_private_network: true };
    const made = await post('/model/new', { model_name: 'meant', litellm_params: params, model_info: { id: 'meant' } });
    assert.equal(made.body.litellm_params.allow_private_network, true);
    assert.equal((await gateway.chat(key, 'meant')).status, 200);
    const update = (litellm_params: object) => post('/model/update', { litellm_params, model_info: { id: 'meant' } });
    assert.equal((await update({ allow_private_network: null })).status, 400);
    assert.equal((await update({ allow_private_network: false })).status, 400);
    assert.equal((await update({ timeout: 5 })).status, 200);
    assert.equal((await update({ api_base: 'https://[2d00::1]', allow_private_network: null })).status, 200);
    assert.equal((await update({ api_base: upstream.url })).status, 400);
  });

  test('is a trap that counts', async () => {
    const params = { model: 'openai/x', api_base: `http://[::1]:${trap.port}`, allow_private_network: true };
    await post('/model/new', { model_name: 'trapped', litellm_params: params });
    const earlier = trap.connections;
    assert.equal((await gateway.chat(key, 'trapped')).status, 502);
    assert.equal(trap.connections, earlier + 1);
  });
});

test('SEC-62: the gateway itself is no upstream, whatever is said', async () => {
  const { port } = new URL(gateway.daemon.url);
  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '0.0.0.0', '2130706433']) {
    const params = { model: 'openai/x', api_base: `http://${host}:${port}`, api_key: key, allow_private_network: true };
    assert.equal((await post('/model/new', { model_name: `own-${host}`, litellm_params: params })).status, 200);
    const { status, body } = await gateway.chat(key, `own-${host}`);
    assert.deepEqual([status, body.error.type], [502, 'upstream_address_refused'], host);
  }
});

test('SEC-62: where clouds have credentials nothing leads, whatever is said', async () => {
  for (const host of [
    '169.254.169.254', '0xa9fea9fe', '2852039166', '[::ffff:169.254.169.254]', '[fd00:ec2::254]', '169.254.170.2',
    '100.100.100.200', 'metadata.google.internal', 'metadata.google.internal.', '[fe80::a9fe:a9fe]',
  ]) {
    const api_base = `http://${host}/latest/meta-data`;
    const params = { model: 'openai/x', api_base, allow_private_network: true };
    const { status, body } = await post('/model/new', { model_name: 'cloud', litellm_params: params });
    assert.deepEqual([status, body.error.param], [400, 'litellm_params.api_base'], host);
    const kept = await post('/credentials', { credential_name: 'cloud', credential_values: { api_base } });
    assert.deepEqual([kept.status, kept.body.error.param], [400, 'credential_values.api_base'], host);
  } // prettier-ignore
});

/** Everything the upstream has seen of the calls since the last look, as one text for each. */
const seen = (): string[] =>
  upstream.requests.splice(0).map(({ path, rawHeaders, text }) => [path, ...rawHeaders, text].join('\n'));

test('SEC-62: no redirect is followed, and nothing else that names another place', async () => {
  seen();
  const elsewhere = `http://127.0.0.1:${trap.port}/latest`;
  const earlier = trap.connections;
  for (const status of [300, 301, 302, 303, 305, 307, 308]) {
    for (const location of [elsewhere, `http://[::1]:${trap.port}/`, `//localhost:${trap.port}/`, '/v1/models']) {
      upstream.script({ status, headers: { location, refresh: `0; url=${location}` }, answer: {} });
      for (const more of [{}, { stream: true }]) {
        const { status: answered, body, headers } = await gateway.chat(key, 'gpt-4o', more);
        assert.deepEqual([answered, body.error.type], [502, 'upstream_invalid_response'], `${status} ${location}`);
        assert.equal(headers.get('location') ?? headers.get('refresh'), null);
      }
    }
  }
  assert.equal(seen().length, 7 * 4 * 2, 'each of them was asked once');
  const named = { location: elsewhere, refresh: `0; url=${elsewhere}`, link: `<${elsewhere}>; rel=preload` };
  upstream.script({ headers: { ...named, 'alt-svc': `h2=":${trap.port}"`, 'content-location': elsewhere } });
  for (let count = 0; count < 3; count++) assert.equal((await gateway.chat(key, 'gpt-4o')).status, 200);
  assert.equal(trap.connections, earlier);
});

/** The kinds of calls there are, as the gateway itself publishes them. */
async function inferenceRoutes(): Promise<string[]> {
  const { paths } = (await gateway.request('GET', '/openapi.json')).body as Record<
    'paths',
    Record<string, { post?: { tags?: string[] } }>
  >;
  return Object.entries(paths).flatMap(([path, { post: call }]) =>
    path.startsWith('/v1/') && !path.includes('{') && call?.tags?.includes('inference') ? [path] : [],
  );
}

test('SEC-60, SEC-63, CVE-2024-6587, PYSEC-2026-4070, CVE-2025-66405, CVE-2026-75871: no client says where its call goes', async () => {
  seen();
  const earlier = trap.connections;
  const { host } = new URL(upstream.url);
  const canary = `http://127.0.0.1:${trap.port}/canary`;
  const routes = await inferenceRoutes();
  assert.ok(routes.includes('/v1/chat/completions'));
  for (const route of routes) {
    const tried: Record<number, number> = {};
    for (const { what, path = '', headers = {}, body = {} } of overrides(canary)) {
      const whole = { ...hello, ...(route.includes('chat') ? {} : { prompt: 'hello', input: 'hello' }), ...body };
      const { status } = await gateway.request('POST', route + path, { key, headers, body: whole });
      tried[status] = (tried[status] ?? 0) + 1;
      for (const { path: called, headers: sent, rawHeaders } of upstream.requests.splice(0)) {
        assert.deepEqual([called, sent.host, sent.authorization], [route, host, `Bearer ${providerKey}`], what);
        assert.doesNotMatch(rawHeaders.join(), /canary/, what);
      }
    }
    if (route === '/v1/chat/completions') {
      const { 200: inert = 0, 400: refused = 0, 404: unknown = 0, ...others } = tried;
      assert.ok(inert > 100 && refused > 60 && inert + refused + unknown > 200, JSON.stringify(tried));
      assert.deepEqual(others, {}, 'nothing else came of it');
    }
  }
  assert.equal(trap.connections, earlier);
});

const credentialHeaders = [
  'authorization', 'x-litellm-api-key', 'x-api-key', 'api-key', 'x-goog-api-key', 'ocp-apim-subscription-key',
  'proxy-authorization', 'cookie', 'x-auth-token', 'x-access-token', 'x-amz-security-token', 'x-litellm-key',
  'anthropic-api-key', 'x-portkey-api-key',
]; // prettier-ignore

test('SEC-64, LiteLLM #32202, #12090, PR #38114: no credential of a caller reaches an upstream', async () => {
  seen();
  const asks = (headers: Record<string, string>, path = '', keyed = '') =>
    Promise.all(
      [{}, { stream: true }].map((more) =>
        gateway.request('POST', `/v1/chat/completions${path}`, { key: keyed, headers, body: { ...hello, ...more } }),
      ),
    );
  const basic = Buffer.from(`user:${key}`).toString('base64');
  const statuses = new Map<string, number>();
  for (const name of credentialHeaders) {
    for (const scheme of ['', 'Bearer ', 'Basic ']) {
      const value = scheme === 'Basic ' ? basic : key;
      const [first] = await asks({ [name]: scheme + value });
      if (first?.status === 200) statuses.set(name, 200);
      await asks({ [name]: `${scheme}canary-of-${name}` }, '', key);
    }
  }
  for (const name of ['key', 'api_key', 'api-key', 'access_token', 'token', 'subscription-key', 'x-goog-api-key']) {
    await asks({}, `?${name}=${key}`, key);
    await asks({}, `?${name}=canary-of-query-${name}`, key);
  }
  const texts = seen();
  assert.ok(texts.length > 50, `${texts.length} calls got through`);
  assert.ok(statuses.size >= 6, [...statuses.keys()].join());
  for (const text of texts) {
    for (const secret of [key, basic, key.slice(8), 'canary', gateway.daemon.masterKey])
      assert.equal(text.includes(secret), false, text);
  }
});
