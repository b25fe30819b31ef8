import { spawnSync } from 'node:child_process';
import { bin, type Gateway } from './servers.ts';
import { median } from './numbers.ts';

export interface Startup {
  readonly name: string;
  readonly milliseconds: number;
  /** Of `node -e ''`, run in turn with it. */
  readonly ratio: number;
}

interface Command {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How long whole processes take, from the start to the end; in turn, so that all of them have the same weather. */
export function measureStartup(gateway: Gateway, times: number): Startup[] {
  const remote = { GATEWAYCTL_SERVER: `http://127.0.0.1:${gateway.port}`, GATEWAYCTL_KEY: gateway.masterKey };
  const commands: readonly Command[] = [
    { name: "node -e ''", args: ['-e', ''] },
    { name: 'gatewayctl --version', args: [bin, '--version'] },
    { name: 'gatewayctl --help', args: [bin, '--help'] },
    { name: 'gatewayctl key list --help', args: [bin, 'key', 'list', '--help'] },
    { name: 'gatewayctl key list (remote)', args: [bin, 'key', 'list'], env: remote },
  ];
  const taken = commands.map((): number[] => []);
  // Once before it counts: Node keeps what it compiled on disk.
  for (const command of commands) timeOf(command);
  for (let round = 0; round < times; round++) {
    for (const [index, command] of commands.entries()) taken[index]?.push(timeOf(command));
  }
  const bare = median(taken[0] ?? []);
  return commands.map(({ name }, index) => {
    const milliseconds = median(taken[index] ?? []);
    return { name, milliseconds, ratio: milliseconds / bare };
  });
}

function timeOf({ args, env = {} }: Command): number {
  const startedMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', LANG: 'C.UTF-8', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const milliseconds = performance.now() - startedMs;
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr.toString()}`);
  return milliseconds;
}
