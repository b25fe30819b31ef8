import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Sources } from '../../src/cli/sources.ts';
import { chooseTarget, describeTarget, type TargetFlags } from '../../src/cli/target.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { gatewayctl } from './support/command-line.ts';

const sources: Sources = {
  file: (path) => Promise.resolve(path.includes('url') ? 'postgres://u:p@filed/gw' : 'key-from-file\n'),
  stdin: () => Promise.resolve('key-from-stdin\n'),
};
const choose = (flags: TargetFlags, env: Record<string, string> = {}) => chooseTarget(flags, env, sources);
const refuses = (kind: string, message: RegExp) => (error: unknown) =>
  error instanceof GatewayError && error.kind === kind && message.test(error.message);

const key = { GATEWAYCTL_KEY: 'k' };
const folder = mkdtempSync(join(tmpdir(), 'cli-'));
after(() => rmSync(folder, { recursive: true }));

describe('where a command goes', () => {
  it('74: is the machine itself when nothing is said', async () => {
    assert.deepEqual(await choose({}), { mode: 'local', stateDir: undefined });
    assert.deepEqual(await choose({ stateDir: '/s' }), { mode: 'local', stateDir: '/s' });
    assert.deepEqual(await choose({}, { GATEWAYCTL_STATE_DIR: '/s' }), { mode: 'local', stateDir: '/s' });
  });

  it('71: is what a flag says, and silently not what the environment says', async () => {
    const server = { mode: 'server', url: 'https://gw', key: 'k' };
    const env = { ...key, GATEWAYCTL_DATABASE_URL: 'postgres://db/x' };
    assert.deepEqual(await choose({ server: 'https://gw' }, env), server);
    const direct = await choose({ databaseUrl: 'postgres://db/gw' }, { ...key, GATEWAYCTL_SERVER: 'https://gw' });
    assert.deepEqual(direct, { mode: 'direct', databaseUrl: 'postgres://db/gw', stateDir: undefined });
    const local = await choose({ stateDir: '/s' }, { ...key, GATEWAYCTL_SERVER: 'https://gw' });
    assert.equal(local.mode, 'local');
  });

  it('74: is refused when two places of the same rank are named', async () => {
    await assert.rejects(
      choose({ server: 'https://gw', direct: true }, key),
      refuses('usage', /--server and --direct name two places/),
    );
    await assert.rejects(choose({ server: 'https://gw', stateDir: '/s' }, key), refuses('usage', /--state-dir/));
    const both = { GATEWAYCTL_SERVER: 'https://gw', GATEWAYCTL_DATABASE_URL: 'postgres://db1/g' };
    await assert.rejects(
      choose({}, both),
      refuses('usage', /^both GATEWAYCTL_SERVER and GATEWAYCTL_DATABASE_URL are set; which one is meant\?$/),
    );
  });

  it('78, 79: takes the names of others last, and an empty one not at all', async () => {
    const env = { LITELLM_PROXY_URL: 'http://l', LITELLM_PROXY_API_KEY: 'lk', DATABASE_URL: 'postgres://db/x' };
    assert.deepEqual(await choose({}, env), { mode: 'server', url: 'http://l', key: 'lk' });
    assert.equal((await choose({}, { ...env, GATEWAYCTL_DATABASE_URL: 'postgres://own/x' })).mode, 'direct');
    assert.deepEqual(await choose({}, { DATABASE_URL: 'postgres://db/x' }), {
      mode: 'direct',
      databaseUrl: 'postgres://db/x',
      stateDir: undefined,
    });
    assert.equal((await choose({}, { GATEWAYCTL_SERVER: '', DATABASE_URL: '' })).mode, 'local');
  });

  it('goes to a database with --direct: the one of the environment, or the embedded one', async () => {
    const env = { GATEWAYCTL_DATABASE_URL: 'postgres://db/gw', GATEWAYCTL_SERVER: 'https://gw' };
    assert.equal(describeTarget(await choose({ direct: true }, env)), 'direct · postgres://db/gw');
    assert.equal(describeTarget(await choose({ direct: true })), 'direct · embedded database');
    const embedded = await choose({ direct: true, stateDir: '/s' }, env);
    assert.deepEqual(embedded, { mode: 'direct', databaseUrl: undefined, stateDir: '/s' });
  });

  it('62: takes a database password from a file, standard input and the environment', async () => {
    for (const [flags, env] of [
      [{ databaseUrl: '@/x/url' }, {}],
      [{}, { GATEWAYCTL_DATABASE_URL: 'postgres://u:p@filed/gw' }],
    ] as const) {
      const target = await choose(flags, env);
      assert.ok(target.mode === 'direct');
      assert.equal(target.databaseUrl, 'postgres://u:p@filed/gw');
      assert.equal(describeTarget(target), 'direct · postgres://u@filed/gw');
    }
    await assert.rejects(choose({ databaseUrl: 'postgres://u:p@db/gw' }), refuses('usage', /password/));
    await assert.rejects(choose({ databaseUrl: 'mysql://db/gw' }), refuses('usage', /not a PostgreSQL address/));
  });

  it('62: takes the key from a file, standard input and the environment', async () => {
    for (const [flags, env, expected] of [
      [{ keyFile: '/k' }, key, 'key-from-file'],
      [{ adminKeyFile: '/k' }, key, 'key-from-file'],
      [{ adminKeyStdin: true }, key, 'key-from-stdin'],
      [{}, { ...key, LITELLM_PROXY_API_KEY: 'l' }, 'k'],
      [{}, { GATEWAYCTL_KEY_FILE: '/k' }, 'key-from-file'],
      [{}, { LITELLM_PROXY_API_KEY: 'l' }, 'l'],
    ] as const) {
      const target = await choose({ ...flags, server: 'https://gw' }, env);
      assert.ok(target.mode === 'server');
      assert.equal(target.key, expected);
    }
    await assert.rejects(choose({ server: 'https://gw' }), refuses('unauthenticated', /no key for https:\/\/gw/));
    assert.equal((await choose({ server: 'unix:///run/admin.sock' })).mode, 'server');
    const two = { keyFile: '/k', adminKeyStdin: true, server: 'https://gw' };
    await assert.rejects(choose(two), refuses('usage', /both give a key/));
    const env = { GATEWAYCTL_KEY: 'a', GATEWAYCTL_KEY_FILE: '/b' };
    await assert.rejects(choose({ server: 'https://gw' }, env), refuses('usage', /which one/));
  });

  it('refuses what is no address', async () => {
    for (const server of ['gw', 'ftp://gw', 'https://']) {
      await assert.rejects(choose({ server }, key), refuses('usage', /is not an address/));
    }
  });

  it('75: is said on changes to a person, and with --verbose', async () => {
    const change = await gatewayctl('widget create --name a --direct', { tty: true });
    assert.match(change.err, /^direct · embedded database\n/);
    assert.doesNotMatch((await gatewayctl('widget list --direct', { tty: true })).err, /direct/);
    assert.match((await gatewayctl('widget list --direct -v')).err, /^direct · embedded database\n/);
  });

  it('reads the admin key and the object from different places, or says that it cannot', async () => {
    const file = join(folder, 'key');
    writeFileSync(file, 'sk-admin-key-1\n');
    const line = `widget get --key-stdin --server http://127.0.0.1:9 --admin-key-file ${file}`;
    assert.equal((await gatewayctl(line, { stdin: 'sk-object-key-1' })).exit, 0);
    const twice = await gatewayctl('widget get --key-stdin --server https://gw --admin-key-stdin', {
      stdin: 'sk-a-key-123',
    });
    assert.equal(twice.exit, 2);
    assert.match(twice.err, /both want standard input/);
  });
});
