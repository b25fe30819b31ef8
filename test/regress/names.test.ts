import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeWorld, type World } from '../keys/world.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await makeWorld(gateway);
});
after(() => gateway[Symbol.asyncDispose]());

async function rowsOf(table: 'teams' | 'users' | 'models' | 'keys'): Promise<unknown[]> {
  const { rows } = await gateway.pool.query<object>(`select to_jsonb(t) as row from gatewayctl.${table} t order by id`);
  return rows;
}

test('SEC-26: if_not_exists makes nothing of what somebody else has, and leaves it as it is', async () => {
  const body = {
    model_name: 'blues',
    litellm_params: { model: 'openai/x' },
    model_info: { id: 'blues', team_id: 'blue' },
  };
  assert.equal((await gateway.request('POST', '/model/new', { body })).status, 200);
  const earlier = await Promise.all([rowsOf('teams'), rowsOf('users'), rowsOf('models')]);
  const alike = { organization_id: 'acme', if_not_exists: true };
  const redModel = { model: 'openai/x', api_key: 'sk-red-0123456789' };
  const attempts: readonly (readonly [person: string, path: string, body: object])[] = [
    ['boss', '/team/new', { team_id: 'blue', ...alike }],
    ['boss', '/team/new', { team_id: 'blue', team_alias: 'mine', members_with_roles: [], ...alike }],
    ['boss', '/user/new', { user_id: 'rival', auto_create_key: false, ...alike }],
    ['boss', '/user/new', { user_email: 'rival@example.com', auto_create_key: false, ...alike }],
    ['owner', '/user/new', { user_id: 'rival', auto_create_key: false, ...alike }],
    [
      'boss',
      '/model/new',
      {
        model_name: 'blues',
        litellm_params: redModel,
        model_info: { id: 'blues', team_id: 'red' },
        if_not_exists: true,
      },
    ],
  ];
  for (const [person, path, asked] of attempts) {
    const answer = await world.as(person, path, asked);
    assert.ok([400, 403, 409].includes(answer.status), `${path} ${JSON.stringify(asked)}: ${answer.text}`);
    assert.doesNotMatch(answer.text, /globex|lead@|"spend"/, 'nothing of it is told');
  }
  assert.deepEqual(await Promise.all([rowsOf('teams'), rowsOf('users'), rowsOf('models')]), earlier);
});

test('a key is not called like another one, whoever asks', async () => {
  for (const more of [{}, { if_not_exists: true }]) {
    const answer = await world.as('stranger', '/key/generate', { key_alias: 'of-lead', ...more });
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.body.error.param, 'key_alias');
  }
});

test('nobody gives an id or a name by which somebody else is found', async () => {
  const refused = async (person: string, path: string, { body, param }: { body: object; param: string }) => {
    const answer = await world.as(person, path, body);
    assert.equal(answer.status, 400, `${path} ${JSON.stringify(body)}: ${answer.text}`);
    assert.equal(answer.body.error.param, param);
  };
  const inAcme = { organization_id: 'acme', auto_create_key: false };
  await refused('boss', '/user/new', { body: { user_id: 'rival@example.com', ...inAcme }, param: 'user_id' });
  await refused('boss', '/user/new', { body: { user_id: 'RIVAL@example.com', ...inAcme }, param: 'user_id' });
  await refused('boss', '/team/new', { body: { team_id: 'blue-team', organization_id: 'acme' }, param: 'team_id' });
  await refused('boss', '/team/new', { body: { team_alias: 'blue', organization_id: 'acme' }, param: 'team_alias' });
  await refused('lead', '/team/update', { body: { team_id: 'red', team_alias: 'blue' }, param: 'team_alias' });
  const made = await world.as('boss', '/user/new', { user_id: 'early@example.com', ...inAcme });
  assert.equal(made.status, 200, made.text);
  const change = { user_id: 'stranger', user_email: 'early@example.com' };
  await refused('stranger', '/user/update', { body: change, param: 'user_email' });
  const own = { user_id: 'early@example.com', user_email: 'early@example.com' };
  assert.equal((await world.as('boss', '/user/update', own)).status, 200);
  const same = await world.as('boss', '/team/new', { team_id: 'same', team_alias: 'same', organization_id: 'acme' });
  assert.equal(same.status, 200, same.text);
});

test('SEC-25: whoever administers a team does not take an administrator’s key by taking the administrator out', async () => {
  const { token } = await world.made({ user_id: 'root', team_id: 'red', key_alias: 'of-root-in-red' });
  for (const more of [{}, { keep_keys: true }, { dry_run: true }]) {
    const answer = await world.as('lead', '/team/member_delete', { team_id: 'red', user_id: 'root', ...more });
    assert.equal(answer.status, 403, answer.text);
    assert.ok(!answer.text.includes(token));
  }
  const body = { team_id: 'red', user_id: 'root' };
  assert.deepEqual((await gateway.request('POST', '/team/member_delete', { body })).body.deleted_keys, [token]);
});
