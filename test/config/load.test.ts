import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, loadYaml, refusal, TemporaryDirectory } from './support.ts';

test('without anything said the defaults hold', () => {
  const settings = load();
  assert.equal(settings.host, '127.0.0.1');
  assert.equal(settings.port, 4000);
  assert.equal(settings.migrate, true);
  assert.equal(settings.databaseUrl, undefined);
  assert.equal(settings.masterKey, undefined);
  assert.deepEqual(settings.drainTimeout, { count: 90, unit: 's' });
  assert.deepEqual(settings.spendRetention, { count: 90, unit: 'd' });
  assert.equal(settings.bodyLimit, 10 * 1024 * 1024);
  assert.equal(settings.modelAccessStatus, 403);
  assert.equal(settings.budgetExceededStatus, 429);
  assert.equal(settings.stateDir, '/home/ann/.local/state/gatewayctl');
  assert.equal(settings.sources.port, 'default');
  assert.deepEqual(settings.deployments, []);
});

const file = 'gatewayctl:\n  port: 1\n';
const precedence: readonly (readonly [string, Parameters<typeof load>[0], string, number, string])[] = [
  ['default', {}, '', 4000, 'default'],
  ['file', {}, file, 1, 'file config.yaml:2'],
  ['LiteLLM variable over file', { env: { PORT: '2' } }, file, 2, 'environment PORT'],
  ['our variable over LiteLLM’s', { env: { PORT: '2', GATEWAYCTL_PORT: '3' } }, file, 3, 'environment GATEWAYCTL_PORT'],
  ['flag over all', { env: { GATEWAYCTL_PORT: '3' }, argvFlags: { port: '4' } }, file, 4, 'flag --port'],
  ['an empty variable is unset', { env: { GATEWAYCTL_PORT: '', PORT: '' } }, file, 1, 'file config.yaml:2'],
  ['environment_variables of the file', {}, 'environment_variables:\n  PORT: "5"\n', 5, 'file config.yaml:2'],
  ['a place over environment_variables', {}, `environment_variables:\n  PORT: "5"\n${file}`, 1, 'file config.yaml:4'],
  ['a reference', { env: { MY_PORT: '6' } }, 'gatewayctl: {port: os.environ/MY_PORT}', 6, 'file config.yaml:1'],
];
for (const [name, given, yaml, port, source] of precedence) {
  test(`precedence: ${name}`, () => {
    const settings = loadYaml(yaml, given);
    assert.equal(settings.port, port);
    assert.equal(settings.sources.port.replace(/ \S*\//, ' '), source);
  });
}

test('flags are taken in commander’s spelling too, and --no-migrate is a false', () => {
  const settings = load({ argvFlags: { stateDir: '/srv/x', migrate: false, verbose: true }, cwd: '/' });
  assert.equal(settings.stateDir, '/srv/x');
  assert.equal(settings.migrate, false);
  assert.equal(settings.sources.migrate, 'flag --migrate');
});

test('a secret is looked for as credential, then _FILE, then variable, then in the file', () => {
  using directory = new TemporaryDirectory();
  directory.write('master-key', 'sk-credential\n');
  const path = directory.write('other', 'sk-from-file\n');
  const yaml = 'general_settings:\n  master_key: sk-in-yaml\n';
  const env: Record<string, string> = {
    CREDENTIALS_DIRECTORY: directory.path,
    GATEWAYCTL_MASTER_KEY_FILE: path,
    LITELLM_MASTER_KEY: 'sk-variable',
  };
  const seen = () => {
    const { masterKey, sources } = loadYaml(yaml, { env });
    return [masterKey, sources.masterKey.replace(/ \S*\//, ' ')];
  };
  assert.deepEqual(seen(), ['sk-credential', 'credential master-key']);
  delete env['CREDENTIALS_DIRECTORY'];
  assert.deepEqual(seen(), ['sk-from-file', 'environment GATEWAYCTL_MASTER_KEY_FILE']);
  delete env['GATEWAYCTL_MASTER_KEY_FILE'];
  assert.deepEqual(seen(), ['sk-variable', 'environment LITELLM_MASTER_KEY']);
  delete env['LITELLM_MASTER_KEY'];
  assert.deepEqual(seen(), ['sk-in-yaml', 'file config.yaml:2']);
});

test('a reference to a missing variable does not matter where something stronger is given', () => {
  const yaml = 'general_settings:\n  master_key: os.environ/NOT_SET\n';
  assert.equal(loadYaml(yaml, { env: { GATEWAYCTL_MASTER_KEY: 'sk-x' } }).masterKey, 'sk-x');
  assert.equal(
    refusal(() => loadYaml(yaml)).shown,
    [
      'config.yaml:2:15: environment variable NOT_SET is not set',
      '  2 |   master_key: …',
      '    |               ^',
    ].join('\n'),
  );
});

test('a secret in the clear is no flag', () => {
  const canary = 'hunter2canary';
  const flags = { 'database-url': `postgres://u:${canary}@h/d`, 'redis-url': `redis://:${canary}@h` };
  const { message, exit } = refusal(() => load({ argvFlags: flags }));
  assert.equal(exit, 78);
  assert.match(message, /--database-url: holds a password.*--database-url @<file>/);
  assert.match(message, /--redis-url/);
  assert.ok(!message.includes(canary));
});

test('a URL without a password, and a file with one, can be flags', () => {
  using directory = new TemporaryDirectory();
  const path = directory.write('url', 'postgres://u:p4ssw0rd%21@h/d\n');
  assert.equal(load({ argvFlags: { 'database-url': 'postgresql://h/d' } }).databaseUrl, 'postgresql://h/d');
  const settings = load({ argvFlags: { 'database-url': `@${path}` } });
  assert.equal(settings.databaseUrl, 'postgres://u:p4ssw0rd%21@h/d');
  assert.deepEqual(settings.secrets.toSorted(), ['p4ssw0rd!', 'p4ssw0rd%21', 'postgres://u:p4ssw0rd%21@h/d']);
  assert.equal(load({ argvFlags: { masterKeyFile: path } }).sources.masterKey, 'flag --master-key-file');
});

test('everything that is wrong is said at once, each with its place', () => {
  const yaml = [
    'model_list:',
    '  - model_name: a',
    '    litelm_params: {}',
    'general_settings:',
    '  database_url: mysql://u:canary1@h/d',
    'gatewayctl:',
    '  log_level: loud',
  ].join('\n');
  const error = refusal(() =>
    loadYaml(yaml, {
      env: { GATEWAYCTL_DRAIN_TIMEOUT: 'soon', REDIS_URL_FILE: '/nowhere' },
      argvFlags: { port: '99999' },
    }),
  );
  assert.equal(error.kind, 'config');
  assert.equal(error.exit, 78);
  assert.equal(
    error.shown,
    [
      'The configuration has 7 problems',
      'config.yaml:3:5: unknown key "litelm_params" (did you mean litellm_params?)',
      '  3 |     litelm_params: …',
      '    |     ^',
      'config.yaml:2:5: litellm_params is missing',
      '  2 |   - model_name: …',
      '    |     ^',
      '--port: must be a whole number from 0 to 65535',
      'config.yaml:5:17: must be a URL that begins with postgresql:// or postgres://',
      '  5 |   database_url: …',
      '    |                 ^',
      'environment variable REDIS_URL_FILE: /nowhere: there is no such file',
      'config.yaml:7:14: must be one of debug, info, warn, error',
      '  7 |   log_level: …',
      '    |              ^',
      'environment variable GATEWAYCTL_DRAIN_TIMEOUT: must be a length of time such as 30s, 15m, 12h or 90d',
    ].join('\n'),
  );
});

test('no file is read unless it is named', () => {
  using directory = new TemporaryDirectory();
  const path = directory.write('config.yaml', file);
  assert.equal(load({ cwd: directory.path }).port, 4000);
  assert.equal(load({ env: { CONFIG_FILE_PATH: path } }).port, 1);
  assert.equal(load({ env: { GATEWAYCTL_CONFIG: path, CONFIG_FILE_PATH: '/nowhere' } }).configFile, path);
  assert.match(refusal(() => load({ file: '/nowhere.yaml' })).message, /^\/nowhere.yaml: there is no such file$/);
  assert.match(refusal(() => load({ file: directory.path })).message, /is a directory$/);
});

test('LiteLLM’s bare numbers have LiteLLM’s units', () => {
  const settings = loadYaml(`
general_settings: {max_request_size_mb: 3, user_api_key_cache_ttl: 60, database_connection_pool_limit: 7}
litellm_settings: {request_timeout: 120}
router_settings: {timeout: 30}
`);
  assert.equal(settings.bodyLimit, 3 * 1024 * 1024);
  assert.deepEqual(settings.authCacheTtl, { count: 60, unit: 's' });
  assert.deepEqual(settings.totalTimeout, { count: 30, unit: 's' });
  assert.equal(settings.dbPoolSize, 7);
});
