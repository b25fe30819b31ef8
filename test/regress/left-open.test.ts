import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until } from '../support/gateway.ts';
import { build, type World } from '../teams/world.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await build(gateway);
  // A call costs a dollar, whatever it says.
  const model_info = { input_cost_per_token: 0.001, output_cost_per_token: 0, mock_prompt_tokens: 1_000 };
  await world.post('/model/new', { model_name: 'dollar', litellm_params: { model: 'mock/x' }, model_info });
});
after(() => gateway[Symbol.asyncDispose]());

describe('SEC-24: whoever is taken out of a team and added again', () => {
  const member = { team_id: 'team-1', user_id: 'member-1' };
  const added = (more: object = {}) => ({ team_id: 'team-1', member: { user_id: 'member-1' }, ...more });
  const spent = async () => {
    const { rows } = await gateway.pool.query<{ spend: string }>(
      `select spend from gatewayctl.budget_windows where entity = 'member' and id = 'team-1' || chr(31) || 'member-1'`,
    );
    return Number(rows[0]?.spend ?? 0) / 1e9;
  };

  test('has the limits it had, and has spent what it had spent', async () => {
    const limits = { max_budget_in_team: 1.5, budget_duration: '30d', rpm_limit: 100 };
    await world.post('/team/member_update', { ...member, ...limits });
    const { key } = await world.post('/key/generate', { ...member });
    assert.equal((await gateway.chat(key, 'dollar')).status, 200);
    await until(async () => (await spent()) === 1);
    assert.equal((await gateway.chat(key, 'dollar')).status, 200);
    await until(async () => (await spent()) === 2);
    assert.equal((await gateway.chat(key, 'dollar')).status, 429);

    assert.equal((await world.ask('lead-1', 'POST', '/team/member_delete', member)).status, 200);
    for (const wider of [{ max_budget_in_team: 20 }, { rpm_limit: 101 }, { budget_duration: '1d' }]) {
      const answer = await world.ask('lead-1', 'POST', '/team/member_add', added(wider));
      assert.equal(answer.status, 403, answer.text);
      assert.equal(answer.body.error.param, Object.keys(wider)[0]);
    }
    const back = await world.ask('lead-1', 'POST', '/team/member_add', added({ max_budget_in_team: null }));
    assert.equal(back.status, 200, back.text);
    const { max_budget_in_team, budget_duration, rpm_limit } = back.body.updated_team_memberships[0];
    assert.deepEqual({ max_budget_in_team, budget_duration, rpm_limit }, limits);
    assert.equal(await spent(), 2);
    const other = await world.post('/key/generate', { ...member });
    assert.match((await gateway.chatUntil(429, other.key, 'dollar')).text, /Current cost: 2, Max budget: 1.5/);
  });

  test('has them though it comes as one of many, and other ones when somebody above the team says so', async () => {
    assert.equal((await world.ask('lead-1', 'POST', '/team/member_delete', member)).status, 200);
    const many = { team_id: 'team-1', members: [{ user_id: 'member-1' }], max_budget_in_team: 20 };
    const { body } = await world.ask('lead-1', 'POST', '/team/bulk_member_add', many);
    assert.equal(body.successful_additions, 0);
    assert.match(body.results[0].error, /may only lower it/);
    const back = await world.ask('head-1', 'POST', '/team/member_add', added({ max_budget_in_team: 20 }));
    assert.equal(back.body.updated_team_memberships[0].max_budget_in_team, 20, back.text);
    assert.equal(back.body.updated_team_memberships[0].spend >= 2, true);
  });
});

test('SEC-25: a rehearsal counts the keys that its caller may not look at, and tells nothing of them', async () => {
  await world.post('/team/new', { team_id: 'doomed', organization_id: 'org-1' });
  await world.post('/user/new', {
    user_id: 'root',
    user_role: 'proxy_admin',
    auto_create_key: false,
    teams: ['doomed'],
  });
  await world.post('/key/generate', { team_id: 'doomed', user_id: 'root', key_alias: 'of-root' });
  await world.post('/key/generate', { team_id: 'doomed', key_alias: 'of-nobody' });
  const body = { team_ids: ['doomed'], dry_run: true };
  const aliases = async (who: 'head-1' | 'master') => {
    const { status, text, body: answer } = await world.ask(who, 'POST', '/team/delete', body);
    assert.equal(status, 200, text);
    const { count } = answer.counts.find((each: { object_type: string }) => each.object_type === 'key');
    assert.equal(count, 2);
    return (answer.changes as { object_type: string; before: { key_alias: string } }[])
      .filter(({ object_type }) => object_type === 'key')
      .map(({ before: key }) => key.key_alias)
      .toSorted();
  };
  assert.deepEqual(await aliases('master'), ['of-nobody', 'of-root']);
  assert.deepEqual(await aliases('head-1'), ['of-nobody']);
});

test('keys that name the organization of their team go with the team to another one, which pays from then on', async () => {
  await world.post('/organization/new', { organization_id: 'old', organization_alias: 'old' });
  await world.post('/organization/new', { organization_id: 'new', organization_alias: 'new', max_budget: 1.5 });
  await world.post('/team/new', { team_id: 'moving', organization_id: 'old' });
  const named = await world.post('/key/generate', { team_id: 'moving', organization_id: 'old', key_alias: 'named' });
  const spent = async (id: string) => {
    const { rows } = await gateway.pool.query<{ spend: string }>(
      'select spend from gatewayctl.organizations where id = $1',
      [id],
    );
    return Number(rows[0]?.spend) / 1e9;
  };
  assert.equal((await gateway.chat(named.key, 'dollar')).status, 200);
  await until(async () => (await spent('old')) === 1);

  const move = { team_id: 'moving', organization_id: 'new' };
  const { body: rehearsal } = await world.ask('master', 'POST', '/team/update', { ...move, dry_run: true });
  assert.deepEqual(
    rehearsal.changes.map(({ object_type }: { object_type: string }) => object_type),
    ['team', 'key'],
  );
  await world.post('/team/update', move);
  const { body } = await world.ask('master', 'GET', `/key/info?key=${named.token_id}`);
  assert.equal(body.info.organization_id, 'new');
  assert.equal((await gateway.chat(named.key, 'dollar')).status, 200);
  await until(async () => (await spent('new')) === 1);
  assert.equal((await gateway.chat(named.key, 'dollar')).status, 200);
  assert.match((await gateway.chatUntil(429, named.key, 'dollar')).text, /Organization=new Current cost: 2/);
  assert.equal(await spent('old'), 1);
});

test('SEC-24: a pattern stands for models, and not for a group that is called like one', async () => {
  await world.post('/model/new', { model_name: 'gpt-real', litellm_params: { model: 'mock/x' } });
  await world.post('/access_group/new', { access_group: 'gpt-insiders', model_names: ['dollar'] });
  await world.post('/user/new', { user_id: 'narrow', models: ['gpt-*'], auto_create_key: false });
  const { key } = await world.post('/key/generate', { user_id: 'stranger', models: ['gpt-*'], key_alias: 'patterned' });
  const attempts: readonly (readonly [path: string, body: object])[] = [
    ['/key/generate', { models: ['gpt-insiders'] }],
    ['/key/generate', { models: ['gpt-real', 'gpt-insiders'] }],
    ['/key/update', { key: 'patterned', models: ['gpt-insiders'] }],
    ['/key/update', { key: 'patterned', add_models: ['gpt-insiders'] }],
    ['/key/patterned/regenerate', { models: ['gpt-insiders'] }],
  ];
  for (const [path, body] of attempts) {
    const answer = await gateway.request('POST', path, { key, body });
    assert.equal(answer.status, 403, `${path} ${JSON.stringify(body)}: ${answer.text}`);
  }
  assert.equal((await gateway.request('POST', '/key/generate', { key, body: { models: ['gpt-real'] } })).status, 200);
  // As administrators may give it: what is above the key counts with every call.
  const given = await world.post('/key/generate', { user_id: 'narrow', models: ['gpt-insiders'] });
  for (const secret of [key, given.key]) {
    assert.match((await gateway.chat(secret, 'dollar')).text, /model_access_denied/);
  }
});

test('SEC-20: a key of one route reaches what is done at that route, and nothing else by another name', async () => {
  await world.post('/key/generate', { user_id: 'stranger', key_alias: 'other' });
  const { key } = await world.post('/key/generate', {
    user_id: 'stranger',
    key_alias: 'one-route',
    allowed_routes: ['/key/update'],
  });
  const attempts: readonly (readonly [method: string, path: string, body?: object])[] = [
    ['POST', '/key/bulk_update', { keys: [{ key: 'other', key_alias: 'mine' }] }],
    ['POST', '/key/other/regenerate', {}],
    ['POST', '/key/regenerate', { key: 'other' }],
    ['POST', '/key/generate', { key_alias: 'other', if_not_exists: true }],
    ['POST', '/key/generate', { key_alias: 'new', dry_run: true }],
    ['POST', '/key/service-account/generate', {}],
    ['POST', '/key/delete', { keys: ['other'] }],
    ['GET', '/key/info?key=other'],
    ['GET', '/key/list'],
    ['GET', '/user/info'],
    ['POST', '/explain', { key: 'other', model: 'dollar' }],
  ];
  for (const [method, path, body] of attempts) {
    const answer = await gateway.request(method, path, { key, body });
    assert.equal(answer.status, 403, `${path}: ${answer.text}`);
    assert.match(answer.body.error.message, /not allowed to call this route/);
    assert.doesNotMatch(answer.text, /"key_name"|"spend"/);
  }
  const wider = { key: 'one-route', allowed_routes: ['/key/update', '/key/bulk_update'] };
  assert.equal((await gateway.request('POST', '/key/update', { key, body: wider })).status, 403);
  // A route that has two names is one: whoever may use it by one of them may by the other.
  const rotating = await world.post('/key/generate', { user_id: 'stranger', allowed_routes: ['/key/regenerate'] });
  const asked = { key: rotating.key, body: { key: 'other' } };
  assert.equal((await gateway.request('POST', '/key/other/regenerate', { key: rotating.key, body: {} })).status, 403);
  assert.equal((await gateway.request('POST', '/key/update', asked)).status, 403);
});

describe('SEC-26: what others have cannot be told from what is not there', () => {
  const lists: readonly (readonly [list: string, there: string, absent: string])[] = [
    ['/key/list?team_id=', 'team-1', 'team-0'],
    ['/key/list?organization_id=', 'org-1', 'org-0'],
    ['/key/list?user_id=', 'lead-1', 'lead-0'],
    ['/key/list?include_team_keys=true&user_id=', 'lead-1', 'lead-0'],
    ['/key/list?key_alias=', 'of-lead-1', 'of-lead-0'],
    ['/key/list?return_full_object=true&sort_by=spend&key_alias=', 'of-lead-1', 'of-lead-0'],
    ['/key/list?status=deleted&team_id=', 'team-1', 'team-0'],
    ['/key/aliases?search=', 'of-lead-1', 'of-lead-0'],
    ['/key/info?key=', 'of-lead-1', 'of-lead-0'],
    ['/user/list?user_ids=', 'lead-1', 'lead-0'],
    ['/user/list?team=', 'team-1', 'team-0'],
    ['/user/info?user_id=', 'lead-1', 'lead-0'],
    ['/v2/user/info?user_id=', 'lead-1', 'lead-0'],
    ['/team/list?user_id=', 'lead-1', 'lead-0'],
    ['/team/list?organization_id=', 'org-1', 'org-0'],
    ['/v2/team/list?user_id=', 'lead-1', 'lead-0'],
    ['/v2/team/list?organization_id=', 'org-1', 'org-0'],
    ['/v2/team/list?team_id=', 'team-1', 'team-0'],
    ['/v2/team/list?team_alias=', 'Team%201', 'Team%200'],
    ['/team/daily/activity?start_date=2026-01-01&end_date=2026-01-02&team_ids=', 'team-1', 'team-0'],
    ['/user/daily/activity?start_date=2026-01-01&end_date=2026-01-02&user_id=', 'lead-1', 'lead-0'],
    ['/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&team_id=', 'team-1', 'team-0'],
    ['/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&user_id=', 'lead-1', 'lead-0'],
    ['/audit?organization_id=', 'org-1', 'org-0'],
  ];
  for (const who of ['lead-2', 'member-2', 'head-2', 'stranger'] as const) {
    test(`by ${who}, in a list or by a filter`, async () => {
      for (const [list, there, absent] of lists) {
        const [foreign, missing] = [
          await world.ask(who, 'GET', list + there),
          await world.ask(who, 'GET', list + absent),
        ];
        assert.ok(foreign.status < 500, foreign.text);
        assert.equal(foreign.status, missing.status, `${list}: ${foreign.text} ${missing.text}`);
        const bare = ({ text }: typeof foreign) =>
          text.replaceAll(decodeURIComponent(there), 'X').replaceAll(decodeURIComponent(absent), 'X');
        assert.equal(bare(foreign), bare(missing), list);
      }
    });
  }
});
