import type { ChildProcess } from 'node:child_process';
import { runHere } from './command-line.ts';

export interface Served {
  /** Lines of its log so far. */
  readonly log: string[];
  readonly printed: string[];
  readonly child: ChildProcess;
  /** The exit status that its process would end with. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * `gatewayctl serve` in this process: without loading the program once more, which takes a second of CPU time. Nothing in `src/`
 * that outlives a call is shared with what else runs here, and whatever nobody catches fails the test file.
 */
export function serveHere(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
): Served & { readonly ended: Promise<number> } {
  const log: string[] = [];
  const printed: string[] = [];
  let tell: (signal: string) => void = () => {};
  let hangUp = (): void => {};
  const write = (text: string): void => {
    for (const line of text.split('\n').filter((each) => each !== '')) {
      log.push(line);
      onLine(line);
    }
  };
  const ended = runHere(['serve', ...args], {
    env,
    out: (text) => void printed.push(text),
    err: write,
    runtime: {
      onSignal: (listener) => void (tell = listener),
      onHangup: (listener) => void (hangUp = listener),
      withUmask(mask, action) {
        const before = process.umask(mask);
        try {
          action();
        } finally {
          process.umask(before);
        }
      },
      logs: { write },
    },
  });
  return {
    log,
    printed,
    ended,
    get child(): ChildProcess {
      throw new Error('This daemon has no process of its own: startGateway({ ownProcess: true }) makes one that has');
    },
    async stop(signal = 'SIGTERM') {
      if (signal === 'SIGHUP') hangUp();
      else if (signal === 'SIGTERM' || signal === 'SIGINT') tell(signal);
      else throw new Error(`Only a process can be told ${signal}: startGateway({ ownProcess: true })`);
      return ended;
    },
  };
}
