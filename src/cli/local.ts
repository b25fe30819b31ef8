import type { Command } from 'commander';
import type { Commandable } from './commandable.ts';
import type { Connection } from './connection.ts';
import { readInput } from './input.ts';
import type { Caller, LocalCommand, LocalContext } from './local-command.ts';
import { localParametersOf } from './parameters.ts';
import { formatOf } from './presentation.ts';
import type { AnyOperation } from '../kernel/operation.ts';
import type { Session } from './session.ts';
import { usage } from './usage.ts';
import { commandLine } from './shell-words.ts';

interface Surroundings<Services> {
  readonly session: Session<Services>;
  readonly whole: () => Command;
  readonly operations: readonly Commandable<Services>[];
  /** With those that are no command. */
  readonly all: readonly AnyOperation<Services>[];
}

/** Runs a command that is not an operation. */
export async function runLocal<Services>(
  local: LocalCommand,
  command: Command,
  { session, whole, operations, all }: Surroundings<Services>,
): Promise<number> {
  const parameters = localParametersOf(local);
  const values = local.isRaw ? {} : await readInput(command, parameters, session.sources);
  const missing = [...parameters.args, ...parameters.flags].find(
    ({ field, isRequired }) => isRequired && !(field in values),
  );
  if (missing) {
    const word = parameters.args.includes(missing) ? [`<${missing.name}>`] : [`--${missing.name}`, '<value>'];
    const needs = `${local.path.join(' ')} needs ${word[0] ?? ''}.`;
    throw usage('missing_argument', needs, `Run: ${commandLine([...session.argv, ...word])}`);
  }
  const { io, ink, sources, flags, canAsk, target } = session;
  const context: LocalContext = {
    io,
    ink,
    sources,
    canAsk,
    target,
    args: command.args,
    options: Object.fromEntries(
      parameters.flags.filter(({ field }) => field in values).map(({ field }) => [field, values[field]]),
    ),
    global: flags,
    program: whole,
    format: formatOf(flags.output, io),
    operations,
    connect: async (options = {}) =>
      callerOn(await session.connect({ ...options, command: local.path.join(' ') }), all),
    daemon: async () => {
      const { daemon } = await session.connect({ needsDaemon: true, command: local.path.join(' ') });
      if (!daemon) throw new Error('only a database was reached, and a daemon was needed');
      return daemon;
    },
  };
  return (await local.run(context)) ?? 0;
}

function callerOn<Services>(connection: Connection<Services>, operations: readonly AnyOperation<Services>[]): Caller {
  return {
    describe: connection.describe,
    async call(command, input) {
      const operation = operations.find((each) => each.command.join(' ') === command);
      if (!operation) throw new Error(`no operation is called ${command}`);
      return connection.invoke(operation, input);
    },
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}
