import { hostname, homedir, userInfo } from 'node:os';
import { ioFromProcess } from './cli/io.ts';
import { versionLine } from './cli/version.ts';
import type { Runtime } from './runtime.ts';

/** Turns a process into a command, and its outcome into an exit status. Only here is `process` touched. */
export async function main(process: NodeJS.Process): Promise<void> {
  const argv = process.argv.slice(2);
  const io = ioFromProcess(process);
  const known = versionLine(argv) ?? (await topHelpFor(argv));
  if (known !== undefined) return io.out(known);

  // Imported only here: what is known beforehand takes 10 ms beyond Node's own 30, where loading all this takes 150.
  const [{ connectGateway }, { run }, { commandsFor }, { checkoutRoot }] = await Promise.all([
    import('./connect.ts'),
    import('./cli/run.ts'),
    import('./commands-for.ts'),
    import('./runtime.ts'),
  ]);
  const runtime = () => runtimeOf(process, checkoutRoot());
  const deps = { ...(await commandsFor(argv, runtime)), connect: connectGateway(runtime) };
  process.exitCode = await run(argv, io, deps);
}

/** The help of the whole program, where that is all a line asks for. No command at all asks for it as well. */
async function topHelpFor(argv: readonly string[]): Promise<string | undefined> {
  if (argv.length > 1 || ![undefined, '-h', '--help'].includes(argv[0])) return undefined;
  return (await import('./cli/top-help.ts')).topHelp;
}

function runtimeOf(process: NodeJS.Process, checkout: string | undefined): Runtime {
  return {
    env: process.env,
    home: homedir(),
    cwd: process.cwd(),
    uid: process.getuid?.(),
    checkout,
    operator: `${userName()}@${hostname()}`,
    onSignal: (listener) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, listener);
    },
    onHangup: (listener) => void process.on('SIGHUP', listener),
    onFault: (listener) => {
      for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, listener);
    },
    withUmask: (mask, action) => {
      const before = process.umask(mask);
      try {
        action();
      } finally {
        process.umask(before);
      }
    },
    abort: (status) => process.exit(status),
  };
}

/** A container may run under a number that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
