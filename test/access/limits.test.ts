import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { type Answer, type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway({ env: { GATEWAYCTL_AUTH_CACHE_TTL: '60s' } });
  // A call costs a dollar, whatever it says, and reserves some cents.
  const model_info = { input_cost_per_token: 0.001, output_cost_per_token: 0, mock_prompt_tokens: 1_000 };
  for (const [name, more] of [
    ['dollar', {}],
    ['other', {}],
    ['slow', { mock_latency_ms: 60_000 }],
  ] as const) {
    await admin('/model/new', {
      model_name: name,
      litellm_params: { model: 'mock/x' },
      model_info: { ...model_info, ...more },
    });
  }
  await gateway.chatUntil(200, gateway.daemon.masterKey, 'dollar');
});
after(() => gateway[Symbol.asyncDispose]());

async function admin(path: string, body: object): Promise<Answer['body']> {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

let made = 0;
const anId = (kind: string) => `${kind}-${++made}`;

/** A column's new value, as an administrator sets it, and the word that goes round of it. */
async function set(table: string, id: string, columns: Readonly<Record<string, unknown>>): Promise<void> {
  const names = Object.keys(columns);
  const values = Object.values(columns).map((value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? JSON.stringify(value) : value,
  );
  const assigned = names.map((name, index) => `${name} = $${index + 2}`).join(', ');
  const key = { tags: 'name', team_members: 'user_id', organization_members: 'user_id' }[table] ?? 'id';
  const { rowCount } = await gateway.pool.query(`update gatewayctl.${table} set ${assigned} where ${key} = $1`, [
    id,
    ...values,
  ]);
  assert.equal(rowCount, 1);
}

const announce = (entity: string, id: string) =>
  gateway.pool.query(`select pg_notify('gatewayctl', $1)`, [JSON.stringify({ entity, id })]);

const stamps = `now(), 'test', now(), 'test'`;
const stampColumns = 'created_at, created_by, updated_at, updated_by';

interface Owned {
  readonly secret: string;
  readonly key: string;
  readonly team: string;
  readonly user: string;
  readonly organization: string;
  readonly customer: string;
  readonly tag: string;
}

/** A key with everything that a key can have above it, none of it limited, and none of it read yet. */
async function everything(): Promise<Owned> {
  const { pool } = gateway;
  const [team, user, organization, customer, tag] = ['team', 'user', 'org', 'customer', 'tag'].map(anId) as [
    string,
    string,
    string,
    string,
    string,
  ];
  await pool.query(`insert into gatewayctl.organizations (id, alias, ${stampColumns}) values ($1, $1, ${stamps})`, [
    organization,
  ]);
  await admin('/team/new', { team_id: team });
  await pool.query('update gatewayctl.teams set organization_id = $2 where id = $1', [team, organization]);
  await admin('/user/new', { user_id: user, auto_create_key: false });
  await admin('/team/member_add', { team_id: team, member: { role: 'user', user_id: user } });
  await pool.query(
    `insert into gatewayctl.organization_members (organization_id, user_id, role, created_at) values ($1, $2, 'internal_user', now())`,
    [organization, user],
  );
  await pool.query(`insert into gatewayctl.customers (id, ${stampColumns}) values ($1, ${stamps})`, [customer]);
  await pool.query(`insert into gatewayctl.tags (name, ${stampColumns}) values ($1, ${stamps})`, [tag]);
  const { key: secret, token_id: hash } = await admin('/key/generate', { team_id: team, user_id: user });
  const { rows } = await pool.query<{ id: string }>('select id from gatewayctl.keys where token = $1', [hash]);
  return { secret, key: rows[0]!.id, team, user, organization, customer, tag };
}

const call = ({ secret, customer, tag }: Owned, model = 'dollar', more: object = {}) =>
  gateway.chat(secret, model, { user: customer, metadata: { tags: [tag] }, ...more });

function refused(answer: Answer, status: number, type: string, message: RegExp): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.body.error.type, type);
  assert.match(answer.body.error.message, message);
}

const spentIn = async (table: string, column: string, id: string) =>
  (await gateway.pool.query<{ spend: string }>(`select spend from gatewayctl.${table} where ${column} = $1`, [id]))
    .rows[0]!.spend;

describe('a budget', () => {
  const one = 500_000_000n;
  const cases: readonly (readonly [
    whose: string,
    limit: (owned: Owned) => Promise<unknown>,
    message: (owned: Owned) => RegExp,
  ])[] = [
    [
      'a key',
      ({ key }) => set('keys', key, { max_budget: one }),
      () => /^Budget has been exceeded! Current cost: 1, Max budget: 0.5$/,
    ],
    [
      'a team',
      ({ team }) => set('teams', team, { max_budget: one }),
      () => /^Budget has been exceeded! Team=\S+ Current cost: 1, Max budget: 0.5$/,
    ],
    [
      'a member',
      ({ user }) => set('team_members', user, { max_budget: one }),
      ({ user, team }) => new RegExp(`^Budget has been exceeded! User=${user} in Team=${team} Current cost: 1, `),
    ],
    [
      "a team's members",
      ({ team }) => set('teams', team, { member_max_budget: one, member_budget_duration: '30d' }),
      ({ user, team }) => new RegExp(`^Budget has been exceeded! User=${user} in Team=${team} Current cost: 1, `),
    ],
    [
      'an organization',
      ({ organization }) => set('organizations', organization, { max_budget: one }),
      ({ organization }) => new RegExp(`^Budget has been exceeded! Organization=${organization} Current cost: 1, `),
    ],
    [
      "an organization's member",
      ({ user }) => set('organization_members', user, { max_budget: one }),
      ({ user, organization }) =>
        new RegExp(`^Budget has been exceeded! User=${user} in Organization=${organization} `),
    ],
    [
      'a customer',
      ({ customer }) => set('customers', customer, { max_budget: one }),
      ({ customer }) => new RegExp(`^ExceededBudget: End User=${customer} over budget. Spend=1, Budget=0.5$`),
    ],
    [
      'a tag',
      ({ tag }) => set('tags', tag, { max_budget: one }),
      ({ tag }) => new RegExp(`^Budget has been exceeded! Tag=${tag} Current cost: 1, Max budget: 0.5$`),
    ],
    [
      'a key, in a window',
      ({ key }) => set('keys', key, { max_budget: one, budget_duration: '30d' }),
      () => /^Budget has been exceeded! Current cost: 1, Max budget: 0.5$/,
    ],
    [
      'a team, in one of several windows',
      ({ team }) =>
        gateway.pool.query(
          `update gatewayctl.teams set budget_limits = '[{"budget_duration": "1d", "max_budget": 90}, {"budget_duration": "7d", "max_budget": 0.5}]' where id = $1`,
          [team],
        ),
      () => /^Budget has been exceeded! Team=/,
    ],
  ];
  for (const [whose, limit, message] of cases) {
    test(`of ${whose} is kept`, async () => {
      const owned = await everything();
      await limit(owned);
      assert.equal((await call(owned)).status, 200);
      const answer = await call(owned);
      refused(answer, 429, 'budget_exceeded', message(owned));
      assert.equal(answer.headers.get('x-should-retry'), 'false');
    });
  }

  test('comes from a shared one where there is none of its own, and a change of it is followed at once', async () => {
    const owned = await everything();
    const { pool } = gateway;
    await pool.query(
      `insert into gatewayctl.budgets (id, max_budget, budget_duration, ${stampColumns}) values ('shared', $1, '7d', ${stamps})`,
      [one],
    );
    for (const [table, id] of [
      ['keys', owned.key],
      ['organizations', owned.organization],
      ['customers', owned.customer],
    ] as const) {
      await set(table, id, { budget_id: 'shared' });
    }
    assert.equal((await call(owned)).status, 200);
    refused(await call(owned), 429, 'budget_exceeded', /Max budget: 0.5$/);
    await set('budgets', 'shared', { max_budget: 10n * 10n ** 9n });
    await announce('budget', 'shared');
    await until(async () => (await call(owned)).status === 200);
  });

  test('for one model leaves the others alone, and counts a model by whatever name it is called', async () => {
    const owned = await everything();
    await set('keys', owned.key, {
      model_max_budget: { dollar: { budget_limit: 0.5, time_period: '1d' } },
      aliases: { coin: 'dollar' },
    });
    assert.equal((await call(owned, 'coin')).status, 200);
    refused(await call(owned), 429, 'budget_exceeded', /exceeded budget for model=dollar/);
    refused(await call(owned, 'coin'), 429, 'budget_exceeded', /exceeded budget for model=dollar/);
    assert.equal((await call(owned, 'other')).status, 200);
  });

  test('has room again when its window is over, and when an administrator takes its spend back', async () => {
    const owned = await everything();
    await set('keys', owned.key, { max_budget: one, budget_duration: '3s' });
    await set('teams', owned.team, { max_budget: 2n * 10n ** 9n, budget_duration: '30d' });
    assert.equal((await call(owned)).status, 200);
    await until(async () => (await call(owned)).status === 200);
    refused(await call(owned), 429, 'budget_exceeded', /./);
    await until(async () => {
      const answer = await call(owned);
      return answer.status === 429 && /Team=\S+ Current cost: 2/.test(answer.body.error.message);
    });
    await until(async () => (await spentIn('teams', 'id', owned.team)) === '2000000000');
    assert.equal(await spentIn('budget_windows', 'id', owned.team), '2000000000');
    await set('teams', owned.team, { spend: 0n });
    await announce('team', owned.team);
    await until(async () => (await call(owned)).status === 200);
    assert.equal((await spentIn('keys', 'id', owned.key).then(Number)) >= 2e9, true);
  });

  test('adds up on everybody who is charged, to the last cent', async () => {
    const owned = await everything();
    await Promise.all(Array.from({ length: 5 }, () => call(owned)));
    await until(async () => (await spentIn('keys', 'id', owned.key)) === '5000000000');
    for (const [table, column, id] of [
      ['teams', 'id', owned.team],
      ['users', 'id', owned.user],
      ['team_members', 'user_id', owned.user],
      ['organizations', 'id', owned.organization],
      ['organization_members', 'user_id', owned.user],
      ['customers', 'id', owned.customer],
      ['tags', 'name', owned.tag],
    ] as const) {
      assert.equal(await spentIn(table, column, id), '5000000000', table);
    }
  });

  test('of a user does not count for the keys of a team', async () => {
    const owned = await everything();
    await set('users', owned.user, { max_budget: 0n });
    assert.equal((await call(owned)).status, 200);
    const { key } = await admin('/key/generate', { user_id: owned.user });
    refused(await gateway.chat(key, 'dollar'), 429, 'budget_exceeded', /^ExceededBudget: User=/);
  });

  test('of a key is larger until its increase ends, by the clock alone', async () => {
    const { key, token_id: hash } = await admin('/key/generate', { max_budget: 1 });
    const raise = (amount: number, ms: number) =>
      admin('/key/update', {
        key: hash,
        temp_budget_increase: amount,
        temp_budget_expiry: new Date(Date.now() + ms).toISOString(),
      });
    assert.equal((await gateway.chat(key, 'dollar')).status, 200);
    refused(await gateway.chat(key, 'dollar'), 429, 'budget_exceeded', /Current cost: 1, Max budget: 1$/);
    await raise(1, 3_600_000);
    await gateway.chatUntil(200, key, 'dollar');
    refused(await gateway.chat(key, 'dollar'), 429, 'budget_exceeded', /Current cost: 2, Max budget: 2$/);
    await raise(1_000, 1_000);
    await gateway.chatUntil(200, key, 'dollar');
    await gateway.chatUntil(429, key, 'dollar');
    refused(await gateway.chat(key, 'dollar'), 429, 'budget_exceeded', /Max budget: 1$/);
  });

  test('that is soft warns once', async () => {
    const owned = await everything();
    await set('teams', owned.team, { soft_budget: 15n * 10n ** 8n });
    for (let count = 0; count < 4; count++) assert.equal((await call(owned)).status, 200);
    const warnings = () => gateway.daemon.log.filter((line) => line.includes(`soft budget of team ${owned.team}`));
    await until(() => warnings().length > 0);
    assert.equal(warnings().length, 1);
    assert.match(warnings()[0]!, /"spend":2/);
  });

  test('is no longer that of an id that was deleted and made again', async () => {
    const owned = await everything();
    await set('tags', owned.tag, { max_budget: one, budget_duration: '30d' });
    assert.equal((await call(owned)).status, 200);
    await until(async () => (await spentIn('tags', 'name', owned.tag)) === '1000000000');
    await gateway.pool.query('delete from gatewayctl.tags where name = $1', [owned.tag]);
    const { rowCount } = await gateway.pool.query('select 1 from gatewayctl.budget_windows where id = $1', [owned.tag]);
    assert.equal(rowCount, 0);
  });
});

describe('a limit', () => {
  const holders: readonly (readonly [whose: string, table: string, id: (owned: Owned) => string, name: string])[] = [
    ['a key', 'keys', ({ key }) => key, 'api_key'],
    ['a team', 'teams', ({ team }) => team, 'team'],
    ['a user', 'users', ({ user }) => user, 'user'],
    ['a member', 'team_members', ({ user }) => user, 'team_member'],
    ['an organization', 'organizations', ({ organization }) => organization, 'organization'],
    ['a customer', 'customers', ({ customer }) => customer, 'end_user'],
    ['a tag', 'tags', ({ tag }) => tag, 'tag'],
  ];
  for (const [whose, table, id, name] of holders) {
    test(`of requests per minute of ${whose} is kept, and what is left is said`, async () => {
      const owned = await everything();
      await set(table, id(owned), { rpm_limit: 2 });
      for (const left of ['1', '0']) {
        const { status, headers } = await call(owned);
        assert.equal(status, 200);
        assert.equal(headers.get('x-ratelimit-limit-requests'), '2');
        assert.equal(headers.get('x-ratelimit-remaining-requests'), left);
      }
      const answer = await call(owned);
      refused(answer, 429, 'throttling_error', new RegExp(`Rate limit exceeded for ${name}: .*Limit type: requests`));
      assert.equal(answer.headers.get('x-ratelimit-remaining-requests'), '0');
      const seconds = Number(answer.headers.get('retry-after'));
      assert.ok(seconds >= 55 && seconds <= 66, String(seconds));
    });
  }

  test('of tokens counts what is asked for, and then what was used', async () => {
    const owned = await everything();
    await set('keys', owned.key, { tpm_limit: 1_500 });
    refused(await call(owned, 'dollar', { max_tokens: 2_000 }), 429, 'throttling_error', /Limit type: tokens/);
    const first = await call(owned, 'dollar', { max_tokens: 1_200 });
    assert.equal(first.status, 200);
    assert.equal(first.headers.get('x-ratelimit-limit-tokens'), '1500');
    // The answer had few tokens and the prompt a thousand: less than half of it is left.
    refused(await call(owned, 'dollar', { max_tokens: 500 }), 429, 'throttling_error', /Limit type: tokens/);
    assert.equal((await call(owned, 'dollar', { max_tokens: 300 })).status, 200);
    refused(await call(owned, 'dollar', { max_tokens: 1 }), 429, 'throttling_error', /Remaining: 0/);
  });

  test('for one model leaves the others alone', async () => {
    const owned = await everything();
    await set('teams', owned.team, { model_rpm_limit: { dollar: 1 }, model_tpm_limit: { other: 0 } });
    assert.equal((await call(owned)).status, 200);
    refused(await call(owned), 429, 'throttling_error', /model_per_team: \S+ for model=dollar\. Limit type: requests/);
    refused(await call(owned, 'other'), 429, 'throttling_error', /for model=other\. Limit type: tokens/);
    assert.equal((await call(owned, 'mock-gpt')).status, 200);
  });

  test('of calls at once gives a place back whichever way a call ends', async () => {
    const owned = await everything();
    await set('users', owned.user, { max_parallel_requests: 1 });
    for (let round = 0; round < 3; round++) {
      const hung = new AbortController();
      const request = fetch(`${gateway.daemon.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${owned.secret}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'slow', messages: [{ role: 'user', content: 'x' }] }),
        signal: hung.signal,
      }).catch(() => undefined);
      await until(async () => (await call(owned)).status === 429);
      refused(await call(owned), 429, 'throttling_error', /Limit type: max_parallel_requests/);
      hung.abort();
      await request;
      await until(async () => (await call(owned)).status === 200);
    }
  });

  test('that refuses a call takes nothing of the others, nor of a budget', async () => {
    const owned = await everything();
    await set('keys', owned.key, { rpm_limit: 2, max_budget: 100n * 10n ** 9n });
    await set('tags', owned.tag, { rpm_limit: 0 });
    for (let count = 0; count < 5; count++) refused(await call(owned), 429, 'throttling_error', /for tag: /);
    const { status, headers } = await gateway.chat(owned.secret, 'dollar');
    assert.equal(status, 200);
    assert.equal(headers.get('x-ratelimit-remaining-requests'), '1');
    assert.equal(headers.get('x-litellm-key-spend'), '1');
  });
});

describe('a call', () => {
  const listed = async (key: string): Promise<string[]> =>
    (await gateway.request('GET', '/v1/models', { key })).body.data.map(({ id }: { id: string }) => id);

  test('is not for those who only view', async () => {
    for (const role of ['internal_user_viewer', 'proxy_admin_viewer']) {
      const user = anId('viewer');
      await admin('/user/new', { user_id: user, user_role: role, auto_create_key: false });
      const { key } = await admin('/key/generate', { user_id: user });
      refused(await gateway.chat(key, 'dollar'), 403, 'role_not_allowed', new RegExp(role));
      assert.deepEqual(await listed(key), []);
    }
  });

  test('goes by the routes of its key', async () => {
    const only = async (routes: string[]) => {
      const owned = await everything();
      await set('keys', owned.key, { allowed_routes: routes });
      return owned.secret;
    };
    const models = await only(['/v1/models', 'management_routes']);
    refused(
      await gateway.chat(models, 'dollar'),
      403,
      'route_not_allowed',
      /^Virtual key is not allowed to call this route. Only allowed to call routes: \[\/v1\/models, management_routes\]. Tried to call route: \/v1\/chat\/completions$/,
    );
    assert.ok((await listed(models)).includes('dollar'));
    const chat = await only(['/v1/chat/completions']);
    assert.equal((await gateway.chat(chat, 'dollar')).status, 200);
    for (const path of ['/v1/models', '/models/dollar'])
      assert.equal((await gateway.request('GET', path, { key: chat })).status, 403);
    const engines = await gateway.request('POST', '/engines/dollar/chat/completions', {
      key: chat,
      body: { messages: [] },
    });
    assert.equal(engines.status, 403);
    assert.equal((await gateway.chat(await only(['llm_api_routes']), 'dollar')).status, 200);
  });

  test('may name a model by an alias, if what it stands for is allowed', async () => {
    const owned = await everything();
    await set('keys', owned.key, { aliases: { fast: 'team-fast', dollar: 'other' }, models: ['dollar'] });
    await set('teams', owned.team, { aliases: { 'team-fast': 'dollar', sly: 'other' } });
    const answer = await call(owned, 'fast');
    assert.equal(answer.headers.get('x-litellm-model-group'), 'dollar');
    for (const model of ['sly', 'other', 'dollar']) {
      refused(await call(owned, model), 403, 'key_model_access_denied', /Tried to access other$/);
    }
    assert.deepEqual((await listed(owned.secret)).toSorted(), ['fast', 'team-fast']);
    assert.equal((await gateway.request('GET', '/v1/models/fast', { key: owned.secret })).status, 200);
    assert.equal((await gateway.request('GET', '/v1/models/dollar', { key: owned.secret })).status, 404);
    await until(async () => (await spentIn('keys', 'id', owned.key)) === '1000000000');
    const { rows } = await gateway.pool.query('select model from gatewayctl.spend_logs where key_id = $1', [owned.key]);
    assert.deepEqual(rows, [{ model: 'dollar' }]);
  });

  test("goes by the organization's models too", async () => {
    const owned = await everything();
    await set('organizations', owned.organization, { models: ['dol*'] });
    assert.equal((await call(owned)).status, 200);
    refused(await call(owned, 'other'), 403, 'org_model_access_denied', /This org can only access models=\[dol\*\]/);
    assert.deepEqual(await listed(owned.secret), ['dollar']);
  });

  test('with a tag is for the models of the tag', async () => {
    const owned = await everything();
    await set('tags', owned.tag, { models: ['dollar'] });
    assert.equal((await call(owned)).status, 200);
    refused(await call(owned, 'other'), 403, 'tag_model_access_denied', /This tag can only access models=\[dollar\]/);
    assert.equal((await gateway.chat(owned.secret, 'other')).status, 200);
  });

  test('must have the parameters its key asks for', async () => {
    const owned = await everything();
    await set('keys', owned.key, { enforced_params: ['user', 'metadata.project'] });
    const lacking = await call(owned);
    refused(lacking, 400, 'missing_parameter', /^BadRequest please pass param=metadata.project in request body/);
    assert.equal(lacking.body.error.param, 'metadata.project');
    assert.equal((await call(owned, 'dollar', { metadata: { project: 'x' } })).status, 200);
  });

  test('is over for a blocked user, organization and customer', async () => {
    for (const [table, kind, status] of [
      ['users', 'user', 401],
      ['organizations', 'organization', 401],
      ['customers', 'customer', 403],
    ] as const) {
      const owned = await everything();
      assert.equal((await call(owned)).status, 200);
      await set(table, owned[kind], { blocked: true });
      await announce(kind, owned[kind]);
      await until(async () => (await call(owned)).status === status);
      refused(await call(owned), status, `${kind}_blocked`, /blocked/);
      await set(table, owned[kind], { blocked: false });
      await announce(kind, owned[kind]);
      await until(async () => (await call(owned)).status === 200);
    }
  });

  test('is charged to the tags of its key, its team and a header, and to no tag twice', async () => {
    const owned = await everything();
    await set('keys', owned.key, { tags: [owned.tag] });
    await set('teams', owned.team, { tags: ['of-the-team', owned.tag] });
    await gateway.request('POST', '/v1/chat/completions', {
      key: owned.secret,
      headers: { 'x-litellm-tags': ` from-header, ${owned.tag}` },
      body: { model: 'dollar', messages: [{ role: 'user', content: 'x' }] },
    });
    await until(async () => (await spentIn('keys', 'id', owned.key)) === '1000000000');
    const { rows } = await gateway.pool.query('select request_tags from gatewayctl.spend_logs where key_id = $1', [
      owned.key,
    ]);
    assert.deepEqual(rows[0].request_tags, [owned.tag, 'of-the-team', 'from-header']);
    assert.equal(await spentIn('tags', 'name', owned.tag), '1000000000');
  });

  test('needs no database once all it is charged to is known, also after a change of others', async () => {
    const owned = await everything();
    await set('tags', owned.tag, { max_budget: 100n * 10n ** 9n, rpm_limit: 1_000 });
    assert.equal((await call(owned)).status, 200);
    for (const entity of ['budget', 'tag', 'customer']) await announce(entity, 'somebody-else');
    // Announcements are heard in order: with this one the others have been followed.
    await set('users', owned.user, { blocked: true });
    await announce('user', owned.user);
    await until(async () => (await call(owned)).status === 401);
    await set('users', owned.user, { blocked: false });
    await announce('user', owned.user);
    await until(async () => (await call(owned)).status === 200);
    const lock = new Client({ connectionString: gateway.databaseUrl });
    await lock.connect();
    await lock.query('begin');
    try {
      for (const table of ['keys', 'tags', 'customers']) {
        await lock.query(`lock table gatewayctl.${table} in access exclusive mode`);
      }
      for (let count = 0; count < 3; count++) assert.equal((await call(owned)).status, 200);
    } finally {
      await lock.end();
    }
  });
});
