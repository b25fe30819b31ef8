import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load, loadYaml, refusal } from '../config/support.ts';
import { aStateDir, type Gateway, startDaemonHere, startGateway, until, ways } from '../support/gateway.ts';

const config = `
litellm_settings:
  enable_key_alias_format_validation: true
  default_key_generate_params: {max_budget: 5, models: [gpt-4o], rpm_limit: 60, metadata: {from: config}}
  upperbound_key_generate_params: {max_budget: 10, duration: 30d, tpm_limit: 1000}
  key_generation_settings:
    team_key_generation: {allowed_team_member_roles: [admin], required_params: [tags]}
    personal_key_generation: {allowed_user_roles: [proxy_admin]}
`;

let gateway: Gateway;
let env: Record<string, string>;
let secrets: string;
before(async () => {
  const place = await aStateDir();
  secrets = join(place, 'secrets');
  await mkdir(secrets, { mode: 0o700 });
  await writeFile(join(place, 'config.yaml'), config);
  env = { GATEWAYCTL_CONFIG: join(place, 'config.yaml') };
  gateway = await startGateway({ env });
});
after(() => gateway[Symbol.asyncDispose]());

describe('what the configuration says of keys', () => {
  for (const way of ways) {
    test(`holds by ${way}`, async () => {
      const run = (line: string) => gateway.gatewayctl(`key generate ${line} --json`, way, { env });
      const made = JSON.parse((await run(`--alias ${way}-a --max-budget 7`)).out);
      assert.partialDeepStrictEqual(made, {
        max_budget: 7,
        models: ['gpt-4o'],
        rpm_limit: 60,
        tpm_limit: 1000,
        metadata: { from: 'config' },
      });
      assert.ok(Math.abs(Date.parse(made.expires) - Date.now() - 30 * 86_400_000) < 60_000);
      for (const [line, message] of [
        ['--max-budget 11', /max_budget is over max limit set in config - user_value=11; max_value=10/],
        ['--expires never', /duration is over max limit set in config - user_value=.*; max_value=30d/],
        ['--expires 31d', /duration is over max limit/],
        ['--alias ab!', /Invalid key_alias format/],
        ['--team any', /Required param tags not in data/],
      ] as const) {
        const { err, exit } = await run(line);
        assert.match(err, message);
        assert.equal(exit, 9);
      }
      const raised = await gateway.gatewayctl(`key update ${way}-a --max-budget none`, way, { env });
      assert.match(raised.err, /max_budget is over max limit set in config - user_value=None; max_value=10/);
    });
  }

  test('says who may make keys at all', async () => {
    const user = await gateway.request('POST', '/user/new', { body: { user_id: 'anna', auto_create_key: false } });
    assert.equal(user.status, 200, user.text);
    const { key } = (await gateway.request('POST', '/key/generate', { body: { user_id: 'anna' } })).body;
    const { status, body } = await gateway.request('POST', '/key/generate', { key, body: {} });
    assert.equal(status, 400);
    assert.match(body.error.message, /restricted by admin. Allowed roles=\[proxy_admin\]. Your role=internal_user/);
  });

  test('is refused with its place where it is wrong', () => {
    const wrong = `litellm_settings:
  default_key_generate_params: {max_budgett: 5}
  upperbound_key_generate_params:
    duration: soon
    max_budget: -1
  key_generation_settings: {team_key_generation: {allowed_team_member_roles: [king]}}
`;
    const { shown } = refusal(() => loadYaml(wrong));
    assert.match(shown, /config.yaml:2:33: unknown key "max_budgett" \(did you mean max_budget\?\)/);
    assert.match(shown, /config.yaml:4:15: duration: must look like/);
    assert.match(shown, /config.yaml:5:17: max_budget: must not be negative/);
    assert.match(shown, /config.yaml:6:\d+: allowed_team_member_roles/);
    assert.deepEqual(loadYaml(config).warnings, []);
    assert.deepEqual(load().keySettings.bounds, {});
  });
});

const daemonEnv = () => ({
  GATEWAYCTL_ROTATION_SECRETS_DIR: secrets,
  GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey,
  GATEWAYCTL_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
});

describe('rotation by the daemon', () => {
  test('is refused where nobody would get the secret, and takes both of its fields', async () => {
    const generate = (body: object) => gateway.request('POST', '/key/generate', { body });
    const { status, body } = await generate({ auto_rotate: true, rotation_interval: '30d' });
    assert.equal(status, 400);
    assert.match(body.error.hint, /rotation_secrets_dir/);
    assert.equal((await generate({ auto_rotate: true })).body.error.param, 'rotation_interval');
  });

  test('leaves each new secret in a file, with a grace for the old one, whoever of several daemons does it', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(async () =>
        startDaemonHere({
          stateDir: await aStateDir(),
          databaseUrl: gateway.databaseUrl,
          env: daemonEnv(),
        }),
      ),
    );
    assert.ok(first && second);
    await using daemons = new AsyncDisposableStack();
    daemons.use(first);
    daemons.use(second);
    const body = { key_alias: 'turning', auto_rotate: true, rotation_interval: '1s' };
    const made = (await first.request('POST', '/key/generate', { body })).body;
    // What a daemon left that died between its commit and the name, and between the name and its commit.
    const left = (await first.request('POST', '/key/generate', { body: { key_alias: 'left' } })).body;
    const pending = (secret: string, id: string) =>
      writeFile(join(secrets, `${Buffer.from(id).toString('base64url')}.${secret.slice(-4)}.pending`), `${secret}\n`);
    await pending(left.key, left.key_id);
    await pending('sk-nobody-ever-committed-this', left.key_id);
    assert.equal(await second.stop(), 0);
    await using third = await startDaemonHere({
      stateDir: second.stateDir,
      databaseUrl: gateway.databaseUrl,
      env: daemonEnv(),
    });
    const read = (name: string) =>
      readFile(join(secrets, name), 'utf8').then(
        (text) => text.trim(),
        () => undefined,
      );
    await until(async () => (await read('turning')) !== undefined);
    const secret = (await read('turning')) ?? '';
    assert.equal(await read('left'), left.key);
    assert.notEqual(secret, made.key);
    assert.equal((await stat(join(secrets, 'turning'))).mode & 0o777, 0o600);
    await until(async () => (await read('turning')) !== secret);
    for (const each of [made.key, secret, (await read('turning')) ?? '']) {
      assert.equal((await third.request('GET', '/key/info', { key: each })).status, 200);
    }
    await third.request('POST', '/key/update', { body: { key: 'turning', auto_rotate: false } });
    const stray = (name: string) => name.endsWith('.pending');
    await until(async () => !(await readdir(secrets)).some(stray));
    const { rows } = await gateway.pool.query(
      `select distinct actor, via from gatewayctl.audit_log where object_id = $1 and action = 'rotated'`,
      [made.key_id],
    );
    assert.deepEqual(rows, [{ actor: 'key-rotation', via: 'daemon' }]);
  });

  test('wants a directory that is nobody else’s', async () => {
    const open = join(await aStateDir(), 'open');
    await mkdir(open, { mode: 0o755 });
    const stateDir = await aStateDir();
    await assert.rejects(
      startDaemonHere({
        stateDir,
        databaseUrl: gateway.databaseUrl,
        env: { ...daemonEnv(), GATEWAYCTL_ROTATION_SECRETS_DIR: open },
      }),
      /ended with 78[^]*can be read or written by others/,
    );
  });
});
