import type { Argument, Command, Option } from 'commander';
import { builtInCommands } from '../../src/cli/commands/built-in.ts';
import { nounOf } from '../../src/cli/nouns.ts';
import { parameterOf } from '../../src/cli/parameter.ts';
import { createProgram } from '../../src/cli/program.ts';
import { topics } from '../../src/cli/topics.ts';
import { aboutOf, shownCommands } from '../../src/cli/tree.ts';
import { clientVersion } from '../../src/cli/version.ts';
import { renderDocuments } from '../../src/docs/documents.ts';
import { localCommands } from '../../src/commands.ts';
import type { AboutCommand, Manual } from '../../src/docs/man.ts';
import { operations } from '../../src/operations.ts';

/** The day each version was made, for the foot of its pages: a page may not change because a day has passed. */
const days: Readonly<Record<string, string>> = { '0.1.0': '2026-11-23' };

const commands = [
  ...localCommands(() => {
    throw new Error('a tree that only parses runs nothing');
  }),
  ...builtInCommands,
];

/** The whole command tree as users meet it, which only parses. */
export const wholeProgram = (): Command => createProgram(operations, { commands });

/** Everything that is generated and committed, by path: what the script writes and a test compares. */
export function documents(date = days[clientVersion()]): ReadonlyMap<string, string> {
  if (date === undefined) throw new Error(`test/support/documents.ts does not know the day of ${clientVersion()}`);
  return renderDocuments({
    program: wholeProgram(),
    operations,
    manual: { ...manual, date },
    describeNoun: (noun) => nounOf([noun]).summary,
  });
}

const manual: Omit<Manual, 'date'> = {
  version: clientVersion(),
  topics,
  exits: exitStatuses(),
  commands: shownCommands,
  about: aboutCommand,
  notes,
};

/** The first list of the topic: those of any command. The daemon's own stand in its page. */
function exitStatuses(): Manual['exits'] {
  const parts = topics.find(({ name }) => name === 'exit-codes')?.body ?? [];
  return parts.find((part) => typeof part !== 'string') ?? [];
}

function aboutCommand(command: Command): AboutCommand {
  const { examples = [], group, local } = aboutOf(command) ?? {};
  return { examples, group, exits: local?.exits };
}

function notes(target: Option | Argument): readonly string[] {
  const { shape, isRequired, env } = parameterOf(target) ?? {};
  const fallback = shape?.default;
  return [
    isRequired && 'long' in target ? 'required' : '',
    target.argChoices ? `one of ${target.argChoices.join(', ')}` : '',
    (typeof fallback === 'string' && fallback !== '') || typeof fallback === 'number' ? `default: ${fallback}` : '',
    env ? `env: ${env}` : '',
  ].filter(Boolean);
}
