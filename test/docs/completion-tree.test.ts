import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { completesOf } from '../../src/cli/parameter.ts';
import { pathOf, shownCommands } from '../../src/cli/tree.ts';
import { complete, type Lookup } from '../../src/docs/completion.ts';
import { serveCompletion } from '../../src/docs/completion-reply.ts';
import { wholeProgram } from '../support/documents.ts';

const program = wholeProgram();
const lookup: Lookup = { describe: completesOf, names: async (what) => [{ value: `a-${what}` }] };

async function offered(...words: string[]): Promise<readonly string[]> {
  const completion = await complete(program, words, lookup);
  return completion.kind === 'files' ? ['(files)'] : completion.candidates.map(({ value }) => value);
}

const everyCommand = (command: Command): Command[] => [command, ...shownCommands(command).flatMap(everyCommand)];

describe('in the whole command tree', () => {
  test('every command that help shows is completed, under its aliases too', async () => {
    for (const command of everyCommand(program)) {
      if (!command.parent) continue;
      const above = pathOf(command.parent);
      assert.ok((await offered(...above, command.name())).includes(command.name()), command.name());
      for (const alias of command.aliases()) {
        const names = await offered(...above, alias);
        assert.ok(names.length > 0, `${above.join(' ')} ${alias}`);
      }
    }
  });

  test('every flag that help shows is completed, and the global ones everywhere', async () => {
    for (const command of everyCommand(program)) {
      const flags = await offered(...pathOf(command), '--');
      const shown = command
        .createHelp()
        .visibleOptions(command)
        .flatMap(({ long }) => long ?? []);
      for (const flag of [...shown, '--server', '--output'])
        assert.ok(flags.includes(flag), `${command.name()} ${flag}`);
      assert.ok(!flags.includes('--insecure-argv'), 'it is hidden');
    }
  });

  test('every flag with choices offers them', async () => {
    for (const command of everyCommand(program)) {
      for (const option of command.options.filter(({ argChoices, hidden }) => argChoices && !hidden)) {
        assert.deepEqual(await offered(...pathOf(command), option.long ?? '', ''), option.argChoices, option.flags);
      }
    }
  });

  test('names of objects and files are completed where they are asked for', async () => {
    assert.deepEqual(await offered('key', 'generate', '--team', ''), ['a-team']);
    assert.deepEqual(await offered('key', 'generate', '--models', 'x,a'), ['x,a-model']);
    assert.deepEqual(await offered('serve', '--config', ''), ['(files)']);
  });

  test('a flag with a value on the typed line is no flag of the hidden command', async () => {
    const answer = await serveCompletion(program, ['zsh', 'gatewayctl\n--output\njson\nkey\nli'], lookup);
    assert.match(answer, /^values\nlist\t.+\n$/);
  });
});
