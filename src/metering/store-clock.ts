/** The clocks differ by more than they can have drifted apart: one of them was set. */
const stepMs = 250;

/**
 * What a store's clock shows at a moment of ours. Never less than it does show, so that nothing is forgotten before its
 * time; and the same for the same moment, so that what is taken back is taken from where it was counted.
 */
export class StoreClock {
  #offsetMs: number | undefined;

  get isKnown(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** @param sentMs of our clock that only goes forward, before the store was asked what time it is */
  learn(sentMs: number, storeMs: number): void {
    const offsetMs = storeMs - sentMs;
    const before = this.#offsetMs;
    // The quickest answer is the nearest to the truth.
    if (before === undefined || offsetMs < before || offsetMs > before + stepMs) this.#offsetMs = offsetMs;
  }

  /** The second since 1970. */
  secondAt(ms: number): number {
    return Math.floor((ms + (this.#offsetMs ?? 0)) / 1_000);
  }
}
