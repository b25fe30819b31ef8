import { join, resolve } from 'node:path';

import { GatewayError } from '../kernel/errors.ts';

/** Where the parts of one embedded server lie. Two processes that name the same state directory get the same place. */
export interface Place {
  readonly stateDir: string;
  /** 0700, the server's own: the sockets, the log and the data directory. */
  readonly home: string;
  readonly data: string;
  readonly log: string;
  /** PostgreSQL's note that the socket is taken. */
  readonly socketLock: string;
  /** Beside `home`, because as root `home` belongs to the server's user and the lock must stay ours. */
  readonly lock: string;
  /** Copies of the programs, for a checkout that the server's user cannot enter. */
  readonly programs: string;
  url(database: string): string;
}

/** What `sockaddr_un.sun_path` holds, less its closing zero byte: unix(7) on Linux, unix(4) on the BSDs and macOS. */
const longestSocketPath = process.platform === 'linux' ? 107 : 103;

/** The one port there is: nothing listens on it, it only names the socket. */
const port = 5432;

/**
 * The path is resolved and not made real: who has too long a path may give a short symbolic link to it instead.
 * (We do not make such a link in /tmp ourselves: whoever creates it first would be given our database's clients.)
 */
export function placeIn(directory: string): Place {
  const stateDir = resolve(directory);
  const home = join(stateDir, 'postgres');
  const socket = join(home, `.s.PGSQL.${port}`);
  const length = Buffer.byteLength(socket);
  if (length > longestSocketPath) {
    throw new GatewayError(
      'config',
      'state_dir_too_long',
      `The state directory's path is too long for a Unix socket: ${socket} has ${length} bytes, the system allows ${longestSocketPath}`,
      { hint: 'Choose a shorter --state-dir, or give a short symbolic link to it' },
    );
  }
  return {
    stateDir,
    home,
    data: join(home, 'data'),
    log: join(home, 'server.log'),
    socketLock: `${socket}.lock`,
    lock: join(stateDir, 'postgres.lock'),
    programs: join(stateDir, 'postgres-programs'),
    // The port and sslmode are said because pg would otherwise take PGPORT and PGSSLMODE from the environment.
    url: (database) => `postgres://gatewayctl@${encodeURIComponent(home)}:${port}/${database}?sslmode=disable`,
  };
}
