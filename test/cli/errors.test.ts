import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GatewayError } from '../../src/kernel/errors.ts';
import { gatewayctl } from './support/command-line.ts';

describe('errors', () => {
  it('81: say what failed and what to do, and nothing of the inside', async () => {
    const { out, err, exit } = await gatewayctl('widget get nothing');
    assert.deepEqual([out, err, exit], ['', 'Error: no widget "nothing".\nSee: gatewayctl widget list\n', 3]);
  });

  it('81: blame the flag and not the field', async () => {
    const { err, exit } = await gatewayctl('widget create --name a --max-budget 13');
    assert.deepEqual([err, exit], ['Error: --max-budget: no\n', 9]);
  });

  it('83: guess what was meant, for commands and flags, and never act on it', async () => {
    const verb = await gatewayctl('widget lst');
    assert.equal(
      verb.err,
      'Error: unknown command "lst" for widget. Did you mean list?\n' +
        'Commands: create generate list get delete   (gatewayctl help widget)\n',
    );
    const noun = await gatewayctl('wigdet list');
    assert.match(noun.err, /unknown command "wigdet"\. Did you mean widget\?/);
    const flag = await gatewayctl('widget list --kidn round');
    assert.equal(flag.err, 'Error: unknown flag --kidn. Did you mean --kind?\nHelp: gatewayctl help widget list\n');
    for (const each of [verb, noun, flag]) assert.deepEqual([each.exit, each.calls], [2, []]);
  });

  it('83: find the command also behind a global flag and its value', async () => {
    const { err } = await gatewayctl('--timeout 5s widget list --kidn round');
    assert.match(err, /\nHelp: gatewayctl help widget list\n$/);
    const helped = await gatewayctl('--timeout 5s widget help list');
    assert.equal(helped.exit, 0, helped.err);
    assert.equal(helped.out, (await gatewayctl('help widget list')).out);
  });

  it('83: guess which object was meant, at no risk to the error', async () => {
    const near = await gatewayctl('widget get cornre');
    assert.equal(near.err, 'Error: no widget "cornre". Did you mean corner?\nSee: gatewayctl widget list\n');
    assert.equal(near.exit, 3);
    const far = await gatewayctl('widget get cornre', { rows: [{ name: 'other' }] });
    assert.match(far.err, /^Error: no widget "cornre"\.\n/);
  });

  it('82, 87: name a missing value, a missing argument, one too many', async () => {
    for (const [line, message] of [
      ['widget list --kind', '--kind needs a value.'],
      ['widget list a', 'too many arguments for list.'],
      ['widget get', 'widget get needs <widget>.'],
      ['widget create', 'widget create needs --name.'],
    ] as const) {
      const { err, exit } = await gatewayctl(line);
      assert.ok(err.startsWith(`Error: ${message}`), err);
      assert.equal(exit, 2);
    }
  });

  it('52: name the whole command when something is missing', async () => {
    const { err } = await gatewayctl(['widget', 'create', '--note', 'two words']);
    assert.match(err, /\nRun: gatewayctl widget create --note 'two words' --name <text>\n$/);
    assert.match((await gatewayctl('widget get')).err, /Run: gatewayctl widget get <widget>\n.*--key-stdin/);
    assert.match((await gatewayctl('shelf place add top')).err, /needs <widgets>, --depth/);
  });

  it('85: are one JSON object on stderr when JSON was asked for', async () => {
    for (const line of ['widget get nothing --json', 'widget get nothing -o jsonl', 'widget get nothing -ojson']) {
      const { out, err } = await gatewayctl(line);
      assert.equal(out, '');
      assert.deepEqual(JSON.parse(err), {
        error: {
          code: 'widget_not_found',
          message: 'no widget "nothing".',
          hint: 'See: gatewayctl widget list',
          exit_code: 3,
        },
      });
    }
    const usage: unknown = JSON.parse((await gatewayctl('widget lst --json')).err);
    assert.match(JSON.stringify(usage), /"code":"unknown_command".*"exit_code":2/);
  });

  it('86: apologise for a bug, with 70 and without a stack', async () => {
    const { err, exit } = await gatewayctl('widget get bug');
    assert.equal(exit, 70);
    assert.match(err, /Sorry/);
    assert.doesNotMatch(err, /TypeError|at .*:\d+/);
    assert.match((await gatewayctl('widget get bug --debug')).err, /TypeError: undefined is not a widget\n\s+at /);
  });

  it('87: end with the status of what went wrong, and not with that of the parser', async () => {
    for (const [kind, exit] of [
      ['notFound', 3],
      ['unauthenticated', 4],
      ['forbidden', 5],
      ['conflict', 6],
      ['unavailable', 7],
      ['invalid', 9],
      ['upstream', 10],
      ['limited', 75],
      ['internal', 70],
    ] as const) {
      const connect = () => Promise.reject(new GatewayError(kind, 'some_error', 'no'));
      assert.equal((await gatewayctl('widget list', { connect })).exit, exit, kind);
    }
  });

  it('40: show control characters in what a gateway says', async () => {
    const error = new GatewayError('notFound', 'x', 'no \u001B[31m', { hint: 'a\nb\u0007' });
    const { err } = await gatewayctl('widget list', { connect: () => Promise.reject(error) });
    assert.equal(err, 'Error: no \\x1b[31m\na\nb\\x07\n');
  });
});
