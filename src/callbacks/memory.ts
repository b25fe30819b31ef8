/** Bytes that everything which waits may take together: with many destinations their sizes alone would be no bound. */
export class Memory {
  readonly #most: number;
  /** What this is a part of. */
  readonly #whole: Memory | undefined;
  #used = 0;

  constructor(most: number, whole?: Memory) {
    this.#most = most;
    this.#whole = whole;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#most || this.#whole?.take(bytes) === false) return false;
    this.#used += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
    this.#whole?.giveBack(bytes);
  }
}
