import { constants, access, lstat, mkdir, open, readFile, stat } from 'node:fs/promises';
import { closeSync, fchownSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

import { GatewayError } from '../kernel/errors.ts';
import { absent, codeOf, notOurs } from './embedded-failure.ts';
import type { Place } from './embedded-place.ts';

/** The user a server of ours runs as, where that is not the one we are. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** Makes the state directory if need be and says who the server has to be: undefined for ourselves. */
export async function settle(place: Place): Promise<ServerUser | undefined> {
  const ourselves = process.getuid?.();
  // As root others must be able to pass, for the server is another user; what is secret in there is 0600 itself.
  const made = await mkdir(place.stateDir, { recursive: true, mode: 0o700 });
  if (ourselves === 0) {
    if (made !== undefined) await openTheWay(made, place.stateDir);
    const user = await unprivileged(place);
    makeLock(place, (await stat(place.stateDir)).uid);
    return user;
  }
  for (const path of [place.home, place.data]) {
    const owner = (await lstat(path).catch(absent))?.uid;
    if (owner !== undefined && owner !== ourselves) throw notOurs(path, `it belongs to uid ${owner}`);
  }
  await access(place.stateDir, constants.W_OK | constants.X_OK);
  makeLock(place, ourselves);
  return undefined;
}

/** mkdir's own mode would be cut by a umask of 077, and root's new state directory would be closed to the server. */
async function openTheWay(from: string, to: string): Promise<void> {
  await using directory = await open(to, constants.O_DIRECTORY | constants.O_NOFOLLOW);
  await directory.chmod(0o711);
  if (to !== from) await openTheWay(from, dirname(to));
}

/**
 * Made before SQLite opens it, so that root does not leave a lock that the owner of the state directory cannot open.
 * Synchronous, because closing any descriptor of a file drops all of this process's fcntl locks on it: between open
 * and close nobody else here may come to take one.
 */
function makeLock(place: Place, owner: number | undefined): void {
  try {
    const lock = openSync(place.lock, 'wx', 0o600);
    if (owner) fchownSync(lock, owner, -1);
    closeSync(lock);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/**
 * PostgreSQL refuses to run as root. Whoever has the data already keeps it, then the owner of the state directory (so
 * that `sudo gatewayctl` in somebody's directory does not lock them out), then the users one may expect. All of root's
 * servers on `nobody` can read each other's files, which is why the package makes a user of its own.
 */
async function unprivileged(place: Place): Promise<ServerUser> {
  for (const path of [place.data, place.home, place.stateDir]) {
    const owner = await stat(path).catch(absent);
    if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, name: `the owner of ${path}` };
    if (owner && path === place.data) {
      throw notOurs(path, 'it belongs to root, and PostgreSQL refuses to run as root; give it to an ordinary user');
    }
  }
  const users = await passwd();
  const user = users.get('gatewayctl') ?? users.get('postgres') ?? users.get('nobody');
  if (user) return user;
  throw new GatewayError(
    'config',
    'no_unprivileged_user',
    'PostgreSQL refuses to run as root, and there is no user gatewayctl, postgres or nobody to run it as',
    { hint: 'useradd --system gatewayctl' },
  );
}

async function passwd(): Promise<Map<string, ServerUser>> {
  const users = new Map<string, ServerUser>();
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [name = '', , uid, gid] = line.split(':');
    if (uid && gid && uid !== '0') users.set(name, { uid: Number(uid), gid: Number(gid), name });
  }
  return users;
}

/**
 * Makes the server's own directory. By descriptor and without following links: as root this may happen inside a
 * directory of the server's user, who could otherwise put a link to /etc there and be given that.
 */
export async function makeHome(place: Place, user: ServerUser | undefined): Promise<void> {
  await mkdir(place.home, { mode: 0o700 }).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
  await using home = await open(place.home, constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const { uid } = await home.stat();
  if (user && uid === 0) await home.chown(user.uid, user.gid);
  await home.chmod(0o700);
}
