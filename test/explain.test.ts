import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  await admin('/model/new', {
    model_name: 'dollar',
    litellm_params: { model: 'mock/x' },
    model_info: {
      input_cost_per_token: 0.001,
      output_cost_per_token: 0,
      mock_prompt_tokens: 1_000,
      access_groups: ['beta'],
    },
  });
  await admin('/model/new', {
    model_name: 'beta/*',
    litellm_params: { model: 'mock/x' },
    model_info: { access_groups: ['wild'] },
  });
  await gateway.chatUntil(200, gateway.daemon.masterKey, 'dollar');
});
after(() => gateway[Symbol.asyncDispose]());

async function admin(path: string, body: object): Promise<Answer['body']> {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, `${path}: ${answer.text}`);
  return answer.body;
}

const explain = (body: object, key = gateway.daemon.masterKey) => gateway.request('POST', '/explain', { key, body });

interface Refusal {
  readonly rule: string;
  /** Makes a key, and says what is asked of it. */
  readonly given: (name: string) => Promise<{ key: string; model?: string; more?: object }>;
}

const aKey = async (fields: object): Promise<string> => (await admin('/key/generate', fields)).key;

/** Every check that can refuse a call, in the order of a trace. */
const refusals: readonly Refusal[] = [
  {
    rule: 'key.blocked',
    given: async () => {
      const key = await aKey({});
      await admin('/key/block', { key });
      return { key };
    },
  },
  {
    rule: 'team.blocked',
    given: async (team_id) => {
      await admin('/team/new', { team_id });
      const key = await aKey({ team_id });
      await admin('/team/block', { team_id });
      return { key };
    },
  },
  {
    rule: 'user.blocked',
    given: async (user_id) => {
      await admin('/user/new', { user_id });
      const key = await aKey({ user_id });
      await admin('/user/block', { user_id });
      return { key };
    },
  },
  {
    rule: 'organization.blocked',
    given: async (organization_id) => {
      await admin('/organization/new', { organization_id, organization_alias: organization_id });
      const key = await aKey({ organization_id });
      await admin('/organization/block', { organization_id });
      return { key };
    },
  },
  {
    rule: 'key.expiry',
    given: async (key_alias) => {
      const key = await aKey({ duration: '1h', key_alias });
      await gateway.pool.query(`update gatewayctl.keys set expires_at = now() - interval '1 s' where alias = $1`, [
        key_alias,
      ]);
      return { key };
    },
  },
  { rule: 'key.routes', given: async () => ({ key: await aKey({ allowed_routes: ['/key/info'] }) }) },
  {
    rule: 'user.role',
    given: async (user_id) => {
      await admin('/user/new', { user_id, user_role: 'internal_user_viewer' });
      return { key: await aKey({ user_id }) };
    },
  },
  { rule: 'key.models', given: async () => ({ key: await aKey({ models: ['wild'] }) }) },
  {
    rule: 'team.models',
    given: async (team_id) => {
      await admin('/team/new', { team_id, models: ['beta/*'] });
      return { key: await aKey({ team_id }) };
    },
  },
  {
    rule: 'user.models',
    given: async (user_id) => {
      await admin('/user/new', { user_id, models: ['other'] });
      return { key: await aKey({ user_id }) };
    },
  },
  {
    rule: 'organization.models',
    given: async (organization_id) => {
      await admin('/organization/new', { organization_id, organization_alias: organization_id, models: ['other'] });
      return { key: await aKey({ organization_id }) };
    },
  },
  {
    rule: 'tag.models',
    given: async (name) => {
      await admin('/tag/new', { name });
      await gateway.pool.query(`update gatewayctl.tags set models = '{other}' where name = $1`, [name]);
      return { key: await aKey({}), more: { tags: [name] } };
    },
  },
  {
    rule: 'customer.blocked',
    given: async (user) => {
      await admin('/customer/new', { user_id: user });
      await admin('/customer/block', { user_ids: [user] });
      return { key: await aKey({}), more: { user } };
    },
  },
  {
    rule: 'key.params',
    given: async () => ({
      key: await aKey({ enforced_params: ['metadata.project'] }),
      more: { body: { messages: [] } },
    }),
  },
  { rule: 'model.deployment', given: async () => ({ key: await aKey({}), model: 'nobody-serves-it' }) },
  { rule: 'key.requests', given: async () => ({ key: await aKey({ rpm_limit: 0 }) }) },
  {
    rule: 'team.tokens',
    given: async (team_id) => {
      await admin('/team/new', { team_id, tpm_limit: 1 });
      return { key: await aKey({ team_id }) };
    },
  },
  { rule: 'key.parallel', given: async () => ({ key: await aKey({ max_parallel_requests: 0 }) }) },
  { rule: 'key.budget', given: async () => ({ key: await aKey({ max_budget: 0 }) }) },
  {
    rule: 'user.budget',
    given: async (user_id) => {
      await admin('/user/new', { user_id, max_budget: 0 });
      return { key: await aKey({ user_id }) };
    },
  },
  {
    rule: 'customer.budget',
    given: async (user) => {
      await admin('/customer/new', { user_id: user, max_budget: 0 });
      return { key: await aKey({}), more: { user } };
    },
  },
];

/** As the official request carries it. */
const requestOf = ({ tags, user, body = {} }: { tags?: string[]; user?: string; body?: object }) => ({
  max_tokens: 1,
  ...body,
  ...(user !== undefined && { user }),
  ...(tags && { metadata: { tags } }),
});

/** Without the parts that change from one moment to the next. */
const lasting = (message: string) =>
  message.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'a moment').replaceAll(/\.{3}\w{4}/g, '');

describe('explain says of a call what the call is answered', () => {
  for (const [index, { rule, given }] of refusals.entries()) {
    test(`refused by ${rule}`, async () => {
      const { key, model = 'dollar', more = {} } = await given(`explain-${index}`);
      const refused = await gateway.chat(key, model, requestOf(more));
      const { status, body } = await explain({ key, model, max_tokens: 1, tokens: 20, ...more });
      assert.equal(status, 200);
      assert.equal(body.allowed, false, JSON.stringify(body.checks));
      assert.equal(body.rule, rule);
      assert.equal(body.status, refused.status, refused.text);
      assert.equal(body.error.type, refused.body.error.type);
      assert.equal(lasting(body.error.message), lasting(refused.body.error.message));
    });
  }

  test('whichever way is called, with what its body asks for: refused in the same words, and let through alike', async () => {
    const messages = [{ role: 'user', content: 'Hi' }];
    const keys = [
      await aKey({}),
      await aKey({ max_budget: 0 }),
      await aKey({ models: ['wild'] }),
      // Enough for a prompt, and not for as long an answer as a chat may have.
      await aKey({ max_budget: 0.5 }),
    ];
    const calls: [path: string, body: object][] = [
      ['/v1/chat/completions', { messages, api_base: 'http://elsewhere' }],
      ['/v1/chat/completions', { messages: 'Hi' }],
      ['/v1/chat/completions', { messages, n: 3, max_tokens: 5 }],
      ['/v1/embeddings', { input: 'Hi' }],
      ['/v1/messages', { messages, max_tokens: 5 }],
      ['/v1/messages', { messages, max_tokens: 5, service_tier: 5 }],
      ['/v1/messages/count_tokens', { messages }],
      ['/v1/moderations', { input: 'Hi' }],
    ];
    for (const [index, key] of keys.entries()) {
      for (const [route, body] of calls) {
        const told = (await explain({ key, model: 'dollar', route, body })).body;
        const made = await gateway.request('POST', route, { key, body: { model: 'dollar', ...body } });
        const said = [told.status, told.error?.type, told.error ? lasting(told.error.message) : undefined];
        const { error } = made.body;
        assert.deepEqual(
          said,
          [made.status, error?.type, error && lasting(error.message)],
          `${index} ${route} ${JSON.stringify(body)}`,
        );
      }
    }
  });

  test('let through, with what is left of each budget and limit and when it frees', async () => {
    const key = await aKey({ max_budget: 10, budget_duration: '1d', rpm_limit: 5, aliases: { short: 'dollar' } });
    assert.equal((await gateway.chat(key, 'short', { max_tokens: 1 })).status, 200);
    const { body } = await explain({ key, model: 'short', max_tokens: 1, tokens: 20 });
    assert.deepEqual([body.allowed, body.rule, body.status, body.error, body.model], [true, null, 200, null, 'dollar']);
    assert.equal(body.max_cost, 0.02);
    const checkOf = (name: string) => body.checks.find(({ check }: { check: string }) => check === name);
    const budget = checkOf('key.budget');
    assert.deepEqual([budget.limit, budget.used, budget.left], [10, 1, 9]);
    const midnight = new Date();
    midnight.setUTCHours(24, 0, 0, 0);
    assert.equal(budget.frees_at, midnight.toISOString());
    const requests = checkOf('key.requests');
    assert.deepEqual([requests.limit, requests.used, requests.left, requests.frees_at], [5, 1, 4, null]);
  });

  test('and when a limit frees that is used up', async () => {
    const key = await aKey({ rpm_limit: 1 });
    assert.equal((await gateway.chat(key, 'dollar', { max_tokens: 1 })).status, 200);
    const { body } = await explain({ key, model: 'dollar' });
    assert.equal(body.rule, 'key.requests');
    const wait =
      Date.parse(body.checks.find((each: { check: string }) => each.check === 'key.requests').frees_at) - Date.now();
    assert.ok(wait > 0 && wait <= 65_000, String(wait));
  });
});

test('explain takes nothing: after a hundred questions the one call of a limit is still there', async () => {
  const key = await aKey({ rpm_limit: 1, max_budget: 1.01 });
  await Promise.all(Array.from({ length: 100 }, () => explain({ key, model: 'dollar', tokens: 20, max_tokens: 1 })));
  assert.equal((await gateway.chat(key, 'dollar', { max_tokens: 1 })).status, 200);
});

test('a key explains itself, and not one that its holder may not see', async () => {
  const key = await aKey({});
  const other = await aKey({ key_alias: 'somebody-else' });
  assert.equal((await explain({ model: 'dollar' }, key)).body.allowed, true);
  const foreign = await explain({ key: 'somebody-else', model: 'dollar' }, key);
  const missing = await explain({ key: 'nobody', model: 'dollar' }, key);
  assert.deepEqual([foreign.status, missing.status], [404, 404]);
  assert.ok(other.startsWith('sk-'));
});

test('a body is measured, and its fields are looked at', async () => {
  const key = await aKey({ enforced_params: ['metadata.project'] });
  const ask = async (body: object) => (await explain({ key, model: 'dollar', body })).body;
  const { allowed, checks } = await ask({ messages: [], metadata: { project: 'x' } });
  assert.equal(allowed, true);
  assert.deepEqual(
    checks.slice(0, 3).map(({ check }: { check: string }) => check),
    ['credential', 'key.blocked', 'key.expiry'],
  );
  assert.equal(checks.find(({ check }: { check: string }) => check === 'request.size').used, 42);
  const unasked = (await explain({ key, model: 'dollar' })).body;
  assert.deepEqual(
    [unasked.allowed, unasked.checks.some(({ outcome }: { outcome: string }) => outcome === 'unknown')],
    [true, true],
  );
});

test('a key is told nothing of what the customers and tags that it names have and have spent', async () => {
  const key = await aKey({});
  for (const path of ['/customer/new', '/tag/new']) {
    const body = path === '/tag/new' ? { name: 'acquisition' } : { user_id: 'bank' };
    const made = await gateway.request('POST', path, { body: { ...body, max_budget: 7777, rpm_limit: 6666 } });
    assert.equal(made.status, 200, made.text);
  }
  const asked = { model: 'dollar', user: 'bank', tags: ['acquisition'] };
  const own = await explain(asked, key);
  assert.equal(own.body.allowed, true, own.text);
  assert.doesNotMatch(own.text, /7777|6666/);
  const { rows } = await gateway.pool.query<{ alias: string }>('select id as alias from gatewayctl.keys limit 1');
  const whole = await explain({ ...asked, key: rows[0]!.alias }, gateway.daemon.masterKey);
  assert.match(whole.text, /7777/);
});

test('a key of a team is told what is its own, and its team’s administrator what the team has', async () => {
  for (const [path, body] of [
    ['/organization/new', { organization_id: 'org', organization_alias: 'org', max_budget: 9_999 }],
    ['/user/new', { user_id: 'plain', auto_create_key: false, max_budget: 8_888, organizations: ['org'] }],
    ['/user/new', { user_id: 'boss', auto_create_key: false, organizations: ['org'] }],
    ['/team/new', { team_id: 'told', organization_id: 'org', max_budget: 7_777, rpm_limit: 6_666 }],
    ['/team/member_add', { team_id: 'told', member: { user_id: 'plain', role: 'user' }, max_budget_in_team: 5_555 }],
    ['/team/member_add', { team_id: 'told', member: { user_id: 'boss', role: 'admin' } }],
  ] as const) {
    const made = await gateway.request('POST', path, { body });
    assert.equal(made.status, 200, made.text);
  }
  const told = async (user_id: string | undefined) => {
    const { status, text } = await explain(
      { model: 'dollar' },
      await aKey({ user_id, team_id: 'told', max_budget: 4_444 }),
    );
    assert.equal(status, 200, text);
    return ['9999', '8888', '7777', '6666', '5555', '4444'].filter((number) => text.includes(number));
  };
  assert.deepEqual(await told('plain'), ['5555', '4444']);
  assert.deepEqual(await told(undefined), ['4444']);
  assert.deepEqual(await told('boss'), ['7777', '6666', '4444']);
});

test('a route that calls no model is named as such', async () => {
  const { status, body } = await explain({ key: await aKey({}), model: 'dollar', route: '/v1/nonsense' });
  assert.deepEqual([status, body.error.param], [400, 'route']);
});

for (const way of ways) {
  test(`gatewayctl explain, ${way}: prints each check and ends with 1 when the call is refused`, async () => {
    await aKey({ key_alias: `narrow-${way}`, models: ['wild'], rpm_limit: 7 });
    const refused = await gateway.gatewayctl(`explain --key narrow-${way} --model dollar`, way);
    assert.equal(refused.exit, 1, refused.err);
    assert.match(refused.out, /^deny\tkey\.models\tkey not allowed to access model/m);
    assert.match(refused.err, /Denied by key\.models, status 403/);
    const isCounted = way === 'server' || way === 'socket';
    assert.match(refused.out, new RegExp(`^${isCounted ? 'pass' : 'unknown'}\\tkey\\.requests\\t`, 'm'));
    const allowed = await gateway.gatewayctl(`explain --key narrow-${way} --model beta/x -o json`, way);
    assert.equal(allowed.exit, 0, allowed.err);
  });
}

test('what is listed is what explain allows', async () => {
  await admin('/team/new', { team_id: 'listed', models: ['beta', 'beta/x', 'mock-gpt'] });
  for (const fields of [
    {},
    { models: ['wild'] },
    { team_id: 'listed' },
    { team_id: 'listed', models: ['all-team-models'] },
    { models: ['no-default-models'] },
  ]) {
    const key = await aKey(fields);
    const answer = await gateway.request('GET', '/v1/models', { key });
    const listed = new Set(answer.body.data.map(({ id }: { id: string }) => id));
    for (const model of ['dollar', 'mock-gpt']) {
      const { body } = await explain({ key, model });
      assert.equal(body.allowed, listed.has(model), `${JSON.stringify(fields)} ${model}`);
    }
  }
});
