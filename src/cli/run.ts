import { type Command, CommanderError } from 'commander';
import { Exit } from '../kernel/errors.ts';
import type { AnyOperation } from '../kernel/operation.ts';
import { commandIn, hasFlag, helpFirst, outputFlag, secretInArgv } from './argv.ts';
import { colourFlag, inkFor, isColoured } from './colour.ts';
import { isCommandable } from './commandable.ts';
import { builtInCommands } from './commands/built-in.ts';
import type { Connect } from './connection.ts';
import { execute } from './execute.ts';
import { readGlobals } from './globals.ts';
import { interrupted, type Io, pipeClosed } from './io.ts';
import type { LocalCommand } from './local-command.ts';
import { runLocal } from './local.ts';
import { parametersOf } from './parameters.ts';
import { parseError, unknownCommand } from './parse-error.ts';
import { createProgram, type ProgramOptions } from './program.ts';
import { requireWritten } from './written.ts';
import { report } from './report.ts';
import { beginSession, type Session } from './session.ts';
import { aboutOf, shownCommands } from './tree.ts';
import { Interrupted } from './usage.ts';

export interface Deps<Services> {
  readonly operations: readonly AnyOperation<Services>[];
  /** Opens the way to a target; see `reachDaemon` for the ones that need no database. */
  readonly connect: Connect<Services>;
  /** The commands that are not operations and not part of the command line itself. */
  readonly commands: readonly LocalCommand[];
  /** Every operation, where `operations` are those of one noun: loaded to guess which object of another was meant. */
  readonly whole?: () => Promise<readonly AnyOperation<Services>[]>;
}

/** Runs one command line and says how the process should end. Never ends it: what is written must get out. */
export async function run<Services>(argv: readonly string[], io: Io, deps: Deps<Services>): Promise<number> {
  const when = colourFlag(argv);
  const ink = inkFor('stderr', when, io);
  let status: number | undefined;
  let current: Command | undefined;
  const commands = [...deps.commands, ...builtInCommands];
  const operations = deps.operations.filter(isCommandable);

  const start = (command: Command): Session<Services> => {
    current = command;
    const flags = readGlobals(program, io.env);
    return beginSession({
      io,
      argv,
      flags,
      ink,
      operations,
      whole: async () => (await deps.whole?.())?.filter(isCommandable) ?? operations,
      outInk: inkFor('stdout', when, io),
      connect: deps.connect,
    });
  };
  const options: ProgramOptions<Services> = {
    commands,
    act: {
      operation: (operation, command) => execute(operation, command, start(command)),
      local: async (local, command) => {
        const whole = () => createProgram(operations, { ...options, isLazy: false });
        status = await runLocal(local, command, { session: start(command), whole, operations, all: deps.operations });
      },
    },
    out: io.out,
    err: io.err,
    columns: io.columns,
    hasColour: isColoured(when, io.env, io.stdoutIsTTY),
    isLazy: true,
  };
  const program = createProgram(operations, options);
  try {
    await parse(program, argv);
    await requireWritten(io);
    return ending(io, status ?? Exit.ok);
  } catch (thrown) {
    if (thrown instanceof Interrupted) return interrupted;
    if (isHelp(thrown)) return ending(io, thrown.exitCode === 0 || argv.length === 0 ? Exit.ok : Exit.usage);
    current ??= commandIn(program, argv);
    const error = thrown instanceof CommanderError ? parseError(thrown, current) : thrown;
    return ending(io, report(error, { io, ink, ...reporting(argv, io, current) }));
  }
}

async function parse(program: Command, argv: readonly string[]): Promise<void> {
  if (!hasFlag(argv, '__complete')) {
    const refusal = secretInArgv(program, argv);
    if (refusal) throw refusal;
  }
  watchForUnknown(program);
  // No command at all is a question, not a mistake: it is answered on stdout.
  if (argv.length === 0) return program.outputHelp();
  await program.parseAsync(helpFirst(program, argv), { from: 'user' });
}

function watchForUnknown(group: Command): void {
  group.on('command:*', ([word = '']: readonly string[]) => {
    throw unknownCommand(group, word);
  });
  for (const each of shownCommands(group)) if (each.commands.length > 0) watchForUnknown(each);
}

const isHelp = (thrown: unknown): thrown is CommanderError =>
  thrown instanceof CommanderError &&
  ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(thrown.code);

const ending = (io: Io, status: number): number => (io.isPipeClosed() ? pipeClosed : status);

function reporting(argv: readonly string[], io: Io, command: Command) {
  const output = outputFlag(argv) ?? io.env['GATEWAYCTL_OUTPUT'];
  const operation = aboutOf(command)?.operation;
  return {
    isJson: output === 'json' || output === 'jsonl',
    isDebug: hasFlag(argv, '--debug') || Boolean(io.env['GATEWAYCTL_DEBUG']),
    flagOf: (field: string): string | undefined => {
      const { args = [], flags = [] } = operation ? parametersOf(operation) : {};
      const flag = flags.find((each) => each.field === field);
      const argument = args.find((each) => each.field === field);
      return flag ? `--${flag.name}` : argument && `<${argument.name}>`;
    },
  };
}
