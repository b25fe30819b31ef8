import type { Command, Option } from 'commander';
import type { GatewayError } from '../kernel/errors.ts';
import { looksSecret } from '../kernel/mask.ts';
import { passwordInArgv } from './target.ts';
import { aboutOf, locate, pathOf } from './tree.ts';
import { usage } from './usage.ts';

/** Whether a flag is on the line, before anything has been parsed. */
export const hasFlag = (argv: readonly string[], ...names: readonly string[]): boolean => {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).some((word) => names.includes(word));
};

/** The format the line asks for, as far as it can be seen before parsing: an error in the line needs one too. */
export function outputFlag(argv: readonly string[]): string | undefined {
  let output: string | undefined;
  for (const [index, word] of argv.entries()) {
    if (word === '--') break;
    if (word === '--json') output ??= 'json';
    else if (word === '-o' || word === '--output') output = argv[index + 1];
    else if (word.startsWith('--output=')) output = word.slice('--output='.length);
    else if (/^-o./.test(word)) output = word.slice(2).replace(/^=/, '');
  }
  return output;
}

/**
 * The refusal of a line that holds a secret. Other users see a command line while it runs, and the shell keeps it: by
 * now the secret has leaked, so the message says what to do about that as well.
 */
export function secretInArgv(program: Command, argv: readonly string[]): GatewayError | undefined {
  if (hasFlag(argv, '--insecure-argv')) return undefined;
  const index = argv.findIndex(holdsSecret);
  if (index === -1) return undefined;
  const flag = flagAt(argv, index);
  if (flag === '--database-url') return passwordInArgv();

  const command = commandIn(program, argv.slice(0, index));
  const path = pathOf(command).join(' ');
  const isKeyNamed = aboutOf(command)?.operation?.cli.keyStdin !== undefined;
  const hint = isKeyNamed
    ? [
        `Give it on stdin:   gatewayctl ${path} --key-stdin`,
        'Or use its alias or id. If it leaked into a shared history, rotate or delete it.',
      ]
    : flag
      ? [`Put it into a file: gatewayctl ${path} ${flag} @/path/to/file`]
      : ['Use an alias or an id instead.', 'A key for this command itself: GATEWAYCTL_KEY_FILE, or --admin-key-stdin.'];
  return usage(
    'secret_in_argv',
    'that looks like a secret key. On the command line it is visible to other users and kept in your history.',
    hint.join('\n'),
  );
}

/** Also inside of JSON, of a list and of `name=value`. */
const holdsSecret = (word: string): boolean => [word, ...word.split(/[\s"',={}[\]]+/)].some(looksSecret);

function flagAt(argv: readonly string[], index: number): string | undefined {
  const [word = '', before = ''] = [argv[index], argv[index - 1]];
  if (word.startsWith('--')) return word.split('=')[0];
  return before.startsWith('--') && !before.includes('=') ? before : undefined;
}

/** `key help generate` is `help key generate`. */
export function helpFirst(program: Command, argv: readonly string[]): readonly string[] {
  const words = plainWords(program, argv);
  const at = words.findIndex(({ word }) => word === 'help');
  const index = words[at]?.index;
  if (at < 1 || index === undefined) return argv;
  const before = argv.slice(0, index);
  // What another flag takes is known when its command is: `help` may be its value.
  if (before.some((word) => word.startsWith('-') && !globalFlag(program, word))) return argv;
  const { command, rest } = locate(
    program,
    words.slice(0, at).map(({ word }) => word),
  );
  const isGroup = rest.length === 0 && command.commands.length > 0;
  return isGroup ? ['help', ...before, ...argv.slice(index + 1)] : argv;
}

const globalFlag = ({ options }: Command, word: string): Option | undefined =>
  options.find(({ long, short }) => word.replace(/=.*/s, '') === long || word === short);

/** The words of a line that are neither flags nor values of global ones: those may stand before the command. */
function plainWords(program: Command, argv: readonly string[]): readonly { word: string; index: number }[] {
  const found: { word: string; index: number }[] = [];
  let isValue = false;
  for (const [index, word] of argv.entries()) {
    if (word === '--') break;
    if (!isValue && !word.startsWith('-')) found.push({ word, index });
    isValue = !isValue && !word.includes('=') && (globalFlag(program, word)?.required ?? false);
  }
  return found;
}

/** The command that a line means, as far as it can be told without parsing the whole of it. */
export const commandIn = (program: Command, argv: readonly string[]): Command =>
  locate(
    program,
    plainWords(program, argv).map(({ word }) => word),
  ).command;
