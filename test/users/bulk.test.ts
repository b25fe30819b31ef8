import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from '../support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  for (const id of ['u1', 'u2', 'u3']) {
    await post('/user/new', { user_id: id, user_email: `${id}@example.com`, auto_create_key: false });
  }
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
const get = (path: string) => gateway.request('GET', path);

describe('users, as LiteLLM’s clients ask for them', () => {
  test('a user is made with every limit, in teams and organizations, and is shown so', async () => {
    await gateway.pool.query(
      `insert into gatewayctl.organizations (id, alias, created_at, created_by, updated_at, updated_by)
       values ('org', 'Org', now(), 't', now(), 't')`,
    );
    await post('/team/new', { team_id: 'red' });
    await post('/team/new', { team_id: 'blue' });
    const limits = {
      soft_budget: 5,
      max_budget: 10,
      budget_duration: '30d',
      tpm_limit: 1000,
      rpm_limit: 60,
      max_parallel_requests: 4,
      model_max_budget: { 'gpt-4o': { budget_limit: 5, time_period: '1d' } },
      model_rpm_limit: { 'gpt-4o': 6 },
      model_tpm_limit: { 'gpt-4o': 90 },
      models: ['no-default-models'],
      sso_user_id: 'sso-1',
      metadata: { floor: 3 },
      blocked: false,
    };
    const { status, body, text } = await post('/user/new', {
      user_id: 'whole',
      ...limits,
      teams: ['red', { team_id: 'blue', user_role: 'admin', max_budget_in_team: 3 }],
      organizations: ['org'],
      key_alias: 'whole-key',
      duration: '1h',
    });
    assert.equal(status, 200, text);
    assert.partialDeepStrictEqual(body, limits);
    const info = (await get('/user/info?user_id=whole')).body;
    assert.partialDeepStrictEqual(info.user_info, limits);
    assert.match(info.user_info.budget_reset_at, /-01T00:00:00/);
    assert.equal(info.keys[0].key_alias, 'whole-key');
    assert.ok(Date.parse(info.keys[0].expires) - Date.now() < 3_700_000);
    const { rows } = await gateway.pool.query(
      `select team_id, role, max_budget from gatewayctl.team_members where user_id = 'whole' order by team_id`,
    );
    assert.deepEqual(rows, [
      { team_id: 'blue', role: 'admin', max_budget: '3000000000' },
      { team_id: 'red', role: 'user', max_budget: null },
    ]);
    assert.deepEqual((await get('/v2/user/info?user_id=whole')).body.teams.toSorted(), ['blue', 'red']);
    const twice = await post('/user/new', { user_id: 'other', sso_user_id: 'sso-1' });
    assert.partialDeepStrictEqual({ status: twice.status, ...twice.body.error }, { status: 400, param: 'sso_user_id' });
  });

  test('the list is filtered by what is asked for, and counts keys and teams', async () => {
    const ids = async (query: string) => {
      const { status, body, text } = await get(`/user/list?${query}`);
      assert.equal(status, 200, text);
      return body.users.map(({ user_id: id }: { user_id: string }) => id);
    };
    assert.deepEqual(await ids('team=blue'), ['whole']);
    assert.deepEqual(await ids('organization_ids=org,none'), ['whole']);
    assert.deepEqual(await ids('sso_user_ids=sso-1'), ['whole']);
    assert.deepEqual(await ids('user_email=U2%40EXAMPLE'), ['u2']);
    for (const sort of ['user_id', 'user_email', 'created_at', 'spend', 'user_alias', 'user_role']) {
      const up = await ids(`sort_by=${sort}`);
      assert.deepEqual(await ids(`sort_by=${sort}&sort_order=desc`), up.toReversed());
    }
    assert.partialDeepStrictEqual((await get('/user/list?user_ids=whole')).body.users[0], {
      key_count: 1,
      team_count: 2,
    });
  });

  test('the roles are told to everybody', async () => {
    const { body } = await get('/user/available_roles');
    assert.deepEqual(Object.keys(body).toSorted(), [
      'internal_user',
      'internal_user_viewer',
      'org_admin',
      'proxy_admin',
      'proxy_admin_viewer',
    ]);
  });

  test('several are changed each by itself: one that fails is as it was, and the others stand', async () => {
    const { status, body } = await post('/user/bulk_update', {
      users: [
        { user_id: 'u1', max_budget: 5 },
        { user_id: 'nobody', max_budget: 5 },
        { user_id: 'u2', user_email: 'u1@example.com', max_budget: 5 },
        { user_email: 'u3@example.com', user_alias: 'Three' },
        { user_id: 'u2' },
      ],
    });
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, { total_requested: 5, successful_updates: 2, failed_updates: 3 });
    assert.deepEqual(
      body.results.map(({ user_id: id, success }: { user_id: string; success: boolean }) => [id, success]),
      [
        ['u1', true],
        ['nobody', false],
        ['u2', false],
        ['u3', true],
        ['u2', false],
      ],
    );
    assert.match(body.results[2].error, /already exists/);
    assert.equal(body.results[3].updated_user.user_alias, 'Three');
    const { rows } = await gateway.pool.query(
      `select max_budget from gatewayctl.users where id in ('u1', 'u2') order by id`,
    );
    assert.deepEqual(rows, [{ max_budget: '5000000000' }, { max_budget: null }]);
    const { rows: audited } = await gateway.pool.query(
      `select object_id from gatewayctl.audit_log where object_type = 'user' and action = 'updated' order by object_id`,
    );
    assert.deepEqual(audited, [{ object_id: 'u1' }, { object_id: 'u3' }], 'what was undone is not in the audit log');
  });

  test('either users or everybody, and never more than 500', async () => {
    for (const body of [
      {},
      { all_users: true },
      { users: [] },
      { users: [{ user_id: 'u1', max_budget: 1 }], all_users: true, user_updates: { max_budget: 1 } },
      { users: Array.from({ length: 501 }, (_, n) => ({ user_id: `n${n}`, max_budget: 1 })) },
    ]) {
      assert.equal((await post('/user/bulk_update', body)).status, 400);
    }
  });
});

for (const way of ways) {
  test(`by ${way}: everybody gets a budget, and one is blocked and unblocked`, async () => {
    const run = (line: readonly string[]) => gateway.gatewayctl(line, way);
    const all = await run(['user', 'bulk-update', '--all-users', '--user-updates', '{"rpm_limit": 7}', '-q']);
    assert.equal(all.exit, 0, all.err);
    assert.ok(all.out.includes('u1'));
    assert.equal(JSON.parse((await run(['user', 'get', 'u1', '--json'])).out).rpm_limit, 7);
    assert.equal(JSON.parse((await run(['user', 'block', 'u1', '--json'])).out).status, 'blocked');
    assert.equal(JSON.parse((await run(['user', 'unblock', 'u1@example.com', '--json'])).out).status, 'active');
    const { out } = await run([
      'user',
      'list',
      '--ids',
      'u1',
      '--columns',
      'user_id,team_count,key_count,status',
      '-o',
      'csv',
    ]);
    assert.match(out, /u1,0,0,active/);
  });
}

test('who administers an organization makes users without keys there, and learns nothing of what lies outside', async () => {
  for (const name of ['inner', 'outer']) {
    await post('/organization/new', { organization_id: name, organization_alias: `The ${name} one` });
  }
  await post('/team/new', { team_id: 'hidden' });
  const { key } = (await post('/user/new', { user_id: 'head' })).body;
  await post('/organization/member_add', { organization_id: 'inner', member: { role: 'org_admin', user_id: 'head' } });
  await post('/user/new', {
    user_id: 'both',
    organization_id: 'inner',
    organizations: ['outer'],
    teams: ['hidden'],
    key_alias: 'hidden-key',
  });
  const asHead = (body: object) =>
    gateway.request('POST', '/user/new', { key, body: { organization_id: 'inner', ...body } });

  const withKey = await asHead({ user_id: 'fresh' });
  assert.deepEqual([withKey.status, withKey.body.error.param], [403, 'auto_create_key']);
  assert.match(withKey.body.error.hint, /auto_create_key: false/);
  assert.equal((await get('/v2/user/info?user_id=fresh')).status, 404);
  assert.equal((await asHead({ user_id: 'fresh', auto_create_key: false })).status, 200);

  const again = { user_id: 'both', auto_create_key: false, if_not_exists: true };
  const same = await asHead({ ...again, teams: [], organizations: ['inner'] });
  assert.deepEqual([same.status, same.body.teams], [200, []], same.text);
  const other = await asHead({ ...again, organizations: [], key_alias: 'another' });
  assert.equal(other.status, 409);
  assert.doesNotMatch(other.text, /hidden|outer/);
});
