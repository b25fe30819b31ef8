import { PassThrough, Readable } from 'node:stream';
import type { Io } from '../../src/cli/io.ts';
import { run } from '../../src/cli/run.ts';
import { commandsFor } from '../../src/commands-for.ts';
import { connectGateway } from '../../src/connect.ts';
import type { Runtime } from '../../src/runtime.ts';

export interface Outcome {
  readonly out: string;
  readonly err: string;
  readonly exit: number;
}

/** An environment of which nothing of the developer's own is left. */
export const cleanEnv = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '/',
  LANG: 'C.UTF-8',
  ...more,
});

/** Splits as a shell does, for lines without anything a shell would expand. */
export const words = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare ?? '');

export interface CommandWorld {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** What a command line meets instead of a process: where it writes, and what else it is told of the world. */
interface Surroundings {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly runtime?: Partial<Runtime>;
}

/** Runs a command line in this process, through the same front door as `bin/gatewayctl.js`, and gives its exit status. */
export async function runHere(argv: readonly string[], world: Surroundings): Promise<number> {
  const { env, stdin = '', out, err } = world;
  const io: Io = {
    stdin: Readable.from(stdin === '' ? [] : [stdin]),
    stdinIsTTY: false,
    out,
    err,
    stdoutIsTTY: false,
    stderrIsTTY: false,
    stderr: new PassThrough(),
    columns: 80,
    env: cleanEnv(env),
    now: () => new Date(),
    isPipeClosed: () => false,
    flushed: () => Promise.resolve(),
    failure: () => undefined,
  };
  const runtime: Runtime = {
    env: io.env,
    home: io.env['HOME'] ?? '/',
    cwd: process.cwd(),
    uid: process.getuid?.(),
    checkout: undefined,
    operator: 'tester@host',
    onSignal: () => {},
    onHangup: () => {},
    onFault: () => {},
    withUmask: (_, action) => action(),
    abort: () => {},
    ...world.runtime,
  };
  const deps = { ...(await commandsFor(argv, () => runtime)), connect: connectGateway(() => runtime) };
  return run(argv, io, deps);
}

/** A command line, and what came of it. */
export async function gatewayctl(
  line: string | readonly string[],
  { env = {}, stdin = '' }: CommandWorld = {},
): Promise<Outcome> {
  const written = { out: '', err: '' };
  const exit = await runHere(typeof line === 'string' ? words(line) : line, {
    env,
    stdin,
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
  });
  return { ...written, exit };
}
