import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { splitLine } from '../../src/docs/command-line.ts';
import { dataPlanePaths } from '../../src/docs/data-plane.ts';
import { operations } from '../../src/operations.ts';
import { wholeProgram } from '../support/documents.ts';
import { settingsTable } from '../support/settings-table.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = [...globSync('*.md', { cwd: root }), ...globSync('docs/**/*.md', { cwd: root })].toSorted();
const litellm = read('docs/litellm.md');

/** What a reader would type: lines of shell blocks, and words in backticks that begin with the program's name. */
function commandsIn(text: string): string[][] {
  const blocks = [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].flatMap(([, block = '']) =>
    block.replaceAll('\\\n', ' ').split('\n'),
  );
  const quoted = [...text.replaceAll(/^ *```.*?^ *```$/gms, '').matchAll(/`((?:npx )?gatewayctl [^`]+)`/g)].map(
    ([, line = '']) => line,
  );
  return [...blocks, ...quoted]
    .flatMap((line) => line.split(/\$\(|\)(?=\s|$)|\s(?:\|\|?|&&)\s/))
    .map((part) => part.trim().replace(/^npx (?=gatewayctl )/, ''))
    .filter((part) => part.startsWith('gatewayctl '))
    .map((part) => part.replace(/\s(?:\d?>>?|<)\s*\S+/g, ''))
    .map((part) =>
      splitLine(part)
        .map(({ text: word }) => word)
        .slice(1),
    );
}

/** Parses as the program would and runs nothing: the tree was made without actions. */
function parse(words: readonly string[]): void {
  try {
    wholeProgram().parse(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    throw error;
  }
}

/** A command that is only named, such as `gatewayctl model create`, lacks its arguments. */
const onlyNames = (error: unknown): boolean =>
  error instanceof CommanderError && error.code === 'commander.missingArgument';

test('the README can be read at one sitting', () => {
  const lines = read('README.md').split('\n').length;
  assert.ok(lines < 150, `${lines} lines`);
});

describe('the commands in the documents', () => {
  for (const page of pages) {
    for (const words of commandsIn(read(page))) {
      test(`${page}: ${words.join(' ')}`, () => {
        try {
          parse(words);
        } catch (error) {
          if (!onlyNames(error)) throw error;
        }
      });
    }
  }

  test('are found, and recognised when they are wrong', () => {
    const found = commandsIn(
      '```sh\nKEY=$(npx gatewayctl key get a -q) \\\n  && gatewayctl key list\n```\n`gatewayctl nope`',
    );
    assert.deepEqual(found, [['key', 'get', 'a', '-q'], ['key', 'list'], ['nope']]);
    assert.throws(() => parse(['key', 'list', '--nonsense']), CommanderError);
    assert.throws(() => parse(['nope']), CommanderError);
  });
});

/** The cells of a table's rows, however the columns are aligned. */
const cells = (table: string): string[][] =>
  table
    .trim()
    .split('\n')
    .filter((line) => !/^\|[\s|:-]+\|$/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));

test('the table of settings is that of the program', () => {
  const [, table = ''] = /<!-- settings:[^\n]*\n(.*?)<!-- end of settings -->/s.exec(read('docs/operating.md')) ?? [];
  assert.deepEqual(cells(table), cells(settingsTable()));
});

describe('docs/litellm.md', () => {
  const rows = [...litellm.matchAll(/^\| `([A-Z]+ \/[^`]*)` +\| (served|not yet|no) +\|/gm)];
  const listed = (wanted: (state: string) => boolean) =>
    rows.filter(([, , state = '']) => wanted(state)).map(([, route = '']) => route);

  const admin = operations.flatMap(({ route, alsoAt = [] }) =>
    [route, ...alsoAt].map(([method, path]) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`),
  );
  const data = Object.entries(dataPlanePaths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );

  test('lists every route that is served, and no other, as served', () => {
    assert.deepEqual(listed((state) => state === 'served').toSorted(), [...admin, ...data].toSorted());
  });

  test('lists no route twice', () => {
    const all = listed(() => true);
    assert.deepEqual(
      all.filter((route, index) => all.indexOf(route) !== index),
      [],
    );
  });

  test('says of every route that is not served why', () => {
    const silent = [...litellm.matchAll(/^\| `([A-Z]+ \/[^`]*)` +\| (?:not yet|no) +\| +\|$/gm)];
    assert.deepEqual(
      silent.map(([, route = '']) => route),
      [],
    );
  });

  test('names every field that is refused, at its route', () => {
    const lines = litellm.split('\n');
    for (const { route, unserved = [] } of operations) {
      if (unserved.length === 0) continue;
      const [method, path] = route;
      const line = lines.find((each) => each.startsWith('- ') && each.includes(`\`${method} ${path}\``)) ?? '';
      const names = [...line.slice(line.lastIndexOf('`: ')).matchAll(/`([a-z_]+)`/g)].map(([, name = '']) => name);
      assert.deepEqual(names.toSorted(), [...unserved].toSorted(), `${method} ${path}`);
    }
  });

  test('names every key of config.yaml that is read as a setting', () => {
    const named = new Set(
      [...litellm.matchAll(/^\| `((?:general|litellm|router)_settings\.\w+)`/gm)].map(([, key = '']) => key),
    );
    const served = new Set(
      [...settingsTable().matchAll(/`((?:general|litellm|router)_settings\.\w+)`/g)].map(([, key = '']) => key),
    );
    assert.deepEqual([...named].toSorted(), [...served].toSorted());
  });
});

test('links lead somewhere', () => {
  for (const page of pages) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      assert.ok(existsSync(join(root, file)), `${page}: ${target}`);
      if (anchor !== undefined) assert.ok(anchorsOf(read(file)).has(anchor), `${page}: ${target}`);
    }
  }
});

/** As forges make them of headings: lower case, blanks to hyphens, punctuation gone. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replaceAll(/[^\w\s-]/g, '').replaceAll(' ', '-')));
}

test('every decision has its three parts and fits on a page', () => {
  for (const page of pages.filter((path) => path.startsWith('docs/adr/'))) {
    const text = read(page);
    const parts = [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title);
    assert.deepEqual(parts, ['Background', 'Decision', 'Consequences'], page);
    assert.ok(text.split('\n').length <= 60, `${page} is longer than a page`);
  }
});
