import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { operations } from '../../src/operations.ts';
import { aStateDir, type Daemon, type Gateway, startDaemonHere, startGateway, until } from '../support/gateway.ts';
import { audience, type OpenIdProvider, startOpenIdProvider } from '../support/openid-provider.ts';

const ciOperations = ['key generate', 'key list', 'key delete', 'team get'] as const;

/** Two issuers with the same rules: only the first may make administrators. */
const configuration = (flagged: string, plain: string, ci: string): string =>
  JSON.stringify({
    model_list: ['small', 'large'].map((name) => ({ model_name: name, litellm_params: { model: `mock/${name}` } })),
    general_settings: {
      enable_jwt_auth: true,
      litellm_jwtauth: {
        user_id_jwt_field: 'app.person.id',
        user_email_jwt_field: 'app.person.email',
        team_id_jwt_field: 'app.team',
        team_ids_jwt_field: 'app.teams',
        org_id_jwt_field: 'app.org',
        end_user_id_jwt_field: 'app.customer',
        roles_jwt_field: 'app.roles',
        virtual_key_claim_field: 'app.client',
        user_id_upsert: true,
        user_allowed_email_domain: 'example.com',
        upsert_sso_user_to_team: true,
        jwt_litellm_role_map: [
          { jwt_role: 'boss-*', litellm_role: 'proxy_admin' },
          { jwt_role: 'reader', litellm_role: 'internal_user_viewer' },
        ],
        sync_user_role_and_teams: true,
      },
    },
    gatewayctl: {
      jwt: {
        issuers: [
          { issuer: flagged, audience, may_grant_admin: true },
          { issuer: plain, audience },
          {
            issuer: ci,
            audience,
            roles: [
              {
                name: 'deploy',
                match: { repository: 'acme/api', ref: 'refs/heads/*', environment: ['production', 'staging'] },
                operations: [...ciOperations],
                team: 'ci-team',
              },
            ],
          },
        ],
      },
    },
  });

let flagged: OpenIdProvider;
let plain: OpenIdProvider;
let ci: OpenIdProvider;
let gateway: Gateway;
let config: string;
before(async () => {
  [flagged, plain, ci] = await Promise.all([startOpenIdProvider(), startOpenIdProvider(), startOpenIdProvider()]);
  config = join(await aStateDir(), 'config.yaml');
  await writeFile(config, configuration(flagged.issuer, plain.issuer, ci.issuer));
  gateway = await startGateway({ args: ['--config', config] });
  for (const [team_id, models] of [
    ['t-small', ['small']],
    ['t-large', ['large']],
    ['ci-team', []],
    ['other-team', []],
  ]) {
    assert.equal((await post('/team/new', { team_id, models })).status, 200);
  }
});
after(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const provider of [flagged, plain, ci]) await provider[Symbol.asyncDispose]();
});

const post = (path: string, body: object, key = gateway.daemon.masterKey) =>
  gateway.request('POST', path, { key, body });
const get = (path: string, key = gateway.daemon.masterKey) => gateway.request('GET', path, { key });
const user = (id: string) => ({ id, email: `${id}@example.com` });
const tokenOf = (app: object, of = plain, scope = 'call') => of.token({ scope, with: { app } });
const statusOf = async (token: string, model = 'small') => (await gateway.chat(token, model)).status;
const rowsOf = async (sql: string, ...values: string[]) => (await gateway.pool.query(sql, values)).rows;

describe('a JWT that stands for somebody', () => {
  test('makes the user it names by a nested path, in the team it names, and books what the user spends', async () => {
    const token = await tokenOf({ person: user('ann'), team: 't-small' });
    assert.equal(await statusOf(token), 200);
    assert.equal(await statusOf(token, 'large'), 403);
    const info = (await get('/user/info?user_id=ann')).body;
    assert.equal(info.user_info.user_email, 'ann@example.com');
    const [member] = await rowsOf(
      `select role from gatewayctl.team_members where team_id = 't-small' and user_id = 'ann'`,
    );
    assert.equal(member.role, 'user');
    await until(async () => (await rowsOf(`select * from gatewayctl.spend_logs where user_id = 'ann'`)).length > 0);
    const [row] = await rowsOf(`select key_id, api_key, team_id from gatewayctl.spend_logs where user_id = 'ann'`);
    assert.deepEqual(row, { key_id: 'jwt', api_key: 'jwt', team_id: 't-small' });
    const audits = await rowsOf(
      `select actor from gatewayctl.audit_log where object_type = 'user' and object_id = 'ann'`,
    );
    assert.match(audits[0].actor, new RegExp(`^jwt ${plain.issuer} `));
  });

  test('is refused with an address of another domain, or one that nobody has confirmed', async () => {
    assert.equal(await statusOf(await tokenOf({ person: { id: 'eve', email: 'eve@example.com.evil' } })), 403);
    assert.equal(await statusOf(await tokenOf({ person: { id: 'eve' } })), 403);
    const unconfirmed = await plain.token({ with: { email_verified: false, app: { person: user('eve') } } });
    assert.equal(await statusOf(unconfirmed), 403);
    assert.deepEqual(await rowsOf(`select id from gatewayctl.users where id = 'eve'`), []);
  });

  test('calls in the first of its teams that has the model, and lists what it can call in any', async () => {
    const token = await tokenOf({ person: user('tom'), teams: ['nowhere', 't-small', 't-large'] });
    assert.equal(await statusOf(token, 'large'), 200);
    assert.equal(await statusOf(token, 'small'), 200);
    const { data } = (await get('/v1/models', token)).body;
    assert.deepEqual(data.map(({ id }: { id: string }) => id).toSorted(), ['large', 'small']);
    await until(async () => (await rowsOf(`select 1 from gatewayctl.spend_logs where user_id = 'tom'`)).length === 2);
    const rows = await rowsOf(`select model, team_id from gatewayctl.spend_logs where user_id = 'tom' order by 1`);
    assert.deepEqual(rows, [
      { model: 'large', team_id: 't-large' },
      { model: 'small', team_id: 't-small' },
    ]);
  });

  test('takes its user out of teams that the provider has taken them out of', async () => {
    await statusOf(await tokenOf({ person: user('tom'), teams: ['t-large'] }), 'large');
    const teams = await rowsOf(`select team_id from gatewayctl.team_members where user_id = 'tom'`);
    assert.deepEqual(teams, [{ team_id: 't-large' }]);
  });

  test('stands for nobody without a name, a team or a role, and for nobody who is not there', async () => {
    for (const app of [
      {},
      { team: 'nowhere' },
      { org: 'nowhere' },
      { team: { id: 't-small' } },
      { person: { id: 'x\u0007' } },
    ]) {
      const answer = await gateway.chat(await tokenOf(app), 'small');
      assert.equal(answer.status, 403, JSON.stringify(app));
    }
    assert.equal((await get('/key/list', await plain.token())).status, 403);
  });

  test('keeps to the limits of its user and of its team', async () => {
    const token = await tokenOf({ person: user('bob') });
    assert.equal(await statusOf(token), 200);
    assert.equal((await post('/user/update', { user_id: 'bob', max_budget: 0 })).status, 200);
    await until(async () => (await statusOf(token)) === 429);
    await post('/user/update', { user_id: 'bob', max_budget: null, rpm_limit: 0 });
    await until(async () => /requests/.test((await gateway.chat(token, 'small')).body.error?.message ?? ''));
  });

  test('of two users with the same beginning are two callers', async () => {
    const one = await tokenOf({ person: user('one') });
    const two = await tokenOf({ person: user('two') });
    assert.equal(one.slice(0, 64), two.slice(0, 64));
    for (const [token, id] of [
      [one, 'one'],
      [two, 'two'],
    ] as const) {
      assert.equal((await get('/user/info', token)).body.user_info.user_id, id);
    }
  });

  test('of a user who is blocked is refused within a second by every daemon', async () => {
    await using second: Daemon = await startDaemonHere({
      stateDir: await aStateDir(),
      databaseUrl: gateway.databaseUrl,
      args: ['--config', config],
      env: { GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey, GATEWAYCTL_ENCRYPTION_KEY: 'k'.repeat(43) },
    });
    const token = await tokenOf({ person: user('bad') });
    assert.equal(await statusOf(token), 200);
    assert.equal((await second.chat(token, 'small')).status, 200);
    assert.equal((await post('/user/block', { user_id: 'bad' })).status, 200);
    const since = performance.now();
    await until(async () => (await second.chat(token, 'small')).status === 401);
    assert.ok(performance.now() - since < 1_000);
    assert.equal(await statusOf(token), 401);
    assert.equal((await get('/user/info', token)).status, 401);
  });
});

describe('an administrator by a JWT', () => {
  test('comes from an issuer that may make one, by a scope or by a role', async () => {
    const byScope = await tokenOf({}, flagged, 'litellm_proxy_admin');
    assert.equal((await get('/key/list', byScope)).status, 200);
    const made = await post('/team/new', { team_id: 'by-token' }, byScope);
    assert.equal(made.status, 200);
    const [row] = await rowsOf(`select actor, via from gatewayctl.audit_log where object_id = 'by-token'`);
    assert.equal(row.via, 'api-jwt');
    assert.match(row.actor, new RegExp(`^jwt ${flagged.issuer} \\S+$`));
    assert.equal(await statusOf(byScope), 403, 'admin_allowed_routes has no models');
    const byRole = await tokenOf({ person: user('chief'), roles: ['boss-of-all'] }, flagged);
    assert.equal((await post('/team/new', { team_id: 'by-role' }, byRole)).status, 200);
  });

  test('does not come from any other: not by a scope, a role, or the name of one', async () => {
    const climbers = [
      [{}, 'litellm_proxy_admin'],
      [{ person: user('climber'), roles: ['boss-of-all'] }, 'litellm_proxy_admin'],
      [{ person: user('chief') }, 'call'],
    ] as const;
    for (const [app, scope] of climbers) {
      const token = await tokenOf(app, plain, scope);
      assert.equal((await post('/team/new', { team_id: 'never' }, token)).status, 403);
      assert.equal((await get('/audit', token)).status, 403);
    }
    const [chief] = await rowsOf(`select role from gatewayctl.users where id = 'chief'`);
    assert.equal(chief.role, 'proxy_admin');
  });

  test('is none any more, in the same second, once the role is taken away', async () => {
    const token = await tokenOf({ person: user('chief') }, flagged);
    assert.equal((await get('/audit', token)).status, 200);
    await post('/user/update', { user_id: 'chief', user_role: 'internal_user' });
    assert.equal((await get('/audit', token)).status, 403);
  });
});

const job = { repository: 'acme/api', ref: 'refs/heads/main', environment: 'production' };

describe('a job of a CI system', () => {
  test('makes, lists and deletes keys of its team with no secret of its own', async () => {
    const token = await ci.token({ with: job });
    const made = await post('/key/generate', { team_id: 'ci-team', key_alias: 'from-ci' }, token);
    assert.equal(made.status, 200, made.text);
    assert.equal(await statusOf(made.body.key), 200);
    const { keys } = (await get('/key/list?return_full_object=true', token)).body;
    assert.deepEqual(
      keys.map(({ key_alias: alias }: { key_alias: string }) => alias),
      ['from-ci'],
    );
    const [row] = await rowsOf(
      `select actor, via from gatewayctl.audit_log where object_type = 'key' and action = 'created' and via = 'api-jwt'`,
    );
    assert.match(row.actor, new RegExp(`^jwt ${ci.issuer} `));
    assert.equal((await get('/team/info?team_id=ci-team', token)).status, 200);
    assert.equal((await post('/key/delete', { key_aliases: ['from-ci'] }, token)).status, 200);
  });

  test('makes one by the command line, as the manual shows it', async () => {
    const GATEWAYCTL_KEY = await ci.token({ with: job });
    const line = 'key generate --team ci-team --alias api-42 --expires 30d -q';
    const made = await gateway.gatewayctl(line, 'server', { env: { GATEWAYCTL_KEY } });
    assert.equal(made.exit, 0, made.err);
    assert.equal(await statusOf(made.out.trim()), 200);
    const refused = await gateway.gatewayctl('user list', 'server', { env: { GATEWAYCTL_KEY } });
    assert.equal(refused.exit, 5, refused.err);
  });

  test('reaches nothing outside of its team, and no models', async () => {
    const token = await ci.token({ with: job });
    for (const team_id of ['other-team', undefined]) {
      const { status } = await post('/key/generate', { ...(team_id && { team_id }) }, token);
      assert.equal(status, team_id ? 404 : 403);
    }
    await post('/key/generate', { team_id: 'other-team', key_alias: 'others' });
    assert.equal((await post('/key/delete', { key_aliases: ['others'] }, token)).status, 404);
    assert.ok([403, 404].includes((await get('/team/info?team_id=other-team', token)).status));
    assert.equal(await statusOf(token), 403);
    assert.equal((await get('/v1/models', token)).status, 403);
  });

  test('is asked for every operation there is, and does only those that are named', async () => {
    const token = await ci.token({ with: job });
    const named: readonly string[] = ciOperations;
    for (const { command, route, alsoAt = [] } of operations) {
      for (const [method, path] of [route, ...alsoAt]) {
        const { status, text } = await gateway.request(method, path.replaceAll(/:\w+/g, 'x'), {
          key: token,
          ...(method !== 'GET' && { body: {} }),
        });
        const isNamed = named.includes(command.join(' '));
        if (!isNamed) assert.equal(status, 403, `${method} ${path}: ${text}`);
        else assert.doesNotMatch(text, /is for these operations only/, path);
      }
    }
  });

  test('of a role for an operation that is not there keeps the daemon from starting, and a test says so before', async () => {
    const wrong = join(await aStateDir(), 'config.yaml');
    await writeFile(wrong, configuration(flagged.issuer, plain.issuer, ci.issuer).replace('key list', 'key lost'));
    const said = /the role deploy of .* names "key lost", and there is no such operation/;
    await assert.rejects(startDaemonHere({ stateDir: await aStateDir(), args: ['--config', wrong] }), said);
    const stdin = await ci.token({ with: job });
    const tested = await gateway.gatewayctl(`jwt test --token - --config ${wrong}`, 'database-url', { stdin });
    assert.equal(tested.exit, 78, tested.err);
    assert.match(tested.err, said);
  });

  test('of another repository, branch or environment does nothing', async () => {
    for (const claims of [
      { ...job, repository: 'acme/api-2' },
      { ...job, repository: 'evil/acme/api' },
      { ...job, ref: 'refs/tags/main' },
      { ...job, environment: 'test' },
      { repository: job.repository, ref: job.ref },
    ]) {
      const token = await ci.token({ with: claims });
      assert.equal((await post('/key/generate', { team_id: 'ci-team' }, token)).status, 403, JSON.stringify(claims));
    }
    const elsewhere = await plain.token({ with: job });
    assert.equal((await post('/key/generate', { team_id: 'ci-team' }, elsewhere)).status, 403);
  });
});

describe('a claim that a virtual key is mapped to', () => {
  test('makes its tokens act as the key, until the mapping or the key goes', async () => {
    const token = await tokenOf({ client: 'nightly' });
    assert.equal(await statusOf(token), 403);
    await post('/key/generate', { key_alias: 'nightly', models: ['small'], team_id: 't-small' });
    const mapping = { jwt_claim_name: 'app.client', jwt_claim_value: 'nightly', key: 'nightly' };
    const made = await post('/jwt/key/mapping/new', mapping);
    assert.equal(made.status, 200, made.text);
    assert.equal((await post('/jwt/key/mapping/new', mapping)).status, 400);
    await until(async () => (await statusOf(token)) === 200);
    assert.equal(await statusOf(token, 'large'), 403);
    await until(
      async () => (await rowsOf(`select 1 from gatewayctl.spend_logs where key_id = $1`, made.body.key_id)).length > 0,
    );

    await post('/key/block', { key: 'nightly' });
    await until(async () => (await statusOf(token)) === 401, 1_000);
    await post('/key/unblock', { key: 'nightly' });
    await until(async () => (await statusOf(token)) === 200, 2_000);
    await post('/jwt/key/mapping/update', { id: made.body.id, is_active: false });
    await until(async () => (await statusOf(token)) === 403, 1_000);

    const listed = await gateway.gatewayctl('jwt mapping list -o json', 'database-url');
    assert.match(listed.out, /nightly/);
    assert.equal((await gateway.gatewayctl(['jwt', 'mapping', 'delete', made.body.id, '--yes'])).exit, 0);
    assert.equal((await get(`/jwt/key/mapping/info?id=${made.body.id}`)).status, 404);
  });
});

describe('a token at the command line', () => {
  const outcomes = (out: string) => {
    const steps: Record<string, string>[] = JSON.parse(out);
    return new Map(steps.map(({ check, outcome }) => [check, outcome]));
  };

  test('is shown unverified, from a file or standard input and never from the arguments', async () => {
    const token = await tokenOf({ person: user('ann') });
    const shown = await gateway.gatewayctl('jwt inspect -', 'server', { stdin: `${token}\n` });
    assert.equal(shown.exit, 0);
    assert.match(shown.err, /Not verified/);
    assert.match(shown.out, /claims \(unverified\)[^]*ann@example\.com/);
    const typed = await gateway.gatewayctl(['jwt', 'inspect', token]);
    assert.equal(typed.exit, 2);
    assert.ok(!(typed.out + typed.err).includes(token.slice(-40)));
  });

  test('is tested by the daemon and without one: whom it stands for, and what it may call', async () => {
    const token = await tokenOf({ person: user('ann'), team: 't-small' });
    assert.equal(await statusOf(token), 200);
    for (const way of ['server', 'database-url'] as const) {
      const ask = (more: string, stdin = token) =>
        gateway.gatewayctl(`jwt test --token - -o json ${more} ${way === 'server' ? '' : `--config ${config}`}`, way, {
          stdin,
        });
      const allowed = await ask('--model small');
      assert.equal(allowed.exit, 0, allowed.err + allowed.out);
      assert.match(allowed.out, /"user ann; team t-small; internal_user"/);
      assert.equal(outcomes(allowed.out).get('model.deployment'), 'pass');
      const denied = await ask('--model large');
      assert.equal(denied.exit, 1, denied.err + denied.out);
      assert.equal(outcomes(denied.out).get('team.models'), 'deny');
      assert.equal(outcomes(denied.out).get('token.routes'), 'pass');
      const forged = await ask('', `${token.slice(0, -8)}AAAAAAAA`);
      assert.equal(forged.exit, 1, forged.err);
      assert.match(forged.out, /signature verification failed/);
      const wouldMake = await ask('', await tokenOf({ person: user('not-yet') }));
      assert.match(wouldMake.out, /would make user not-yet/);
      assert.deepEqual(await rowsOf(`select id from gatewayctl.users where id = 'not-yet'`), []);
    }
    assert.equal((await post('/jwt/test', { token }, token)).status, 403);
  });
});
