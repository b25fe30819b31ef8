import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultStateDir, prepareStateDir } from '../../src/config/state-dir.ts';
import { load, refusal, TemporaryDirectory } from './support.ts';

const user = { env: {}, uid: 1000, home: '/home/ann' };
const checkout = '/home/ann/gatewayctl';
const cases: readonly (readonly [string, Parameters<typeof defaultStateDir>[0], string])[] = [
  ['an ordinary user', user, '/home/ann/.local/state/gatewayctl'],
  ['root', { ...user, uid: 0 }, '/var/lib/gatewayctl'],
  ['XDG_STATE_HOME', { ...user, env: { XDG_STATE_HOME: '/s' } }, '/s/gatewayctl'],
  ['a relative XDG_STATE_HOME', { ...user, env: { XDG_STATE_HOME: 's' } }, '/home/ann/.local/state/gatewayctl'],
  ['root with XDG_STATE_HOME', { ...user, uid: 0, env: { XDG_STATE_HOME: '/s' } }, '/var/lib/gatewayctl'],
  ['systemd', { ...user, env: { STATE_DIRECTORY: '/var/lib/a:/var/lib/b' } }, '/var/lib/a'],
  ['systemd and a checkout', { ...user, checkout, env: { STATE_DIRECTORY: '/var/lib/a' } }, '/var/lib/a'],
  ['a checkout', { ...user, checkout }, '/home/ann/.local/state/gatewayctl-fbf663d1'],
  ['a checkout of root', { ...user, uid: 0, checkout }, '/var/lib/gatewayctl-fbf663d1'],
];
for (const [name, given, expected] of cases) {
  test(`the state of ${name} is in ${expected}`, () => assert.equal(defaultStateDir(given).path, expected));
}

test('a state directory that was named is taken as it is, made absolute from where it was named', () => {
  assert.equal(load({ checkout, cwd: '/srv', argvFlags: { 'state-dir': 'here' } }).stateDir, '/srv/here');
  const env = { GATEWAYCTL_STATE_DIR: '/srv/gw', STATE_DIRECTORY: '/var/lib/a' };
  assert.equal(load({ checkout, env }).stateDir, '/srv/gw');
  using directory = new TemporaryDirectory();
  const file = directory.write('c.yaml', 'gatewayctl: {state_dir: below}');
  assert.equal(load({ file, cwd: '/work' }).stateDir, join(directory.path, 'below'));
});

test('the state directory is closed to others, but for passing through where root owns it', () => {
  using directory = new TemporaryDirectory();
  const path = join(directory.path, 'a', 'b');
  prepareStateDir(path);
  const expected = process.getuid?.() === 0 ? 0o711 : 0o700;
  assert.equal(statSync(path).mode & 0o777, expected);
});

test('a directory that was there keeps its mode, and is refused when others may write to it', () => {
  using directory = new TemporaryDirectory();
  const path = join(directory.path, 'home');
  mkdirSync(path);
  for (const mode of [0o755, 0o750, 0o700]) {
    chmodSync(path, mode);
    prepareStateDir(path);
    assert.equal(statSync(path).mode & 0o777, mode);
  }
  for (const mode of [0o1777, 0o777, 0o770, 0o702]) {
    chmodSync(path, mode);
    const error = refusal(() => prepareStateDir(path));
    assert.equal(error.kind, 'system');
    assert.match(error.shown, /may be written to by other users$/);
    assert.equal(statSync(path).mode & 0o7777, mode);
  }
});

test('a state directory of somebody else is refused', () => {
  using directory = new TemporaryDirectory();
  mkdirSync(join(directory.path, 'theirs'));
  const error = refusal(() => prepareStateDir(join(directory.path, 'theirs'), (process.getuid?.() ?? 0) + 1));
  assert.equal(error.kind, 'system');
  assert.match(error.shown, /^The state directory theirs belongs to user \d+ and not to user \d+$/);
});

test('a file in the place of the state directory is refused', () => {
  using directory = new TemporaryDirectory();
  const path = directory.write('file', '');
  assert.equal(refusal(() => prepareStateDir(path)).shown, 'The state directory file is not a directory');
  assert.match(
    refusal(() => prepareStateDir(join(path, 'below'))).shown,
    /lies below something that is not a directory$/,
  );
});

test(
  'a place that takes no directories is named, and not tried for ever',
  { skip: existsSync('/proc/self') ? false : 'there is no /proc' },
  () => {
    assert.throws(
      () => prepareStateDir('/proc/gatewayctl/state'),
      /\/proc\/gatewayctl\/state cannot be created: this file system takes no directories/,
    );
  },
);
