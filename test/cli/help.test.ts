import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createProgram } from '../../src/cli/program.ts';
import { topics } from '../../src/cli/topics.ts';
import { operations as real } from '../../src/operations.ts';
import { gatewayctl, words } from './support/command-line.ts';
import { operations } from './support/widgets.ts';

describe('help', () => {
  it('13: answers every way of asking', async () => {
    for (const line of ['-h', '--help', 'help']) {
      const { out, err, exit } = await gatewayctl(line);
      assert.match(out, /^An AI gateway/, line);
      assert.deepEqual([err, exit], ['', 0]);
    }
    const pages = [
      'help widget create',
      'widget create -h',
      'widget help create',
      'help widgets create'.replace('widgets', 'widget'),
    ];
    for (const line of pages) {
      const { out, exit } = await gatewayctl(line);
      assert.match(out, /^Make a widget\.\n\nUsage: gatewayctl widget create \[flags\]/, line);
      assert.equal(exit, 0);
    }
    assert.match(
      (await gatewayctl('help shelf place add')).out,
      /Usage: gatewayctl shelf place add <shelf> <widgets>\.\.\./,
    );
  });

  it('13: wins over any other mistake on the line', async () => {
    for (const line of ['widget create --frobnicate -h', 'widget genrate -h', 'widget get a b c --help']) {
      const { exit, out } = await gatewayctl(line);
      assert.equal(exit, 0, line);
      assert.match(out, /Usage:/);
    }
  });

  it('14: goes to stdout when nothing was said, and to stderr with 2 when a verb is missing', async () => {
    const bare = await gatewayctl('');
    assert.match(bare.out, /^An AI gateway/);
    assert.deepEqual([bare.err, bare.exit], ['', 0]);
    const noun = await gatewayctl('widget');
    assert.match(noun.err, /Usage: gatewayctl widget <command>/);
    assert.deepEqual([noun.out, noun.exit], ['', 2]);
  });

  it('15: fits 24 lines of 80 columns with every command of the product', () => {
    let text = '';
    const program = createProgram(real, { out: (each) => void (text += each) });
    program.outputHelp();
    const lines = text.trimEnd().split('\n');
    assert.ok(lines.length <= 24, `${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= 80, line);
  });

  it('16: shows examples before flags, and what a command prints', async () => {
    const { out } = await gatewayctl('widget list -h');
    assert.ok(out.indexOf('Examples:') < out.indexOf('Flags:'));
    assert.match(out, /Columns: name kind spend/);
    assert.match(out, /exit-codes/);
  });

  it('17: has examples that parse', async () => {
    for (const each of operations) {
      for (const [, line] of each.cli?.examples ?? []) {
        const [, ...argv] = words(line);
        assert.equal((await gatewayctl(argv)).exit, 0, line);
      }
    }
  });

  it('18: does not repeat the global flags', async () => {
    assert.doesNotMatch((await gatewayctl('widget list -h')).out, /--database-url/);
    assert.match((await gatewayctl('help flags')).out, /--database-url <url\|@file\|->/);
  });

  it('19: shows choices, defaults and the names of variables, never their values', async () => {
    const { out } = await gatewayctl('widget create -h');
    assert.match(out, /--kind <round\|square>\s+Its kind \(one of round, square; default: round\)/);
    assert.match(out, /--\[no-\]enabled/);
    const flags = await gatewayctl('help flags', { env: { GATEWAYCTL_SERVER: 'https://secret.example.com' } });
    assert.match(flags.out, /env: GATEWAYCTL_SERVER/);
    assert.doesNotMatch(flags.out, /secret\.example/);
  });

  it('20: has topics', async () => {
    for (const { name, summary } of topics) {
      const { out, exit } = await gatewayctl(`help ${name}`);
      assert.ok(out.startsWith(summary), name);
      assert.equal(exit, 0);
    }
    assert.match((await gatewayctl('help exit-code')).err, /Did you mean exit-codes\?/);
    const unknown = await gatewayctl('help widget genrate');
    assert.equal(unknown.exit, 2);
    assert.match(unknown.err, /unknown command "genrate" for widget/);
  });

  it('23: prints the whole tree as data', async () => {
    const { out } = await gatewayctl('help --json');
    const tree: unknown = JSON.parse(out);
    const text = JSON.stringify(tree);
    assert.match(text, /"command":"gatewayctl shelf place add"/);
    assert.match(text, /"name":"--max-budget".*?"format":"usd"/);
    assert.doesNotMatch(text, /__complete/);
  });

  it('106: prints the version on one line', async () => {
    for (const line of ['-V', '--version', 'version']) {
      const { out, exit } = await gatewayctl(line);
      assert.match(out, /^gatewayctl \d+\.\d+\.\d+\n$/, line);
      assert.equal(exit, 0);
    }
    const facts: unknown = JSON.parse((await gatewayctl('version --json --state-dir /x')).out);
    assert.ok(typeof facts === 'object' && facts !== null && 'target' in facts);
    assert.equal(facts.target, 'local · /x');
  });
});
