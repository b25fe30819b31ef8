import { hash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { GatewayError } from '../kernel/errors.ts';
import { variable, type Environment } from './resolver.ts';

export interface StateDirSurroundings {
  readonly env: Environment;
  /** Undefined where the system has none. */
  readonly uid: number | undefined;
  readonly home: string;
  /** The package root when the program runs from a source checkout. */
  readonly checkout?: string | undefined;
}

/**
 * Where state lives when nobody says. Two checkouts never share a directory: one on a newer commit would migrate the
 * database under the feet of the other.
 */
export function defaultStateDir(surroundings: StateDirSurroundings): {
  readonly path: string;
  readonly source: string;
} {
  const { env, uid, home, checkout } = surroundings;
  const [systemd] = variable(env, 'STATE_DIRECTORY')?.split(':') ?? [];
  if (systemd && isAbsolute(systemd)) return { path: systemd, source: 'environment STATE_DIRECTORY' };
  const suffix = checkout === undefined ? '' : `-${hash('sha256', checkout).slice(0, 8)}`;
  const name = `gatewayctl${suffix}`;
  if (uid === 0) return { path: join('/var/lib', name), source: 'default' };
  const xdg = variable(env, 'XDG_STATE_HOME');
  // The XDG specification has relative values ignored.
  if (xdg && isAbsolute(xdg)) return { path: join(xdg, name), source: 'default' };
  return { path: join(home, '.local', 'state', name), source: 'default' };
}

/**
 * Makes the state directory, or checks that the one there is ours and that nobody else may write to it. One that was
 * there before keeps its mode: it may be somebody's home, or /tmp.
 *
 * A new one of root's is 0711 instead of 0700: the embedded PostgreSQL runs as another user, which must get through to its
 * own directory below, and can list nothing on the way.
 */
export function prepareStateDir(path: string, uid: number | undefined = process.getuid?.()): void {
  const mode = uid === 0 ? 0o711 : 0o700;
  try {
    makeDirectory(path, mode);
    const status = statSync(path);
    if (!status.isDirectory()) throw unusable(path, 'is not a directory');
    const { uid: owner, mode: found } = status;
    if (uid !== undefined && owner !== uid) throw unusable(path, `belongs to user ${owner} and not to user ${uid}`);
    if ((found & 0o022) !== 0) throw unusable(path, 'may be written to by other users');
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw unusable(path, why[code] ?? `cannot be used (${code})`, cause);
  }
}

/** With what leads to it. Not by Node's `recursive`, which goes on trying for ever where a file system takes no directories (/proc). */
function makeDirectory(path: string, mode: number): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent, mode);
  try {
    mkdirSync(path);
  } catch (cause) {
    // Somebody else, who starts at the same moment, was quicker.
    if (existsSync(path)) return;
    throw cause;
  }
  // The umask may have closed it further than root's database can bear.
  chmodSync(path, mode);
}

const why: Readonly<Record<string, string>> = {
  ENOTDIR: 'lies below something that is not a directory',
  EACCES: 'cannot be created: this user may not write there',
  EPERM: 'cannot be created: this user may not write there',
  EROFS: 'cannot be created: the file system is read-only',
  ENOENT: 'cannot be created: this file system takes no directories',
  ENOSPC: 'cannot be created: the disk is full',
};

const unusable = (path: string, reason: string, cause?: unknown): GatewayError =>
  new GatewayError('system', 'state_directory_unusable', `The state directory ${path} ${reason}`, {
    hint: 'Name another with --state-dir or GATEWAYCTL_STATE_DIR.',
    cause,
  });
