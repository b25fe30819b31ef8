import type { Invoke } from '../kernel/operation.ts';
import { exact } from './cell.ts';
import type { Commandable } from './commandable.ts';
import type { GlobalFlags } from './globals.ts';
import type { Prompt } from './prompt.ts';
import { commandLine } from './shell-words.ts';
import { declined, usage } from './usage.ts';
import { visible } from './visible.ts';

export interface Question {
  readonly operation: Commandable<never>;
  readonly flags: GlobalFlags;
  /** The objects at stake, as they were named. */
  readonly names: readonly string[];
  /** The words of the command line, to be shown again with the flag that is missing. */
  readonly argv: readonly string[];
  readonly prompt: Prompt | undefined;
  /** Whether a person would be there, and it is only that none may be asked. */
  readonly isTerminal: boolean;
}

/**
 * Settles without asking what can be settled: confirmed by a flag, or refused because nobody can be asked. Nothing has
 * been done then, and no connection opened.
 *
 * @returns whether a person still has to be asked
 */
export function needsAnswer({ operation, flags, names, argv, prompt, isTerminal }: Question): boolean {
  const { confirm } = operation.cli;
  if (confirm === undefined) return false;
  const command = operation.command.join(' ');
  const wanted = nameOf(operation, names);
  if (confirm === 'severe' && flags.confirm !== undefined) {
    if (flags.confirm === wanted) return false;
    throw usage(
      'confirmation_mismatch',
      `--confirm says "${flags.confirm}", but this is about ${wanted}. Nothing was changed.`,
    );
  }
  if (confirm === 'moderate' && (flags.yes || flags.confirm === wanted)) return false;
  if (prompt) return true;
  const flag = confirm === 'moderate' ? ['--yes'] : ['--confirm', wanted];
  const notEnough = confirm === 'severe' && flags.yes ? ' --yes is not enough for it.' : '';
  const why = isTerminal ? 'nothing may be asked (--no-input, GATEWAYCTL_NO_INPUT or CI)' : 'this is not a terminal';
  throw usage(
    'confirmation_required',
    `${command} needs confirmation and ${why}.${notEnough}`,
    `In scripts: ${commandLine([...argv.filter((word) => confirm !== 'severe' || !['-y', '--yes'].includes(word)), ...flag])}`,
  );
}

interface Lookup<Services> {
  readonly operation: Commandable<Services>;
  readonly operations: readonly Commandable<Services>[];
  readonly invoke: Invoke<Services>;
  readonly input: Readonly<Record<string, unknown>>;
}

/** What a person should know before the question. An object that is not there is refused, and not asked about. */
export async function stakes<Services>({ operation, operations, invoke, input }: Lookup<Services>): Promise<string[]> {
  const { atStake, args = [] } = operation.cli;
  const look = operations.find(({ command }) => command.join(' ') === atStake?.look);
  if (!atStake || !look) return [];
  const lines: string[] = [];
  for (const name of [input[args[0] ?? '']].flat()) {
    const answer = await invoke(look, { [atStake.field]: name });
    const words = atStake.says?.(answer, input);
    if (words) lines.push(`${visible(exact(name))}: ${words}\n`);
  }
  return lines;
}

/** Asks; whatever is not a clear yes leaves everything as it is. */
export async function ask({ operation, names, prompt }: Question): Promise<void> {
  const verb = operation.command.at(-1) ?? '';
  const noun = operation.command.slice(0, -1).join(' ');
  const name = visible(nameOf(operation, names));
  const isSure =
    operation.cli.confirm === 'severe'
      ? (await prompt?.text(`Type ${name} to ${verb} it (--confirm):`, () => true))?.trim() === nameOf(operation, names)
      : await prompt?.confirm(`${verb.charAt(0).toUpperCase()}${verb.slice(1)} ${noun} ${name}? (--yes)`);
  if (!isSure) throw declined();
}

/** Where no object is named, the command itself is what has to be typed. */
const nameOf = (operation: Commandable<never>, names: readonly string[]): string =>
  names.length > 0 ? names.join(',') : operation.command.join(' ');
