import type { Command } from 'commander';
import type { Commandable } from './commandable.ts';
import type { LocalCommand } from './local-command.ts';
import { type Group, rank } from './nouns.ts';
import type { Parameters } from './parameters.ts';

/** What stands behind a command of the tree. A group of commands has neither operation nor local command. */
export interface About {
  readonly operation?: Commandable<never>;
  readonly local?: LocalCommand;
  readonly examples: readonly (readonly [title: string, line: string])[];
  readonly group?: Group;
  readonly parameters: () => Parameters;
}

const abouts = new WeakMap<Command, About>();

export const aboutOf = (command: Command): About | undefined => abouts.get(command);

export const setAbout = (command: Command, about: About): void => void abouts.set(command, about);

/** The words that lead to a command, without the program's own name. */
export const pathOf = (command: Command): readonly string[] =>
  command.parent ? [...pathOf(command.parent), command.name()] : [];

/** The commands of a group that help shows, in its order: nouns as in their table, verbs as they were declared. */
export const shownCommands = (command: Command): readonly Command[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .map((each, index) => ({ each, index }))
    .toSorted((a, b) => rank(a.each.name()) - rank(b.each.name()) || a.index - b.index)
    .map(({ each }) => each);

/** The command that words lead to, aliases included, and what is left of them. */
export function locate(
  program: Command,
  words: readonly string[],
): { readonly command: Command; readonly rest: readonly string[] } {
  const [first, ...rest] = words;
  const next = program.commands.find((each) => each.name() === first || each.aliases().includes(first ?? ''));
  return next ? locate(next, rest) : { command: program, rest: words };
}
