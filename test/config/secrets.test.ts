import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { resolveEncryptionKey } from '../../src/config/encryption-key.ts';
import { resolveMasterKey } from '../../src/config/master-key.ts';
import { generateSecret, isMalformed } from '../../src/kernel/secret.ts';
import { refusal, TemporaryDirectory } from './support.ts';

const none = { masterKey: undefined, encryptionKey: undefined, insecureDevKey: false };

test('beside the embedded database a master key is made once and kept, readable by nobody else', () => {
  using directory = new TemporaryDirectory();
  const place = { stateDir: directory.path, embedded: true };
  const made = resolveMasterKey(none, place);
  assert.equal(made.origin, 'generated');
  assert.match(made.secret, /^sk-gwm1_/);
  assert.equal(isMalformed(made.secret), false);
  assert.equal(made.path, join(directory.path, 'master-key'));
  assert.equal(statSync(made.path).mode & 0o777, 0o600);
  assert.deepEqual(resolveMasterKey(none, place), { ...made, origin: 'kept' });
  assert.deepEqual(readdirSync(directory.path), ['master-key']);
});

test('with a database of the operator’s a master key must be given, and the ways are named', () => {
  const error = refusal(() => resolveMasterKey(none, { stateDir: '/nowhere', embedded: false }));
  assert.equal(error.exit, 78);
  assert.match(
    error.hint ?? '',
    /GATEWAYCTL_MASTER_KEY_FILE.*LITELLM_MASTER_KEY.*--master-key-file.*general_settings.master_key/,
  );
});

const refused: readonly (readonly [string, RegExp])[] = [
  ['sk-1234', /published placeholder/],
  ['sk-12345678901234567890123456789012345678', /published placeholder/],
  ['sk-master', /too easy/],
  ['sk-master-key-of-the-whole-gateway-2026', /published placeholder/],
  ['sk-changeme', /published placeholder/],
  ['sk-your-litellm-master-key-goes-here-please', /published placeholder/],
  ['sk-<your-key>', /published placeholder/],
  ['sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', /too easy/],
  ['sk-abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz', /too easy/],
  ['sk-abababababababababababababababababababab', /too easy/],
  ['sk-winter-2026', /too easy/],
  ['changeme', /does not begin with sk-/],
  ['sk-with space kX83hdRwq02mZ4LpTa9v', /character that cannot stand/],
  [`${generateSecret('master').slice(0, -1)}~`, /checksum is wrong/],
];
for (const [masterKey, expected] of refused) {
  test(`the master key ${masterKey.slice(0, 24)} is refused, unless it is only weak and that was asked for`, () => {
    const place = { stateDir: '/nowhere', embedded: false };
    const error = refusal(() => resolveMasterKey({ masterKey, insecureDevKey: false }, place));
    assert.match(error.message, expected);
    assert.equal(error.exit, 78);
    assert.ok(!`${error.message} ${error.hint}`.includes(masterKey.slice(3)) || masterKey.length < 12);
    const insecure = () => resolveMasterKey({ masterKey, insecureDevKey: true }, place);
    if (/placeholder|easy/.test(error.message)) assert.equal(insecure().origin, 'configured');
    else assert.match(refusal(insecure).message, expected);
  });
}

test('random keys as people make them are accepted', () => {
  const keys = [
    'sk-9f86d081884c7d659a2feaa0c55ad015',
    'sk-kX83hdRwq02mZ4LpTa9v',
    'sk-p0lkFsO2u8mWcVQXg7Yz1aTbNeR5iHj3',
    generateSecret('master'),
  ];
  for (const masterKey of keys) {
    const settings = { masterKey, insecureDevKey: false };
    assert.equal(resolveMasterKey(settings, { stateDir: '/nowhere', embedded: false }).secret, masterKey);
  }
});

test('a kept key that others can read is refused with the command to run', () => {
  using directory = new TemporaryDirectory();
  const place = { stateDir: directory.path, embedded: true };
  const { path = '', secret } = resolveMasterKey(none, place);
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(path, mode);
    const error = refusal(() => resolveMasterKey(none, place));
    assert.equal(error.hint, `Run: chmod 600 '${path}'`);
    assert.ok(!error.message.includes(secret));
  }
});

test('a kept key that is empty, or a link to elsewhere, is refused and not replaced', () => {
  using directory = new TemporaryDirectory();
  const place = { stateDir: directory.path, embedded: true };
  const path = directory.write('master-key', '');
  assert.match(refusal(() => resolveMasterKey(none, place)).message, /holds no secret/);
  assert.equal(readFileSync(path, 'utf8'), '');
  const target = directory.write('target', 'sk-x');
  symlinkSync(target, join(directory.path, 'encryption-key'));
  assert.match(refusal(() => resolveEncryptionKey(none, place)).message, /is a symbolic link/);
});

test('eight starters at once end with the same keys', async () => {
  using directory = new TemporaryDirectory();
  const program = `
    const { resolveMasterKey } = await import(${JSON.stringify(import.meta.resolve('../../src/config/master-key.ts'))});
    const { resolveEncryptionKey } = await import(${JSON.stringify(import.meta.resolve('../../src/config/encryption-key.ts'))});
    process.stdout.write('ready\\n');
    process.stdin.once('data', () => {
      const place = { stateDir: ${JSON.stringify(directory.path)}, embedded: true };
      const master = resolveMasterKey({ insecureDevKey: false }, place);
      const encryption = resolveEncryptionKey({}, place);
      console.log(master.origin, master.secret, encryption.key.toString('hex'));
      process.stdin.destroy();
    });`;
  const children = Array.from({ length: 8 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  await Promise.all(children.map((child) => once(child.stdout, 'data')));
  for (const child of children) child.stdin.write('go\n');
  const lines = await Promise.all(children.map(async (child) => (await text(child.stdout)).trim().split(' ')));
  assert.equal(lines.filter(([origin]) => origin === 'generated').length, 1);
  assert.equal(new Set(lines.map(([, master]) => master)).size, 1);
  assert.equal(new Set(lines.map(([, , encryption]) => encryption)).size, 1);
  assert.deepEqual(readdirSync(directory.path).toSorted(), ['encryption-key', 'master-key']);
});

test('the encryption key is kept like the master key, has nothing to do with it, and is optional elsewhere', () => {
  using directory = new TemporaryDirectory();
  const place = { stateDir: directory.path, embedded: true };
  const made = resolveEncryptionKey(none, place);
  assert.equal(made?.key.length, 32);
  assert.deepEqual(resolveEncryptionKey(none, place), { ...made, origin: 'kept' });
  assert.equal(existsSync(join(directory.path, 'master-key')), false);
  assert.equal(resolveEncryptionKey(none, { ...place, embedded: false }), undefined);
  const key = Buffer.alloc(32, 7);
  assert.deepEqual(resolveEncryptionKey({ encryptionKey: key }, place), { key, origin: 'configured' });
  directory.write('encryption-key', 'short');
  assert.match(refusal(() => resolveEncryptionKey(none, place)).message, /does not hold 32 bytes/);
});
