/** Bytes that everything which waits may take together: with many destinations their sizes alone would be no bound. */
export class Memory {
  readonly #most: number;
  #used = 0;

  constructor(most: number) {
    this.#most = most;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#most) return false;
    this.#used += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
  }
}
