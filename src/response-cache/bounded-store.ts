import type { KeyvStoreAdapter } from 'keyv';

/** Of a text beside its characters: the key, the entry of the map and the two headers, roughly. */
const overhead = 256;

/** A store in this process that never grows past a number of entries and of bytes: what was used longest ago leaves first. */
export class BoundedStore implements Pick<KeyvStoreAdapter, 'get' | 'set' | 'delete' | 'clear' | 'opts' | 'on'> {
  readonly opts = {};
  namespace?: string;
  readonly #most: { readonly entries: number; readonly bytes: number };
  readonly #texts = new Map<string, string>();
  #bytes = 0;

  constructor(most: { readonly entries: number; readonly bytes: number }) {
    this.#most = most;
  }

  /** Nothing of it fails, so nobody is told. */
  on(): this {
    return this;
  }

  get bytes(): number {
    return this.#bytes;
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- Keyv's interface
  async get<Value>(key: string): Promise<Value | undefined> {
    const text = this.#texts.get(key);
    if (text === undefined) return undefined;
    this.#texts.delete(key);
    this.#texts.set(key, text);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Keyv hands texts in, and gets what it handed in
    return text as Value;
  }

  async set(key: string, text: string): Promise<void> {
    await this.delete(key);
    if (sizeOf(text) > this.#most.bytes) return;
    this.#texts.set(key, text);
    this.#bytes += sizeOf(text);
    for (const [oldest] of this.#texts) {
      if (this.#texts.size <= this.#most.entries && this.#bytes <= this.#most.bytes) return;
      await this.delete(oldest);
    }
  }

  async delete(key: string): Promise<boolean> {
    const text = this.#texts.get(key);
    if (text !== undefined) this.#bytes -= sizeOf(text);
    return this.#texts.delete(key);
  }

  async clear(): Promise<void> {
    this.#texts.clear();
    this.#bytes = 0;
  }
}

const sizeOf = (text: string): number => text.length + overhead;
