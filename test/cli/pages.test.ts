import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayctl } from './support/command-line.ts';
import { inShell } from './support/terminal.ts';

const rows = Array.from({ length: 250 }, (_, index) => ({ name: `n${index}` }));
const lines = (text: string) => text.trimEnd().split('\n');

describe('a list in pages', () => {
  it('35: is of 100 where nothing is said, and says in a pipe too that there is more', async () => {
    const { out, err, input } = await gatewayctl('crate list', { rows });
    assert.deepEqual(input, { size: 100 });
    assert.equal(lines(out).length, 100);
    assert.equal(err, 'Showing 100 of 250 crates (--all for every one)\n');
    assert.equal((await gatewayctl('crate list -q', { rows })).err, err);
    assert.equal((await gatewayctl('crate list', { rows: rows.slice(0, 100) })).err, '');
  });

  it('33: is cut in silence where the line asks for it and nobody watches', async () => {
    for (const line of ['crate list -n 5', 'crate list --page 2']) {
      assert.equal((await gatewayctl(line, { rows })).err, '', line);
      assert.match((await gatewayctl(line, { rows, tty: true })).err, /^Showing \d+ of 250 crates/, line);
    }
  });

  for (const [format, length] of [
    ['tsv', 250],
    ['tsv --header', 251],
    ['csv', 251],
    ['jsonl', 250],
    ['name', 250],
    ['tsv -q', 250],
  ] as const) {
    it(`35: --all prints each page as it comes: ${format}`, async () => {
      const { out, err, calls } = await gatewayctl(`crate list --all -o ${format}`, { rows });
      assert.equal(lines(out).length, length);
      assert.equal(err, '');
      assert.deepEqual(
        calls.map(({ input }) => input),
        [1, 2, 3].map((page) => ({ page, size: 100 })),
      );
    });
  }

  it('35: --all is one answer where the format needs it', async () => {
    const { out } = await gatewayctl('crate list --all --json', { rows });
    assert.deepEqual(JSON.parse(out), rows);
    const table = await gatewayctl('crate list --all', { rows, tty: true });
    assert.equal(lines(table.out).length, 251);
    assert.equal(table.err, '250 crates.\n');
    assert.equal((await gatewayctl('crate list --all', { rows: [] })).err, 'No crates match.\n');
  });

  it('35: is the whole or a part, not both', async () => {
    const { exit, err, calls } = await gatewayctl('crate list --all -n 5');
    assert.deepEqual([exit, calls], [2, []]);
    assert.match(err, /--all is the whole list, and --limit a part of it/);
  });

  it('35: is no longer asked for when nobody reads', () => {
    const { stderr } = inShell('gatewayctl crate list --all -o jsonl | head -1', { env: { WIDGETS: '100000' } });
    assert.ok(stderr.split('asked').length < 900, 'it went on to the end');
  });

  it('11: has a limit between bounds', async () => {
    for (const size of ['0', '101', '-1']) {
      const { exit, err, calls } = await gatewayctl(`crate list --limit=${size}`);
      assert.deepEqual([exit, err, calls], [2, 'Error: --limit: must be from 1 to 100.\n', []]);
    }
    const heavy = await gatewayctl('crate update a --weight -1');
    assert.equal(heavy.err, 'Error: --weight: must be at least 0.\n');
  });
});

describe('an update', () => {
  it('52: without a change is a mistake in the line', async () => {
    const { exit, err, calls } = await gatewayctl('crate update a');
    assert.deepEqual([exit, calls], [2, []]);
    assert.equal(err, 'Error: crate update: nothing to change was given.\nName at least one of --weight\n');
    assert.deepEqual((await gatewayctl('crate update a --weight none')).input, { crate: 'a', weight: null });
  });

  it('9: speaks of none, which can be typed, and not of null', async () => {
    const { out } = await gatewayctl('crate update -h');
    assert.match(out, /How heavy it is; none is unknown/);
  });
});
