import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { versionLine } from '../../src/cli/version.ts';

const root = join(import.meta.dirname, '../..');

/** Every package and every room of ours that a process loads when it imports a file and runs some code. */
function loaded(code: string): readonly string[] {
  const watch = `
    import { registerHooks } from 'node:module';
    const seen = new Set();
    registerHooks({ load(url, context, next) { seen.add(url); return next(url, context); } });
    process.on('exit', () => console.log(JSON.stringify([...seen])));
    ${code}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', watch], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  const urls: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]');
  assert.ok(Array.isArray(urls));
  const names = urls.map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)|\/src\/([^/]+)\//.exec(String(url)));
  return [...new Set(names.map((match) => match?.[1] ?? match?.[2] ?? 'node'))].toSorted();
}

describe('starting', () => {
  it('103: loads only the parser and the schemas', () => {
    const names = loaded(`await import('./src/cli/run.ts')`);
    assert.deepEqual(
      names.filter((name) => !['node', 'commander', 'zod', 'cli', 'kernel'].includes(name)),
      [],
    );
  });

  it('103: loads the operations without a database, a web server or Redis', () => {
    const names = loaded(`await import('./src/operations.ts')`);
    for (const heavy of ['@mikro-orm', 'pg', 'koa', 'keyv', 'undici', 'pino']) {
      assert.ok(!names.some((name) => name === heavy || name.startsWith(`${heavy}/`)), heavy);
    }
  });

  it('loads no package of a provider before a deployment is called that needs one', () => {
    const names = loaded(`await import('./src/data-plane.ts')`);
    assert.deepEqual(
      names.filter((name) => /^(?:@ai-sdk\/|aws4fetch$|@smithy\/)/.test(name)),
      [],
    );
    assert.ok(names.includes('translation'));
  });

  it('106: prints the version without loading anything', () => {
    assert.match(versionLine(['-V']) ?? '', /^gatewayctl \d/);
    assert.equal(versionLine(['key', '-V']), undefined);
    const names = loaded(`(await import('./src/cli/version.ts')).versionLine(['--version'])`);
    assert.deepEqual(names, ['cli', 'node']);
  });
});
