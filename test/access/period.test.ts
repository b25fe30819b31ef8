import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  await post('/model/new', {
    model_name: 'dollar',
    litellm_params: { model: 'mock/x' },
    model_info: { input_cost_per_token: 0.001, output_cost_per_token: 0, mock_prompt_tokens: 1_000 },
  });
  await gateway.chatUntil(200, gateway.daemon.masterKey, 'dollar');
  await post('/budget/new', { budget_id: 'monthly', budget_duration: '30d' });
});
after(() => gateway[Symbol.asyncDispose]());

async function ask(method: string, path: string, body?: object) {
  const answer = await gateway.request(method, path, body && { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}
const get = (path: string) => ask('GET', path);
const post = (path: string, body: object) => ask('POST', path, body);

interface Spender {
  readonly spend: number;
  readonly total_spend: number;
}

const wholeTeam = async () => (await get('/team/list')).find((team: { team_id: string }) => team.team_id === 'p-team');

/** Every place where an answer says what somebody has spent. */
const places: Readonly<Record<string, () => Promise<Spender>>> = {
  'a key': async () => (await get('/key/info?key=p-key')).info,
  'a key in several': async () => (await post('/v2/key/info', { keys: ['p-key'] })).info[0],
  'a key in a list': async () => (await get('/key/list?return_full_object=true&key_alias=p-key')).keys[0],
  'a key of a team': async () => (await get('/team/info?team_id=p-team')).keys[0],
  'a key of a user': async () => (await get('/user/info?user_id=p-user')).keys[0],
  'a team': async () => (await get('/team/info?team_id=p-team')).team_info,
  'a team in a list': async () => (await get('/v2/team/list?team_id=p-team')).teams[0],
  'a team in a whole list': wholeTeam,
  'a key in a whole list of teams': async () => (await wholeTeam()).keys[0],
  'a member in a whole list of teams': async () => (await wholeTeam()).team_memberships[0],
  'a team of a user': async () => (await get('/user/info?user_id=p-user')).teams[0],
  'a membership of a user': async () => (await get('/user/info?user_id=p-user')).teams[0].team_memberships[0],
  'a team of an organization': async () => (await get('/organization/info?organization_id=p-org')).teams[0],
  'a member': async () => (await get('/team/info?team_id=p-team')).team_memberships[0],
  'a member in a list': async () => (await get('/team/member_list?team_id=p-team')).members[0],
  'a user': async () => (await get('/user/info?user_id=p-user')).user_info,
  'a user alone': async () => get('/v2/user/info?user_id=p-user'),
  'a user in a list': async () => (await get('/user/list?user_ids=p-user')).users[0],
  'an organization': async () => get('/organization/info?organization_id=p-org'),
  'an organization in a list': async () =>
    (await get('/organization/list')).find((each: { organization_id: string }) => each.organization_id === 'p-org'),
  'a member of an organization': async () => (await get('/organization/info?organization_id=p-org')).members[0],
  'a member of an organization in a list': async () =>
    (await get('/organization/member_list?organization_id=p-org')).members[0],
  'a customer': async () => get('/customer/info?end_user_id=p-customer'),
  'a customer in a list': async () => (await get('/customer/list'))[0],
  'a tag': async () => Object.values<Spender>(await post('/tag/info', { names: ['p-tag'] }))[0]!,
  'a tag in a list': async () => (await get('/tag/list'))[0],
};

async function shown(): Promise<Record<string, readonly [spend: number, total: number]>> {
  const all: Record<string, readonly [number, number]> = {};
  for (const [name, look] of Object.entries(places)) {
    const { spend, total_spend: total } = await look();
    all[name] = [spend, total];
  }
  return all;
}

const everywhere = (spend: number, total: number) =>
  Object.fromEntries(Object.keys(places).map((name) => [name, [spend, total]]));

describe('spend in answers', () => {
  let key: string;
  const call = () => gateway.chat(key, 'dollar', { user: 'p-customer', metadata: { tags: ['p-tag'] } });
  const total = async () => (await get('/key/info?key=p-key')).info.total_spend;

  test('is all there is without a period, and the spend of the period for whoever has one, its own or shared', async () => {
    await post('/organization/new', { organization_id: 'p-org', organization_alias: 'p-org' });
    await post('/team/new', { team_id: 'p-team', organization_id: 'p-org' });
    await post('/user/new', { user_id: 'p-user', auto_create_key: false });
    await post('/team/member_add', { team_id: 'p-team', member: { role: 'user', user_id: 'p-user' } });
    await post('/organization/member_add', {
      organization_id: 'p-org',
      member: { role: 'internal_user', user_id: 'p-user' },
    });
    await post('/customer/new', { user_id: 'p-customer' });
    await post('/tag/new', { name: 'p-tag' });
    ({ key } = await post('/key/generate', { key_alias: 'p-key', team_id: 'p-team', user_id: 'p-user' }));
    assert.equal((await call()).status, 200);
    await until(async () => (await total()) === 1);
    assert.deepEqual(await shown(), everywhere(1, 1));

    await post('/key/update', { key: 'p-key', budget_duration: '30d' });
    await post('/team/update', { team_id: 'p-team', budget_duration: '1mo', team_member_budget_duration: '30d' });
    await post('/user/update', { user_id: 'p-user', budget_duration: '30d' });
    await ask('PATCH', '/organization/update', { organization_id: 'p-org', budget_id: 'monthly' });
    await ask('PATCH', '/organization/member_update', {
      organization_id: 'p-org',
      user_id: 'p-user',
      budget_id: 'monthly',
    });
    await post('/customer/update', { user_id: 'p-customer', budget_id: 'monthly' });
    await post('/tag/update', { name: 'p-tag', budget_duration: '30d' });
    assert.deepEqual(await shown(), everywhere(0, 1));
    assert.equal((await call()).status, 200);
    await until(async () => (await total()) === 2);
    assert.deepEqual(await shown(), everywhere(1, 2));
  });

  test('is nothing once the period is over', async () => {
    await gateway.pool.query(`update gatewayctl.budget_windows set started_at = started_at - interval '1 month'`);
    assert.deepEqual(await shown(), everywhere(0, 2));
    await gateway.pool.query(`update gatewayctl.budget_windows set started_at = started_at + interval '1 month'`);
  });

  test('of a period is what a key is held to, what reset_spend sets and what an update sets', async () => {
    const { key: secret, token } = await post('/key/generate', {
      key_alias: 'r',
      max_budget: 2,
      budget_duration: '30d',
      spend: 2,
    });
    assert.equal((await gateway.chat(secret, 'dollar')).status, 429);
    const reset = (to: number) => gateway.request('POST', `/key/${token}/reset_spend`, { body: { reset_to: to } });
    assert.match((await reset(2.5)).text, /must be at most 2/);
    assert.partialDeepStrictEqual((await reset(0.5)).body, { spend: 0.5, previous_spend: 2, max_budget: 2 });
    await until(async () => (await gateway.chat(secret, 'dollar')).status === 200);
    const standing = async () => (await get('/key/info?key=r')).info;
    await until(async () => (await standing()).spend === 1.5);
    assert.equal((await standing()).total_spend, 3);
    assert.match((await reset(1.75)).text, /must be at most 1.5/);
    assert.partialDeepStrictEqual(await post('/key/update', { key: 'r', spend: 2 }), { spend: 2, total_spend: 3 });
    assert.equal((await gateway.chat(secret, 'dollar')).status, 429);
    const { rows } = await gateway.pool.query<{ before: Spender; after: Spender }>(
      `select before, after from gatewayctl.audit_log where object_id = (select id from gatewayctl.keys where alias = 'r')
         and action = 'updated' order by at`,
    );
    assert.deepEqual(
      rows.map(({ before: was, after: is }) => [was.spend, is.spend]),
      [
        [2, 0.5],
        [1.5, 2],
      ],
    );
  });
});
