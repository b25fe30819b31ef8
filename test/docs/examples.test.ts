import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Command, CommanderError } from 'commander';
import { topics } from '../../src/cli/topics.ts';
import { aboutOf, pathOf, shownCommands } from '../../src/cli/tree.ts';
import { splitLine } from '../../src/docs/command-line.ts';
import { looksSecret } from '../../src/kernel/secret.ts';
import { operations } from '../../src/operations.ts';
import { wholeProgram } from '../support/documents.ts';

type Example = readonly [command: string, line: string];

const examplesOf = (command: Command): Example[] => [
  ...(aboutOf(command)?.examples ?? []).map(([, line]): Example => [pathOf(command).join(' '), line]),
  ...shownCommands(command).flatMap(examplesOf),
];

const examples = examplesOf(wholeProgram());

const topicTexts = topics.flatMap(({ body }) => body.flat(2));
const topicLines = topicTexts.filter((text) => /^(\w+=\$\()?gatewayctl (?!itself)/.test(text));

const flagsOf = (command: Command): string[] => [
  ...command.options.flatMap(({ long }) => long ?? []),
  ...shownCommands(command).flatMap(flagsOf),
];

/** The command lines of ours in what a shell would run: behind a pipe, inside `$(…)`, without redirections. */
function ownCommands(line: string): readonly string[][] {
  return line
    .split(/\$\(|\)"?(?=\s|$)|\s(?:\|\|?|&&|;)\s/)
    .map((part) => part.trim().replace(/^"?(?=gatewayctl )/, ''))
    .filter((part) => part.startsWith('gatewayctl '))
    .map((part) => part.replace(/\s(?:\d?>>?|<)\s*\S+/g, ''))
    .map((part) =>
      splitLine(part)
        .map(({ text }) => text)
        .slice(1),
    );
}

/** Parses as the program would and runs nothing: the tree was made without actions. */
function parse(words: readonly string[]): void {
  const program = wholeProgram();
  try {
    program.parse(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    throw error;
  }
}

describe('the examples in help and manual', () => {
  test('are there for every operation', () => {
    const without = operations.filter(({ cli }) => cli?.examples.length === 0).map(({ command }) => command.join(' '));
    assert.deepEqual(without, []);
  });

  for (const [command, line] of examples) {
    test(`${command}: ${line}`, () => {
      const own = ownCommands(line);
      assert.ok(own.length > 0, 'it does not use gatewayctl');
      for (const words of own) assert.doesNotThrow(() => parse(words));
      assert.ok(
        own.some((words) => words.join(' ').startsWith(command)),
        `it is no example of ${command}`,
      );
    });
  }

  for (const line of topicLines) {
    test(`a topic: ${line}`, () => {
      const own = ownCommands(line);
      assert.ok(own.length > 0);
      for (const words of own) assert.doesNotThrow(() => parse(words));
    });
  }

  test('name only flags that there are, in topics too', () => {
    const known = new Set([...flagsOf(wholeProgram()), '--help']);
    const named = topicTexts.flatMap((text) => text.match(/--[a-z][a-z-]+/g) ?? []);
    assert.ok(named.length > 20);
    assert.deepEqual(
      named.filter((flag) => !known.has(flag)),
      [],
    );
  });

  test('hold no secret, not even a made-up one', () => {
    const secrets = examples.filter(
      ([, line]) => /sk-[\w-]{4,}/.test(line) || line.split(/[\s='"]+/).some(looksSecret),
    );
    assert.deepEqual(secrets, []);
  });

  test('are recognised when they are wrong', () => {
    assert.deepEqual(ownCommands('KEY=$(gatewayctl key get a -q) && gatewayctl key list > keys.tsv'), [
      ['key', 'get', 'a', '-q'],
      ['key', 'list'],
    ]);
    assert.throws(() => parse(['key', 'generate', '--nonsense']), CommanderError);
    assert.throws(() => parse(['key', 'nonsense']), CommanderError);
  });
});
