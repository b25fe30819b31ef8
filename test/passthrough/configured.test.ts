import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { healthPaths } from '../../src/daemon/health.ts';
import { operations } from '../../src/operations.ts';
import { isOwnPath, providerVariables } from '../../src/kernel/pass-through.ts';
import { PassThroughRoutes } from '../../src/passthrough/routes.ts';
import { until } from '../support/gateway.ts';
import { PretendUpstream } from './upstream.ts';
import { openWorld, secretOf, type World } from './world.ts';

let world: World;
let target: PretendUpstream;
before(async () => {
  target = await new PretendUpstream().listen();
  const config = join(await mkdtemp(join(tmpdir(), 'gatewayctl-')), 'config.yaml');
  await writeFile(
    config,
    `environment_variables:
  COHERE_API_KEY: cohere-from-the-file
general_settings:
  pass_through_endpoints:
    - path: /from-file
      target: ${target.url}/filed
      headers: { Authorization: os.environ/FILED_SECRET }
      cost_per_request: 0.25
`,
  );
  world = await openWorld({
    args: ['--config', config],
    without: ['cohere', 'groq'],
    env: { FILED_SECRET: 'Bearer filed-secret-0123456789' },
  });
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await target[Symbol.asyncDispose]();
});

const json = (line: string) => world.gateway.gatewayctl(`${line} -o json`);

describe('allowed_passthrough_routes', () => {
  const call = async (key: string, path: string) => {
    const { status, body } = await world.gateway.request('POST', path, { key, body: {} });
    return status === 200 ? 200 : [status, body.error.type];
  };
  const notAllowed = [403, 'route_not_allowed'];

  test('are the only ones that a key may call, with what is below them, and leave its other routes alone', async () => {
    const key = await world.aKey('--alias', 'passer', '--passthrough-routes', '/openai/v1/files,/from-file');
    assert.equal(await call(key, '/openai/v1/files/f1/content'), 200);
    assert.equal(await call(key, '/from-file'), 200);
    for (const path of ['/openai/v1/filesystem', '/openai/v1/files-x/../models', '/openai/v1', '/anthropic/v1/files']) {
      assert.deepEqual(await call(key, path), notAllowed, path);
    }
    assert.equal((await world.gateway.request('GET', '/v1/models', { key })).status, 200);
    const { out } = await world.gateway.gatewayctl('key update passer --passthrough-routes none -o json');
    assert.match(out, /"allowed_passthrough_routes": \[\]/);
    await until(async () => (await call(key, '/mistral/v1/models')) === 200, 1_000);
  });

  test('of a team hold for all its keys, whatever theirs say', async () => {
    const { gateway } = world;
    const made = await gateway.gatewayctl('team create --id narrow --passthrough-routes /openai,/mistral');
    assert.equal(made.exit, 0, made.err);
    const plain = await world.aKey('--team', 'narrow');
    const wide = await world.aKey('--team', 'narrow', '--passthrough-routes', '/cohere,/mistral');
    assert.equal(await call(plain, '/openai/v1/models'), 200);
    assert.equal(await call(wide, '/mistral/v1/models'), 200);
    for (const [key, path] of [
      [plain, '/cohere/v1/models'],
      [wide, '/cohere/v1/models'],
      [wide, '/openai/v1/models'],
    ] as const) {
      assert.deepEqual(await call(key, path), notAllowed, path);
    }
    const open = await gateway.gatewayctl('team update narrow --passthrough-routes none');
    assert.equal(open.exit, 0, open.err);
    await until(async () => (await call(plain, '/cohere/v1/models')) === 200, 1_000);
  });

  test('are given on by nobody who does not have them', async () => {
    const { gateway } = world;
    const admin = (path: string, body: object) => gateway.request('POST', path, { body });
    await admin('/user/new', { user_id: 'boss', auto_create_key: false });
    await admin('/team/new', { team_id: 'held', allowed_passthrough_routes: ['/openai'] });
    await admin('/team/member_add', { team_id: 'held', member: { user_id: 'boss', role: 'admin' } });
    const key = await world.aKey('--user', 'boss', '--passthrough-routes', '/openai');
    const asks = async (path: string, body: object) => {
      const { status, body: answer } = await gateway.request('POST', path, { key, body });
      return status === 200 ? 200 : [status, answer.error.param];
    };
    const refused = [403, 'allowed_passthrough_routes'];
    const { key: own } = (await admin('/key/generate', { user_id: 'boss', team_id: 'held' })).body;
    for (const allowed_passthrough_routes of [[], ['/mistral'], ['/openai/v1', '/open']]) {
      const wanted = { allowed_passthrough_routes };
      assert.deepEqual(await asks('/key/generate', wanted), refused);
      assert.deepEqual(await asks('/key/update', { key, ...wanted }), refused);
      assert.deepEqual(await asks('/team/update', { team_id: 'held', ...wanted }), refused);
      if (allowed_passthrough_routes.length > 0) {
        const made = await gateway.request('POST', '/key/generate', { key: own, body: { team_id: 'held', ...wanted } });
        assert.deepEqual([made.status, made.body.error.param], refused, 'beyond its team');
      }
    }
    const narrower = { allowed_passthrough_routes: ['/openai/v1'] };
    assert.equal(await asks('/key/generate', narrower), 200);
    assert.equal(await asks('/team/update', { team_id: 'held', ...narrower }), 200);
    assert.equal(await asks('/key/update', { key, ...narrower }), 200);
  });
});

describe('an endpoint of the operator’s own', () => {
  test('from the file: calls are passed on with its headers and booked at its price', async () => {
    const key = await world.aKey();
    const got = await world.gateway.request('POST', '/from-file?a=1', { key, body: { q: 'x' } });
    assert.equal(got.status, 200, got.text);
    assert.equal(target.last?.url, '/filed?a=1');
    assert.equal(target.last?.headers.authorization, 'Bearer filed-secret-0123456789');
    assert.equal((await world.rowOf(got)).spend, '250000000');
    const { out } = await json('passthrough list');
    assert.match(out, /"is_from_config": true/);
    assert.doesNotMatch(out, /filed-secret/);
    assert.equal((await json('passthrough delete /from-file --yes')).exit, 6);
  });

  for (const way of ['server', 'database-url'] as const) {
    test(`made by the ${way}: hot, changed, and gone again within a second`, async () => {
      const key = await world.aKey();
      const call = (more = '') => world.gateway.request('POST', `/search-${way}${more}`, { key, body: {} });
      const make =
        `passthrough create /search-${way} ${target.url}/v9 --include-subpath --allow-private-network --cost-per-request 0.5 ` +
        `--forward-headers x-trace --value-env authorization=TARGET_SECRET --methods POST -o json`;
      const made = await world.gateway.gatewayctl(make, way, {
        env: { TARGET_SECRET: 'Bearer target-secret-0123456789' },
      });
      assert.equal(made.exit, 0, made.err);
      assert.doesNotMatch(made.out, /target-secret/);
      await until(async () => (await call('/deep')).status === 200, 1_000);
      assert.equal(target.last?.url, '/v9/deep');
      assert.equal(target.last?.headers.authorization, 'Bearer target-secret-0123456789');
      assert.equal((await world.gateway.request('GET', `/search-${way}`, { key })).status, 405);

      const changed = await world.gateway.gatewayctl(
        `passthrough update /search-${way} --target ${target.url}/v10 --cost-per-request 0.75`,
        way,
      );
      assert.equal(changed.exit, 0, changed.err);
      await until(async () => (await call()) && target.last?.url === '/v10', 1_000);
      assert.equal((await world.rowOf(await call())).spend, '750000000');

      const gone = await world.gateway.gatewayctl(`passthrough delete /search-${way} --yes`, way);
      assert.equal(gone.exit, 0, gone.err);
      await until(async () => (await call()).status === 404, 1_000);
    });
  }

  test('leads to nothing private that it does not say so of', async () => {
    const key = await world.aKey();
    const made = await world.gateway.gatewayctl(`passthrough create /inside ${target.url} --cost-per-request 0`);
    assert.equal(made.exit, 0, made.err);
    const heard = target.received.length;
    const call = () => world.gateway.request('POST', '/inside', { key, body: {} });
    await until(async () => (await call()).status !== 404, 1_000);
    const { status, body } = await call();
    assert.deepEqual([status, body.error.type], [502, 'upstream_address_refused']);
    assert.equal(target.received.length, heard);
  });

  test('repeats none of its headers, nor what stands in its query, and says what is no secret', async () => {
    const { gateway } = world;
    const pair = Buffer.from('partner:the-password-of-it').toString('base64');
    const body = {
      path: '/echoing',
      target: target.url,
      headers: {
        authorization: `Basic ${pair}`,
        'x-partner': 'partner-0123456789abcdef',
        accept: 'application/json-v1',
      },
      default_query_params: { key: 'a-key-in-the-query' },
      allow_private_network: true,
      cost_per_request: 0,
    };
    const made = await gateway.request('POST', '/config/pass_through_endpoint', { body });
    assert.equal(made.status, 200, made.text);
    const key = await world.aKey();
    const echo = (text: string) => {
      target.reply = (_, response) => response.writeHead(200, { 'content-length': text.length }).end(text);
      return gateway.request('GET', '/echoing', { key });
    };
    await until(async () => (await echo('fine')).status === 200, 1_000);
    for (const secret of [pair, 'the-password-of-it', 'partner-0123456789abcdef', 'a-key-in-the-query']) {
      const got = await echo(`{"you sent": "${secret}"}`);
      assert.deepEqual([got.status, got.body.error.type], [502, 'upstream_invalid_response'], secret);
    }
    assert.equal((await echo('application/json-v1, partner')).text, 'application/json-v1, partner');
  });

  test('is among the routes that call models, and no other group lets it through', async () => {
    const call = (key: string) => world.gateway.request('POST', '/from-file', { key, body: {} });
    assert.equal((await call(await world.aKey('--routes', 'llm_api_routes'))).status, 200);
    assert.equal((await call(await world.aKey('--routes', '/from-file'))).status, 200);
    for (const routes of ['openai_routes,mapped_pass_through_routes', 'management_routes', '/from']) {
      const { status, body } = await call(await world.aKey('--routes', routes));
      assert.deepEqual([status, body.error.type], [403, 'route_not_allowed'], routes);
    }
  });

  test('nothing that is given over the API names what the gateway itself is opened with', async () => {
    for (const name of ['GATEWAYCTL_MASTER_KEY', 'GATEWAYCTL_ENCRYPTION_KEY', 'LITELLM_SALT_KEY', 'DATABASE_URL']) {
      const secret = `os.environ/${name}`;
      const attempts: [path: string, body: object][] = [
        ['/config/pass_through_endpoint', { path: '/leak', target: target.url, headers: { authorization: secret } }],
        [
          '/model/new',
          { model_name: 'leak', litellm_params: { model: 'openai/x', api_base: target.url, api_key: secret } },
        ],
        ['/credentials', { credential_name: `leak-${name}`, credential_values: { api_key: secret } }],
      ];
      for (const [path, body] of attempts) {
        const answer = await world.gateway.request('POST', path, { body });
        assert.equal(answer.status, 400, `${path} ${name}: ${answer.text}`);
        assert.match(answer.body.error.message, /gateway’s own/);
      }
    }
  });

  test('is refused where it would take the place of the gateway itself, or needs no credential', async () => {
    for (const line of [
      `passthrough create /key ${target.url}`,
      `passthrough create /v1/model ${target.url}`,
      `passthrough create /a/../key ${target.url}`,
      'passthrough create /x ftp://example.com',
      'passthrough create /x http://user:password@example.com',
      `passthrough create /x ${target.url} --forward-headers authorization`,
      `passthrough create /x ${target.url} --forward-headers x-http-method-override`,
      `passthrough create /from-file ${target.url}`,
    ]) {
      assert.notEqual((await world.gateway.gatewayctl(line)).exit, 0, line);
    }
    const body = { path: '/x', target: target.url, auth: false };
    assert.equal((await world.gateway.request('POST', '/config/pass_through_endpoint', { body })).status, 400);
  });

  test('passes for nothing where nobody knows a price, unless a budget applies', async () => {
    assert.equal(
      (await world.gateway.gatewayctl(`passthrough create /unpriced ${target.url} --allow-private-network`)).exit,
      0,
    );
    const free = await world.gateway.request('POST', '/unpriced', { key: await world.aKey(), body: {} });
    assert.equal(free.status, 200, free.text);
    assert.partialDeepStrictEqual(await world.rowOf(free), { spend: '0', price_source: 'unpriced' });
    const held = await world.aKey('--max-budget', '5');
    const refused = await world.gateway.request('POST', '/unpriced', { key: held, body: {} });
    assert.equal(refused.status, 403);
    assert.equal(refused.body.error.type, 'unpriced_call');
    assert.equal((await world.gateway.request('GET', '/unpriced', { key: held })).status, 403);
    assert.equal((await world.gateway.gatewayctl('passthrough update /unpriced --cost-per-request 0')).exit, 0);
    assert.equal((await world.gateway.request('POST', '/unpriced', { key: held, body: {} })).status, 200);
  });
});

test('a provider is called with the credential of the database, from the next second on', async () => {
  const key = await world.aKey();
  const call = () => world.gateway.request('GET', '/anthropic/v1/models', { key });
  await call();
  assert.equal(world.upstream.last?.headers['x-api-key'], secretOf('anthropic'));
  const body = {
    credential_name: 'claude',
    credential_values: { api_key: 'kept-secret-0123456789', api_base: `${target.url}/kept` },
    credential_info: { custom_llm_provider: 'anthropic', use_in_pass_through: true, allow_private_network: true },
  };
  assert.equal((await world.gateway.request('POST', '/credentials', { body })).status, 200);
  await until(async () => (await call()) && target.last?.headers['x-api-key'] === 'kept-secret-0123456789', 1_000);
  assert.equal(target.last?.url, '/kept/v1/models');
});

test('a provider is called with the key of the file where the environment has none, and not at all without one', async () => {
  const key = await world.aKey();
  const call = (path: string) => world.gateway.request('GET', path, { key });
  assert.equal((await call('/cohere/v1/models')).status, 200);
  assert.equal(world.upstream.last?.headers.authorization, 'Bearer cohere-from-the-file');
  const refused = await call('/groq/v1/models');
  assert.equal(refused.body.error.type, 'upstream_misconfigured');
  assert.match(refused.body.error.hint, /GROQ_API_KEY/);
});

test('every variable that a provider is set up by may stand in the file', () => {
  const asked = new Set<string>();
  const variable = (name: string) => void asked.add(name);
  const routes = new PassThroughRoutes({
    variable,
    decide: () => undefined,
    isPriced: () => true,
    keyHeader: undefined,
  });
  assert.ok(routes.match('GET', '/openai/v1/models'));
  assert.deepEqual([...asked].toSorted(), [...providerVariables].toSorted());
});

test('a path of thousands of segments is as quickly found to lead nowhere as any', async () => {
  const path = '/a'.repeat(7_500);
  const tookMs = async (count: number, asked: string) => {
    const beganMs = performance.now();
    for (let calls = 0; calls < count; calls++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as they would come
      assert.equal((await world.gateway.request('GET', asked, { key: '' })).status, 404);
    }
    return performance.now() - beganMs;
  };
  await tookMs(5, path);
  // Where it is looked for below each of its segments, one takes as long as hundreds of the others.
  const [longMs, plainMs] = [await tookMs(5, path), await tookMs(5, '/a')];
  assert.ok(longMs < 10 * plainMs + 500, `${longMs} ms, and ${plainMs} ms of a short one`);
});

test('no route of an operation can be taken by an endpoint', () => {
  const paths = operations.flatMap(({ route, alsoAt = [] }) => [route, ...alsoAt].map(([, path]) => path));
  assert.deepEqual(
    [...paths, ...healthPaths, '/openapi.json'].filter((path) => !isOwnPath(path)),
    [],
  );
});
