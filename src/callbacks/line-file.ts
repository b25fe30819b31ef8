import type { Log } from '../kernel/log.ts';
import { AppendFile } from './append-file.ts';

/** Bytes that wait at most for a disk that is slow; what comes then is lost, and said to be. */
const mostPending = 8 * 1024 ** 2;

/** Lines of what nobody waits for. */
export class LineFile {
  readonly #file: AppendFile;
  readonly #log: Log;
  readonly #path: string;
  #lines: string[] = [];
  #bytes = 0;
  #isFailing = false;
  #round: Promise<void> | undefined;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#file = new AppendFile({ path, maxFiles: 0 });
  }

  write(line: string): void {
    if (this.#bytes + line.length > mostPending) return this.#failed('the disk is too slow');
    this.#lines.push(line);
    this.#bytes += line.length;
    this.#round ??= this.#drain().finally(() => (this.#round = undefined));
  }

  async close(): Promise<void> {
    await this.#round;
    await this.#file.close();
  }

  async #drain(): Promise<void> {
    // Not at once: what is written in one go becomes one write.
    await Promise.resolve();
    while (this.#lines.length > 0) {
      const text = `${this.#lines.join('\n')}\n`;
      this.#lines = [];
      this.#bytes = 0;
      try {
        await this.#file.append(text);
        this.#isFailing = false;
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** Once, until it works again. */
  #failed(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#log('error', 'Dead letters of callbacks could not be written', { path: this.#path, error });
  }
}
