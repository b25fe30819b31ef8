import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { hashSecret } from '../../src/kernel/secret.ts';
import { gatewayctl } from './support/command-line.ts';
import { newSecret } from './support/widgets.ts';

const folder = mkdtempSync(join(tmpdir(), 'cli-'));
after(() => rmSync(folder, { recursive: true }));

describe('commands and flags', () => {
  it('come from operations: a flag for each field, under its name on the way', async () => {
    const { input, exit } = await gatewayctl([
      ...'widget create --name a --kind square --models x,y --models z --marks hot,cold --max-budget 25.50'.split(' '),
      ...'--rpm-limit 600 --weight -0.5 --no-enabled --grace 24h --life never --due 2027-02-28 --user anna'.split(' '),
      '--metadata',
      '{"team":{"Name":1}}',
    ]);
    assert.equal(exit, 0);
    assert.deepEqual(input, {
      name: 'a',
      kind: 'square',
      models: ['x', 'y', 'z'],
      marks: ['hot', 'cold'],
      max_budget: 25.5,
      rpm_limit: 600,
      weight: -0.5,
      enabled: false,
      metadata: { team: { Name: 1 } },
      grace: '24h',
      life: null,
      due: '2027-02-28T00:00:00.000Z',
      owner: 'anna',
    });
  });

  it('send nothing that was not given, and what is fixed always', async () => {
    assert.deepEqual((await gatewayctl('widget create --name a')).input, { name: 'a' });
    assert.deepEqual((await gatewayctl('widget list -n 5')).input, { size: 5, whole: true });
  });

  it('let a flag stand for other fields than its own', async () => {
    assert.deepEqual((await gatewayctl('widget create --name a --expires 90d')).input, { name: 'a', duration: '90d' });
    const dated = await gatewayctl('widget create --name a --expires 2027-02-28');
    assert.deepEqual(dated.input, { name: 'a', expires: '2027-02-28T00:00:00.000Z' });
    const wrong = await gatewayctl('widget create --name a --expires soon');
    assert.equal(wrong.exit, 2);
    assert.match(wrong.err, /^Error: --expires: "soon" must look like/);
  });

  it('have no flag for what is not for people, and no command for what only clients ask', async () => {
    assert.equal((await gatewayctl('widget create --name a --internal x')).exit, 2);
    assert.equal((await gatewayctl('widget odd')).exit, 2);
  });

  it('1, 2: take the other spellings of a verb', async () => {
    for (const line of ['widget ls', 'widget list']) assert.equal((await gatewayctl(line)).exit, 0);
  });

  it('3: are never abbreviated', async () => {
    assert.equal((await gatewayctl('widget lis')).exit, 2);
    assert.equal((await gatewayctl('widget list --kin round')).exit, 2);
  });

  it('4: take several objects of one kind last', async () => {
    const { input } = await gatewayctl('widget delete a b,c d --yes');
    assert.deepEqual(input, { widgets: ['a', 'b,c', 'd'] });
    const nested = await gatewayctl('shelf place add top a b --depth 2');
    assert.deepEqual(nested.input, { shelf: 'top', widgets: ['a', 'b'], depth: 2 });
  });

  it('5: let flags stand anywhere', async () => {
    for (const line of ['--json widget list', 'widget --json list', 'widget list --json']) {
      assert.match((await gatewayctl(line)).out, /^\[/, line);
    }
  });

  it('6: reach a name that looks like a flag behind --', async () => {
    assert.deepEqual((await gatewayctl('widget delete --yes -- --all -x')).input, { widgets: ['--all', '-x'] });
  });

  it('7: parse as getopt does', async () => {
    for (const line of ['widget list -n5', 'widget list -n 5', 'widget list --limit=5', 'widget list --limit 5 -qv']) {
      assert.equal((await gatewayctl(line)).input?.['size'], 5, line);
    }
  });

  it('9: clear with none, and refuse the empty text everywhere', async () => {
    const cleared = await gatewayctl(
      'widget create --name a --max-budget none --note none --rpm-limit none --models none',
    );
    assert.deepEqual(cleared.input, { name: 'a', max_budget: null, note: null, rpm_limit: null, models: [] });
    assert.equal((await gatewayctl('widget create --name none')).input?.['name'], 'none');
    for (const argv of [
      ['widget', 'delete', '', '--yes'],
      ['widget', 'get', ''],
      ['widget', 'create', '--name', ''],
      ['widget', 'create', '--name=a', '--models', 'a,,b'],
      ['widget', 'list', '--server', ''],
    ]) {
      const { exit, err, calls } = await gatewayctl(argv);
      assert.equal(exit, 2, argv.join(' '));
      assert.match(err, /empty/);
      assert.deepEqual(calls, []);
    }
  });

  for (const [flag, values, message] of [
    ['--max-budget', ['25,50', '$25', '1e9', 'NaN', '-5'], /is not an amount in US dollars/],
    ['--rpm-limit', ['ten', '1.5', '0x10', '1e3'], /is not a whole number/],
    ['--weight', ['1e3', '0x1', 'Infinity', '1,5'], /is not a number/],
    ['--grace', ['1h30m', '10', '5 m', 'never'], /is not a length of time/],
    ['--due', ['tomorrow', '2027-02-30', '28.2.2027'], /is not a date/],
    ['--kind', ['squre'], /Did you mean square\?/],
    ['--marks', ['hot,col'], /Did you mean cold\?/],
    ['--metadata', ['{', '5'], /is not a JSON object/],
  ] as const) {
    it(`11: reads ${flag} strictly and says what it accepts`, async () => {
      for (const value of values) {
        const { exit, err, calls } = await gatewayctl(['widget', 'create', '--name', 'a', flag, value]);
        assert.equal(exit, 2, value);
        assert.match(err, message);
        assert.ok(err.startsWith(`Error: ${flag}:`), err);
        assert.deepEqual(calls, []);
      }
    });
  }

  it('11: shows how the amount is written, in the words of the sample session', async () => {
    const { err } = await gatewayctl('widget create --name a --max-budget 25,50');
    assert.equal(
      err,
      'Error: --max-budget: "25,50" is not an amount in US dollars. Write 25.50, or none to remove the budget.\n',
    );
  });

  it('read texts and objects from files and standard input', async () => {
    const file = join(folder, 'note');
    writeFileSync(file, '{"a":1}\n');
    const { input } = await gatewayctl(`widget create --name @@me --note @${file} --metadata @${file}`);
    assert.deepEqual(input, { name: '@me', note: '{"a":1}', metadata: { a: 1 } });
    const piped = await gatewayctl('widget create --name a --metadata -', { stdin: '{"b":2}' });
    assert.deepEqual(piped.input?.['metadata'], { b: 2 });
    const missing = await gatewayctl('widget create --name a --note @/nowhere/note');
    assert.equal(missing.exit, 2);
    assert.match(missing.err, /--note: cannot read \/nowhere\/note \(no such file\)/);
  });

  it('name a key by its secret on standard input, and send only the hash', async () => {
    const shown = await gatewayctl('widget get --key-stdin', { stdin: `${newSecret}\n` });
    assert.deepEqual(shown.input, { widget: hashSecret(newSecret) });
    const deleted = await gatewayctl('widget delete --key-stdin --yes', { stdin: newSecret });
    assert.deepEqual(deleted.input, { widgets: [hashSecret(newSecret)] });
    const both = await gatewayctl('widget get a --key-stdin', { stdin: newSecret });
    assert.equal(both.exit, 2);
    assert.equal((await gatewayctl('widget get --key-stdin', { stdin: 'two\nlines' })).exit, 2);
  });
});
