import { lstatSync } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { GatewayError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { hashSecret } from '../kernel/secret.ts';
import type { Key } from './key.entity.ts';

/** How often it is looked for keys that are due, at the latest. */
const INTERVAL_MS = 60_000;
const SHORTEST_MS = 1_000;
/** Keys in one go: a daemon that was away for long must not hold the database for itself. */
const AT_ONCE = 1_000;

const pendingSuffix = '.pending';

export interface NamedKey {
  readonly id: string;
  readonly token: string;
  readonly alias?: string | null | undefined;
}

export interface RotationParts {
  /** Where secrets are written. */
  readonly directory: string;
  readonly log: Log;
  /** Rotates one key that is due in a transaction; `keep` has to end before it commits. */
  readonly rotate: (keep: (key: Key, secret: string) => Promise<void>) => Promise<Key | undefined>;
  /** Waits for a change of the key that is under way, and answers with its names then. */
  readonly find: (keyId: string) => Promise<NamedKey | undefined>;
  /** When the next key is due, in milliseconds since 1970. */
  readonly nextDue: () => Promise<number | undefined>;
}

/**
 * Replaces the secrets of keys that are due, and leaves each in a file of its own.
 *
 * A secret is in a file before the commit makes it valid, under a name that nobody reads yet, and gets its name after
 * the commit. Whatever a crash leaves under the first name is looked at later: the secret of a rotation that was
 * committed gets its name then, and any other is nobody's and goes.
 */
export class KeyRotation {
  readonly #parts: RotationParts;
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>;

  /** @throws GatewayError of kind `config` when anybody else could read or write in the directory */
  constructor(parts: RotationParts) {
    requirePrivate(parts.directory);
    this.#parts = parts;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const pause = await this.#round().catch((error: unknown) => {
        this.#parts.log('error', 'Keys could not be rotated', { error });
        return INTERVAL_MS;
      });
      await wait(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** @returns how long to wait for the next one */
  async #round(): Promise<number> {
    await this.#recover();
    for (let count = 0; count < AT_ONCE && !this.#stopped.signal.aborted; count++) {
      if (!(await this.#rotateOne())) break;
    }
    const due = await this.#parts.nextDue();
    const pause = due === undefined ? INTERVAL_MS : due - Date.now();
    return Math.min(Math.max(pause, SHORTEST_MS), INTERVAL_MS);
  }

  async #rotateOne(): Promise<boolean> {
    let pending: string | undefined;
    const key = await this.#parts.rotate(async ({ id }, secret) => {
      pending = `${Buffer.from(id).toString('base64url')}.${hashSecret(secret).slice(0, 16)}${pendingSuffix}`;
      await writePrivate(join(this.#parts.directory, pending), secret);
      await syncDirectory(this.#parts.directory);
    });
    if (!key || pending === undefined) return false;
    await this.#publish(pending, key);
    this.#parts.log('info', `Key ${key.alias ?? key.id} has a new secret`, { key_id: key.id, file: fileOf(key) });
    return true;
  }

  /** What was left by a process that died, or is being written by another one: in that case this waits for its commit. */
  async #recover(): Promise<void> {
    for (const name of await readdir(this.#parts.directory)) {
      if (!name.endsWith(pendingSuffix)) continue;
      const key = await this.#parts.find(Buffer.from(name.split('.')[0] ?? '', 'base64url').toString());
      const path = join(this.#parts.directory, name);
      const secret = await readFile(path, 'utf8').catch(whenGone);
      if (secret === undefined) continue;
      if (key && hashSecret(secret.trim()) === key.token) await this.#publish(name, key);
      else await rm(path, { force: true });
    }
  }

  async #publish(pending: string, key: NamedKey): Promise<void> {
    const { directory } = this.#parts;
    await rename(join(directory, pending), join(directory, fileOf(key))).catch(whenGone);
    await syncDirectory(directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }
}

/** Another daemon on the same directory has been faster. */
function whenGone(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}

/**
 * An alias that is a fine name for a file, and no id: nobody gets the file of another key by calling theirs like its id.
 */
export function fileOf({ id, alias }: Pick<NamedKey, 'id' | 'alias'>): string {
  const isId = /^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(alias ?? '');
  return alias && !isId && /^[A-Za-z0-9][\w@-]{0,199}$/.test(alias) ? alias : id;
}

async function writePrivate(path: string, secret: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${secret}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is on the disk when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function requirePrivate(path: string): void {
  const refuse = (what: string) =>
    new GatewayError('config', 'invalid_configuration', `rotation_secrets_dir: ${path} ${what}`, {
      hint: `Make one that is the daemon's alone: install -d -m 0700 ${path}`,
    });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) throw refuse('is not there');
  if (!found.isDirectory()) throw refuse('is no directory');
  if ((found.mode & 0o077) !== 0) throw refuse('can be read or written by others');
  if (process.getuid && found.uid !== process.getuid()) throw refuse('belongs to somebody else');
}
