import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isCommandable } from '../../src/cli/commandable.ts';
import { localCommands } from '../../src/commands.ts';
import { commandsFor, loaders } from '../../src/commands-for.ts';
import { operations } from '../../src/operations.ts';
import type { Runtime } from '../../src/runtime.ts';

const runtime = (): Runtime => {
  throw new Error('nothing runs here');
};

const nameOf = ({ command }: { command: readonly string[] }) => command.join(' ');

const commands = operations.filter(isCommandable);

describe('the commands that a line can mean', () => {
  it('are all of its noun, when it begins with one', async () => {
    const nouns = new Set(commands.map(({ command }) => command[0]));
    for (const noun of nouns) {
      const found = await commandsFor([noun, 'list'], runtime);
      const ofNoun = ({ command }: { command: readonly string[] }) => command[0] === noun;
      const of = found.operations.filter(isCommandable).filter(ofNoun);
      const expected = commands.filter(ofNoun);
      // By name: the difference of two schemas takes minutes to print.
      assert.deepEqual(of.map(nameOf), expected.map(nameOf));
      assert.ok(
        of.every((each, index) => each === expected[index]),
        noun,
      );
    }
  });

  it('are found by the other spellings of the noun', async () => {
    const found = await commandsFor(['teams'], runtime);
    assert.ok(found.operations.length > 0);
    assert.ok(found.operations.every(({ command }) => command[0] === 'team'));
  });

  it('are all there are, when it begins with anything else', async () => {
    for (const argv of [['help', 'key'], ['--server', 'http://localhost', 'key', 'list'], ['serve'], ['kye']]) {
      const found = await commandsFor(argv, runtime);
      assert.equal(found.operations, operations);
      assert.equal(found.commands.length, localCommands(runtime).length);
    }
  });

  it('are with the local ones of their noun, none of which is missed', async () => {
    for (const noun of Object.keys(loaders)) {
      const local = localCommands(runtime).filter(({ path: [first] }) => first === noun);
      const chosen = await commandsFor([noun], runtime);
      const found = new Set(chosen.commands.map(({ path }) => path.join(' ')));
      assert.deepEqual(
        local.map(({ path }) => path.join(' ')).filter((path) => !found.has(path)),
        [],
      );
    }
  });
});
