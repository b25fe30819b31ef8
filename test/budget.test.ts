import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown, key?: string) =>
  gateway.request('POST', path, { body, ...(key !== undefined && { key }) });
const get = (path: string, key?: string) => gateway.request('GET', path, key === undefined ? {} : { key });

for (const way of ways.slice(0, 2)) {
  describe(`budget, by ${way}`, () => {
    const run = (line: string) => gateway.gatewayctl(line.replaceAll('WAY', way), way);
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);

    test('is created, shown, changed in what is named only, and cleared with none', async () => {
      const made = await run(
        'budget create b-WAY --max-budget 10.5 --soft-budget 8 --budget-duration 1d --rpm-limit 60 --max-parallel 3',
      );
      assert.equal(made.exit, 0, made.err);
      const limits = {
        max_budget: 10.5,
        soft_budget: 8,
        budget_duration: '1d',
        rpm_limit: 60,
        max_parallel_requests: 3,
      };
      assert.partialDeepStrictEqual(await json('budget get b-WAY'), { ...limits, budget_id: `b-${way}`, used_by: {} });
      const changed = await json('budget update b-WAY --rpm-limit none --tpm-limit 900');
      assert.partialDeepStrictEqual(changed, { ...limits, rpm_limit: null, tpm_limit: 900 });
      assert.equal((await run('budget update b-WAY')).exit, 2);
      assert.equal((await run('budget create b-WAY')).exit, 6);
      const same = await run('budget create b-WAY --max-budget 10.5 --if-not-exists');
      assert.equal(same.exit, 0, same.err);
      assert.equal((await run('budget create b-WAY --max-budget 11 --if-not-exists')).exit, 6);
      assert.equal((await run('budget get nobody')).exit, 3);
    });

    test('is deleted after a question, and not while something shares it', async () => {
      await run('budget create held-WAY --max-budget 1');
      await gateway.pool.query(
        `insert into gatewayctl.tags (name, budget_id, created_at, created_by, updated_at, updated_by)
         values ($1, $2, now(), 'test', now(), 'test')`,
        [`t-${way}`, `held-${way}`],
      );
      assert.deepEqual((await json('budget get held-WAY')).used_by, { tags: 1 });
      const held = await run('budget delete held-WAY --yes');
      assert.equal(held.exit, 6);
      assert.match(held.err, /is shared by 1 tag\n/);
      await gateway.pool.query('delete from gatewayctl.tags where name = $1', [`t-${way}`]);
      assert.equal((await run('budget delete held-WAY')).exit, 2, 'asks first');
      assert.equal((await run('budget delete held-WAY --yes')).exit, 0);
      assert.equal((await run('budget delete held-WAY --yes')).exit, 3);
    });
  });
}

describe('budget, as LiteLLM’s clients ask for it', () => {
  test('POST /budget/new answers the row, with the end of its period by the clock', async () => {
    const { status, body } = await post('/budget/new', {
      budget_id: 'wire',
      max_budget: 2,
      budget_duration: '1d',
      model_max_budget: { 'gpt-4o': { budget_limit: 1, time_period: '1d' } },
      budget_reset_at: null,
    });
    assert.equal(status, 200);
    const midnight = new Date();
    midnight.setUTCHours(24, 0, 0, 0);
    assert.partialDeepStrictEqual(body, { budget_id: 'wire', max_budget: 2, budget_reset_at: midnight.toISOString() });
    const again = await post('/budget/new', { budget_id: 'wire' });
    assert.deepEqual([again.status, again.body.error.param], [400, 'budget_id']);
    const { body: unserved } = await post('/budget/new', { budget_reset_at: '2030-01-01T00:00:00Z' });
    assert.equal(unserved.error.type, 'unsupported_field');
    for (const [field, value] of [
      ['max_budget', -1],
      ['rpm_limit', 1.5],
      ['budget_duration', '0d'],
      ['tpm_limt', 1],
    ] as const) {
      const { status: refused, body: why } = await post('/budget/new', { [field]: value });
      assert.deepEqual([refused, why.error.param], [400, field]);
    }
  });

  test('POST /budget/info answers those that are there; GET /budget/settings says what can be set', async () => {
    await post('/budget/new', { budget_id: 'several', rpm_limit: 5 });
    const { body } = await post('/budget/info', { budgets: ['several', 'nobody'] });
    assert.deepEqual(
      body.map((each: { budget_id: string }) => each.budget_id),
      ['several'],
    );
    assert.equal((await post('/budget/info', { budgets: [] })).status, 400);
    const settings = await get('/budget/settings?budget_id=several');
    const rpm = settings.body.find((each: { field_name: string }) => each.field_name === 'rpm_limit');
    assert.partialDeepStrictEqual(rpm, { field_type: 'integer', field_value: 5, stored_in_db: true });
    assert.equal((await get('/budget/settings?budget_id=nobody')).status, 404);
  });

  test('GET /budget/list is an array, GET /v2/budget/list a page, the newest first', async () => {
    for (const id of ['page-1', 'page-2', 'page-3']) await post('/budget/new', { budget_id: id });
    const { body: all } = await get('/budget/list');
    const ids = all.map((each: { budget_id: string }) => each.budget_id);
    assert.deepEqual(ids.slice(0, 3), ['page-3', 'page-2', 'page-1']);
    const { body: page } = await get('/v2/budget/list?page=2&page_size=2');
    assert.deepEqual([page.budgets[0].budget_id, page.total, page.page], ['page-1', ids.length, 2]);
    assert.equal((await get('/v2/budget/list?page_size=101')).status, 400);
  });

  test('a change and a deletion stand in the audit log', async () => {
    await post('/budget/new', { budget_id: 'logged', max_budget: 1 });
    await post('/budget/update', { budget_id: 'logged', max_budget: 3 });
    const { body } = await post('/budget/delete', { id: 'logged' });
    assert.equal(body.budget_id, 'logged');
    const { rows } = await gateway.pool.query(
      `select action, before->'max_budget' as b, after->'max_budget' as a from gatewayctl.audit_log
       where object_type = 'budget' and object_id = 'logged'`,
    );
    const said = rows.map(({ action, b, a }) => `${action} ${b} ${a}`).toSorted();
    assert.deepEqual(said, ['created null 1', 'deleted 3 null', 'updated 1 3']);
  });

  test('is for administrators; whoever sees everything may read', async () => {
    await post('/budget/new', { budget_id: 'secret' });
    const keyOf = async (user_id: string, user_role: string) =>
      (await post('/user/new', { user_id, user_role })).body.key as string;
    const user = await keyOf('plain', 'internal_user');
    const viewer = await keyOf('viewer', 'proxy_admin_viewer');
    for (const call of [
      (key: string) => get('/v2/budget/info?budget_id=secret', key),
      (key: string) => get('/budget/list', key),
      (key: string) => post('/budget/info', { budgets: ['secret'] }, key),
    ]) {
      assert.equal((await call(viewer)).status, 200);
      assert.equal((await call(user)).status, 403);
    }
    for (const key of [user, viewer]) {
      assert.equal((await post('/budget/new', {}, key)).status, 403);
      assert.equal((await post('/budget/update', { budget_id: 'secret', max_budget: 1 }, key)).status, 403);
      assert.equal((await post('/budget/delete', { id: 'secret' }, key)).status, 403);
    }
  });
});

test('a shared budget holds a member of a team, and one of an organization, until it has a limit of its own', async () => {
  await post('/budget/new', { budget_id: 'nothing', max_budget: 0 });
  await post('/organization/new', { organization_id: 'corp', organization_alias: 'Corp' });
  await post('/team/new', { team_id: 'lab', organization_id: 'corp' });
  await post('/user/new', { user_id: 'anna' });
  await post('/organization/member_add', {
    organization_id: 'corp',
    member: { role: 'internal_user', user_id: 'anna' },
  });
  await post('/team/member_add', { team_id: 'lab', member: { role: 'user', user_id: 'anna' } });
  const key: string = (await post('/key/generate', { team_id: 'lab', user_id: 'anna' })).body.key;
  const places = [
    ['/team/member_update', { team_id: 'lab', user_id: 'anna' }, 'max_budget_in_team'],
    ['/organization/member_update', { organization_id: 'corp', user_id: 'anna' }, 'max_budget_in_organization'],
  ] as const;
  for (const [path, who, own] of places) {
    await gateway.chatUntil(200, key);
    const shared = await post(path, { ...who, budget_id: 'nothing' });
    assert.equal(shared.body.budget_id, 'nothing', shared.text);
    assert.equal(shared.body.litellm_budget_table.max_budget, 0);
    assert.equal((await gateway.chatUntil(429, key)).body.error.type, 'budget_exceeded', path);
    assert.equal((await post('/budget/delete', { id: 'nothing' })).status, 409);
    await post(path, { ...who, [own]: 5 });
    assert.equal((await gateway.chatUntil(200, key)).status, 200, path);
    assert.equal((await post(path, { ...who, budget_id: 'nobody' })).body.error.param, 'budget_id');
    assert.equal((await post(path, { ...who, budget_id: null, [own]: null })).body.budget_id, null);
  }
});

test('who administers the team or the organization gives and takes no shared budget', async () => {
  await post('/budget/new', { budget_id: 'little', max_budget: 1 });
  const lead: string = (await post('/user/new', { user_id: 'lead' })).body.key;
  await post('/organization/new', { organization_id: 'firm', organization_alias: 'Firm' });
  await post('/organization/member_add', { organization_id: 'firm', member: { role: 'org_admin', user_id: 'lead' } });
  await post('/team/new', { team_id: 'desk', members_with_roles: [{ role: 'admin', user_id: 'lead' }] });
  const one = { role: 'user', user_id: 'cleo' };
  await post('/team/member_add', { team_id: 'desk', member: one, budget_id: 'little' });
  await post('/organization/member_add', {
    organization_id: 'firm',
    member: { ...one, role: 'internal_user' },
    budget_id: 'little',
  });
  const cleo = { user_id: 'cleo' };
  for (const [path, body, param] of [
    ['/team/member_update', { team_id: 'desk', ...cleo, budget_id: null }, 'budget_id'],
    ['/team/member_update', { team_id: 'desk', ...cleo, max_budget_in_team: 2 }, 'max_budget_in_team'],
    ['/organization/member_update', { organization_id: 'firm', ...cleo, budget_id: null }, 'budget_id'],
  ] as const) {
    const answer = await post(path, body, lead);
    assert.deepEqual([answer.status, answer.body.error.param], [403, param], answer.text);
  }
  const less = await post('/team/member_update', { team_id: 'desk', ...cleo, max_budget_in_team: 0.5 }, lead);
  assert.equal(less.status, 200, less.text);
});
