import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const main = join(import.meta.dirname, 'main.ts');

/** `script` of util-linux gives a program a terminal of its own; BSD's takes other flags. */
export const hasTerminal =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;

const environment = (env: Record<string, string>) => {
  const { CI: _, ...rest } = process.env;
  return { ...rest, NO_COLOR: '1', LANG: 'C.UTF-8', TERM: 'xterm', ...env };
};

/**
 * Runs the command line on a terminal and types: each text when what comes before it has appeared on the screen.
 */
export function onTerminal(
  line: string,
  dialogue: readonly (readonly [awaited: string, typed: string])[],
  env: Record<string, string> = {},
): Promise<{ readonly screen: string; readonly exit: number | null }> {
  const command = `${process.execPath} ${main} ${line}`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], { env: environment(env), timeout: 20_000 });
  let screen = '';
  let unread = '';
  const rest = [...dialogue];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    screen += chunk;
    unread += chunk;
    const [next] = rest;
    if (!next || !unread.includes(next[0])) return;
    rest.shift();
    unread = '';
    child.stdin.write(next[1]);
  });
  return new Promise((resolve) => child.on('close', (exit) => resolve({ screen, exit })));
}

/** Runs a script of the shell in which `gatewayctl` is the command line in a process of its own. */
export function inShell(
  script: string,
  { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {},
) {
  const name = `gatewayctl() { "${process.execPath}" "${main}" "$@"; }`;
  return spawnSync('sh', ['-c', `${name}\n${script}`], {
    encoding: 'utf8',
    input,
    env: environment(env),
    timeout: 20_000,
  });
}
