import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

import { GatewayError } from '../kernel/errors.ts';
import type { Place } from './embedded-place.ts';
import type { ServerUser } from './embedded-user.ts';

/** An errno name or an SQLSTATE, where the error has one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** For `.catch`: what is not there is undefined, any other failure stays one. */
export function absent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

/** What the operating system or PostgreSQL refused, in the operator's words. What nobody foresaw is passed on. */
export function explained(error: unknown, place: Place): unknown {
  if (error instanceof GatewayError || !(error instanceof Error)) return error;
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case '53100': // disk_full
      return diskFull(place, error.message, error);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'syscall' in error && String(error.syscall).startsWith('spawn')
        ? cannotSwitchUser(error)
        : notOurs(place.stateDir, error.message, error);
    case undefined:
    default:
      return error;
  }
}

export interface Failure {
  place: Place;
  user: ServerUser | undefined;
  /** What did not work: `PostgreSQL did not start`. */
  what: string;
  /** The line of the program's output that says why; empty when it could not even write that. */
  line: string;
}

/** Why a program of PostgreSQL failed. The directories and the disk are asked first: its own words are often only their echo. */
export async function failure({ place, user, what, line }: Failure): Promise<GatewayError> {
  const closed = user && (await firstClosedDirectory(place.stateDir, user));
  if (closed) return unreachable(closed, user);
  // The server's log is on the same disk, so it may be silent; and programs run with LANG=C, so strerror speaks English.
  if (/No space left on device|Disk quota exceeded/.test(line) || (await isFull(place.stateDir))) {
    return diskFull(place, line || what);
  }
  return new GatewayError('system', 'embedded_postgres_failed', `${what}${line && `: ${line}`}`, {
    hint: `See ${place.log}, or set DATABASE_URL to use a PostgreSQL of your own`,
  });
}

export function notOurs(path: string, reason: string, cause?: unknown): GatewayError {
  return new GatewayError('system', 'state_dir_not_ours', `gatewayctl cannot use ${path}: ${reason}`, {
    hint: 'Run it as the user that owns the state directory, or choose another --state-dir',
    cause,
  });
}

function diskFull(place: Place, reason: string, cause?: unknown): GatewayError {
  return new GatewayError('system', 'disk_full', `The disk of ${place.stateDir} is full: ${reason}`, {
    hint: 'Free some space (a new database takes 40 MB) and run the command again; what is stored is not damaged',
    cause,
  });
}

function cannotSwitchUser(cause: unknown): GatewayError {
  return new GatewayError(
    'system',
    'cannot_switch_user',
    'PostgreSQL refuses to run as root, and this root is not allowed to become another user',
    { hint: 'Run gatewayctl as an ordinary user, or set DATABASE_URL', cause },
  );
}

function unreachable(directory: string, { uid, name }: ServerUser): GatewayError {
  return new GatewayError(
    'system',
    'state_dir_unreachable',
    `PostgreSQL refuses to run as root, so it runs as ${name}, and ${name} (uid ${uid}) may not enter ${directory}`,
    { hint: `Choose another --state-dir, or let it through: chmod o+x '${directory}'` },
  );
}

/**
 * The topmost directory on the way that the user may not enter, by its mode bits. Asked only after something failed:
 * an access control list may permit what the bits do not show.
 */
async function firstClosedDirectory(path: string, user: ServerUser): Promise<string | undefined> {
  const above = dirname(path) === path ? undefined : await firstClosedDirectory(dirname(path), user);
  if (above) return above;
  const { mode, uid, gid } = await stat(path);
  const group = gid === user.gid ? 0o010 : 0o001;
  return mode & (uid === user.uid ? 0o100 : group) ? undefined : path;
}

/** Not exactly zero: what failed may have given back the last piece it got. */
async function isFull(path: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize < 1024 * 1024;
}
