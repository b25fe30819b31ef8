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

test('SEC-20, CVE-2026-47101: routes are checked when they are stored, and nobody stores more than they have', async () => {
  const wrong = await world.as('owner', '/key/generate', { allowed_routes: ['all of them'] });
  assert.deepEqual([wrong.status, wrong.body.error.param], [400, 'allowed_routes.0']);
  const { key, token } = await world.made({ user_id: 'owner', allowed_routes: ['/key/*', 'info_routes'] });
  for (const allowed_routes of [[], ['/*'], ['management_routes'], ['llm_api_routes'], ['/user/new']]) {
    const made = await world.as(key, '/key/generate', { allowed_routes });
    assert.deepEqual([made.status, made.body.error.param], [403, 'allowed_routes'], allowed_routes.join());
    const changed = await world.as('owner', '/key/update', { key: token, allowed_routes });
    assert.deepEqual([changed.status, changed.body.error.param], [403, 'allowed_routes'], allowed_routes.join());
  }
  assert.equal((await world.as(key, '/key/generate', { key_type: 'management' })).status, 403);
  assert.equal((await world.as(key, '/key/generate', { allowed_routes: ['/key/info'] })).status, 200);
  // At use: a wildcard does not make an administrator of anybody.
  const { key: wide } = await world.made({ user_id: 'owner', allowed_routes: ['/*'] });
  assert.equal((await world.as(wide, '/key/bulk_update', { keys: [{ key: token, max_budget: 1 }] })).status, 403);
});

test('SEC-25, GHSA-6qr3-3g89-m4jj: the key of an administrator is nobody else’s, even inside a team', async () => {
  const { token } = await world.made({ user_id: 'root', team_id: 'red', key_alias: 'root-in-red' });
  for (const person of ['lead', 'boss', 'owner']) {
    for (const [path, body] of [
      [`/key/info?key=${token}`, undefined],
      ['/key/update', { key: token, metadata: {} }],
      ['/key/block', { key: token }],
      ['/key/regenerate', { key: token }],
      ['/key/delete', { keys: [token] }],
      [`/key/${token}/reset_spend`, { reset_to: 0 }],
    ] as const) {
      assert.equal((await world.as(person, path, body)).status, 404, `${person} ${path}`);
    }
    // Nor does a team's administrator make one that acts as the administrator.
    const made = await world.as(person, '/key/generate', { team_id: 'red', user_id: 'root' });
    assert.equal(made.status, 403);
  }
  assert.equal((await world.as('root', `/key/info?key=${token}`)).status, 200);
});

test('SEC-27, PR #23781: users neither block nor unblock keys, nor raise their own budget', async () => {
  const { token: key } = await world.made({ user_id: 'owner', max_budget: 1, blocked: true });
  assert.equal((await world.as('owner', '/key/unblock', { key })).status, 403);
  assert.equal((await world.as('owner', '/key/update', { key, blocked: false })).body.error.param, 'blocked');
  assert.equal((await world.as('owner', '/key/update', { key, max_budget: 2 })).body.error.param, 'max_budget');
  assert.equal((await world.as('stranger', '/key/unblock', { key })).status, 404);
  assert.partialDeepStrictEqual((await world.as('root', `/key/info?key=${key}`)).body.info, {
    blocked: true,
    max_budget: 1,
  });
});

test('SEC-28, PR #25686, #27878, #29140: a key of one team does not touch another, whatever its user administers there', async () => {
  const { key: redKey } = await world.made({ user_id: 'lead', team_id: 'red' });
  const { token: inBlue } = await world.made({ team_id: 'blue' });
  const { token: own } = await world.made({ user_id: 'lead' });
  assert.equal((await world.as('lead', '/key/update', { key: inBlue, metadata: {} })).status, 200);
  assert.equal((await world.as(redKey, '/key/update', { key: inBlue, metadata: {} })).status, 404);
  assert.equal((await world.as(redKey, '/key/regenerate', { key: inBlue })).status, 404);
  assert.equal((await world.as(redKey, '/key/regenerate', { key: own })).status, 403);
  assert.equal((await world.as(redKey, '/key/generate', { team_id: 'blue' })).status, 404);
  assert.equal((await world.as(redKey, '/key/generate', {})).status, 403);
  const { token: inRed } = await world.made({ team_id: 'red' });
  assert.equal((await world.as(redKey, '/key/update', { key: inRed, team_id: 'blue' })).status, 404);
});

test('SEC-28: a key of one organization makes and touches nothing outside of it', async () => {
  const { key: acmeKey } = await world.made({ user_id: 'lead', organization_id: 'acme' });
  assert.equal((await world.as(acmeKey, '/key/generate', {})).body.organization_id, 'acme');
  assert.equal((await world.as(acmeKey, '/key/generate', { team_id: 'blue' })).status, 404);
  assert.equal((await world.as(acmeKey, '/key/generate', { team_id: 'red' })).status, 200);
  const { token: personal } = await world.made({ user_id: 'lead' });
  const { token: inBlue } = await world.made({ user_id: 'lead', team_id: 'blue' });
  for (const key of [personal, inBlue]) {
    assert.equal((await world.as(acmeKey, '/key/regenerate', { key })).status, 403);
    assert.equal((await world.as(acmeKey, '/key/delete', { keys: [key] })).status, 403);
  }
});

test('SEC-29, #7336, #8031, #8029: a key stays whose it is, and has no more models than its owner', async () => {
  const { token: key } = await world.made({ user_id: 'owner', team_id: 'open', models: ['gpt-4o'] });
  assert.equal((await world.as('owner', '/key/update', { key, user_id: 'stranger' })).body.error.param, 'user_id');
  assert.equal((await world.as('owner', '/key/generate', { user_id: 'stranger' })).status, 403);
  assert.equal(
    (await world.as('lead', '/key/update', { key, user_id: 'stranger' })).body.error.message,
    'User=stranger not assigned to team=open',
  );
  const wide = await world.as('owner', '/key/generate', { team_id: 'open', models: ['claude'] });
  assert.deepEqual([wide.status, wide.body.error.param], [403, 'models']);
  const alias = await world.as('owner', '/key/generate', { team_id: 'open', aliases: { 'gpt-4o': 'claude' } });
  assert.deepEqual([alias.status, alias.body.error.param], [403, 'models']);
  // The secret of a key that is no team's would let its holder act as its user.
  const { token: personal } = await world.made({ user_id: 'owner', organization_id: 'acme' });
  assert.equal((await world.as('boss', '/key/block', { key: personal })).status, 200);
  assert.equal((await world.as('boss', '/key/regenerate', { key: personal })).status, 403);
});

test('GHSA-69x8-hrgq-fjj8: a hash opens nothing, and no secret that is over opens anything again', async () => {
  const { key, token } = await world.made({ key_alias: 'hashed' });
  for (const headers of [
    { authorization: `Bearer ${token}` },
    { 'x-api-key': token },
    { 'api-key': token },
    { 'x-litellm-api-key': token },
  ]) {
    assert.equal((await gateway.request('GET', '/key/info', { key: '', headers })).status, 401);
  }
  const rotated = (await gateway.request('POST', '/key/regenerate', { body: { key: token, grace_period: '1s' } })).body;
  const again = (body: object, path = '/key/generate') => gateway.request('POST', path, { body });
  assert.equal((await again({ key })).status, 400);
  await gateway.request('POST', '/key/delete', { body: { keys: ['hashed'] } });
  for (const secret of [key, rotated.key as string]) {
    const { status, text } = await again({ key: secret });
    assert.equal(status, 400);
    assert.ok(!text.includes(secret));
  }
  const { token: other } = await world.made({});
  assert.equal((await again({ key: other, new_key: key }, '/key/regenerate')).status, 400);
  const { text } = await gateway.request('GET', '/key/list?return_full_object=true&status=deleted');
  assert.ok(!text.includes(key));
});
