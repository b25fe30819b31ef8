import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Members, mintToken, secretMint } from '../support/forge.ts';
import { aStateDir, type Daemon, type Gateway, startDaemonHere, startGateway, until } from '../support/gateway.ts';

const secret = 'a-shared-secret-of-32-bytes-and-more';
/** Only the first may make administrators. */
const flagged = secretMint('https://flagged.example', 'here', secret);
const plain = secretMint('https://plain.example', 'here', `${secret}-2`);
const ci = secretMint('https://ci.example', 'here', `${secret}-3`);

/** A file with these rules for tokens. */
async function configured(jwtauth: object): Promise<string> {
  const path = join(await aStateDir(), 'config.yaml');
  const of = ({ issuer }: { issuer: string }, key: string, more: object = {}) => ({
    issuer,
    audience: 'here',
    shared_secret: key,
    ...more,
  });
  const configuration = {
    model_list: ['small', 'large', 'priced'].map((name) => ({
      model_name: name,
      litellm_params: { model: `mock/${name}`, ...(name === 'priced' && { input_cost_per_token: 0.001 }) },
    })),
    general_settings: { enable_jwt_auth: true, litellm_jwtauth: jwtauth },
    gatewayctl: {
      jwt: {
        issuers: [
          of(flagged, secret, { may_grant_admin: true }),
          of(plain, `${secret}-2`),
          of(ci, `${secret}-3`, {
            roles: [
              {
                name: 'org',
                match: { job: 'org' },
                operations: ['team create', 'team list', 'key generate', 'key update', 'user create', 'user update'],
                organization: 'acme',
              },
              { name: 'team', match: { job: 'team' }, operations: ['key generate', 'key update'], team: 'tight' },
            ],
          }),
        ],
      },
    },
  };
  await writeFile(path, JSON.stringify(configuration));
  return path;
}

const fields = {
  user_id_jwt_field: 'user',
  team_id_jwt_field: 'team',
  team_ids_jwt_field: 'teams',
  team_alias_jwt_field: 'team_alias',
  org_id_jwt_field: 'org',
  org_alias_jwt_field: 'org_alias',
};

let gateway: Gateway;
before(async () => {
  gateway = await startGateway({
    ownProcess: true,
    args: ['--config', await configured({ ...fields, user_id_upsert: true })],
  });
  for (const organization_id of ['acme', 'other']) {
    await done('/organization/new', { organization_id, organization_alias: `the ${organization_id}`, models: [] });
  }
  for (const [user_id, more] of [
    ['ann', {}],
    ['root', { user_role: 'proxy_admin' }],
    ['viewer', { user_role: 'proxy_admin_viewer' }],
  ] as const) {
    await done('/user/new', { user_id, user_email: `${user_id}@example.com`, auto_create_key: false, ...more });
  }
  await done('/team/new', { team_id: 'open' });
  await done('/team/new', { team_id: 'tight', team_alias: 'The Tight', models: ['small'], max_budget: 5 });
  await done('/team/new', { team_id: 'of-acme', organization_id: 'acme', models: ['small'] });
  await done('/team/new', { team_id: 'of-other', organization_id: 'other', models: ['large'] });
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: object, key = gateway.daemon.masterKey, of: Pick<Daemon, 'request'> = gateway) =>
  of.request('POST', path, { key, body });
const get = (path: string, key = gateway.daemon.masterKey) => gateway.request('GET', path, { key });
const done = async (path: string, body: object) => {
  const answer = await post(path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const token = (claims: Members, mint = plain) => mintToken(mint, { claims });
const calls = async (key: string, model = 'small', of: Pick<Daemon, 'chat'> = gateway) =>
  (await of.chat(key, model)).status;
const rowsOf = async (sql: string, ...values: string[]) => (await gateway.pool.query(sql, values)).rows;
/** Another daemon on the same database, with other rules. */
const daemonWith = async (jwtauth: object): Promise<Daemon> =>
  startDaemonHere({
    stateDir: await aStateDir(),
    databaseUrl: gateway.databaseUrl,
    args: ['--config', await configured(jwtauth)],
    env: { GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey, GATEWAYCTL_ENCRYPTION_KEY: 'k'.repeat(43) },
  });

describe('a token of an issuer that may make no administrators', () => {
  test('gets no key of an administrator by naming one: not a new one, not an old one, not the right to be one', async () => {
    await done('/key/generate', { user_id: 'root', key_alias: 'roots-own' });
    for (const user of ['root', 'viewer']) {
      const key = token({ user });
      assert.equal((await post('/key/generate', {}, key)).status, 403, user);
      assert.equal((await post('/key/regenerate', { key: 'roots-own' }, key)).status, 403, user);
      assert.equal((await post('/user/update', { user_id: user, user_email: 'e@vil.com' }, key)).status, 403, user);
      assert.ok((await get('/audit', key)).status === 403, user);
    }
    assert.equal(await calls(token({ user: 'root' })), 200);
  });

  test('is no administrator by a claim that a key of one is mapped to, or is registered for one', async () => {
    await using daemon = await daemonWith({
      ...fields,
      virtual_key_claim_field: 'client',
      unregistered_jwt_client_behavior: 'AUTO_REGISTER',
    });
    await done('/jwt/key/mapping/new', { jwt_claim_name: 'client', jwt_claim_value: 'robot', key: 'roots-own' });
    for (const client of ['robot', 'unregistered']) {
      const claims = { user: 'root', client };
      const key = token(claims);
      assert.equal(await calls(key, 'small', daemon), 200);
      for (const path of ['/team/new', '/key/generate']) {
        assert.equal((await post(path, {}, key, daemon)).status, 403, `${client} ${path}`);
      }
      assert.equal((await post('/team/new', {}, token(claims, flagged), daemon)).status, 200, client);
    }
  });
});

describe('a token with limits of its own', () => {
  test('hands on no more than them: no key has the models of one scope on the routes of another', async () => {
    await using daemon = await daemonWith({
      ...fields,
      enforce_scope_based_access: true,
      scope_mappings: [
        { scope: 'use', models: ['small'], routes: ['openai_routes', 'info_routes'] },
        { scope: 'manage', routes: ['management_routes'] },
        { scope: 'large', models: ['large'], routes: ['openai_routes', 'info_routes'] },
      ],
    });
    const key = token({ user: 'ann', scope: 'use manage' });
    assert.equal(await calls(key, 'small', daemon), 200);
    assert.equal(await calls(key, 'large', daemon), 403);
    const make = (body: object, by = key) => post('/key/generate', body, by, daemon);
    for (const body of [
      {},
      { models: ['large'] },
      { models: ['small'] },
      { allowed_routes: ['openai_routes'] },
      { models: ['large'], allowed_routes: ['openai_routes'] },
      { aliases: { other: 'small' }, allowed_routes: ['openai_routes'] },
      { models: ['small'], aliases: { small: 'large' }, allowed_routes: ['openai_routes'] },
    ]) {
      assert.equal((await make(body)).status, 403, JSON.stringify(body));
    }
    const made = await make({ models: ['small'], allowed_routes: ['openai_routes'] });
    assert.equal(made.status, 200, made.text);
    assert.equal(await calls(made.body.key, 'large', daemon), 403);
    const both = { models: ['small', 'large'], allowed_routes: ['openai_routes'] };
    assert.equal((await make(both, token({ user: 'ann', scope: 'use manage large' }))).status, 200);
    // A key of the user's that may do more than the token is not handed over either.
    await done('/key/generate', { user_id: 'ann', key_alias: 'wide' });
    assert.equal((await post('/key/regenerate', { key: 'wide' }, key, daemon)).status, 403);
  });

  test('keeps them when a virtual key is registered for its claim', async () => {
    await using daemon = await daemonWith({
      ...fields,
      virtual_key_claim_field: 'client',
      unregistered_jwt_client_behavior: 'AUTO_REGISTER',
      enforce_scope_based_access: true,
      scope_mappings: [{ scope: 'use', models: ['small'] }],
    });
    const key = token({ user: 'ann', scope: 'use', client: 'scoped' });
    // Registered for somebody else: all who use one application may have the same claim.
    const other = token({ user: 'root', scope: 'use', client: 'scoped' });
    assert.equal(await calls(key, 'small', daemon), 200);
    assert.equal(await calls(key, 'large', daemon), 403);
    assert.equal((await post('/key/generate', {}, key, daemon)).status, 403);
    assert.equal(await calls(token({ user: 'ann', client: 'scoped' }), 'small', daemon), 403);
    assert.equal(await calls(other, 'small', daemon), 403);
  });
});

describe('a token that is refused', () => {
  test('leaves nothing behind: no user, no team and no membership', async () => {
    await using daemon = await daemonWith({
      ...fields,
      user_id_upsert: true,
      team_id_upsert: true,
      upsert_sso_user_to_team: true,
    });
    for (const claims of [
      { user: 'ghost', org: 'nowhere', teams: ['ghosts'] },
      { user: 'ghost', org: 'acme', team: 'of-other' },
    ]) {
      assert.equal(await calls(token(claims), 'small', daemon), 403, JSON.stringify(claims));
    }
    assert.equal(
      await calls(token({ user: 'joiner', org: 'acme', teams: ['of-other', 'of-acme'] }), 'small', daemon),
      200,
    );
    assert.deepEqual(await rowsOf(`select id from gatewayctl.users where id = 'ghost'`), []);
    assert.deepEqual(await rowsOf(`select id from gatewayctl.teams where id = 'ghosts'`), []);
    const joined = await rowsOf(`select team_id from gatewayctl.team_members where user_id = 'joiner'`);
    assert.deepEqual(joined, [{ team_id: 'of-acme' }]);
  });

  test('is one of a person whose address is not confirmed, in whatever way the provider says so', async () => {
    await using daemon = await daemonWith({
      user_email_jwt_field: 'email',
      team_id_jwt_field: 'team',
      user_allowed_email_domain: 'example.com',
    });
    const of = (email: string, email_verified?: unknown) =>
      calls(token({ email, team: 'open', email_verified }), 'small', daemon);
    assert.equal(await of('ANN@Example.COM'), 200);
    assert.equal(await of('ann@example.com', 'true'), 200);
    for (const email of [
      'ann@example.com@evil.com',
      'ann@notexample.com',
      'ann@example.com.evil',
      'ann@example.com@evil',
    ]) {
      assert.equal(await of(email), 403, email);
    }
    for (const said of [false, 'false', 0]) assert.equal(await of('ann@example.com', said), 403, String(said));
    assert.equal(await of('ann@evil.com', false), 403);
  });

  test('with an address that is another user’s says so, and is no failure of ours', async () => {
    await using daemon = await daemonWith({ ...fields, user_email_jwt_field: 'email', user_id_upsert: true });
    const answer = await daemon.chat(token({ user: 'newcomer', email: 'ann@example.com' }), 'small');
    assert.equal(answer.status, 403, answer.text);
  });
});

describe('teams and organizations of a token', () => {
  test('are found by their aliases, and an organization is what the token does not reach beyond', async () => {
    assert.equal(await calls(token({ team_alias: 'The Tight' })), 200);
    assert.equal(await calls(token({ team_alias: 'The Tight' }), 'large'), 403);
    for (const alias of ['the tight', 'The Tіght', ' The Tight', 'tight']) {
      assert.equal(await calls(token({ team_alias: alias })), 403, alias);
    }
    for (const claims of [{ org: 'acme' }, { org_alias: 'the acme' }]) {
      const both = token({ ...claims, teams: ['of-other', 'of-acme'] });
      assert.equal(await calls(both, 'small'), 200);
      const key = token({ ...claims, team: 'of-other' });
      assert.equal(await calls(key, 'large'), 403);
    }
  });

  test('that are blocked let no call through, also where another team of the token does', async () => {
    const key = token({ teams: ['tight', 'of-other', 'to-come'] });
    assert.equal(await calls(key, 'large'), 200);
    await done('/organization/block', { organization_id: 'other' });
    await until(async () => (await calls(key, 'large')) !== 200, 1_000);
    assert.equal(await calls(key, 'small'), 200);
    await done('/organization/unblock', { organization_id: 'other' });
    await until(async () => (await calls(key, 'large')) === 200, 1_000);
    await done('/team/block', { team_id: 'of-other' });
    await until(async () => (await calls(key, 'large')) !== 200, 1_000);
    await done('/team/new', { team_id: 'to-come', models: ['large'] });
    await until(async () => (await calls(key, 'large')) === 200, 1_000);
    await done('/team/unblock', { team_id: 'of-other' });
  });

  test('pay for its calls, and stop them when their money is spent', async () => {
    await done('/team/new', { team_id: 'payers', max_budget: 0.05 });
    await done('/user/new', { user_id: 'payer', auto_create_key: false, max_budget: 0.05 });
    for (const [claims, column, id] of [
      [{ team: 'payers' }, 'team_id', 'payers'],
      [{ user: 'payer' }, 'user_id', 'payer'],
    ] as const) {
      const key = token(claims);
      assert.equal(await calls(key, 'priced'), 200);
      await until(async () => (await calls(key, 'priced')) === 429);
      await until(
        async () => (await rowsOf(`select 1 from gatewayctl.spend_logs where ${column} = $1`, id)).length > 0,
      );
      assert.equal(await calls(token({ ...claims, sub: 'again' }), 'priced'), 429, 'another token is no other budget');
    }
  });
});

describe('a workload', () => {
  const made = (key: string, body: object) => post('/key/generate', body, key);

  test('of an organization makes teams and keys in it and nothing beyond, and no administrators', async () => {
    const key = token({ job: 'org' }, ci);
    assert.equal((await post('/team/new', { team_id: 'by-org', organization_id: 'acme' }, key)).status, 200);
    assert.equal((await post('/team/new', { team_id: 'no', organization_id: 'other' }, key)).status, 403);
    assert.equal((await post('/team/new', { team_id: 'no' }, key)).status, 403);
    const { body } = await get('/v2/team/list', key);
    const ids: string[] = body.teams.map(({ team_id: id }: { team_id: string }) => id);
    assert.deepEqual(ids.toSorted(), ['by-org', 'of-acme']);
    assert.equal((await made(key, { team_id: 'by-org' })).status, 200);
    for (const wanted of [
      { team_id: 'of-other' },
      { organization_id: 'other' },
      { user_id: 'root' },
      { user_id: 'ann' },
    ]) {
      assert.ok([403, 404].includes((await made(key, wanted)).status), JSON.stringify(wanted));
    }
    for (const user_role of ['proxy_admin', 'proxy_admin_viewer']) {
      const user = { user_id: `by-${user_role}`, organization_id: 'acme', user_role, auto_create_key: false };
      assert.equal((await post('/user/new', user, key)).status, 403, user_role);
    }
    for (const user_id of ['root', 'ann']) {
      assert.ok([403, 404].includes((await post('/user/update', { user_id, max_budget: 1 }, key)).status), user_id);
    }
  });

  test('of a team gives nobody more than the team has, and moves no key out of it', async () => {
    const key = token({ job: 'team' }, ci);
    for (const wanted of [{ max_budget: 6 }, { models: ['large'] }, { user_id: 'root' }, { user_id: 'ann' }]) {
      const { status } = await made(key, { team_id: 'tight', ...wanted });
      assert.ok(status === 403 || status === 400, JSON.stringify(wanted));
    }
    const { body } = await made(key, { team_id: 'tight', key_alias: 'of-tight' });
    for (const change of [{ team_id: 'open' }, { user_id: 'root' }, { models: ['large'] }, { max_budget: 6 }]) {
      const { status } = await post('/key/update', { key: body.key, ...change }, key);
      assert.ok([400, 403, 404].includes(status), JSON.stringify(change));
    }
    await done('/key/generate', { team_id: 'open', key_alias: 'of-open' });
    const asked = await made(key, { team_id: 'tight', key_alias: 'of-open', if_not_exists: true });
    assert.notEqual(asked.status, 200);
    assert.doesNotMatch(asked.text, /"open"/, 'whose it is');
    const dry = await post('/key/delete', { key_aliases: ['of-tight'], dry_run: true }, key);
    assert.equal(dry.status, 403);
  });
});

test('fifty first calls at once make one user', async () => {
  const statuses = await Promise.all(
    Array.from({ length: 50 }, (_, index) => calls(token({ user: 'rush', sub: `job ${index}` }))),
  );
  assert.deepEqual(new Set(statuses), new Set([200]));
  assert.equal((await rowsOf(`select 1 from gatewayctl.users where id = 'rush'`)).length, 1);
});

test('two tokens without a subject are two callers where a change is sent again', async () => {
  const body = { key_alias: 'once' };
  const send = (user: string) =>
    gateway.request('POST', '/key/generate', {
      key: token({ user, sub: undefined }),
      body,
      headers: { 'idempotency-key': 'the-same' },
    });
  const [first, second] = [await send('one'), await send('two')];
  assert.equal(first.status, 200, first.text);
  assert.notEqual(second.body.key, first.body.key);
});
