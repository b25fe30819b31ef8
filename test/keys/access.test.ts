import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { makeWorld, type World } from './world.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await makeWorld(gateway);
});
after(() => gateway[Symbol.asyncDispose]());

let count = 0;
const fresh = (fields: object = {}) => world.made({ key_alias: `k-${++count}`, ...fields });
const refused = (body: { error: { type: string; param: string } }) => [body.error.type, body.error.param];

const everybody = [
  'service',
  'owner',
  'stranger',
  'looker',
  'lead',
  'rival',
  'boss',
  'other_boss',
  'viewer',
  'root',
] as const;
type Person = (typeof everybody)[number];

describe('a key of the user owner in the team red', () => {
  const rows: Readonly<Record<string, { path: string; body?: object; answers: Partial<Record<Person, number>> }>> = {
    'is shown to': {
      path: '/key/info?key=KEY',
      answers: { owner: 200, lead: 200, boss: 200, viewer: 200, root: 200 },
    },
    'is renamed by': {
      path: '/key/update',
      body: { key: 'KEY', metadata: { a: 1 } },
      answers: { owner: 200, lead: 200, boss: 200, root: 200, service: 403, looker: 403, viewer: 403 },
    },
    'is blocked by': {
      path: '/key/block',
      body: { key: 'KEY' },
      answers: { owner: 403, lead: 200, boss: 200, root: 200, service: 403, looker: 403, viewer: 403 },
    },
    'has its spend reset by': {
      path: '/key/KEY/reset_spend',
      body: { reset_to: 0 },
      answers: { owner: 403, lead: 200, boss: 200, root: 200, service: 403, looker: 403, viewer: 403 },
    },
    'gets spend from': {
      path: '/key/update',
      body: { key: 'KEY', spend: 0 },
      answers: { owner: 403, lead: 403, boss: 403, root: 200, service: 403, looker: 403, viewer: 403 },
    },
    'gets a new secret from': {
      path: '/key/regenerate',
      body: { key: 'KEY' },
      answers: { owner: 200, lead: 200, boss: 200, root: 200, service: 403, looker: 403, viewer: 403 },
    },
    'is deleted by': {
      path: '/key/delete',
      body: { keys: ['KEY'] },
      answers: { owner: 200, lead: 200, boss: 200, root: 200, service: 403, looker: 403, viewer: 403 },
    },
  };
  for (const [what, { path, body, answers }] of Object.entries(rows)) {
    test(`${what} exactly those who may`, async () => {
      const found: Record<string, number> = {};
      for (const person of everybody) {
        const { token } = await fresh({ user_id: 'owner', team_id: 'red' });
        const named = (text: string) => text.replaceAll('KEY', token);
        const sent = body && (JSON.parse(named(JSON.stringify(body))) as object);
        found[person] = (await world.as(person, named(path), sent)).status;
      }
      assert.deepEqual(found, Object.fromEntries(everybody.map((person) => [person, answers[person] ?? 404])));
    });
  }

  test('is unknown to a stranger in the very words for one that is not there', async () => {
    const { token } = await fresh({ user_id: 'owner', team_id: 'red' });
    const [there, gone] = await Promise.all(
      [token, token.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))].map((key) =>
        world.as('stranger', '/key/update', { key, metadata: {} }),
      ),
    );
    assert.deepEqual(there?.body, gone?.body);
  });
});

describe('the user of a key', () => {
  test('makes keys for nobody else, and for a team that lets members', async () => {
    const other = await world.as('owner', '/key/generate', { user_id: 'stranger' });
    assert.equal(other.status, 403);
    assert.equal(
      other.body.error.message,
      'User can only create keys for themselves. Got user_id=stranger, Your ID=owner',
    );
    assert.partialDeepStrictEqual((await world.as('owner', '/key/generate', {})).body, { user_id: 'owner' });
    const denied = await world.as('owner', '/key/generate', { team_id: 'red' });
    assert.deepEqual([denied.status, denied.body.error.type], [401, 'team_member_permission_error']);
    const allowed = await world.as('owner', '/key/generate', { team_id: 'open-team', models: ['gpt-4o'] });
    assert.partialDeepStrictEqual(allowed.body, { user_id: 'owner', team_id: 'open' });
    const hidden = await world.as('owner', '/key/generate', { team_id: 'blue' });
    const missing = await world.as('owner', '/key/generate', { team_id: 'nope' });
    assert.equal(hidden.status, 404);
    assert.equal(hidden.text.replace('blue', 'nope'), missing.text);
  });

  test('lowers what it may do, and raises nothing', async () => {
    const { token: key } = await fresh({
      user_id: 'owner',
      max_budget: 10,
      models: ['gpt-4o', 'mock-gpt'],
      rpm_limit: 60,
      tags: ['a'],
      model_rpm_limit: { 'gpt-4o': 5 },
      duration: '1d',
    });
    const update = (changes: object) => world.as('owner', '/key/update', { key, ...changes });
    assert.equal((await update({ max_budget: 5, models: ['gpt-4o'], rpm_limit: 10 })).status, 200);
    const raising: readonly (readonly [field: string, change: object])[] = [
      ['max_budget', { max_budget: 6 }],
      ['max_budget', { max_budget: null }],
      ['models', { models: [] }],
      ['models', { models: ['gpt-4o', 'claude'] }],
      ['rpm_limit', { rpm_limit: null }],
      ['tags', { tags: [] }],
      ['model_rpm_limit', { model_rpm_limit: {} }],
      ['expires_at', { duration: '-1' }],
      ['budget_duration', { budget_duration: '1d' }],
      ['team_id', { team_id: 'open' }],
      ['user_id', { user_id: null }],
      ['spend', { spend: 0 }],
      ['blocked', { blocked: false }],
      ['permissions', { permissions: { get_spend_routes: true } }],
      ['enforced_params', { enforced_params: [] }],
      ['budget_id', { budget_id: null }],
    ];
    for (const [field, change] of raising) {
      const { status, body } = await update({ ...change, metadata: { nothing: 'written' } });
      assert.deepEqual([status, ...refused(body)], [403, 'field_not_allowed', field]);
    }
    const { body } = await world.as('root', `/key/info?key=${key}`);
    assert.partialDeepStrictEqual(body.info, { max_budget: 5, models: ['gpt-4o'], rpm_limit: 10, metadata: {} });
  });

  test('gives with a limited key no more than that key has', async () => {
    const { key } = await fresh({ user_id: 'owner', max_budget: 5, models: ['gpt-4o'], duration: '1h' });
    const make = async (body: object) => (await world.as(key, '/key/generate', body)).body.error?.param;
    assert.equal(await make({}), 'models');
    assert.equal(await make({ models: ['gpt-4o'] }), 'max_budget');
    assert.equal(await make({ models: ['gpt-4o'], max_budget: 5 }), 'expires_at');
    assert.equal(await make({ models: ['gpt-4o'], max_budget: 5, duration: '2h' }), 'expires_at');
    assert.equal(
      await make({ models: ['gpt-4o'], max_budget: 5, duration: '30m', budget_duration: '1d' }),
      'budget_duration',
    );
    assert.equal(await make({ models: ['gpt-4o'], max_budget: 5, duration: '30m' }), undefined);
    // Nor the secret of a key of the same user that has more.
    const { token } = await fresh({ user_id: 'owner' });
    assert.equal((await world.as(key, '/key/regenerate', { key: token })).status, 403);
  });
});

describe('the administrator of a team', () => {
  test('gives its keys what the team has, and no more', async () => {
    const made = await world.as('lead', '/key/generate', { team_id: 'red', user_id: 'owner', max_budget: 50 });
    assert.equal(made.status, 200);
    const key = made.body.token as string;
    const update = (changes: object) => world.as('lead', '/key/update', { key, ...changes });
    assert.deepEqual(refused((await update({ max_budget: 101 })).body), ['field_not_allowed', 'max_budget']);
    assert.deepEqual(refused((await update({ models: ['claude'] })).body), ['field_not_allowed', 'models']);
    assert.deepEqual(refused((await update({ aliases: { x: 'claude' } })).body), ['field_not_allowed', 'models']);
    assert.equal((await update({ max_budget: 100, models: ['openai/gpt-5'], blocked: true })).status, 200);
    const outsider = await world.as('lead', '/key/generate', { team_id: 'red', user_id: 'stranger' });
    assert.equal(outsider.body.error.message, 'User=stranger not assigned to team=red');
    assert.equal(outsider.status, 400);
  });

  test('moves a key between teams it administers only', async () => {
    const { token: key } = await fresh({ team_id: 'red' });
    const move = (team_id: string | null) => world.as('lead', '/key/update', { key, team_id });
    assert.deepEqual(refused((await move(null)).body), ['field_not_allowed', 'team_id']);
    assert.equal((await world.as('boss', '/key/update', { key, team_id: 'blue' })).status, 404);
    assert.equal((await move('blue-team')).status, 200);
  });
});

describe('a key that comes to a team', () => {
  test('has nothing that the team does not allow, for administrators too, and no user who is not in it', async () => {
    const models = await fresh({ models: ['claude'] });
    const move = (key: string) => gateway.request('POST', '/key/update', { body: { key, team_id: 'red' } });
    const wide = await move(models.token);
    assert.deepEqual([wide.status, wide.body.error.type], [403, 'team_model_access_denied']);
    assert.match(wide.body.error.message, /claude/);
    const fast = await move((await fresh({ models: ['gpt-4o'], tpm_limit: 1001 })).token);
    assert.match(fast.body.error.message, /tpm_limit/);
    const person = await move((await fresh({ models: ['gpt-4o'], user_id: 'stranger' })).token);
    assert.deepEqual([person.status, person.body.error.param], [403, 'user_id']);
  });

  test('is guaranteed no more than the team has left', async () => {
    const key = (tpm_limit: number, tpm_limit_type = 'guaranteed_throughput') =>
      gateway.request('POST', '/key/generate', { body: { team_id: 'blue', tpm_limit, tpm_limit_type } });
    assert.equal((await key(600)).status, 200);
    const [one, two] = await Promise.all([key(300), key(300)]);
    assert.deepEqual(new Set([one.status, two.status]), new Set([200, 400]));
    const { body } = await key(101);
    assert.equal(body.error.message, 'Allocated TPM limit=900 + Key TPM limit=101 is greater than team TPM limit=1000');
    assert.equal((await key(101, 'best_effort_throughput')).status, 200);
    assert.match((await key(1, 'dynamic')).body.error.message, /dynamic/);
    const lower = (tpm_limit: number) =>
      gateway.request('POST', '/team/update', { body: { team_id: 'blue', tpm_limit } });
    assert.match(
      (await lower(899)).body.error.message,
      /limit=899 is less than the 900 that are guaranteed to its keys/,
    );
    assert.equal((await lower(900)).status, 200);
    assert.equal((await lower(1_000)).status, 200);
  });
});

describe('lists', () => {
  const aliases = async (person: string, query: string) => {
    const { body } = await world.as(person, `/key/list?return_full_object=true&size=100&${query}`);
    return (body.keys as { key_alias: string }[])
      .map((key) => key.key_alias)
      .filter((alias) => alias?.startsWith('l-'));
  };

  test('hold what the caller may look at, and nothing else', async () => {
    await world.made({ key_alias: 'l-own', user_id: 'owner' });
    await world.made({ key_alias: 'l-red', team_id: 'red' });
    await world.made({ key_alias: 'l-open', team_id: 'open' });
    await world.made({ key_alias: 'l-root', team_id: 'red', user_id: 'root' });
    await world.made({ key_alias: 'l-blue', team_id: 'blue' });
    assert.deepEqual(await aliases('owner', ''), ['l-own']);
    assert.deepEqual(await aliases('owner', 'include_team_keys=true'), ['l-open', 'l-own']);
    assert.deepEqual(await aliases('lead', 'team_id=red-team'), ['l-red']);
    assert.deepEqual(await aliases('boss', 'include_team_keys=true'), ['l-open', 'l-red']);
    assert.deepEqual(await aliases('viewer', ''), ['l-blue', 'l-root', 'l-open', 'l-red', 'l-own']);
    assert.deepEqual((await world.as('service', '/key/list')).body.total_count, 1);
    assert.equal((await world.as('owner', '/key/list?team_id=blue')).status, 404);
    const others = await world.as('owner', '/key/list?user_id=stranger');
    assert.deepEqual([others.status, others.body.error.type], [403, 'bad_request_error']);
    const names = (await world.as('lead', '/key/aliases?search=-RED')).body;
    assert.deepEqual(names.aliases, ['l-red']);
    const several = await world.as('owner', '/v2/key/info', { keys: ['l-own', 'l-red', 'l-open', 'nobody'] });
    assert.equal(several.body.info.length, 2);
  });
});
