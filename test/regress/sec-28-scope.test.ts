import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from '../keys/world.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await makeWorld(gateway);
});
after(() => gateway[Symbol.asyncDispose]());

async function refused(person: string, path: string, { body, param }: { body: object; param: string }): Promise<void> {
  const answer = await world.as(person, path, body);
  assert.equal(answer.status, 403, `${path} ${JSON.stringify(body)}: ${answer.text}`);
  assert.equal(answer.body.error.param, param);
}

test('SEC-28: no key of a team names another organization than the team’s, to have it pay or to learn whether it is there', async () => {
  const texts = [];
  for (const organization of ['globex', 'nowhere']) {
    const body = { team_id: 'red', organization_id: organization };
    await refused('lead', '/key/generate', { body, param: 'organization_id' });
    texts.push((await world.as('lead', '/key/generate', body)).body.error.message);
  }
  assert.equal(texts[0], texts[1]);
  const made = await world.as('lead', '/key/generate', { team_id: 'red', organization_id: 'acme', key_alias: 'same' });
  assert.equal(made.status, 200, made.text);
  // The same user administers a team of the other organization, and takes the key there.
  await refused('lead', '/key/update', { body: { key: 'same', team_id: 'blue' }, param: 'team_id' });
  await refused('lead', '/key/regenerate', { body: { key: 'same', team_id: 'blue' }, param: 'team_id' });
});

describe('SEC-28: the key that whoever administers a team made for a member', () => {
  let key: string;
  before(async () => {
    const made = await world.as('lead', '/key/generate', { team_id: 'red', user_id: 'owner', key_alias: 'for-owner' });
    assert.equal(made.status, 200, made.text);
    ({ key } = made.body);
    await world.made({ user_id: 'owner', team_id: 'open', key_alias: 'of-owner-in-open' });
  });

  test('says whose it is, and shows nothing that the member has elsewhere', async () => {
    const info = await world.as(key, '/user/info');
    assert.equal(info.body.user_id, 'owner');
    for (const path of ['/user/info', '/key/list?return_full_object=true', '/key/aliases', '/team/list']) {
      const { text } = await world.as(key, path);
      assert.doesNotMatch(text, /of-owner|open-team/, path);
    }
    for (const alias of ['of-owner', 'of-owner-in-open', 'nothing']) {
      const { status, body } = await world.as(key, `/key/info?key=${alias}`);
      assert.equal(status, 404);
      assert.equal(body.error.message, `No key "${alias}"`);
    }
  });

  test('changes nothing of the member, who does so with a key of its own', async () => {
    const changes = { user_id: 'owner', user_email: 'somebody-else@example.com' };
    assert.equal((await world.as(key, '/user/update', changes)).status, 403);
    assert.equal(
      (await world.as('owner', '/user/update', { ...changes, user_email: 'owner@example.com' })).status,
      200,
    );
  });

  test('shows of what the member spends what it spends in the team', async () => {
    await gateway.pool.query(
      `insert into gatewayctl.daily_spend (date, key_id, user_id, team_id, organization_id, model, provider, prompt_tokens,
         completion_tokens, cache_read_tokens, cache_write_tokens, spend, requests, failed_requests)
       select current_date, 'gone', 'owner', team, '', 'model-in-' || team, 'mock', 1, 1, 0, 0, 1, 1, 0
       from unnest(array['red', 'open', '']) as team`,
    );
    const today = new Date().toISOString().slice(0, 10);
    for (const path of ['/spend/report?group_by=model', `/user/daily/activity?start_date=${today}&end_date=${today}`]) {
      assert.match((await world.as('owner', path)).text, /model-in-open/);
      const { text } = await world.as(key, path);
      assert.match(text, /model-in-red/);
      assert.doesNotMatch(text, /model-in-open|model-in-"/);
    }
  });

  test('is no administrator’s when the member becomes one', async () => {
    const { key: own } = await world.made({ user_id: 'owner' });
    for (const role of ['proxy_admin', 'proxy_admin_viewer']) {
      const change = { user_id: 'owner', user_role: role };
      assert.equal((await gateway.request('POST', '/user/update', { body: change })).status, 200);
      const seesAll = await world.as(own, '/key/info?key=of-stranger');
      assert.equal(seesAll.status, 200, seesAll.text);
      assert.equal((await world.as(key, '/key/info?key=of-stranger')).status, 404);
      assert.equal((await world.as(key, '/budget/list')).status, 403);
      assert.equal((await world.as(key, '/organization/new', { organization_alias: 'mine' })).status, 403);
      assert.notEqual((await world.as(key, '/user/update', { user_id: 'stranger', user_role: role })).status, 200);
    }
    await gateway.request('POST', '/user/update', { body: { user_id: 'owner', user_role: 'internal_user' } });
  });
});

test('SEC-28: a key of one organization lists nothing of its user’s teams in another', async () => {
  const { key } = await world.made({ user_id: 'lead', organization_id: 'acme' });
  await world.made({ team_id: 'blue', key_alias: 'in-blue' });
  const paths = [
    '/team/list',
    '/v2/team/list',
    '/key/aliases',
    '/key/list?return_full_object=true&include_team_keys=true',
    '/user/info',
    '/model/info',
  ];
  for (const path of paths) {
    assert.doesNotMatch((await world.as(key, path)).text, /blue/, path);
  }
  assert.match((await world.as(key, '/team/list')).text, /red-team/);
  assert.match((await world.as('lead', '/team/list')).text, /blue-team/);
});

test('nobody draws a member of another organization into a team of none, whose calls that organization would pay', async () => {
  const post = (path: string, body: object) => gateway.request('POST', path, { body });
  await post('/team/new', { team_id: 'free', members_with_roles: [{ role: 'admin', user_id: 'stranger' }] });
  const add = (user: string) =>
    world.as('stranger', '/team/member_add', { team_id: 'free', member: { role: 'user', user_id: user } });
  const [unseen, absent] = [await add('other_boss'), await add('nobody')];
  assert.equal(unseen.status, 400);
  assert.equal(
    unseen.body.error.message.replace('other_boss', 'NAME'),
    absent.body.error.message.replace('nobody', 'NAME'),
  );
  assert.equal((await add('owner')).status, 200);
  await post('/organization/member_add', {
    organization_id: 'globex',
    member: { role: 'internal_user', user_id: 'stranger' },
  });
  assert.equal((await add('other_boss')).status, 200);
});
