import { type Argument, type Command, type Help, Option } from 'commander';
import { type Group, groups, nounOf } from './nouns.ts';
import { parameterOf, placeholderOf } from './parameter.ts';
import { aboutOf, pathOf, shownCommands } from './tree.ts';

/** The text of `--help`, for the program, a group and a command. */
export function formatHelp(command: Command, helper: Help): string {
  const width = Math.min(helper.helpWidth ?? 80, 100);
  const page = command.parent === null ? topHelp(command) : pageOf(command, width);
  return `${page.join('\n').trimEnd()}\n`;
}

/** Fits a terminal of 24 lines and 80 columns, so every group's name stands beside its first command. */
function topHelp(program: Command): readonly string[] {
  const commands = shownCommands(program);
  const lines = groups.flatMap((group) =>
    groupLines(
      group,
      commands.filter((each) => groupOf(each) === group),
    ),
  );
  return [
    `${program.summary()}.  Usage: gatewayctl <command> [flags]`,
    '',
    ...lines,
    '',
    'Learn more: gatewayctl help <command>, help exit-codes, man gatewayctl',
    'Something wrong? Run it again with --debug and report what it says.',
  ];
}

const groupOf = (command: Command): Group => aboutOf(command)?.group ?? 'This tool';

const isMinor = (command: Command): boolean => nounOf([command.name()]).isMinor === true;

function groupLines(group: Group, commands: readonly Command[]): readonly string[] {
  const rows = commands
    .filter((command) => !isMinor(command))
    .map((command) => [command.name(), command.summary()] as const);
  const minor = commands.filter(isMinor).map((command) => command.name());
  if (minor.length > 0) rows.push(['also', minor.join(', ')]);
  return rows.map(([name, summary], index) => `${(index === 0 ? group : '').padEnd(10)} ${name.padEnd(13)} ${summary}`);
}

function pageOf(command: Command, width: number): readonly string[] {
  const about = aboutOf(command);
  const isGroup = command.commands.length > 0;
  return [
    ...command
      .description()
      .split('\n')
      .flatMap((line) => wrap(line, width)),
    '',
    `Usage: ${usageOf(command)}`,
    ...section(
      'Examples',
      (about?.examples ?? []).flatMap(([title, line]) => [`  # ${title}`, `  $ ${line}`]),
    ),
    ...(isGroup ? section('Commands', table(commandRows(command), width)) : []),
    ...section('Arguments', table(argumentRows(command), width)),
    ...section('Flags', table(flagRows(command), width)),
    '',
    ...closing(command, width),
  ];
}

/** `gatewayctl team member add <team> <user>... [flags]` */
export function usageOf(command: Command): string {
  const words = ['gatewayctl', ...pathOf(command)];
  if (command.commands.length > 0) words.push('<command>');
  for (const argument of command.registeredArguments) {
    const name = `<${argument.name()}>${argument.variadic ? '...' : ''}`;
    words.push(parameterOf(argument)?.isRequired ? name : `[${name}]`);
  }
  return [...words, '[flags]'].join(' ');
}

type Row = readonly [term: string, text: string];

const commandRows = (command: Command): readonly Row[] =>
  shownCommands(command).map((each) => [each.name(), each.summary()]);

const argumentRows = (command: Command): readonly Row[] =>
  command.registeredArguments
    .filter(({ description }) => description)
    .map((argument) => [`<${argument.name()}>`, argument.description]);

function flagRows(command: Command): readonly Row[] {
  // A boolean is two options to commander and one line to a reader.
  return command.options
    .filter((option) => !option.hidden && !(option.negate && parameterOf(option)))
    .map((option) => [flagTerm(option), flagText(option)]);
}

function flagTerm(option: Option): string {
  const parameter = parameterOf(option);
  const canNegate = parameter?.shape.type === 'boolean' && parameter.shape.default !== false;
  const long = canNegate ? `--[no-]${parameter.name}` : (option.long ?? '');
  const value = option.required && parameter ? ` <${placeholderOf(parameter)}>` : '';
  return `${option.short ? `${option.short}, ` : '    '}${long}${value}`;
}

/** What there is to know of a flag or an argument beside its description. The value of a variable is never shown. */
export function notesOf(target: Option | Argument): readonly string[] {
  const parameter = parameterOf(target);
  if (!parameter) return [];
  const { shape, isRequired, env } = parameter;
  const notes = [
    isRequired && target instanceof Option ? 'required' : undefined,
    target.argChoices && `one of ${target.argChoices.join(', ')}`,
    isTelling(shape.default) ? `default: ${String(shape.default)}` : undefined,
    env && `env: ${env}`,
  ];
  return notes.filter((note) => note !== undefined);
}

function flagText(option: Option): string {
  const notes = notesOf(option);
  return [option.description, notes.length > 0 ? `(${notes.join('; ')})` : ''].filter(Boolean).join(' ');
}

const isTelling = (value: unknown) => (typeof value === 'string' && value !== '') || typeof value === 'number';

function closing(command: Command, width: number): readonly string[] {
  const about = aboutOf(command);
  const manual = `Manual: man gatewayctl-${pathOf(command).join('-')}`;
  if (command.commands.length > 0) {
    return [
      `Help of one: gatewayctl help ${pathOf(command).join(' ')} <command>`,
      `Global flags: gatewayctl help flags        ${manual}`,
    ];
  }
  const own = (about?.local?.exits ?? []).map(([status, meaning]) => `${status} ${meaning}`);
  return [
    ...prints(command),
    ...wrap(`Exit: ${[...own, ...standardExits(command)].join(', ')}. All codes: gatewayctl help exit-codes`, width),
    'Global flags: -o <format>, -q, --server <url>; all: gatewayctl help flags',
    manual,
  ];
}

const standardExits = (command: Command): readonly string[] =>
  aboutOf(command)?.operation ? ['0 done', '2 used wrongly', '3 not found', '9 refused'] : ['0 done', '2 used wrongly'];

function prints(command: Command): readonly string[] {
  const operation = aboutOf(command)?.operation;
  if (!operation) return [];
  const { cli, existing } = operation;
  const lines = [
    cli.secret ? 'Prints the new secret once (-q: only the secret).' : undefined,
    cli.secret && existing ? 'Is it there already (--if-not-exists), -q prints nothing: no secret is left.' : undefined,
    cli.columns && !cli.secret
      ? `Columns: ${cli.columns.join(' ')}${cli.wide ? ` [${cli.wide.join(' ')}]` : ''}`
      : undefined,
    cli.confirm === 'moderate' ? 'Asks first on a terminal; scripts pass --yes.' : undefined,
    cli.confirm === 'severe' ? 'Asks for the name on a terminal; scripts pass --confirm <name>.' : undefined,
  ];
  return lines.filter((line) => line !== undefined);
}

const section = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length > 0 ? ['', `${title}:`, ...lines] : [];

/** Terms on the left, texts on the right; a long term stands on a line of its own. */
export function table(rows: readonly Row[], width: number): readonly string[] {
  const column = Math.min(32, Math.max(0, ...rows.map(([term]) => term.length)) + 4);
  return rows.flatMap(([term, text]) => {
    const [first = '', ...rest] = wrap(text, Math.max(24, width - column));
    const head = `  ${term}`;
    const indented = rest.map((line) => ' '.repeat(column) + line);
    if (head.length + 2 > column) return [head, ' '.repeat(column) + first, ...indented];
    return [head.padEnd(column) + first, ...indented];
  });
}

export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
