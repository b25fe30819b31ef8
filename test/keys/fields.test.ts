import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from '../support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  const stamps = `now(), 'test', now(), 'test'`;
  await gateway.pool.query(
    `insert into gatewayctl.budgets (id, max_budget, rpm_limit, created_at, created_by, updated_at, updated_by)
     values ('shared', 20000000000, 30, ${stamps})`,
  );
  await gateway.pool.query(
    `insert into gatewayctl.teams (id, alias, created_at, created_by, updated_at, updated_by) values ('red', 'Red', ${stamps})`,
  );
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
const get = (path: string) => gateway.request('GET', path);

const everyField = {
  key_alias: 'whole',
  models: ['gpt-4o'],
  aliases: { fast: 'gpt-4o' },
  max_budget: 10,
  soft_budget: 8,
  budget_duration: '30d',
  budget_limits: [{ budget_duration: '1d', max_budget: 1 }],
  tpm_limit: 1000,
  rpm_limit: 60,
  rpm_limit_type: 'best_effort_throughput',
  max_parallel_requests: 4,
  model_max_budget: { 'gpt-4o': { budget_limit: 2, time_period: '1d' } },
  model_rpm_limit: { 'gpt-4o': 5 },
  model_tpm_limit: { 'gpt-4o': 500 },
  metadata: { a: { b: 1 } },
  tags: ['prod', 'web'],
  permissions: { get_spend_routes: true },
  allowed_routes: ['llm_api_routes', '/key/info'],
  allowed_passthrough_routes: ['/openai/v1/files'],
  enforced_params: ['user'],
  spend: 1.5,
  blocked: true,
};

describe('every field of a key', () => {
  test('comes back as it was given, is kept by what changes nothing of it, and is cleared by null', async () => {
    const made = await post('/key/generate', { ...everyField, guardrails: [], policies: null });
    assert.equal(made.status, 200, made.text);
    const { budget_limits: limits, ...plain } = everyField;
    const expected = { ...plain, tpm_limit_type: null, status: 'blocked', litellm_budget_table: null };
    assert.partialDeepStrictEqual(made.body, expected);
    assert.partialDeepStrictEqual(made.body.budget_limits, limits);
    const midnight = new Date(Math.ceil(Date.now() / 86_400_000) * 86_400_000).toISOString();
    assert.equal(made.body.budget_limits[0].reset_at, midnight);
    assert.match(made.body.budget_reset_at, /-01T00:00:00.000Z$/);
    const kept = (await post('/key/update', { key: 'whole', key_alias: 'whole' })).body;
    assert.partialDeepStrictEqual(kept, expected);
    const nothing = Object.fromEntries(
      Object.keys(everyField).flatMap((name) =>
        ['key_alias', 'models', 'metadata', 'spend'].includes(name) ? [] : [[name, null]],
      ),
    );
    const cleared = (await post('/key/update', { key: 'whole', ...nothing })).body;
    assert.partialDeepStrictEqual(cleared, {
      max_budget: null,
      aliases: {},
      tags: [],
      permissions: {},
      allowed_routes: [],
      allowed_passthrough_routes: [],
      budget_limits: [],
      model_max_budget: {},
      budget_reset_at: null,
      blocked: false,
      spend: 1.5,
    });
  });

  test('that is wrong or not served is refused by name', async () => {
    const wrong: readonly (readonly [param: string, body: object])[] = [
      ['permissions.allow_pii_controls', { permissions: { allow_pii_controls: true } }],
      ['rpm_limit_type', { rpm_limit_type: 'dynamic' }],
      ['allowed_routes.0', { allowed_routes: ['chat'] }],
      ['allowed_passthrough_routes.0', { allowed_passthrough_routes: ['/openai/*'] }],
      ['allowed_passthrough_routes.1', { allowed_passthrough_routes: ['/openai', '/'] }],
      ['key_type', { key_type: 'llm_api', allowed_routes: ['/x'] }],
      ['budget_limits.0.budget_duration', { budget_limits: [{ budget_duration: 'soon', max_budget: 1 }] }],
      ['budget_id', { budget_id: 'nobody' }],
      ['guardrails', { guardrails: ['pii'] }],
      ['project_id', { project_id: 'x' }],
      ['spend', { spend: -1 }],
    ];
    for (const [param, body] of wrong) {
      const { status, body: answer } = await post('/key/generate', body);
      assert.equal(answer.error.param, param);
      assert.ok(status === 400 || status === 404);
    }
  });

  test('an increase of the budget for a time has an end, and something to increase', async () => {
    await post('/key/generate', { key_alias: 'raised', max_budget: 10 });
    const until = '2099-01-01T00:00:00.000Z';
    const refusals: readonly (readonly [param: string, change: object])[] = [
      ['temp_budget_expiry', { temp_budget_increase: 5 }],
      ['temp_budget_increase', { temp_budget_expiry: until }],
      ['temp_budget_expiry', { temp_budget_increase: 5, temp_budget_expiry: '2020-01-01T00:00:00Z' }],
      ['temp_budget_increase', { max_budget: null, temp_budget_increase: 5, temp_budget_expiry: until }],
    ];
    for (const [param, change] of refusals) {
      const { status, body } = await post('/key/update', { key: 'raised', ...change });
      assert.deepEqual([status, body.error?.param], [400, param]);
    }
    const given = { temp_budget_increase: 5, temp_budget_expiry: until };
    assert.partialDeepStrictEqual((await post('/key/update', { key: 'raised', ...given })).body, {
      max_budget: 10,
      ...given,
    });
    const line = 'key update raised --temp-budget-increase 7 --temp-budget-expiry 2d --json';
    const typed = JSON.parse((await gateway.gatewayctl(line)).out);
    assert.equal(typed.temp_budget_increase, 7);
    assert.ok(Math.abs(Date.parse(typed.temp_budget_expiry) - Date.now() - 2 * 86_400_000) < 60_000);
    const ended = (await post('/key/update', { key: 'raised', temp_budget_increase: null })).body;
    assert.partialDeepStrictEqual(ended, { temp_budget_increase: null, temp_budget_expiry: null });
  });

  test('a key_type stands for a list of routes', async () => {
    const { body } = await post('/key/generate', { key_type: 'read_only' });
    assert.deepEqual(body.allowed_routes, ['info_routes']);
  });

  test('a shared budget is shown with its keys', async () => {
    const { body } = await post('/key/generate', { budget_id: 'shared', key_alias: 'sharing' });
    const table = { budget_id: 'shared', max_budget: 20, rpm_limit: 30, soft_budget: null };
    assert.partialDeepStrictEqual(body.litellm_budget_table, table);
    assert.partialDeepStrictEqual((await get('/key/info?key=sharing')).body.info.litellm_budget_table, table);
    const listed = await get('/key/list?key_alias=shar*&return_full_object=true');
    assert.partialDeepStrictEqual(listed.body.keys[0].litellm_budget_table, table);
  });
});

describe('POST /key/service-account/generate', () => {
  test('makes a key of a team and of no user', async () => {
    const { body } = await post('/key/service-account/generate', { team_id: 'Red', user_id: 'anna' });
    assert.partialDeepStrictEqual(body, { team_id: 'red', user_id: null, is_service_account: true });
    assert.equal((await post('/key/service-account/generate', {})).status, 400);
    assert.equal((await post('/key/service-account/generate', { team_id: 'nobody' })).status, 404);
    const { out } = await gateway.gatewayctl('key generate --team Red --service-account --alias svc --json');
    assert.partialDeepStrictEqual(JSON.parse(out), { is_service_account: true, user_id: null });
  });
});

describe('POST /key/bulk_update', () => {
  test('changes each key by itself, and says of each that failed why', async () => {
    for (const alias of ['bulk-a', 'bulk-b']) await post('/key/generate', { key_alias: alias, models: ['claude'] });
    const { body } = await post('/key/bulk_update', {
      keys: [
        { key: 'bulk-a', max_budget: 3 },
        { key: 'nobody', max_budget: 3 },
        { key: 'bulk-a', budget_id: 'nobody' },
        { key: 'bulk-b', tags: ['x'], team_id: 'Red' },
      ],
    });
    assert.equal(body.total_requested, 4);
    assert.deepEqual(
      body.successful_updates.map(({ key, key_info: info }: { key: string; key_info: Record<string, unknown> }) => [
        key,
        info['max_budget'],
        info['tags'],
        info['team_id'],
      ]),
      [
        ['bulk-a', 3, [], null],
        ['bulk-b', null, ['x'], 'red'],
      ],
    );
    assert.deepEqual(
      body.failed_updates.map(({ key }: { key: string }) => key),
      ['nobody', 'bulk-a'],
    );
    assert.match(body.failed_updates[0].failed_reason, /No key "nobody"/);
    assert.partialDeepStrictEqual((await get('/key/info?key=bulk-a')).body.info, { max_budget: 3, budget_id: null });
    assert.equal((await post('/key/bulk_update', { keys: [] })).status, 400);
  });
});

describe('POST /key/{key}/regenerate', () => {
  test('keeps the id, takes fields with it, and lets the old secret find the key in its grace', async () => {
    const { key, key_id: id } = (await post('/key/generate', { key_alias: 'turn', max_budget: 1 })).body;
    const { body } = await post('/key/turn/regenerate', {
      grace_period: '1h',
      key_alias: 'turned',
      max_budget: 2,
      tags: ['new'],
    });
    assert.partialDeepStrictEqual(body, {
      key_id: id,
      key_alias: 'turned',
      max_budget: 2,
      tags: ['new'],
      rotation_count: 1,
    });
    assert.equal((await get(`/key/info?key=${key}`)).body.info.key_id, id);
    assert.equal((await gateway.request('GET', '/key/info', { key })).body.info.key_alias, 'turned');
  });
});

describe('GET /key/list', () => {
  test('filters by status, tag, time and glob, sorts by every column, and expands users', async () => {
    await post('/key/generate', { key_alias: 'f-blocked', blocked: true, max_budget: 3 });
    await post('/key/generate', { key_alias: 'f-soon', duration: '1h', tags: ['t1'], max_budget: 1, user_id: 'ben' });
    await post('/key/generate', { key_alias: 'f-late', duration: '30d', max_budget: 2 });
    await gateway.pool.query(
      `update gatewayctl.keys set expires_at = now() - interval '1 day' where alias = 'sharing'`,
    );
    const names = async (query: string) => {
      const { body } = await get(`/key/list?return_full_object=true&${query}`);
      return (body.keys as { key_alias: string }[]).map(({ key_alias: alias }) => alias);
    };
    assert.deepEqual(await names('status=blocked&key_alias=f-*'), ['f-blocked']);
    assert.deepEqual(await names('status=expired'), ['sharing']);
    assert.deepEqual(await names('status=active&key_alias=f-*'), ['f-late', 'f-soon']);
    assert.deepEqual(await names('tag=t1'), ['f-soon']);
    assert.deepEqual(await names('expiring_in=7d'), ['f-soon']);
    assert.deepEqual(await names('user_id=ben'), ['f-soon']);
    const sorted = 'key_alias=f-*&sort_order=asc&sort_by';
    assert.deepEqual(await names(`${sorted}=max_budget`), ['f-soon', 'f-late', 'f-blocked']);
    assert.deepEqual(await names(`${sorted}=expires`), ['f-soon', 'f-late', 'f-blocked']);
    for (const order of ['created_at', 'updated_at', 'key_alias', 'spend']) {
      assert.equal((await names(`${sorted}=${order}`)).length, 3);
    }
    const { body } = await get('/key/list?return_full_object=true&tag=t1&expand=user');
    assert.deepEqual(body.keys[0].user, { user_id: 'ben', user_email: null, user_alias: null });
    assert.equal((await get('/key/list?status=gone')).status, 400);
    assert.equal((await get(`/key/list?sort_by=${encodeURIComponent('id;drop')}`)).status, 400);
    assert.deepEqual((await get('/key/aliases?search=_-')).body.aliases, []);
    assert.deepEqual((await get('/key/aliases?search=-SO')).body.aliases, ['f-soon']);
  });
});

for (const way of ways) {
  describe(`key, by ${way}`, () => {
    const gatewayctl = (line: string) => gateway.gatewayctl(line, way);

    test('the flags of limits mean what they say', async () => {
      const { out, err } = await gatewayctl(
        `key generate --alias ${way}-l --max-budget 10 --budget-duration 1d --soft-budget 8 --rpm-limit 60 --tpm-limit 1000
         --max-parallel 3 --budget shared --type llm_api --tags a,b --model-rpm-limit '{"gpt-4o":5}' --json`,
      );
      assert.partialDeepStrictEqual(JSON.parse(out || err), {
        max_budget: 10,
        budget_duration: '1d',
        soft_budget: 8,
        rpm_limit: 60,
        tpm_limit: 1000,
        max_parallel_requests: 3,
        budget_id: 'shared',
        allowed_routes: ['llm_api_routes'],
        tags: ['a', 'b'],
        model_rpm_limit: { 'gpt-4o': 5 },
      });
      const refused = await gatewayctl(`key update ${way}-l --rotate-every 30d`);
      assert.match(refused.err, /rotation_secrets_dir/);
    });

    test('reset-spend lowers what was spent, and raises nothing', async () => {
      await gateway.request('POST', '/key/generate', { body: { key_alias: `${way}-s`, spend: 4, max_budget: 3 } });
      assert.match((await gatewayctl(`key reset-spend ${way}-s --to 3.5 --yes`)).err, /at most 3/);
      const { out } = await gatewayctl(`key reset-spend ${way}-s --to 1 --yes --json`);
      assert.partialDeepStrictEqual(JSON.parse(out), { spend: 1, previous_spend: 4, max_budget: 3 });
    });

    test('a deleted key is remembered, and its alias is free', async () => {
      const made = JSON.parse((await gatewayctl(`key generate --alias ${way}-gone --json`)).out);
      await gatewayctl(`key delete ${way}-gone --yes`);
      const gone = await gatewayctl(`key get ${made.key_id}`);
      assert.match(gone.err, new RegExp(`Key "${way}-gone" .* was deleted on 20.* by `));
      assert.equal(gone.exit, 3);
      const { out } = await gatewayctl(`key list --status deleted --alias ${way}-gone --json`);
      const deleted = JSON.parse(out);
      assert.partialDeepStrictEqual(deleted, [{ key_alias: `${way}-gone`, status: 'deleted', token: made.token }]);
      assert.equal((await gatewayctl(`key generate --alias ${way}-gone`)).exit, 0);
    });
  });
}
