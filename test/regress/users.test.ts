import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
const keys: Record<string, string> = {};

before(async () => {
  gateway = await startGateway();
  await gateway.pool.query(
    `insert into gatewayctl.organizations (id, alias, max_budget, models, created_at, created_by, updated_at, updated_by)
     values ('o1', 'o1', 100000000000, '{gpt-4o}', now(), 't', now(), 't'),
            ('o2', 'o2', null, '{}', now(), 't', now(), 't')`,
  );
  const people: readonly (readonly [id: string, role: string, home: string | null])[] = [
    ['anna', 'internal_user', null],
    ['viewer', 'internal_user_viewer', null],
    ['watcher', 'proxy_admin_viewer', null],
    ['chief', 'proxy_admin', null],
    ['head', 'internal_user', 'o1'],
    ['homer', 'internal_user', 'o1'],
    ['guest', 'internal_user', 'o2'],
    ['foreigner', 'internal_user', 'o2'],
  ];
  for (const [id, role, home] of people) {
    const { key } = await post('/user/new', {
      user_id: id,
      user_email: `${id}@example.com`,
      user_role: role,
      organization_id: home,
    });
    keys[id] = key;
  }
  keys['service'] = (await post('/key/generate', {})).key;
  await gateway.pool.query(
    `update gatewayctl.organization_members set role = 'org_admin' where user_id = 'head';
     insert into gatewayctl.organization_members (organization_id, user_id, role, created_at)
     values ('o1', 'guest', 'internal_user', now()), ('o1', 'chief', 'internal_user', now())`,
  );
});
after(() => gateway[Symbol.asyncDispose]());

async function post(path: string, body: unknown) {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

const as = (caller: string, path: string, body?: unknown) =>
  gateway.request(body === undefined ? 'GET' : 'POST', path, { key: keys[caller] ?? '', body });

/** Everything there is of users and what hangs on them. */
async function world(): Promise<unknown> {
  const { rows } = await gateway.pool.query(
    `select (select json_agg(u order by id) from gatewayctl.users u) as users,
            (select json_agg(m order by organization_id, user_id) from gatewayctl.organization_members m) as members,
            (select count(*) from gatewayctl.keys) as keys, (select count(*) from gatewayctl.audit_log where action not in ('denied', 'unauthenticated')) as audited`,
  );
  return rows[0];
}

/** A value for each field of a user, other than what any user has. */
const fields: Readonly<Record<string, unknown>> = {
  user_role: 'proxy_admin',
  max_budget: 1_000_000,
  soft_budget: 1,
  budget_duration: '1d',
  budget_id: 'b',
  models: ['everything'],
  tpm_limit: 1,
  rpm_limit: 1,
  max_parallel_requests: 1,
  model_max_budget: { m: { budget_limit: 1, time_period: '1d' } },
  model_rpm_limit: { m: 1 },
  model_tpm_limit: { m: 1 },
  metadata: { admin: true },
  blocked: true,
  organization_id: 'o1',
  sso_user_id: 'sso-of-the-boss',
};

/** Columns that no request has a field for, spelled as in the table and as in LiteLLM. */
const columns = [
  'spend',
  'gen',
  'role',
  'id',
  'created_by',
  'updated_at',
  'is_admin',
  'password',
  'permissions',
  'teams',
];

test('CVE-2026-47102, GHSA-wpfp-gwwc-vwq6: no column but address and alias is one’s own to change, alone or together', async () => {
  const { rows } = await gateway.pool.query<{ column: string }>(
    `select column_name as column from information_schema.columns where table_schema = 'gatewayctl' and table_name = 'users'`,
  );
  const known = new Set([...Object.keys(fields), ...columns, 'alias', 'email', 'created_at', 'updated_by']);
  assert.deepEqual(
    rows.map(({ column }) => column).filter((column) => !known.has(column)),
    [],
    'a new column belongs into this test',
  );
  const earlier = await world();
  for (const [name, value] of Object.entries(fields)) {
    const { status, body } = await as('anna', '/user/update', { user_id: 'anna', [name]: value });
    assert.partialDeepStrictEqual({ status, ...body.error }, { status: 403, type: 'field_not_allowed', param: name });
    const together = await as('anna', '/user/update', { user_id: 'anna', user_alias: 'A', [name]: value });
    assert.equal(together.status, 403);
    const bulk = await as('anna', '/user/bulk_update', { users: [{ user_id: 'anna', [name]: value }] });
    assert.equal(bulk.status, 403);
  }
  for (const name of columns) {
    const { status, body } = await as('anna', '/user/update', { user_id: 'anna', [name]: 'x' });
    assert.equal(status, 400, name);
    assert.equal(body.error.param, name);
  }
  assert.equal((await as('anna', '/user/update', { user_id: 'anna', user_alias: 'A', ...fields })).status, 403);
  assert.deepEqual(await world(), earlier);

  const own = await as('anna', '/user/update', { user_id: 'anna', user_alias: 'Anna', user_email: 'a@example.com' });
  assert.partialDeepStrictEqual(own.body.data, { user_alias: 'Anna', user_email: 'a@example.com' });
});

test('CVE-2026-47102: of others one changes nothing and learns nothing', async () => {
  const earlier = await world();
  const swapped = async (caller: string, body: object) => {
    const there = await as(caller, '/user/update', { user_id: 'guest', ...body });
    const nowhere = await as(caller, '/user/update', { user_id: 'nobody', ...body });
    assert.equal(there.text.replaceAll('guest', '*'), nowhere.text.replaceAll('nobody', '*'));
    return there.status;
  };
  assert.equal(await swapped('anna', { user_alias: 'x' }), 404);
  assert.equal(await swapped('anna', { user_role: 'proxy_admin' }), 404);
  assert.equal((await as('anna', '/user/info?user_id=guest')).status, 404);
  assert.equal((await as('anna', '/v2/user/info?user_id=guest')).status, 404);
  assert.equal((await as('anna', '/user/delete', { user_ids: ['anna'] })).status, 403);
  assert.equal((await as('anna', '/user/delete', { user_ids: ['guest'] })).status, 404);
  assert.equal((await as('anna', '/user/new', { user_role: 'proxy_admin' })).status, 403);
  assert.equal((await as('anna', '/user/block', { user_id: 'anna' })).status, 403);
  assert.deepEqual(await world(), earlier);
});

test('CVE-2025-0628: who may only look changes nothing, and of others sees what the role says', async () => {
  const earlier = await world();
  for (const caller of ['viewer', 'watcher', 'service']) {
    for (const [path, body] of [
      ['/user/new', { user_id: 'made' }],
      ['/user/update', { user_id: caller, user_alias: 'x' }],
      ['/user/block', { user_id: 'anna' }],
      ['/user/delete', { user_ids: ['anna'] }],
      ['/user/bulk_update', { all_users: true, user_updates: { max_budget: 1 } }],
    ] as const) {
      const { status } = await as(caller, path, body);
      assert.equal(status, 403, `${caller} ${path}`);
    }
  }
  assert.deepEqual(await world(), earlier);
  const listed = async (caller: string) =>
    (await as(caller, '/user/list?page_size=100')).body.users.map(({ user_id: id }: { user_id: string }) => id);
  assert.deepEqual(await listed('viewer'), ['viewer']);
  assert.deepEqual(await listed('service'), []);
  assert.equal((await listed('watcher')).length, 8);
  assert.equal((await as('watcher', '/user/info?user_id=anna')).status, 200);
});

test('SEC-29: whoever administers an organization makes nobody more than the organization is', async () => {
  const refused: readonly (readonly [path: string, body: object, param: string])[] = [
    ['/user/new', { user_id: 'n', organization_id: 'o1', user_role: 'proxy_admin' }, 'user_role'],
    ['/user/new', { user_id: 'n', organization_id: 'o1', user_role: 'proxy_admin_viewer' }, 'user_role'],
    ['/user/new', { user_id: 'n', organization_id: 'o1', max_budget: 101 }, 'max_budget'],
    ['/user/new', { user_id: 'n', organization_id: 'o1', models: ['o3'] }, 'models'],
    ['/user/new', { user_id: 'n', organization_id: 'o1', sso_user_id: 'boss' }, 'sso_user_id'],
    ['/user/new', { user_id: 'n', organization_id: 'o2' }, 'organization_id'],
    ['/user/new', { user_id: 'n' }, 'organization_id'],
    [
      '/user/new',
      { user_id: 'n', organization_id: 'o1', organizations: ['o2'], auto_create_key: false },
      'organizations',
    ],
    ['/user/update', { user_id: 'homer', user_role: 'proxy_admin' }, 'user_role'],
    ['/user/update', { user_id: 'homer', max_budget: 101 }, 'max_budget'],
    ['/user/update', { user_id: 'homer', organization_id: 'o2' }, 'organization_id'],
    ['/user/update', { user_id: 'homer', sso_user_id: 'boss' }, 'sso_user_id'],
    ['/user/update', { user_id: 'head', max_budget: 1 }, 'max_budget'],
  ];
  const earlier = await world();
  for (const [path, body, param] of refused) {
    const answer = await as('head', path, body);
    assert.deepEqual(
      [answer.status, answer.body.error?.param],
      [403, param],
      `${JSON.stringify(body)}: ${answer.text}`,
    );
  }
  // A guest from another organization, whom anybody's administrator can add, is not the organization's to change.
  for (const change of [{ user_email: 'mine@example.com' }, { blocked: true }, { user_role: 'internal_user_viewer' }]) {
    assert.equal((await as('head', '/user/update', { user_id: 'guest', ...change })).status, 403);
  }
  assert.equal((await as('head', '/user/info?user_id=guest')).status, 200);
  // Nor is an administrator's account, which it does not even see.
  for (const hidden of ['chief', 'foreigner', 'nobody']) {
    assert.equal((await as('head', `/user/info?user_id=${hidden}`)).status, 404);
    assert.equal((await as('head', '/user/update', { user_id: hidden, user_email: 'mine@example.com' })).status, 404);
  }
  assert.deepEqual(await world(), earlier);
  const made = await as('head', '/user/new', {
    user_id: 'made',
    organization_id: 'o1',
    max_budget: 50,
    auto_create_key: false,
  });
  assert.equal(made.status, 200, made.text);
  assert.equal((await as('head', '/user/update', { user_id: 'homer', max_budget: 20 })).body.data.max_budget, 20);
  const listed = (await as('head', '/user/list?sort_by=user_id')).body.users;
  assert.deepEqual(
    listed.map(({ user_id: id }: { user_id: string }) => id),
    ['guest', 'head', 'homer', 'made'],
  );
});

test('#8031: a deletion does not take keys of a team along, whoever asks, in one list with others or alone', async () => {
  await post('/team/new', { team_id: 't', members_with_roles: [{ user_id: 'holder' }] });
  const { key } = await post('/key/generate', { user_id: 'holder', team_id: 't', key_alias: 'held' });
  for (const users of [['holder'], ['anna', 'holder']]) {
    const { status, body } = await gateway.request('POST', '/user/delete', { body: { user_ids: users } });
    assert.equal(status, 409);
    assert.match(body.error.message, /held/);
  }
  assert.equal((await gateway.request('GET', '/user/info?user_id=anna')).status, 200);
  assert.equal((await gateway.chat(key, 'mock-gpt')).status, 200);
});
