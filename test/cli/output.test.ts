import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayctl } from './support/command-line.ts';
import { newSecret, rows } from './support/widgets.ts';

const onTerminal = { tty: true, columns: 100 };
const many = Array.from({ length: 600 }, (_, index) => ({ ...rows[0], id: `id-${index}`, name: `n${index}` }));

describe('output', () => {
  it('24: writes data to stdout and every sentence to stderr', async () => {
    for (const line of ['widget list -o json', 'widget create --name a --json', 'widget get a -o json --verbose']) {
      const { out } = await gatewayctl(line, onTerminal);
      assert.doesNotThrow(() => JSON.parse(out), line);
    }
  });

  it('26: is TSV in a pipe: no header, exact, nothing shortened', async () => {
    const { out, err } = await gatewayctl('widget list', { columns: 10 });
    assert.equal(out, 'corner\tsquare\t12.4\t25\t2026-11-26T10:00:00.000Z\n\tround\t0.0000001\t\t\n');
    assert.equal(err, '');
    assert.match((await gatewayctl('widget list --header')).out, /^NAME\tKIND\tSPEND\tBUDGET\tEXPIRES\n/);
  });

  it('26: escapes what would break a line of TSV', async () => {
    const { out } = await gatewayctl('widget list --columns name,kind', {
      rows: [{ name: 'a\tb\nc\\d\r', kind: 'x' }],
    });
    assert.equal(out, 'a\\tb\\nc\\\\d\\r\tx\n');
  });

  it('27: --fields picks members, and says which there are', async () => {
    const { out } = await gatewayctl('widget list --fields name,spend');
    assert.deepEqual(JSON.parse(out), [
      { name: 'corner', spend: 12.4 },
      { name: null, spend: 0.0000001 },
    ]);
    for (const flag of ['--fields foo', '--columns foo']) {
      const { err, exit, calls } = await gatewayctl(`widget list ${flag}`);
      assert.equal(exit, 2);
      assert.match(
        err,
        /widget list has no (field|column) foo\. (Field|Column)s:\n {2}expires id kind max_budget name/,
      );
      assert.deepEqual(calls, []);
    }
  });

  it('29, 32: draws a table without a frame, numbers to the right, - for absent', async () => {
    const { out, err } = await gatewayctl('widget list', onTerminal);
    const lines = [
      'NAME    KIND         SPEND  BUDGET  EXPIRES',
      'corner  square      $12.40  $25.00  in 3 days',
      '-       round   $0.0000001       -  -',
    ];
    assert.equal(out, `${lines.join('\n')}\n`);
    assert.equal(err, '2 widgets. More columns: -o wide\n');
    assert.match(
      (await gatewayctl('widget list --columns kind,id', onTerminal)).out,
      /^KIND {4}ID\nsquare {2}11111111-aaaa\n/,
    );
  });

  it('32: lets text give way, then columns, and never an id', async () => {
    const long = [{ ...rows[0], note: 'n'.repeat(80), name: 'm'.repeat(40) }];
    const { out, err } = await gatewayctl('widget list --columns id,name,note,spend', {
      tty: true,
      columns: 60,
      rows: long,
    });
    for (const line of out.split('\n')) assert.ok(line.length <= 60, line);
    assert.match(out, /11111111-aaaa {2}m+… {2}n+… {2}\$12\.40/);
    assert.doesNotMatch(err, /Not shown/);
    const narrow = await gatewayctl('widget list --columns id,name,note,spend', { tty: true, columns: 30, rows: long });
    assert.match(narrow.out, /^ID {13}NAME\n/);
    assert.match(narrow.err, /Not shown, for want of room: NOTE SPEND\. See them with -o wide\./);
    const wide = await gatewayctl('widget list -o wide', { tty: true, columns: 20, rows: long });
    assert.match(wide.out, /n{80}/);
  });

  it('32: measures what a terminal shows', async () => {
    const { out } = await gatewayctl('widget list --columns name,kind', {
      ...onTerminal,
      rows: [
        { name: '日本', kind: 'x' },
        { name: 'abcd', kind: 'y' },
      ],
    });
    assert.equal(out, 'NAME  KIND\n日本  x\nabcd  y\n');
  });

  it('32: draws long lists alike, in time that grows with them', async () => {
    const few = await gatewayctl('widget list', { ...onTerminal, rows: many.slice(0, 100) });
    const all = await gatewayctl('widget list', { ...onTerminal, rows: many });
    assert.equal(all.out.split('\n')[1], few.out.split('\n')[1]);
    assert.equal(all.out.split('\n').length, 602);
  });

  it('30: JSON is what the API answers, never the labels of a table', async () => {
    assert.deepEqual(JSON.parse((await gatewayctl('widget list --json')).out), rows);
    const { out } = await gatewayctl('widget list -o jsonl');
    assert.deepEqual(
      out
        .trimEnd()
        .split('\n')
        .map((line): unknown => JSON.parse(line)),
      rows,
    );
    assert.match((await gatewayctl('widget get a -o yaml')).out, /^id: 11111111-aaaa\nname: corner\n/);
  });

  it('31: -q prints ids, or only the new secret', async () => {
    assert.equal((await gatewayctl('widget list -q', onTerminal)).out, '11111111-aaaa\n22222222-bbbb\n');
    const { out, err } = await gatewayctl('widget generate --name ci -q', onTerminal);
    assert.deepEqual([out, err], [`${newSecret}\n`, '']);
    assert.equal((await gatewayctl('widget list -o name')).out, '11111111-aaaa\n22222222-bbbb\n');
  });

  it('33, 34: counts for a person, and finding nothing is a success', async () => {
    assert.equal((await gatewayctl('widget list', { tty: { stdout: true } })).err, '');
    const none = await gatewayctl('widget list', { ...onTerminal, rows: [] });
    assert.deepEqual([none.out, none.err, none.exit], ['', 'No widgets match.\n', 0]);
    assert.equal((await gatewayctl('widget list --json', { rows: [] })).out, '[]\n');
  });

  it('37: says what changed, once', async () => {
    const { out, err } = await gatewayctl('widget create --name a', onTerminal);
    assert.equal(out, '');
    assert.equal(err, 'local\n✓ Widget a created\n');
    const piped = await gatewayctl('widget create --name a');
    assert.deepEqual([piped.out, piped.err], ['11111111-aaaa\ta\tsquare\n', '✓ Widget a created\n']);
    assert.equal((await gatewayctl('widget create --name a -q')).err, '');
  });

  it('37: prints what a change answers to programs, as it travels', async () => {
    assert.equal((await gatewayctl('widget delete a b -y')).out, 'a\nb\n');
    assert.deepEqual(JSON.parse((await gatewayctl('widget delete a b -y --json')).out), ['a', 'b']);
    assert.equal((await gatewayctl('widget delete a b -y', onTerminal)).out, '');
    assert.equal(
      (await gatewayctl('widget get a --columns id,kind', onTerminal)).out,
      'ID             KIND\n11111111-aaaa  (square)\n',
    );
    const chosen = await gatewayctl('widget generate --name ci --columns id,name,secret');
    assert.equal(chosen.out, `11111111-aaaa\tci\t${newSecret}\n`);
  });

  it('38: shows a new secret once, on a line of its own', async () => {
    const { out, err } = await gatewayctl('widget generate --name ci', onTerminal);
    assert.equal(out, `\n${newSecret}\n\n`);
    assert.equal(err, 'local\n✓ Widget ci created\nCopy it now, it is not shown again.\n');
    assert.equal((await gatewayctl('widget generate')).out, `${newSecret}\n`);
    for (const format of ['table', 'wide', 'list']) {
      const shown = await gatewayctl(`widget generate -o ${format}`, onTerminal);
      assert.equal(shown.out.split(newSecret).length, 2, format);
      assert.match(shown.out, /\nsk-gw1_\w+\n/);
    }
  });

  it('38: refuses a form that would lose a new secret, and shows it in every other', async () => {
    for (const form of ['-o csv', '-o name', '--columns id,name', '--fields id', '-o yaml --fields id,name']) {
      const { exit, calls, err } = await gatewayctl(`widget generate --name ci ${form}`);
      assert.deepEqual([exit, calls], [2, []], form);
      assert.match(err, /would leave out the new secret.*\nShown by: the default output, -q, -o json, -o yaml, -o env/);
    }
    const set = await gatewayctl('widget generate', { env: { GATEWAYCTL_OUTPUT: 'csv' } });
    assert.equal(set.exit, 2);
    for (const form of ['-q', '-o tsv', '-o json', '-o jsonl', '-o yaml', '-o env', '-o csv --columns id,secret']) {
      assert.equal((await gatewayctl(`widget generate ${form}`)).out.split(newSecret).length, 2, form);
    }
    assert.equal((await gatewayctl('widget generate -o name -q')).out, `${newSecret}\n`);
  });

  it('27: --fields picks members of a block too, and says where there are none', async () => {
    assert.equal((await gatewayctl('widget get a -o list --fields name,kind')).out, 'name: corner\nkind: (square)\n');
    for (const format of ['table', 'wide', 'csv', 'tsv', 'name']) {
      const { exit, err } = await gatewayctl(`widget list -o ${format} --fields name`);
      assert.equal(exit, 2, format);
      assert.match(err, /--columns a,b/);
    }
  });

  it('25: writes an environment for a new secret, and for nothing else', async () => {
    const { out } = await gatewayctl('widget generate -o env --server https://gw', { env: { GATEWAYCTL_KEY: 'k' } });
    assert.equal(out, `OPENAI_API_KEY=${newSecret}\nOPENAI_BASE_URL=https://gw\n`);
    const refused = await gatewayctl('widget create --name a -o env');
    assert.deepEqual([refused.exit, refused.calls], [2, []]);
  });

  it('25, 79: takes the format from the flag, else from the environment', async () => {
    const env = { GATEWAYCTL_OUTPUT: 'json' };
    assert.match((await gatewayctl('widget list', { env })).out, /^\[/);
    assert.match((await gatewayctl('widget list -o tsv', { env })).out, /^corner\t/);
    assert.match((await gatewayctl('widget list', { env: { GATEWAYCTL_OUTPUT: '' } })).out, /^corner\t/);
    assert.equal((await gatewayctl('widget list -o jsno')).exit, 2);
  });

  it('39: CSV disarms formulas and quotes what it must', async () => {
    const { out } = await gatewayctl('widget list -o csv --columns name,note,spend', {
      rows: [{ name: '=1+1', note: 'a "b", c', spend: -1 }],
    });
    assert.equal(out, `name,note,spend\n'=1+1,"a ""b"", c",-1\n`);
  });

  it('40: shows control characters and lets none of them act', async () => {
    const evil = '\u001B]0;x\u0007\u009B31m\u202Eabc';
    for (const format of ['table', 'wide', 'list', 'json', 'jsonl', 'yaml', 'csv', 'tsv', 'name']) {
      const { out, err } = await gatewayctl(`widget list -o ${format}`, {
        ...onTerminal,
        rows: [{ ...rows[0], id: evil, name: evil, note: evil }],
      });
      // oxlint-disable-next-line no-control-regex -- that there are none is the point
      assert.doesNotMatch(out + err, /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202E]/, format);
    }
    const { out } = await gatewayctl('widget list --json', { ...onTerminal, rows: [{ name: evil }] });
    assert.deepEqual(JSON.parse(out), [{ name: evil }]);
    const { err } = await gatewayctl(['widget', 'create', '--name', evil], onTerminal);
    assert.match(err, /Widget \\x1b\]0;x\\x07\\x9b31m\\u202eabc created/);
  });

  it('shows a member in words of its own to people, and as it is to programs', async () => {
    assert.match((await gatewayctl('widget get a', onTerminal)).out, /kind: {7}\(square\)\n/);
    assert.equal((await gatewayctl('widget get a --columns kind', onTerminal)).out, 'KIND\n(square)\n');
    assert.equal((await gatewayctl('widget get a --columns kind')).out, 'square\n');
  });

  it('shows one object as a block, every member of it', async () => {
    const { out } = await gatewayctl('widget get a', onTerminal);
    assert.match(out, /^id: {9}11111111-aaaa\nname: {7}corner\n/);
    assert.match(out, /spend: {6}\$12\.40\n/);
    assert.match(out, /expires: {4}in 3 days\n/);
  });
});
