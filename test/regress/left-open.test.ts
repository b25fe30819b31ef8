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
