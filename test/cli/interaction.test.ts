import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { gatewayctl } from './support/command-line.ts';
import { hasTerminal, inShell, onTerminal } from './support/terminal.ts';
import { newSecret } from './support/widgets.ts';

describe('without a terminal', () => {
  it('55: destroys nothing without --yes, and says how', async () => {
    const { err, exit, calls } = await gatewayctl('widget delete a b');
    assert.deepEqual([exit, calls], [2, []]);
    assert.equal(
      err,
      'Error: widget delete needs confirmation and this is not a terminal.\nIn scripts: gatewayctl widget delete a b --yes\n',
    );
    assert.equal((await gatewayctl('widget delete a -y')).exit, 0);
  });

  it('54: wants the name for what cannot be undone; --yes is not enough', async () => {
    for (const line of ['shelf drop top', 'shelf drop top --yes', 'shelf drop top --confirm bottom']) {
      const { exit, calls } = await gatewayctl(line);
      assert.deepEqual([exit, calls], [2, []], line);
    }
    const { err } = await gatewayctl('shelf drop top -y');
    assert.match(err, /--yes is not enough for it\.\nIn scripts: gatewayctl shelf drop top --confirm top\n/);
    assert.equal((await gatewayctl('shelf drop top --confirm top')).exit, 0);
  });

  it('58: takes no answer from a pipe', () => {
    const { status, stderr } = inShell('gatewayctl widget delete a', { input: 'y\n' });
    assert.equal(status, 2);
    assert.doesNotMatch(stderr, /asked/);
  });
});

describe('on a terminal', { skip: hasTerminal ? false : 'no script(1) of util-linux here' }, () => {
  it('54: asks before something is destroyed', async () => {
    const yes = await onTerminal('widget delete a', [['Delete widget a?', 'y\r']]);
    assert.equal(yes.exit, 0);
    assert.match(yes.screen, /asked widget delete \{"widgets":\["a"\]\}/);
    assert.match(yes.screen, /✓ Deleted a/);
  });

  it('57: leaves everything when the answer is no', async () => {
    for (const answer of ['n\r', '\r']) {
      const { screen, exit } = await onTerminal('widget delete a', [['Delete widget a?', answer]]);
      assert.equal(exit, 1);
      assert.match(screen, /Nothing was changed\./);
      assert.doesNotMatch(screen, /asked/);
    }
    const wrong = await onTerminal('shelf drop top', [['Type top to drop it', 'tip\r']]);
    assert.equal(wrong.exit, 1);
  });

  it('54: has the name typed before what cannot be undone', async () => {
    const { screen, exit } = await onTerminal('shelf drop top --yes', [['Type top to drop it', 'top\r']]);
    assert.equal(exit, 0);
    assert.match(screen, /asked shelf drop/);
  });

  it('57: takes Ctrl-D for a no', async () => {
    for (const [line, question] of [
      ['widget delete a', 'Delete widget a?'],
      ['shelf drop top', 'Type top to drop it'],
      ['widget create --note x', 'What people call it'],
      ['widget get --key-stdin', 'Paste the key'],
    ] as const) {
      const { screen, exit } = await onTerminal(line, [[question, '\u0004']]);
      assert.equal(exit, 1, screen);
      assert.match(screen, /Nothing was changed\./);
      assert.doesNotMatch(screen, /Warning|asked widget (delete|create)|asked shelf/);
    }
  });

  it('56: says what is at stake before it asks, and does not ask about what is not there', async () => {
    const told = await onTerminal('shelf drop top', [['Type top to drop it', 'no\r']]);
    assert.match(told.screen, /top: drops what is square/);
    const missing = await onTerminal('shelf drop nothing', []);
    assert.equal(missing.exit, 3);
    assert.doesNotMatch(missing.screen, /Type/);
  });

  it('57: ends with 130 on Ctrl-C, quietly, and with the cursor back', async () => {
    const { screen, exit } = await onTerminal('widget delete a', [['Delete widget a?', '\u0003']]);
    assert.equal(exit, 130);
    assert.doesNotMatch(screen, /asked|Error|at .*:\d+/);
    assert.ok(screen.lastIndexOf('\u001B[?25h') >= screen.lastIndexOf('\u001B[?25l'));
  });

  it('53: asks for what is missing, and prints the line that would not have asked', async () => {
    const { screen, exit } = await onTerminal('widget create --note x', [['What people call it (--name)', 'a b\r']]);
    assert.equal(exit, 0);
    assert.match(screen, /asked widget create \{"note":"x","name":"a b"\}/);
    assert.match(screen, /The same without questions: gatewayctl widget create --note x --name 'a b'/);
  });

  it('59: hides a pasted key', async () => {
    const { screen, exit } = await onTerminal('widget get --key-stdin', [['Paste the key', `${newSecret}\r`]]);
    assert.equal(exit, 0);
    assert.ok(!screen.includes(newSecret));
    assert.doesNotMatch(screen, /toggle/);
  });

  it('51: asks nothing when told not to', async () => {
    for (const [flag, env] of [
      ['--no-input', {}],
      ['', { GATEWAYCTL_NO_INPUT: '1' }],
      ['', { CI: 'true' }],
    ] as const) {
      const { screen, exit } = await onTerminal(`widget delete a ${flag}`, [], env);
      assert.equal(exit, 2);
      assert.match(screen, /needs confirmation and nothing may be asked \(--no-input, GATEWAYCTL_NO_INPUT or CI\)/);
    }
  });

  it('32, 44: fills the terminal and no more', async () => {
    const { screen } = await onTerminal('widget list', [], { COLUMNS: '30' });
    assert.match(screen, /^NAME {4}KIND {5}SPEND {2}BUDGET\r\n/m);
    assert.match(screen, /Not shown, for want of room: EXPIRES/);
  });
});

describe('a process', () => {
  it('90: ends quietly with 141 when its reader goes away', () => {
    const script = '(gatewayctl widget list --json; echo "exit $?" >&2) | head -1';
    const { stdout, stderr } = inShell(script, { env: { WIDGETS: '20000' } });
    assert.equal(stdout, '[\n');
    assert.match(stderr, /^asked .*\nexit 141\n$/);
  });

  it('87: ends with 71 when the disk is full, and says what was done', { skip: !existsSync('/dev/full') }, () => {
    for (const [line, hint] of [
      ['widget list', ''],
      ['widget create --name a', 'What was asked for was done all the same.\n'],
      [
        'widget generate --name a',
        'The widget was made all the same, and its secret is lost. Replace it, or delete it:\n' +
          'gatewayctl widget rotate id-0\ngatewayctl widget delete id-0\n',
      ],
    ] as const) {
      const { status, stderr } = inShell(`gatewayctl ${line} > /dev/full`);
      assert.equal(status, 71, line);
      assert.ok(stderr.endsWith(`Error: cannot write the output (no space left on the device).\n${hint}`), stderr);
      assert.doesNotMatch(stderr, /at .*:\d+/);
    }
    const json = inShell('gatewayctl widget list --json > /dev/full');
    assert.equal(json.status, 71);
    assert.match(json.stderr, /"code":"output_failed".*"exit_code":71/);
  });

  it('89: writes all of it before it ends, also to a slow reader', () => {
    const { stdout } = inShell('gatewayctl widget list -o name | (while read -r line; do echo "$line"; done) | wc -l', {
      env: { WIDGETS: '20000' },
    });
    assert.equal(stdout.trim(), '20000');
  });

  it('49: pretends to be on a terminal', () => {
    const { stdout } = inShell('gatewayctl widget list', { env: { GATEWAYCTL_FORCE_TTY: '100' } });
    assert.match(stdout, /^NAME {4}KIND/);
  });
});
