import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sealedTexts } from '../src/db/sealed-fields.ts';
import { createVault, keyId, sealedWith, type VaultPurpose } from '../src/kernel/encryption.ts';
import { startUpstream, type Upstream } from './proxy/upstream.ts';
import { aStateDir, bin, cleanEnv, type Gateway, startDaemon, startGateway, until } from './support/gateway.ts';

const models = 1_500;
/** A key for each model, two values of a credential, and what the audit log is chained with. */
const secrets = models + 3;
const oldKey = randomBytes(32);
const newKey = randomBytes(32);

let gateway: Gateway;
let upstream: Upstream;
let files: { readonly old: string; readonly next: string };
before(async () => {
  upstream = await startUpstream({ text: 'hello' });
  gateway = await startGateway({ env: { GATEWAYCTL_ENCRYPTION_KEY: oldKey.toString('base64') } });
  files = { old: join(gateway.stateDir, 'key.old'), next: join(gateway.stateDir, 'key.new') };
  await writeFile(files.old, oldKey.toString('base64'), { mode: 0o600 });
  await writeFile(files.next, newKey.toString('hex'), { mode: 0o600 });
  await fill();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

/** Many models of which each has a key, and a credential, as operations would have made them. */
async function fill(): Promise<void> {
  const made = await gateway.request('POST', '/credentials', {
    body: { credential_name: 'shared', credential_values: { api_key: 'sk-shared-canary-key', api_base: upstream.url } },
  });
  assert.equal(made.status, 200, made.text);
  const vault = createVault(oldKey);
  const ids = Array.from({ length: models }, (_, index) => `m-${String(index).padStart(5, '0')}`);
  const sealed = ids.map((id) => vault.seal(`sk-canary-${id}`, { table: 'models', column: 'api_key', row: id }));
  await gateway.pool.query(
    `insert into gatewayctl.models (id, name, params, api_key, created_at, created_by, updated_at, updated_by)
     select id, id, jsonb_build_object('model', 'openai/x', 'api_base', $3::text), key, now(), 'test', now(), 'test'
     from unnest($1::text[], $2::text[]) as given (id, key)`,
    [ids, sealed, upstream.url],
  );
}

/** What operators gave. The key of the audit log is sealed too, for a purpose of its own, and is what makes one more. */
const allSealed = async () =>
  (await Array.fromAsync(sealedTexts(gateway.pool))).filter(({ place }) => place.table !== 'audit_keys');
const underNew = async (): Promise<number> => {
  const { rows } = await gateway.pool.query<{ count: number }>(
    `select count(*)::int from gatewayctl.models where api_key like $1`,
    [`gwenc:2:${keyId(newKey)}:%`],
  );
  return rows[0]?.count ?? 0;
};
const ctl = (line: string, env: Record<string, string> = {}) =>
  gateway.gatewayctl(line, 'database-url', { env: { GATEWAYCTL_ENCRYPTION_KEY_FILE: files.old, ...env } });

/** A rotation as a process of its own, killed as soon as it has come so far. */
async function killAfter(rows: number): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      bin,
      'crypto',
      'rotate',
      '--new-key-file',
      files.next,
      '--database-url',
      `@${join(gateway.stateDir, 'database-url')}`,
    ],
    { env: cleanEnv({ GATEWAYCTL_ENCRYPTION_KEY_FILE: files.old }), stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  await until(async () => (await underNew()) >= rows || child.exitCode !== null);
  child.kill('SIGKILL');
  await ended;
}

describe('crypto', () => {
  test('status counts what is under each key, and shows no secret', async () => {
    const { out, err, exit } = await ctl('crypto status');
    assert.equal(exit, 0, err);
    assert.equal(out, `${keyId(oldKey)}\t${secrets}\topens\tpresent\n`);
    const other = await ctl('crypto status -o json', { GATEWAYCTL_ENCRYPTION_KEY_FILE: files.next });
    assert.equal(other.exit, 1);
    assert.partialDeepStrictEqual(JSON.parse(other.out), {
      present_key_id: keyId(newKey),
      keys: [{ key_id: keyId(oldKey), rows: secrets, opens: 0, is_present: false }],
    });
    assert.doesNotMatch(`${out}${other.out}${other.err}`, /canary/);
  });

  test('rotate says what it would do, and does none of it', async () => {
    const { err, exit } = await ctl(`crypto rotate --new-key-file ${files.next} --dry-run`);
    assert.equal(exit, 0, err);
    assert.equal(
      err,
      `Nothing was changed. It would be: ${secrets} secrets put under key ${keyId(newKey)}; 0 could not be.\n`,
    );
    assert.equal(await underNew(), 0);
  });

  test('rotate wants a key to go to, and no master key', async () => {
    const without = await ctl('crypto rotate');
    assert.equal(without.exit, 78);
    assert.match(without.err, /--new-key-file/);
    const masterKey = await ctl(`crypto rotate --new-key-file ${files.next}`, {
      GATEWAYCTL_MASTER_KEY: `sk-${newKey.toString('hex')}`,
    });
    assert.equal(masterKey.exit, 78);
    assert.match(masterKey.err, /is the master key/);
    assert.equal(await underNew(), 0);
  });

  test('kill -9 in the middle of a rotation leaves every secret under one of the two keys', async () => {
    const sealedBefore = new Map((await allSealed()).map(({ place, sealed }) => [JSON.stringify(place), sealed]));
    const both = (purpose: VaultPurpose) => createVault({ current: newKey, others: [oldKey] }, purpose);
    for (const rows of [1, models / 3, (2 * models) / 3]) {
      await killAfter(rows);
      const done = await underNew();
      assert.ok(done >= rows && done < models, `${done} rows were done when it was killed`);
      for (const { purpose, sealed, place } of await allSealed()) {
        assert.match(both(purpose).open(sealed, place), purpose === 'audit-mac' ? /^[\w+/]{43}=$/ : /canary|http/);
      }
    }
    const status = await ctl('crypto status', { GATEWAYCTL_ENCRYPTION_KEY_PREVIOUS_FILE: files.next });
    assert.equal(status.exit, 1, 'not everything is under one key yet');
    assert.match(status.out, new RegExp(`^${keyId(newKey)}\\t\\d+\\topens\\tother$`, 'm'));

    const rest = await ctl(`crypto rotate --new-key-file ${files.next}`);
    assert.equal(rest.exit, 0, rest.err);
    for (const { sealed, place } of await allSealed()) {
      assert.equal(sealedWith(sealed), keyId(newKey));
      assert.deepEqual(sealed.split(':').slice(4), sealedBefore.get(JSON.stringify(place))?.split(':').slice(4));
    }
    const again = await ctl(`crypto rotate --new-key-file ${files.next}`);
    assert.match(again.err, /^0 secrets were put under key/);
  });

  test('a rotation is in the audit log', async () => {
    const { body } = await gateway.request('GET', '/audit?object_type=encryption_key');
    const [entry] = body.audit_logs ?? body.entries ?? body.data ?? [];
    assert.equal(entry?.object_id, keyId(newKey), JSON.stringify(body));
  });

  test('a daemon with both keys serves what is under either, and one with the new key alone does afterwards', async () => {
    const key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
    for (const env of [
      { GATEWAYCTL_ENCRYPTION_KEY_FILE: files.old, GATEWAYCTL_ENCRYPTION_KEY_PREVIOUS_FILE: files.next },
      { GATEWAYCTL_ENCRYPTION_KEY_FILE: files.next },
    ]) {
      const stateDir = await aStateDir();
      const master = { GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey };
      const daemon = await startDaemon({ stateDir, databaseUrl: gateway.databaseUrl, env: { ...master, ...env } });
      assert.equal((await daemon.chat(key, 'm-00000')).status, 200);
      assert.equal(upstream.requests.at(-1)?.headers.authorization, 'Bearer sk-canary-m-00000');
      await daemon.stop();
      await rm(stateDir, { recursive: true });
    }
  });

  test('a daemon does not start with its master key as encryption key', async () => {
    const stateDir = await aStateDir();
    const secret = randomBytes(32).toString('hex');
    const env = { GATEWAYCTL_MASTER_KEY: `sk-${secret}`, GATEWAYCTL_ENCRYPTION_KEY: secret };
    await assert.rejects(
      startDaemon({ stateDir, databaseUrl: gateway.databaseUrl, env }),
      /ended with 78[^]*is the master key/,
    );
    await rm(stateDir, { recursive: true });
  });
});
