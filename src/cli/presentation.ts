import type { Commandable } from './commandable.ts';
import { suggest } from '../kernel/suggest.ts';
import { type AnswerShape, shapeOf } from './answer.ts';
import { type Format, formats, type GlobalFlags } from './globals.ts';
import type { Io } from './io.ts';
import { usage } from './usage.ts';

/** How an answer will be printed; settled before anything is done, so that a mistake in a flag changes nothing. */
export interface Presentation {
  readonly format: Format;
  /** Whether the format was asked for, and does not just suit the stream. */
  readonly isChosen: boolean;
  readonly shape: AnswerShape;
  readonly columns: readonly string[];
  /** Whether the columns were asked for. */
  readonly hasOwnColumns: boolean;
  readonly fields: readonly string[] | undefined;
  readonly hasHeader: boolean;
  readonly isQuiet: boolean;
}

/** `-o`, else a table for a person and TSV for a pipe. */
export function formatOf(output: string | undefined, io: Io): Format {
  const format = output ?? (io.stdoutIsTTY ? 'table' : 'tsv');
  const known = formats.find((each) => each === format);
  if (known) return known;
  const near = suggest(format, formats);
  throw usage(
    'invalid_value',
    `-o: "${format}" is no output format.${near ? ` Did you mean ${near}?` : ''}`,
    `Formats: ${formats.join(' ')}`,
  );
}

export type ForEyes = 'table' | 'wide' | 'list';

/** The formats made for people. */
export const isForEyes = (format: Format): format is ForEyes => ['table', 'wide', 'list'].includes(format);

/** With the columns that suit what is asked for, where nobody chose any. */
export function suited(
  { cli }: Commandable<never>,
  presentation: Presentation,
  input: Readonly<Record<string, unknown>>,
): Presentation {
  const columns = presentation.hasOwnColumns ? undefined : cli.columnsOf?.(input);
  return columns ? { ...presentation, columns } : presentation;
}

export function choosePresentation(operation: Commandable<never>, flags: GlobalFlags, io: Io): Presentation {
  const shape = shapeOf(operation);
  const command = operation.command.join(' ');
  // Members of a JSON object have to be printed as JSON; asked for in any other way they would be columns.
  const format = flags.output === undefined && flags.fields ? 'json' : formatOf(flags.output, io);
  if (format === 'env' && !operation.cli.secret) {
    throw usage('invalid_value', `-o env: ${command} makes no key to put into an environment.`);
  }
  if (flags.fields && !takesFields.has(format)) {
    throw usage('invalid_value', `--fields: -o ${format} has no members to pick.`, 'Choose columns: --columns a,b');
  }
  if (flags.fields) refuseUnknown(command, 'field', flags.fields, Object.keys(shape.members));
  if (flags.columns) refuseUnknown(command, 'column', flags.columns, Object.keys(shape.members));
  refuseLosingSecret(operation, flags, format);
  return {
    format,
    isChosen: flags.output !== undefined || flags.fields !== undefined || flags.columns !== undefined,
    shape,
    columns: flags.columns ?? (format === 'wide' ? shape.wide : shape.columns),
    hasOwnColumns: flags.columns !== undefined,
    fields: flags.fields,
    hasHeader: flags.header,
    isQuiet: flags.quiet,
  };
}

/** The formats of which `--fields` picks a part. */
const takesFields: ReadonlySet<Format> = new Set(['json', 'jsonl', 'yaml', 'list']);

/** Refused before anything is made: a secret that is not printed now can never be seen. */
function refuseLosingSecret({ cli, command }: Commandable<never>, flags: GlobalFlags, format: Format): void {
  const { secret } = cli;
  if (secret === undefined || flags.quiet || showsSecret(secret, flags, format)) return;
  const culprit = flags.columns ? '--columns' : flags.fields ? '--fields' : `-o ${format}`;
  throw usage(
    'secret_not_shown',
    `${command.join(' ')}: ${culprit} would leave out the new secret, and it is shown only once. Nothing was changed.`,
    `Shown by: the default output, -q, -o json, -o yaml, -o env; or name it: ${flags.fields ? '--fields' : '--columns'} ${secret},…`,
  );
}

function showsSecret(secret: string, { fields, columns }: GlobalFlags, format: Format): boolean {
  if (['json', 'jsonl', 'yaml'].includes(format)) return fields?.includes(secret) ?? true;
  if (format === 'tsv') return columns?.includes(secret) ?? true;
  if (format === 'csv') return columns?.includes(secret) ?? false;
  return format !== 'name';
}

/** Whether the secret is all that is printed, for a program to take as it is. */
export const isSecretAlone = ({ isQuiet, format, hasOwnColumns }: Presentation): boolean =>
  isQuiet || format === 'env' || (format === 'tsv' && !hasOwnColumns);

function refuseUnknown(command: string, what: string, asked: readonly string[], known: readonly string[]): void {
  // A schema that lists no members leaves it to the data.
  if (known.length === 0) return;
  const unknown = asked.find((each) => !known.includes(each.split('.')[0] ?? ''));
  if (unknown === undefined) return;
  const capital = what.charAt(0).toUpperCase() + what.slice(1);
  throw usage(`unknown_${what}`, `${command} has no ${what} ${unknown || '""'}. ${capital}s:`, list(known.toSorted()));
}

/** Names in lines short enough for a terminal. */
function list(names: readonly string[]): string {
  const lines: string[] = [];
  for (const name of names) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + name.length < 96) lines[lines.length - 1] = `${last} ${name}`;
    else lines.push(`  ${name}`);
  }
  return lines.join('\n');
}
