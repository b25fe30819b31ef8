import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Members, mintToken, secretMint, seconds } from '../support/forge.ts';
import { aStateDir, type Daemon, type Gateway, startDaemonHere, startGateway, until } from '../support/gateway.ts';

const secret = 'a-shared-secret-of-32-bytes-and-more';
const main = secretMint('https://main.example', 'here', secret);
const second = secretMint('https://second.example', 'here', `${secret}-2`);

const issuers = [
  { issuer: main.issuer, audience: 'here', shared_secret: secret, may_grant_admin: true, clock_tolerance: 0 },
  { issuer: second.issuer, audience: 'here', shared_secret: `${secret}-2` },
];

/** A file with these rules for tokens. */
async function configured(jwtauth: object, general: object = {}): Promise<string> {
  const path = join(await aStateDir(), 'config.yaml');
  const names = ['small', 'large'].map((name) => ({ model_name: name, litellm_params: { model: `mock/${name}` } }));
  await writeFile(
    path,
    JSON.stringify({
      model_list: names,
      general_settings: { enable_jwt_auth: true, litellm_jwtauth: jwtauth, ...general },
      gatewayctl: { jwt: { issuers } },
    }),
  );
  return path;
}

let gateway: Gateway;
before(async () => {
  gateway = await startGateway({
    args: ['--config', await configured({ user_id_jwt_field: 'user', team_id_jwt_field: 'team' })],
  });
  for (const user_id of ['ann', 'bob', 'root']) {
    await gateway.request('POST', '/user/new', {
      body: { user_id, auto_create_key: false, ...(user_id === 'root' && { user_role: 'proxy_admin' }) },
    });
  }
  for (const [team_id, models] of Object.entries({ open: [], tight: ['small'] })) {
    await gateway.request('POST', '/team/new', { body: { team_id, models } });
  }
});
after(() => gateway[Symbol.asyncDispose]());

/** Another daemon on the same database, with other rules. */
const daemonWith = async (jwtauth: object, general: object = {}): Promise<Daemon> =>
  startDaemonHere({
    stateDir: await aStateDir(),
    databaseUrl: gateway.databaseUrl,
    args: ['--config', await configured(jwtauth, general)],
    env: { GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey, GATEWAYCTL_ENCRYPTION_KEY: 'k'.repeat(43) },
  });

const token = (claims: Members, mint = main) => mintToken(mint, { claims });
const calls = async (key: string, model = 'small', of: Pick<Daemon, 'chat'> = gateway) =>
  (await of.chat(key, model)).status;
const countOf = async (table: string) =>
  Number((await gateway.pool.query(`select count(*) from gatewayctl.${table}`)).rows[0].count);

describe('tokens, as they were taken for somebody else elsewhere', () => {
  test('SEC-03: two that begin alike for a hundred characters are two callers', async () => {
    const pad = 'x'.repeat(120);
    const both = ['ann', 'bob'].map((user) => token({ aaa: undefined, sub: pad, user }));
    const [one = '', two = ''] = both;
    for (const length of [20, 64, 100]) assert.equal(one.slice(0, length), two.slice(0, length));
    for (let round = 0; round < 2; round++) {
      for (const [key, id] of [
        [one, 'ann'],
        [two, 'bob'],
      ] as const) {
        const { body } = await gateway.request('GET', '/user/info', { key });
        assert.equal(body.user_info.user_id, id);
      }
    }
  });

  test('SEC-05: a hundred sign-ins leave no key behind', async () => {
    const atFirst = await countOf('keys');
    const statuses = await Promise.all(Array.from({ length: 100 }, () => calls(token({ user: 'ann' }))));
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(await countOf('keys'), atFirst);
  });

  test('SEC-06: one that has expired is refused, however well it was known', async () => {
    const short = token({ user: 'ann', iat: seconds(), exp: seconds(2) });
    assert.equal(await calls(short), 200);
    await until(async () => (await calls(short)) === 401, 4_000);
    assert.equal((await gateway.request('GET', '/user/info', { key: short })).status, 401);
  });

  test('SEC-07: a machine without a mapping may do nothing on any route', async () => {
    const machine = token({ sub: 'machine', client_id: 'machine' });
    assert.equal(await calls(machine), 403);
    for (const path of ['/v1/models', '/key/list', '/user/info', '/model/info', '/spend/logs', '/audit']) {
      assert.equal((await gateway.request('GET', path, { key: machine })).status, 403, path);
    }
    assert.equal((await gateway.request('POST', '/key/generate', { key: machine, body: {} })).status, 403);
  });

  test('SEC-11: serve does not start with an issuer of which no audience is known', async () => {
    const env = { GATEWAYCTL_JWT: 'true', JWT_ISSUER: 'https://idp.example' };
    await assert.rejects(startDaemonHere({ stateDir: await aStateDir(), env }), /JWT_AUDIENCE/);
  });

  test('SEC-12: a second issuer makes no administrator, not even by naming one there is', async () => {
    const claims = { user: 'root', scope: 'litellm_proxy_admin' };
    const asRoot = token(claims, second);
    assert.equal((await gateway.request('POST', '/team/new', { key: asRoot, body: {} })).status, 403);
    assert.equal((await gateway.request('GET', '/audit', { key: asRoot })).status, 403);
    assert.equal((await gateway.request('GET', '/audit', { key: token(claims) })).status, 200);
    assert.equal((await gateway.request('GET', '/audit', { key: token({ user: 'root' }) })).status, 200);
  });
});

describe('the rules of litellm_jwtauth', () => {
  test('limit models and routes by scopes and by roles, and lists show what is left', async () => {
    await using daemon = await daemonWith(
      {
        user_id_jwt_field: 'user',
        roles_jwt_field: 'roles',
        object_id_jwt_field: 'oid',
        enforce_rbac: true,
        role_mappings: [
          { role: 'crew', internal_role: 'team' },
          { role: 'boss', internal_role: 'proxy_admin' },
        ],
        enforce_scope_based_access: true,
        scope_mappings: [
          { scope: 'use-small', models: ['small'] },
          { scope: 'look', routes: ['info_routes'] },
        ],
        team_allowed_routes: ['openai_routes'],
      },
      { role_permissions: [{ role: 'team', models: ['small', 'large'], routes: ['/v1/chat/completions'] }] },
    );
    const crew = token({ roles: ['crew'], oid: 'open', scope: 'use-small look' });
    assert.equal(await calls(crew, 'small', daemon), 200);
    // The scope for looking has no model of its own: it lets no call through.
    assert.equal(await calls(crew, 'large', daemon), 403);
    assert.equal((await daemon.request('GET', '/v1/models', { key: crew })).status, 403, 'not a route of the role');
    const ann = token({ user: 'ann', scope: ['use-small'] });
    const { body } = await daemon.request('GET', '/v1/models', { key: ann });
    assert.deepEqual(
      body.data.map(({ id }: { id: string }) => id),
      ['small'],
    );
    assert.equal(await calls(token({ user: 'ann', scope: 'other' }), 'small', daemon), 403);
    assert.equal(await calls(token({ roles: ['nobody'], scope: 'use-small' }), 'small', daemon), 403);
    const boss = { roles: ['boss'] };
    assert.equal((await daemon.request('GET', '/audit', { key: token(boss) })).status, 200);
    assert.equal((await daemon.request('GET', '/audit', { key: token(boss, second) })).status, 403);
  });

  test('give a token without a team the default one, and nobody a model without a team where that is enforced', async () => {
    await using byDefault = await daemonWith({ team_id_jwt_field: 'team', team_id_default: 'tight' });
    assert.equal(await calls(token({}), 'small', byDefault), 200);
    assert.equal(await calls(token({}), 'large', byDefault), 403);
    await using enforced = await daemonWith({
      user_id_jwt_field: 'user',
      team_ids_jwt_field: 'teams',
      enforce_team_based_model_access: true,
      team_id_upsert: true,
      user_roles_jwt_field: 'groups',
      user_allowed_roles: ['staff'],
    });
    const staff = { user: 'ann', groups: ['staff'] };
    assert.equal(await calls(token(staff), 'small', enforced), 403);
    assert.equal(await calls(token({ ...staff, teams: ['tight'] }), 'large', enforced), 403);
    assert.equal(await calls(token({ ...staff, teams: ['tight', 'brand-new'] }), 'large', enforced), 200);
    assert.equal(await calls(token({ user: 'ann', groups: ['guest'], teams: ['open'] }), 'small', enforced), 403);
    assert.equal((await gateway.request('GET', '/team/info?team_id=brand-new')).status, 200);
  });

  test('register a virtual key for a claim, or refuse a claim that has none', async () => {
    const fields = { user_id_jwt_field: 'user', virtual_key_claim_field: 'client' };
    await using registering = await daemonWith({ ...fields, unregistered_jwt_client_behavior: 'AUTO_REGISTER' });
    const atFirst = await countOf('keys');
    const claims = { user: 'ann', client: 'robot' };
    const statuses = await Promise.all(Array.from({ length: 5 }, () => calls(token(claims), 'small', registering)));
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(await countOf('keys'), atFirst + 1);
    assert.equal(await calls(token({ client: 'nobody' }), 'small', registering), 403);
    await using refusing = await daemonWith({ ...fields, unregistered_jwt_client_behavior: 'REJECT' });
    assert.equal(await calls(token(claims), 'small', refusing), 200);
    assert.equal(await calls(token({ user: 'ann', client: 'other' }), 'small', refusing), 403);
    assert.equal(await calls(token({ user: 'ann' }), 'small', refusing), 403);
  });
});
