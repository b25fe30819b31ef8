import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { aStateDir, cleanEnv } from './support/gateway.ts';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

interface Packed {
  readonly filename: string;
  readonly version: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

let scratch: string;
let packed: Packed;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'gatewayctl-package-'));
  const npm = ['pack', '--json', '--pack-destination', scratch];
  const { stdout } = await execute('npm', npm, { cwd: root, maxBuffer: 16 * 1024 ** 2 });
  // npm 11 answers a list; before the JSON stands what the build had to say.
  const answer: unknown = JSON.parse(stdout.slice(stdout.search(/^[[{]/m)));
  packed = (Array.isArray(answer) ? answer : Object.values(answer as object))[0] as Packed;
});
after(() => rm(scratch, { recursive: true, force: true }));

test('the package holds what it needs to run and to be read, and none of what it was made of', () => {
  const paths = packed.files.map(({ path }) => path);
  for (const path of [
    'package.json',
    'LICENSE',
    'README.md',
    'openapi.json',
    'bin/gatewayctl.js',
    'dist/main.js',
    'completions/gatewayctl.bash',
    'man/gatewayctl.1',
    'man/gatewayctl-key-generate.1',
  ]) {
    assert.ok(paths.includes(path), path);
  }
  const unwanted = /^(src|test|bench|scripts|docs|node_modules|\.)|(?<!\.d)\.ts$|\.tsbuildinfo$|(^|\/)\.env/;
  assert.deepEqual(
    paths.filter((path) => unwanted.test(path)),
    [],
  );
  const program = packed.files.find(({ path }) => path === 'bin/gatewayctl.js');
  assert.equal((program?.mode ?? 0) & 0o111, 0o111, 'the program is executable');
});

describe('installed for everybody, without any install script', () => {
  let prefix: string;
  before(async () => {
    prefix = join(scratch, 'prefix');
    // What npm leaves out on its own until somebody allows it must not be needed.
    const npm = ['install', '--global', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    await execute('npm', [...npm, '--prefix', prefix, join(scratch, packed.filename)], { cwd: scratch });
  });

  const program = () => join(prefix, 'bin/gatewayctl');
  const env = (more: Record<string, string> = {}) =>
    cleanEnv({ PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, ...more });
  const run = async (args: readonly string[], more: Record<string, string> = {}) =>
    (await execute(program(), args, { cwd: scratch, env: env(more) })).stdout;

  test('it says its version and explains itself', async () => {
    assert.equal(await run(['--version']), `gatewayctl ${packed.version}\n`);
    assert.match(await run(['--help']), /Usage: gatewayctl <command>/);
    assert.match(await run(['completion', 'bash']), /complete /);
  });

  test('its manual pages are where man looks for them', async () => {
    const linked = await Promise.all(['man1', 'man7'].map((section) => readdir(join(prefix, 'share/man', section))));
    assert.deepEqual(linked.flat().toSorted(), (await readdir(join(root, 'man'))).toSorted(), 'npm run generate');
  });

  test('it serves, makes a key, answers a call and books it', async () => {
    const stateDir = await aStateDir();
    const more = { GATEWAYCTL_STATE_DIR: stateDir };
    const daemon = spawn(program(), ['serve', '--port', '0'], {
      cwd: scratch,
      env: env(more),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(daemon, 'exit');
    try {
      const key = (async () => {
        const url = await listening(daemon.stderr);
        return { url, key: (await run(['key', 'generate', '--alias', 'first', '-q'], more)).trim() };
      })();
      const { url, key: secret } = await key;
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'mock-gpt', messages: [{ role: 'user', content: 'Hello' }] }),
      });
      assert.equal(response.status, 200);
      assert.match(await response.text(), /"content":"Hello"/);
      assert.match(await (await fetch(`${url}/openapi.json`)).text(), /"openapi": ?"3\.1/);
    } finally {
      daemon.kill('SIGTERM');
      await ended;
      const { spend } = JSON.parse(await run(['key', 'get', 'first', '--json'], more)) as { spend: number };
      await rm(stateDir, { recursive: true, force: true });
      assert.equal(daemon.exitCode, 0);
      assert.ok(spend > 0, 'the database itself says so, now that the daemon has ended');
    }
  });
});

test('an older Node is told which one is needed', async (t) => {
  const older = await olderNode();
  if (older === undefined) return t.skip('no older Node is installed here');
  const failed = execute(older, [join(root, 'bin/gatewayctl.js'), '--version'], { env: cleanEnv() });
  await assert.rejects(failed, (error: Error & { code: number; stderr: string }) => {
    assert.equal(error.code, 70);
    assert.match(error.stderr, /^gatewayctl needs Node 24\.15 or later; this is Node \d+\.\d+\.\d+ \(.*\)\.\n$/);
    return true;
  });
  return undefined;
});

async function olderNode(): Promise<string | undefined> {
  for (const path of ['/usr/bin/node', '/usr/local/bin/node']) {
    const version = await access(path).then(
      async () => (await execute(path, ['--version'])).stdout,
      () => '',
    );
    const major = Number(/^v(\d+)/.exec(version)?.[1] ?? Infinity);
    if (major < 24) return path;
  }
  return undefined;
}

async function listening(output: NodeJS.ReadableStream): Promise<string> {
  const said: string[] = [];
  for await (const line of createInterface({ input: output })) {
    said.push(line);
    const url = /listens on (http:\/\/[^\s"]+)/.exec(line)?.[1];
    if (url === undefined) continue;
    output.resume();
    return url;
  }
  throw new Error(`The daemon ended:\n${said.join('\n')}`);
}

test('the lock file names no registry, and every tool for every platform', async () => {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>;
  };
  for (const [path, { resolved, optionalDependencies = {} }] of Object.entries(packages)) {
    assert.equal(resolved, undefined, path);
    // npm ci refuses to install anything at all where one is missing.
    for (const name of Object.keys(optionalDependencies)) assert.ok(`node_modules/${name}` in packages, name);
  }
});
