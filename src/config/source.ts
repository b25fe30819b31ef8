import { stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { GatewayError } from '../kernel/errors.ts';
import { loadSettings, type Settings, type Surroundings } from './load.ts';

/** A file is read when nobody has written to it for so long: an editor may be in the middle of it. */
const quietMs = 100;
/** Whoever does not stop writing is not waited for. */
const patienceMs = 5_000;

/** Where settings come from, to be read more than once. */
export class SettingsSource {
  readonly #surroundings: Surroundings;
  #files: readonly string[] = [];

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** The configuration file, and what it includes. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** @throws GatewayError as `loadSettings` does */
  read(): Settings {
    const seen = new Set<string>();
    try {
      const settings = loadSettings({ ...this.#surroundings, onFile: (path) => seen.add(path) });
      this.#files = [...seen];
      return settings;
    } catch (thrown) {
      // What a broken file includes is not known, so what it did include is still looked at.
      this.#files = [...new Set([...this.#files, ...seen])];
      throw thrown;
    }
  }

  /**
   * Reads when nobody writes: a file that was written to meanwhile is read again.
   *
   * @returns the print of the files as they were read
   * @throws GatewayError as `loadSettings` does, or when the files do not stop changing
   */
  async readQuiet(onPrint: (print: string) => void): Promise<Settings> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const { text, ageMs } = await this.#print();
      onPrint(text);
      if (ageMs < 0 || ageMs >= quietMs) {
        const outcome = this.#attempt();
        const { text: after } = await this.#print(this.#files);
        // Files that were first seen in this reading have no print of before it.
        if (after.startsWith(text)) {
          onPrint(after);
          return outcome();
        }
      }
      if (performance.now() > deadline) throw restless();
      await wait(quietMs);
    }
  }

  /** Changes whenever one of the files does, wherever its name leads: it may have been replaced, or a link to it. */
  async print(): Promise<string> {
    return (await this.#print()).text;
  }

  #attempt(): () => Settings {
    try {
      const settings = this.read();
      return () => settings;
    } catch (thrown) {
      return () => {
        throw thrown;
      };
    }
  }

  async #print(files = this.#files): Promise<{ text: string; ageMs: number }> {
    const found = await Promise.all(files.map((path) => stat(path, { bigint: true }).catch(() => undefined)));
    const lines = found.map((file, index) => {
      const { dev, ino, size, mtimeNs, ctimeNs } = file ?? {};
      return file ? `${files[index]} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}\n` : `${files[index]} is not there\n`;
    });
    const newest = Math.max(0, ...found.map((file) => Number(file?.ctimeMs ?? 0n)));
    return { text: lines.join(''), ageMs: Date.now() - newest };
  }
}

const restless = (): GatewayError =>
  new GatewayError('config', 'invalid_configuration', 'The configuration file does not stop changing', {
    hint: 'Write it somewhere else, and rename it into its place.',
  });
