import { hostname, homedir, userInfo } from 'node:os';
import { connectGateway } from './connect.ts';
import { ioFromProcess } from './cli/io.ts';
import { run } from './cli/run.ts';
import { versionLine } from './cli/version.ts';
import { localCommands } from './commands.ts';
import { operations } from './operations.ts';
import { checkoutRoot, type Runtime } from './runtime.ts';

/** Turns a process into a command, and its outcome into an exit status. Only here is `process` touched. */
export async function main(process: NodeJS.Process): Promise<void> {
  const argv = process.argv.slice(2);
  const version = versionLine(argv);
  if (version !== undefined) {
    process.stdout.write(version);
    return;
  }
  const runtime = () => runtimeOf(process);
  const deps = { operations, connect: connectGateway(runtime), commands: localCommands(runtime) };
  process.exitCode = await run(argv, ioFromProcess(process), deps);
}

function runtimeOf(process: NodeJS.Process): Runtime {
  return {
    env: process.env,
    home: homedir(),
    cwd: process.cwd(),
    uid: process.getuid?.(),
    checkout: checkoutRoot(),
    operator: `${userName()}@${hostname()}`,
    onSignal: (listener) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, listener);
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
