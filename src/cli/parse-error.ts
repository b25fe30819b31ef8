import type { Command, CommanderError } from 'commander';
import { suggest } from '../kernel/suggest.ts';
import type { GatewayError } from '../kernel/errors.ts';
import { pathOf, shownCommands } from './tree.ts';
import { usage } from './usage.ts';

/** A command that is not there. `others` is what else could have been meant. */
export function unknownCommand(group: Command, word: string, others: readonly string[] = []): GatewayError {
  const names = shownCommands(group).map((each) => each.name());
  const near = suggest(word, [...names, ...group.commands.flatMap((each) => each.aliases()), ...others]);
  const path = pathOf(group);
  return usage(
    'unknown_command',
    `unknown command "${word}"${path.length > 0 ? ` for ${path.join(' ')}` : ''}.${near ? ` Did you mean ${near}?` : ''}`,
    `Commands: ${names.join(' ')}   (gatewayctl help${path.map((each) => ` ${each}`).join('')})`,
  );
}

const types: Readonly<Record<string, string>> = {
  'commander.unknownOption': 'unknown_flag',
  'commander.excessArguments': 'too_many_arguments',
  'commander.optionMissingArgument': 'missing_value',
  'commander.missingArgument': 'missing_argument',
  'commander.missingMandatoryOptionValue': 'missing_argument',
};

/** commander's complaint in our words: its own begin with a level tag and quote in another style. */
export function parseError(error: CommanderError, command: Command): GatewayError {
  const message = error.message
    .replace(/^error: /, '')
    .replace('unknown option', 'unknown flag')
    .replace(/^option '.*?(--[\w-]+).*' argument missing$/, '$1 needs a value')
    .replaceAll(/'([^']*)'/g, '$1')
    .replace(/\n\((.*)\)$/s, ' $1')
    .trim();
  const [what = '', near = ''] = message.split(/ (?=Did you mean )/);
  const text = [/[.?]$/.test(what) ? what : `${what}.`, near].filter(Boolean).join(' ');
  return usage(
    types[error.code] ?? 'usage_error',
    text,
    `Help: gatewayctl help ${pathOf(command).join(' ')}`.trimEnd(),
  );
}
