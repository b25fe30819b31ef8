import { Command } from 'commander';
import type { AnyOperation } from '../kernel/operation.ts';
import { type Commandable, isCommandable } from './commandable.ts';
import { addGlobals } from './globals.ts';
import { formatHelp } from './help.ts';
import type { LocalCommand } from './local-command.ts';
import { nounOf } from './nouns.ts';
import { argumentFor, optionsFor } from './parameter.ts';
import { localParametersOf, type Parameters, parametersOf } from './parameters.ts';
import { type About, pathOf, setAbout } from './tree.ts';
import { clientVersion } from './version.ts';

export interface ProgramOptions<Services> {
  readonly commands?: readonly LocalCommand[];
  /** What a parsed command does. Without it the tree only parses. */
  readonly act?: {
    readonly operation: (operation: Commandable<Services>, command: Command) => Promise<void>;
    readonly local: (local: LocalCommand, command: Command) => Promise<void>;
  };
  readonly out?: (text: string) => void;
  readonly err?: (text: string) => void;
  readonly columns?: number;
  readonly hasColour?: boolean;
  /**
   * Give a command its flags only when it is reached. Making those of all commands costs more than everything else a
   * start does. Such a tree runs one line; help, completion and manuals read a full one.
   */
  readonly isLazy?: boolean;
}

const growers = new WeakMap<Command, () => void>();

/** The command line: one command for each operation, grown from its input schema, and the local ones. */
export function createProgram<Services>(
  operations: readonly AnyOperation<Services>[],
  options: ProgramOptions<Services> = {},
): Command {
  const program = rootCommand(options);
  for (const local of options.commands ?? []) addLocal(program, local, options);
  for (const operation of operations.filter(isCommandable)) addOperation(program, operation, options);
  if (!options.isLazy) growAll(program);
  return program;
}

const ignore = () => undefined;

/** The settings come before the first sub-command: commander copies them when it makes one. */
function rootCommand<Services>({ out, err, columns = 80, hasColour = false }: ProgramOptions<Services>): Command {
  const program = new Command('gatewayctl')
    .exitOverride()
    .helpCommand(false)
    .helpOption('-h, --help', 'Show help')
    .configureHelp({ formatHelp })
    .configureOutput({
      writeOut: out ?? ignore,
      writeErr: err ?? ignore,
      outputError: ignore,
      getOutHelpWidth: () => columns,
      getErrHelpWidth: () => columns,
      getOutHasColors: () => hasColour,
      getErrHasColors: () => hasColour,
    })
    .summary('An AI gateway run from the command line')
    .version(`gatewayctl ${clientVersion()}`, '-V, --version', 'Print the version');
  addGlobals(program);
  return program.hook('preSubcommand', (_, command) => grow(command));
}

function addOperation<Services>(
  program: Command,
  operation: Commandable<Services>,
  { act, isLazy }: ProgramOptions<Services>,
): void {
  const group = groupAt(program, operation.command.slice(0, -1));
  const command = group.command(operation.command.at(-1) ?? '').aliases([...(operation.aliases ?? [])]);
  describe(command, operation, isLazy === true, {
    operation,
    examples: operation.cli.examples,
    parameters: () => parametersOf(operation),
  });
  command.action(() => act?.operation(operation, command));
}

function addLocal<Services>(program: Command, local: LocalCommand, { act, isLazy }: ProgramOptions<Services>): void {
  const group = groupAt(program, local.path.slice(0, -1));
  const command = group
    .command(local.path.at(-1) ?? '', { hidden: local.isHidden ?? false })
    .aliases([...(local.aliases ?? [])]);
  const { examples, isRaw, group: heading } = local;
  describe(command, local, isLazy === true, {
    local,
    examples,
    ...(heading ? { group: heading } : {}),
    parameters: () => localParametersOf(local),
  });
  if (isRaw) command.allowUnknownOption().allowExcessArguments().helpOption(false);
  command.action(() => act?.local(local, command));
}

function describe(
  command: Command,
  { summary, description }: { readonly summary: string; readonly description?: string },
  isLazy: boolean,
  about: About,
): void {
  command.summary(summary).description([`${summary}.`, description].filter(Boolean).join('\n\n'));
  setAbout(command, about);
  growers.set(command, () => addParameters(command, about.parameters(), isLazy));
}

/** The command under which others stand, made when it is first needed: `key`, `team member`. */
function groupAt(program: Command, path: readonly string[]): Command {
  const name = path.at(-1);
  if (name === undefined) return program;
  const parent = groupAt(program, path.slice(0, -1));
  const known = parent.commands.find((each) => each.name() === name);
  if (known) return known;

  const { summary, group, aliases = [] } = nounOf(path);
  const command = parent
    .command(name)
    .aliases([...aliases])
    .summary(summary)
    .description(`${summary}.`)
    .helpCommand(false)
    .hook('preSubcommand', (_, child) => grow(child));
  setAbout(command, { examples: [], group, parameters: () => ({ args: [], flags: [] }) });
  return command;
}

function grow(command: Command): void {
  growers.get(command)?.();
  growers.delete(command);
}

function growAll(command: Command): void {
  grow(command);
  command.commands.forEach(growAll);
}

/**
 * What is missing is asked for, or refused with the command that would do. So a tree that runs lets it pass, where the
 * one that is read says what is required.
 */
function addParameters(command: Command, { args, flags }: Parameters, isRun: boolean): void {
  for (const parameter of args) {
    const argument = argumentFor(parameter);
    command.addArgument(isRun ? argument.argOptional() : argument);
  }
  for (const parameter of flags) {
    refuseGlobal(command, parameter.name);
    for (const option of optionsFor(parameter)) {
      command.addOption(option.makeOptionMandatory(parameter.isRequired && !isRun));
    }
  }
}

/** commander would give the value to the global flag of that name, and say nothing. */
function refuseGlobal(command: Command, name: string): void {
  let program = command;
  while (program.parent) program = program.parent;
  if (program.options.some(({ long }) => long === `--${name}` || long === `--no-${name}`)) {
    throw new Error(
      `${pathOf(command).join(' ')}: --${name} is a global flag; give the field another name in cli.flags`,
    );
  }
}
