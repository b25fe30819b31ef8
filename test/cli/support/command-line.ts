import { PassThrough, Readable } from 'node:stream';
import type { Connect } from '../../../src/cli/connection.ts';
import type { Io } from '../../../src/cli/io.ts';
import type { LocalCommand } from '../../../src/cli/local-command.ts';
import { run } from '../../../src/cli/run.ts';
import { describeTarget } from '../../../src/cli/target.ts';
import type { AnyOperation } from '../../../src/kernel/operation.ts';
import { now, operations, widgetGateway } from './widgets.ts';

export interface World {
  readonly stdin?: string;
  /** Which of the streams are a terminal; none when nothing is said. */
  readonly tty?: boolean | { readonly stdin?: boolean; readonly stdout?: boolean; readonly stderr?: boolean };
  readonly env?: Record<string, string>;
  readonly columns?: number;
  readonly rows?: readonly Record<string, unknown>[];
  readonly commands?: readonly LocalCommand[];
  readonly connect?: Connect<never>;
  readonly operations?: readonly AnyOperation<never>[];
}

/** Splits as a shell does, for lines without anything a shell would expand. */
export function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
}

/** Runs `gatewayctl <line>` against a gateway in memory: a command line in; what it wrote, did and ended with out. */
export async function gatewayctl(line: string | readonly string[], world: World = {}) {
  const { stdin = '', tty = false, env = {}, columns = 80 } = world;
  const isTTY = (stream: 'stdin' | 'stdout' | 'stderr') => (typeof tty === 'boolean' ? tty : (tty[stream] ?? false));
  const gateway = widgetGateway(world.rows);
  const written = { out: '', err: '' };
  const io: Io = {
    stdin: Readable.from(stdin === '' ? [] : [stdin]),
    stdinIsTTY: isTTY('stdin'),
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    stdoutIsTTY: isTTY('stdout'),
    stderrIsTTY: isTTY('stderr'),
    stderr: new PassThrough(),
    columns,
    env: { NO_COLOR: '1', LANG: 'C.UTF-8', ...env },
    now: () => now,
    isPipeClosed: () => false,
    flushed: () => Promise.resolve(),
    failure: () => undefined,
  };
  const connect: Connect<never> = async (target) => ({
    invoke: gateway.invoke,
    describe: describeTarget(target),
    baseUrl: target.mode === 'server' ? target.url : undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  const argv = typeof line === 'string' ? words(line) : line;
  const exit = await run(argv, io, {
    operations: world.operations ?? operations,
    commands: world.commands ?? [],
    connect: world.connect ?? connect,
  });
  return { ...written, exit, calls: gateway.calls, input: gateway.calls.at(-1)?.input };
}
