import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { env, execPath } from 'node:process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Shell, completionScripts } from '../../src/docs/completion-scripts.ts';

const program = fileURLToPath(new URL('gatewayctl-complete.ts', import.meta.url));
const missing = (shell: Shell) => (spawnSync(shell, ['--version']).error ? `${shell} is not installed` : false);

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatewayctl-completion-'));
  const wrapper = join(directory, 'gatewayctl');
  await writeFile(wrapper, `#!/bin/sh\nexec '${execPath}' '${program}' "$@"\n`);
  await chmod(wrapper, 0o755);
  await Promise.all(Object.entries(completionScripts).map(([shell, text]) => writeFile(join(directory, shell), text)));
});

after(() => rm(directory, { recursive: true }));

/** Runs a script in a shell without anybody's settings, and gives back the lines it wrote. */
function run(shell: Shell, script: string): string[] {
  const clean = { bash: ['--norc', '--noprofile', '-c'], zsh: ['-f', '-c'], fish: ['--no-config', '-c'] }[shell];
  const { stdout, stderr } = spawnSync(shell, [...clean, script], {
    cwd: directory,
    env: { ...env, PATH: `${directory}${delimiter}${env['PATH']}`, HOME: directory },
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return stdout.split('\n').filter((line) => line !== '');
}

const quote = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** What each shell would offer at the end of a line. bash and zsh are told the state their line editor would be in. */
const offers: Record<Shell, (line: string) => string[]> = {
  bash: (line) =>
    run(
      'bash',
      `set -u; source ./bash; source ./bash
      compopt() { echo "compopt $*"; }
      COMP_LINE=${quote(`${line} behind the cursor`)} COMP_POINT=${line.length} COMP_TYPE=9
      COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
      _gatewayctl; printf '%s\\n' "\${COMPREPLY[@]-}"`,
    ),
  zsh: (line) =>
    run(
      'zsh',
      `compdef() { }; _files() { print compopt }; _describe() { print -rl -- "\${(@P)3}" }
      source ./zsh; source ./zsh
      words=(\${(z)\${:-${quote(line)}}}); [[ ${quote(line)} == *' ' ]] && words+=('')
      CURRENT=$#words; PREFIX=$words[-1]; words+=(behind)
      _gatewayctl`,
    ),
  fish: (line) => run('fish', `source ./fish; source ./fish; complete -C ${quote(line)}`),
};

const withoutDescription = (candidate: string) => candidate.replace(/(?<!\\)[:\t].*/, '');

const names = (shell: Shell, line: string) => offers[shell](line).map(withoutDescription);

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  describe(`in ${shell}`, { skip: missing(shell) }, () => {
    test('commands and aliases are completed', () => {
      assert.deepEqual(names(shell, 'gatewayctl key ge').toSorted(), ['generate', 'get']);
      assert.deepEqual(names(shell, 'gatewayctl keys del'), ['delete']);
    });

    test('values of flags are completed, also in comma lists', () => {
      assert.deepEqual(names(shell, 'gatewayctl -o t').toSorted(), ['table', 'tsv']);
      assert.deepEqual(names(shell, 'gatewayctl key generate --models gpt-5,c'), ['gpt-5,command-r']);
      assert.deepEqual(names(shell, 'gatewayctl --output=ta'), [shell === 'bash' ? 'table' : '--output=table']);
    });

    test('names with colons and blanks arrive whole', () => {
      const [first] = offers[shell]('gatewayctl key get with:');
      assert.equal(first?.trim(), { bash: 'colon:a', zsh: String.raw`with\:colon\:a`, fish: 'with:colon:a' }[shell]);
      assert.match(offers[shell](String.raw`gatewayctl key get ci\ n`)[0] ?? '', /^ci\\? nightly/);
    });

    test('files are left to the shell', () => {
      const offered = offers[shell]('gatewayctl key generate --file ./gate');
      assert.ok(offered.some((each) => each.startsWith('compopt') || each.startsWith('./gatewayctl')));
    });

    test('nothing that was typed is run', async () => {
      const line = 'gatewayctl key delete $(touch pwned) `touch pwned` "$(touch pwned)" ci-';
      assert.deepEqual(names(shell, line), ['ci-runner']);
      assert.ok(!(await readdir(directory)).includes('pwned'));
    });
  });
}
