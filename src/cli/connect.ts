import { connect as dial } from 'node:net';
import { join } from 'node:path';
import type { Connection, ConnectOptions } from './connection.ts';
import { followFrom } from './follow.ts';
import { type Address, remote } from './invoke.ts';
import { describeTarget, type Target } from './target.ts';

/** The socket of a daemon's admin API inside its state directory. */
export const adminSocket = (stateDir: string): string => join(stateDir, 'admin.sock');

/**
 * The way to a daemon: the one named, or the one that listens in the state directory. Nothing when there is none and
 * the database has to be opened here.
 *
 * @param stateDir the state directory where the target names none
 */
export async function reachDaemon(
  target: Target,
  stateDir: string,
  options: ConnectOptions,
): Promise<Connection<never> | undefined> {
  if (target.mode === 'direct') return undefined;
  if (target.mode === 'server') {
    const baseUrl = target.url.startsWith('http') ? target.url : undefined;
    return connection(target, options, { describe: describeTarget(target), baseUrl });
  }
  const socketPath = adminSocket(target.stateDir ?? stateDir);
  if (!(await listens(socketPath))) return undefined;
  return connection({ socketPath }, options, { describe: `local daemon · ${socketPath}` });
}

const connection = (
  address: Address,
  options: ConnectOptions,
  about: Pick<Connection<never>, 'describe' | 'baseUrl'>,
): Connection<never> => {
  const ask = remote(address, options);
  return {
    ...about,
    invoke: ask,
    daemon: { ask, follow: followFrom(address, options) },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
};

/** Whether somebody answers at a socket. The file alone says nothing: a daemon that was killed leaves it behind. */
export function listens(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = dial(socketPath, () => resolve(true));
  // Without permission somebody is there all the same, and the request will say so.
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EACCES'));
  return promise.finally(() => socket.destroy());
}
