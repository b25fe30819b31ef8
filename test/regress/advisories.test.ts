import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { isReading } from '../../src/kernel/operation.ts';
import { operations } from '../../src/operations.ts';
import { type Answer, type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const call = (method: string, path: string, body?: unknown, key?: string): Promise<Answer> =>
  gateway.request(method, path, { ...(key !== undefined && { key }), ...(body !== undefined && { body }) });

async function done(path: string, body: object): Promise<Answer['body']> {
  const answer = await call('POST', path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

/** Every route that administers, with something in the place of its parameters. */
const routes = operations.flatMap(({ route, alsoAt = [] }) =>
  [route, ...alsoAt].map(([method, path]) => [method, path.replaceAll(/:\w+/g, 'x')] as const),
);

const injections = [
  "' OR (SELECT pg_sleep(8)) IS NOT NULL --",
  "'; drop table gatewayctl.keys; --",
  "' union select token from gatewayctl.keys --",
  '") or ("1"="1',
  '\\x27 or 1=1',
  "%' or '1'='1",
  '$1; select pg_sleep(8)',
  "sk-' || (select pg_sleep(8)) || '",
  'a\u0000b',
  '\ud800',
];

const tables = async (): Promise<unknown> => {
  const { rows } = await gateway.pool.query(
    `select (select count(*) from gatewayctl.keys) as keys, (select count(*) from gatewayctl.users) as users,
            (select count(*) from gatewayctl.teams) as teams, (select count(*) from gatewayctl.models) as models`,
  );
  return rows;
};

test('SEC-01, CVE-2026-42208, GHSA-r75f-5x8p-qvmc: a credential is never a part of a statement', async () => {
  const untouched = await tables();
  const start = performance.now();
  const schemes = [
    (value: string) => ({ authorization: `Bearer ${value}` }),
    (value: string) => ({ 'x-api-key': value }),
    (value: string) => ({ authorization: `Basic ${Buffer.from(`${value}:x`).toString('base64')}` }),
  ];
  let count = 0;
  for (const injection of injections.filter((each) => /^[\x20-\x7e]+$/.test(each))) {
    for (const headers of schemes.map((scheme) => scheme(injection))) {
      for (const [method, path] of routes.filter((_, index) => index % 12 === count % 12)) {
        const answer = await gateway.request(method, path, { key: '', headers });
        assert.ok([400, 401, 429].includes(answer.status), `${method} ${path} ${injection}: ${answer.text}`);
      }
      count++;
    }
  }
  assert.ok(performance.now() - start < 60_000, 'none of them slept');
  assert.deepEqual(await tables(), untouched);
});

/** As it stands on the wire, because a client would mend it. */
async function raw(lines: readonly string[]): Promise<string> {
  const { port, hostname } = new URL(gateway.daemon.url);
  const socket = connect(Number(port), hostname);
  socket.end([...lines, 'Connection: close', '', ''].join('\r\n'));
  return text(socket);
}

test('SEC-02, CVE-2026-49468, GHSA-4xpc-pv4p-pm3w: neither Host nor the spelling of a path opens a route', async () => {
  const hosts = ['x/?', 'localhost/health/liveliness?', 'x#', 'x@localhost', 'x\\', '[::1', 'x:1/..', ''];
  const paths = [
    '/key/list',
    '/key/list/',
    '/KEY/list',
    '/key//list',
    '/key/./list',
    '/%6bey/list',
    '/health/../key/list',
  ];
  paths.push(
    '/key/list;x',
    '/key%2flist',
    '/health/liveliness/../../key/list',
    '/key/list?/health/liveliness',
    '//key/list',
  );
  for (const host of hosts) {
    for (const path of paths) {
      const answer = await raw([`GET ${path} HTTP/1.1`, `Host: ${host}`]);
      assert.match(answer, /^HTTP\/1\.1 (?:400|401|404|405) /, `${host} ${path}: ${answer.slice(0, 200)}`);
    }
  }
});

test('SEC-09, CVE-2026-12795, Portkey #1718: no route that administers answers without a credential', async () => {
  for (const [method, path] of routes) {
    const { status } = await call(method, path, method === 'GET' ? undefined : {}, '');
    assert.equal(status, 401, `${method} ${path}`);
  }
  for (const path of ['/sso/debug/login', '/debug', '/debug/memory', '/routes', '/config/yaml', '/metrics']) {
    const answer = await call('GET', path, undefined, '');
    assert.ok(answer.status === 404 || answer.status === 401, `${path}: ${answer.status}`);
  }
});

test('SEC-13, #35535: an administrator’s key that is known is asked for blocks like any other, however it was blocked', async () => {
  await done('/organization/new', { organization_id: 'o', organization_alias: 'o' });
  const blocks: Readonly<Record<string, readonly [on: [string, object], off: [string, object]]>> = {
    key: [
      ['/key/block', { key: 'chief-key' }],
      ['/key/unblock', { key: 'chief-key' }],
    ],
    user: [
      ['/user/update', { user_id: 'chief', blocked: true }],
      ['/user/update', { user_id: 'chief', blocked: false }],
    ],
    organization: [
      ['/organization/block', { organization_id: 'o' }],
      ['/organization/unblock', { organization_id: 'o' }],
    ],
  };
  await done('/user/new', { user_id: 'chief', user_role: 'proxy_admin', organization_id: 'o', auto_create_key: false });
  const { key } = await done('/key/generate', { user_id: 'chief', key_alias: 'chief-key' });
  for (const [what, [on, off]] of Object.entries(blocks)) {
    assert.equal((await call('GET', '/user/list', undefined, key)).status, 200);
    await done(...on);
    for (const [method, path] of [
      ['GET', '/user/list'],
      ['POST', '/user/new'],
      ['GET', '/key/info'],
    ] as const) {
      assert.equal((await call(method, path, method === 'POST' ? {} : undefined, key)).status, 401, `${what} ${path}`);
    }
    await done(...off);
  }
});

test('SEC-22, CVE-2026-35029, GHSA-53mr-6c8q-9789: no route changes the configuration, and none reads a file or a variable', async () => {
  const { key } = await done('/key/generate', { user_id: 'plain' });
  const change = { environment_variables: { PATH: '/tmp' }, general_settings: { pass_through_endpoints: [] } };
  assert.equal((await call('POST', '/config/pass_through_endpoint', change, key)).status, 403);
  assert.equal((await call('POST', '/config/pass_through_endpoint', change)).status, 400);
  const reading = { path: '/out', target: 'http://127.0.0.1:1', headers: { x: 'os.environ/GATEWAYCTL_MASTER_KEY' } };
  assert.equal((await call('POST', '/config/pass_through_endpoint', reading)).status, 400);
  for (const path of ['/config/update', '/config/field/update', '/update/sso_settings']) {
    for (const each of [key, undefined]) {
      const answer = await call('POST', path, change, each);
      assert.ok([403, 404].includes(answer.status), `${path}: ${answer.text}`);
    }
  }
  for (const path of ['/get_image', '/get/config/callbacks', '/config/yaml', '/get_logo_url']) {
    assert.equal((await call('GET', path)).status, 404, path);
  }
  // What names a variable is kept as its name, and comes back as that.
  const params = { model: 'openai/x', api_key: 'os.environ/HOME' };
  await done('/model/new', { model_name: 'variable', litellm_params: params, model_info: { id: 'variable' } });
  const { text: shown } = await call('GET', '/model/info?litellm_model_id=variable');
  assert.ok(!shown.includes(process.env['HOME'] ?? '/root'), shown);
});

test('SEC-70, GHSA-h6m6-jj8v-94jj, CVE-2025-45809, CVE-2024-4890, CVE-2026-25591: no parameter is a part of a statement, or a pattern', async () => {
  const untouched = await tables();
  for (const [index, injection] of [
    ...injections.slice(-3),
    injections[0] ?? '',
    '%%%%%%%%',
    'created_at; --',
  ].entries()) {
    const start = performance.now();
    for (const operation of operations) {
      // Its answer does not end.
      if (operation.follows) continue;
      const [method, path] = operation.route;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the inputs of operations are objects with a shape
      const shape = Object.keys((operation.input as { shape?: object }).shape ?? {});
      const names = shape.map((name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
      if (!isReading(operation) && !/delete|block|update/.test(path)) continue;
      const at = path.replaceAll(/:\w+/g, () => encodeURIComponent(injection.toWellFormed()));
      const query = new URLSearchParams(Object.fromEntries(names.map((name) => [name, injection])));
      const body = Object.fromEntries(names.map((name) => [name, name.endsWith('s') ? [injection] : injection]));
      const answers = [
        await call(method, method === 'GET' ? `${at}?${query.toString()}` : at, method === 'GET' ? undefined : body),
      ];
      const [first] = names;
      if (method === 'GET' && first !== undefined) {
        // One alone too, because of several the first that is wrong is refused.
        for (const name of index % 3 === 0 ? names : [first])
          answers.push(await call(method, `${at}?${new URLSearchParams({ [name]: injection }).toString()}`));
      } else if (first !== undefined) {
        answers.push(await call(method, at, { [first]: body[first] }));
      }
      // There is no cache here, and LiteLLM answers 503 for that.
      const most = path === '/cache/ping' ? 503 : 499;
      for (const answer of answers) assert.ok(answer.status <= most, `${method} ${at} ${injection}: ${answer.text}`);
    }
    assert.ok(performance.now() - start < 60_000, `${injection} slept`);
  }
  assert.deepEqual(await tables(), untouched);
});

test('SEC-72, CVE-2024-10188: no body makes the daemon fail or slow', async () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  const bodies = [
    deep,
    `{"metadata":${deep}}`,
    `{"metadata":{"a":${'9'.repeat(100_000)}}}`,
    `{"max_budget":1e999}`,
    `{"max_budget":-1}`,
    `{"tpm_limit":9007199254740993}`,
    '{"key_alias":"\\ud800"}',
    '{"key_alias":"a\\u0000b"}',
    '{"models":["a\\u0000"]}',
    '{"metadata":{"a":["\\u0000"]}}',
    '{"metadata":{"\\ud800":1}}',
    '{"enforced_params":["\\u0000"]}',
    '{"user_id":"\\ud800"}',
    `{"metadata":{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`,
    '{"metadata":{"__proto__":{"isAdmin":true}},"__proto__":{"user_role":"proxy_admin"}}',
    '{"constructor":{"prototype":{"a":1}}}',
    `{"models":[${'"m",'.repeat(50_000)}"m"]}`,
    'null',
    '"text"',
    '{"key_alias":"a","key_alias":"b"',
  ];
  for (const body of bodies) {
    const start = performance.now();
    const response = await fetch(`${gateway.daemon.url}/key/generate`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${gateway.daemon.masterKey}`,
        'content-type': 'application/json',
        'idempotency-key': randomUUID(),
      },
      body,
    });
    const answer = await response.text();
    assert.ok(response.status < 500, `${body.slice(0, 60)}: ${answer.slice(0, 300)}`);
    assert.ok(performance.now() - start < 2_000, body.slice(0, 60));
  }
  assert.equal(Reflect.get({}, 'isAdmin'), undefined);
  assert.equal((await call('GET', '/health/liveliness')).status, 200);
});

test('SEC-73, SEC-74, SEC-75, SEC-76, CVE-2024-9606, CVE-2025-11203, CVE-2025-0330, #11264, #8075: no secret is in an answer, a log or the audit', async () => {
  const canaries = {
    model: 'sk-canary-model-5f0c9d1e77',
    credential: 'sk-canary-credential-5f0c9d1e77',
    refused: 'sk-canary-refused-5f0c9d1e77',
    chosen: 'sk-canary-chosen-key-5f0c9d1e77',
    team: 'sk-canary-team-5f0c9d1e77',
  };
  await done('/credentials', { credential_name: 'canary', credential_values: { api_key: canaries.credential } });
  await done('/model/new', {
    model_name: 'canary',
    litellm_params: { model: 'openai/x', api_key: canaries.model },
    model_info: { id: 'canary' },
  });
  await done('/key/generate', { key: canaries.chosen, key_alias: 'chosen' });
  const logging = [{ callback_name: 'langfuse', callback_vars: { langfuse_secret_key: canaries.team } }];
  const seen = [
    await call('POST', '/team/new', { team_id: 'leaky', logging }),
    await call('POST', '/model/new', { model_name: 'canary', litellm_params: { api_key: canaries.model } }),
    await call('POST', '/model/update', {
      model_info: { id: 'canary' },
      litellm_params: { api_key: [canaries.model] },
    }),
    await call('POST', '/credentials', {
      credential_name: 'canary',
      credential_values: { api_key: canaries.credential },
    }),
    await call('POST', '/credentials', { credential_name: 'x', credential_values: canaries.credential }),
    await call('POST', '/key/generate', { key: canaries.chosen }),
    await call('GET', `/key/info?key=${canaries.refused}`),
    await call('POST', '/key/block', { key: canaries.refused }),
    await call('GET', '/key/list', undefined, canaries.refused),
    await call('GET', '/key/list', undefined, `${gateway.daemon.masterKey}x`),
    await call('GET', '/health/readiness', undefined, ''),
    await call('GET', '/health/liveliness', undefined, ''),
    await call('GET', '/openapi.json', undefined, ''),
  ];
  const endless = operations.filter(({ follows }) => follows).map(({ route: [, path] }) => path);
  const read = routes.filter(([method, path]) => method === 'GET' && !endless.some((each) => each === path));
  for (const [method, path] of read) seen.push(await call(method, path));
  for (const path of ['/model/info?litellm_model_id=canary', '/credentials/by_name/canary', '/key/info?key=chosen']) {
    const answer = await call('GET', path);
    assert.equal(answer.status, 200, answer.text);
    seen.push(answer);
  }
  const { rows } = await gateway.pool.query('select to_jsonb(a)::text as row from gatewayctl.audit_log a');
  const places = [...seen.map((answer) => answer.text), ...gateway.daemon.log, ...rows.map(({ row }) => String(row))];
  for (const secret of [...Object.values(canaries), gateway.daemon.masterKey]) {
    // A mask shows no more than the last four characters.
    for (const part of [secret, secret.slice(0, -4), secret.slice(0, 12), secret.slice(-8)]) {
      const place = places.find((each) => each.includes(part));
      assert.equal(place?.slice(0, 400), undefined, `${part} is told`);
    }
  }
});
