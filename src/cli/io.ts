import type { Readable, Writable } from 'node:stream';

/** Everything a command may touch of the world outside. Tests make their own; the real one comes from `process`. */
export interface Io {
  readonly stdin: Readable;
  readonly stdinIsTTY: boolean;
  /** Data, and nothing else. */
  readonly out: (text: string) => void;
  /** Sentences to a person. */
  readonly err: (text: string) => void;
  readonly stdoutIsTTY: boolean;
  readonly stderrIsTTY: boolean;
  /** Where prompts are drawn, so that they never end up in a pipe. */
  readonly stderr: Writable;
  /** Columns of the terminal; 80 where nobody knows. */
  readonly columns: number;
  /** What a command that draws needs of the terminal that it writes to; absent where there is none. */
  readonly terminal?: Terminal | undefined;
  readonly env: Environment;
  readonly now: () => Date;
  /** Whether whoever read our output has gone. */
  readonly isPipeClosed: () => boolean;
  /** Waits until the data written so far is out, or cannot get out. */
  readonly flushed: () => Promise<void>;
  /** Why data could not be written: a full disk. A reader that went away is no failure. */
  readonly failure: () => NodeJS.ErrnoException | undefined;
}

export interface Terminal {
  readonly size: () => { readonly columns: number; readonly rows: number };
  readonly onResize: (listener: () => void) => void;
  /** Keys as they are pressed, Ctrl-C among them, until the function that is returned is called. Nothing where no keys can be read. */
  readonly readKeys: (listener: (pressed: string) => void) => () => void;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** 128 + SIGPIPE: what a shell reports of a program whose reader went away. */
export const pipeClosed = 141;

/** 128 + SIGINT. */
export const interrupted = 130;

/**
 * The world as this process sees it. Only `main` calls this.
 *
 * A reader that goes away (`gatewayctl key list | head -1`) is no error of ours: Node would print a stack trace and end
 * with 1. The answer usually comes after the last write, so the exit status is set here too.
 */
export function ioFromProcess(process: NodeJS.Process): Io {
  const { stdout, stderr, env } = process;
  let isClosed = false;
  let failure: NodeJS.ErrnoException | undefined;
  const onError = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') return false;
    isClosed = true;
    process.exitCode = pipeClosed;
    return true;
  };
  stdout.on('error', (error) => {
    if (!onError(error)) failure ??= error;
  });
  // Where complaints cannot be written there is nobody to complain to.
  stderr.on('error', onError);
  const isLost = () => isClosed || failure !== undefined;

  // The command line stays visible to every user of the machine for as long as the process runs; this overwrites it.
  process.title = 'gatewayctl';

  const forced = columnsOf(env['GATEWAYCTL_FORCE_TTY']);
  return {
    // Looking at `process.stdin` opens it, and some kinds of it then hold the process: only those who read pay.
    get stdin() {
      return process.stdin;
    },
    get stdinIsTTY() {
      return process.stdin.isTTY;
    },
    out: (text) => void (isLost() || stdout.write(text)),
    err: (text) => void (isClosed || stderr.write(text)),
    stdoutIsTTY: stdout.isTTY || forced !== undefined,
    stderrIsTTY: stderr.isTTY || forced !== undefined,
    stderr,
    columns: forced ?? columnsOf(env['COLUMNS']) ?? columnsOf(stdout.columns) ?? columnsOf(stderr.columns) ?? 80,
    terminal: stdout.isTTY ? terminalOf(process, forced) : undefined,
    env,
    now: () => new Date(),
    isPipeClosed: () => isClosed,
    flushed: () =>
      new Promise((resolve) => {
        if (isLost()) return resolve();
        const done = () => {
          stdout.off('error', done);
          resolve();
        };
        stdout.once('error', done).write('', done);
      }),
    failure: () => failure,
  };
}

function terminalOf(process: NodeJS.Process, forced: number | undefined): Terminal {
  const { stdout, env } = process;
  return {
    size: () => ({
      columns: forced ?? columnsOf(stdout.columns) ?? columnsOf(env['COLUMNS']) ?? 80,
      rows: columnsOf(stdout.rows) ?? columnsOf(env['LINES']) ?? 24,
    }),
    onResize: (listener) => void stdout.on('resize', listener),
    readKeys(listener) {
      const { stdin } = process;
      if (!stdin.isTTY) return () => {};
      stdin.setRawMode(true).setEncoding('utf8').on('data', listener).resume();
      return () => void stdin.off('data', listener).setRawMode(false).pause();
    },
  };
}

/** A terminal may claim to have no columns at all; that is not knowing. */
function columnsOf(value: string | number | undefined): number | undefined {
  const columns = Number(value);
  return Number.isInteger(columns) && columns > 0 ? columns : undefined;
}
