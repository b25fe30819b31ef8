import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';

export interface AppendFileOptions {
  readonly path: string;
  /** Bytes after which the file is moved to `<path>.1`, and so on; it grows without end where absent. */
  readonly maxBytes?: number | undefined;
  /** How many of those are kept. */
  readonly maxFiles: number;
}

/**
 * A symbolic link in a directory that others may write to would lead what is written to a place of theirs. A pipe that
 * nobody reads would hold one of the few threads that files and names have, for good; after four of them all stands still.
 */
const flags = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * A file that lines are added to. Opened anew when somebody has moved it away, as logrotate does, without being told so; and
 * moved away by itself where a size is set. Nobody but its owner may read it.
 */
export class AppendFile {
  readonly #options: AppendFileOptions;
  #handle: FileHandle | undefined;
  #bytes = 0;

  constructor(options: AppendFileOptions) {
    this.#options = options;
  }

  /** One at a time: whoever calls waits for the one before. */
  async append(text: string): Promise<void> {
    const { maxBytes } = this.#options;
    const bytes = Buffer.byteLength(text);
    if (this.#handle && !(await isStillAt(this.#options.path, this.#handle))) await this.close();
    let handle = await this.#open();
    if (maxBytes !== undefined && this.#bytes > 0 && this.#bytes + bytes > maxBytes) {
      await this.#rotate();
      handle = await this.#open();
    }
    await handle.appendFile(text);
    this.#bytes += bytes;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #open(): Promise<FileHandle> {
    if (this.#handle) return this.#handle;
    const handle = await open(this.#options.path, flags, 0o600);
    this.#bytes = (await handle.stat()).size;
    return (this.#handle = handle);
  }

  async #rotate(): Promise<void> {
    const { path, maxFiles } = this.#options;
    await this.close();
    await rm(`${path}.${maxFiles}`, { force: true });
    for (let number = maxFiles - 1; number >= 1; number--) await move(`${path}.${number}`, `${path}.${number + 1}`);
    await (maxFiles > 0 ? move(path, `${path}.1`) : rm(path, { force: true }));
  }
}

async function isStillAt(path: string, handle: FileHandle): Promise<boolean> {
  const [found, held] = await Promise.all([stat(path).catch(() => undefined), handle.stat()]);
  return found?.ino === held.ino && found.dev === held.dev;
}

/** There may be fewer of them than are kept. */
async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
