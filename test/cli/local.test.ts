import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LocalCommand, LocalContext } from '../../src/cli/local-command.ts';
import { createProgram } from '../../src/cli/program.ts';
import { operation } from '../../src/kernel/operation.ts';
import { answer, wire } from '../../src/kernel/wire.ts';
import { z } from 'zod';
import { gatewayctl } from './support/command-line.ts';
import { operations, rows } from './support/widgets.ts';

function command(more: Partial<LocalCommand>, run: LocalCommand['run']): LocalCommand {
  return { path: ['db', 'polish'], summary: 'Polish the database', examples: [], ...more, run };
}

const nothing = async () => {};

const typed = (shell: string, words: readonly string[]) => ['__complete', shell, ['gatewayctl', ...words].join('\n')];

/** What is offered in fish after the last of these words. */
async function offered(...words: string[]) {
  const { out } = await gatewayctl(typed('fish', words));
  return out.split('\n').slice(1, -1);
}

describe('a command that is not an operation', () => {
  it('is given its arguments and flags, read by their type', async () => {
    let given: LocalContext | undefined;
    const polish = command(
      {
        args: [{ name: 'table', description: 'The tables', type: 'list' }],
        options: [
          { name: 'dry-run', type: 'boolean', description: 'Only say' },
          { name: 'wax', description: 'The file', completes: 'file', env: 'POLISH_WAX' },
          { name: 'port', type: 'integer', description: 'The port' },
          { name: 'listen', type: 'list', description: 'Where' },
          { name: 'wait', type: 'duration', description: 'How long' },
          { name: 'level', choices: ['low', 'high'], description: 'How much' },
        ],
      },
      async (context) => void (given = context),
    );
    const line =
      'db polish a b --dry-run --wax x.yaml -c my.yaml --port 80 --listen a,b --wait 5s --level high --state-dir /s';
    const { exit } = await gatewayctl(line, { commands: [polish] });
    assert.equal(exit, 0);
    assert.deepEqual(given?.args, ['a', 'b']);
    assert.deepEqual(given.options, {
      'dry-run': true,
      wax: 'x.yaml',
      port: 80,
      listen: ['a', 'b'],
      wait: '5s',
      level: 'high',
    });
    assert.equal(given.global.stateDir, '/s');
    assert.deepEqual(await given.target(), { mode: 'local', stateDir: '/s', configFile: 'my.yaml' });
    const wrong = await gatewayctl('db polish --level hihg', { commands: [polish] });
    assert.match(wrong.err, /Did you mean high\?/);
    assert.match(
      (await gatewayctl('db polish -h', { commands: [polish] })).out,
      /--wax <text>\s+The file \(env: POLISH_WAX\)/,
    );
  });

  it('says how to end', async () => {
    const polish = command({}, () => Promise.resolve(78));
    assert.equal((await gatewayctl('db polish', { commands: [polish] })).exit, 78);
    const needy = command({ options: [{ name: 'to', description: 'Where to', isRequired: true }] }, async () => {});
    const { exit, err } = await gatewayctl('db polish', { commands: [needy] });
    assert.equal(exit, 2);
    assert.match(err, /db polish needs --to\.\nRun: gatewayctl db polish --to <value>/);
  });

  it('may ask an operation on its way', async () => {
    let found: unknown;
    const polish = command({}, async ({ connect }) => {
      await using caller = await connect();
      found = (await caller.call('widget list', {}))['widgets'];
    });
    assert.equal((await gatewayctl('db polish', { commands: [polish] })).exit, 0);
    assert.deepEqual(found, rows);
  });

  it('stands in help under its group, unless it is hidden', async () => {
    const serve = command({ path: ['serve'], group: 'Daemon', summary: 'Run the daemon' }, nothing);
    const secret = command({ path: ['__secret'], isHidden: true }, nothing);
    const { out } = await gatewayctl('', { commands: [serve, secret] });
    assert.match(out, /Daemon {5}serve {9}Run the daemon/);
    assert.doesNotMatch(out, /__/);
  });
});

describe('the tree', () => {
  it('8: refuses a flag with the name of a global one, which would take its value', () => {
    const clash = operation({
      command: ['widget', 'clash'],
      route: ['POST', '/clash'],
      summary: 'Clash',
      input: wire({ timeout: z.int().optional().describe('Seconds') }),
      output: answer({}),
      access: 'admin',
      cli: { examples: [] },
      run: () => Promise.reject(new Error('never')),
    });
    assert.throws(() => createProgram([clash]), /widget clash: --timeout is a global flag/);
  });

  it('says what is required to those who read it', () => {
    const program = createProgram(operations);
    const widget = program.commands.find((each) => each.name() === 'widget');
    const create = widget?.commands.find((each) => each.name() === 'create');
    assert.deepEqual(
      create?.options.filter(({ mandatory }) => mandatory).map(({ long }) => long),
      ['--name'],
    );
    const shelf = program.commands.find((each) => each.name() === 'shelf');
    const drop = shelf?.commands.find((each) => each.name() === 'drop');
    assert.deepEqual(
      drop?.registeredArguments.map(({ required }) => required),
      [true],
    );
  });
});

describe('completion', () => {
  it('104: offers commands, flags, choices and objects that exist', async () => {
    assert.deepEqual(await offered('widget', 'l'), ['list\tList widgets']);
    assert.deepEqual(await offered('widget', 'create', '--kind', ''), ['round', 'square']);
    assert.ok((await offered('widget', 'list', '--col')).some((each) => each.startsWith('--columns')));
    const users = operation({
      command: ['user', 'list'],
      route: ['GET', '/user/list'],
      summary: 'List users',
      input: wire({}),
      output: answer({ widgets: z.array(answer({ name: z.string() })).describe('Users') }),
      access: 'scoped',
      cli: { result: 'widgets', columns: ['name', 'kind'], id: 'id', examples: [] },
      run: () => Promise.reject(new Error('never')),
    });
    const { out } = await gatewayctl(typed('fish', ['widget', 'create', '--user', '']), {
      operations: [...operations, users],
    });
    assert.equal(out, 'values\ncorner\tsquare\n22222222-bbbb\tround\n');
  });

  it('104: is silent when anything goes wrong, and reads a line with a secret without a word', async () => {
    const { out, err, exit } = await gatewayctl(typed('zsh', ['widget', 'create', '--user', 'sk-abcdefghijk']), {
      connect: () => Promise.reject(new Error('no gateway')),
    });
    assert.deepEqual([out, err, exit], ['values\n', '', 0]);
  });
});
