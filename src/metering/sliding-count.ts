/** A minute in slots of five seconds, and the one that is being filled. */
const slotMs = 5_000;
const slots = 13;

/** The slot a moment falls into. */
export const slotAt = (nowMs: number): number => Math.floor(nowMs / slotMs);

/**
 * How much there was in the last minute, rounded up by a slot: never more than the limit goes through in any 60 seconds,
 * and what was taken is given back after 60 to 65. A fixed minute lets twice as much through around its end.
 */
export class SlidingCount {
  readonly #slots = new Float64Array(slots);
  #latest = 0;
  #total = 0;

  /** @param slot of the present moment */
  total(slot: number): number {
    const steps = Math.min(slots, slot - this.#latest);
    for (let step = 1; step <= steps; step++) this.#empty(slot - steps + step);
    if (slot > this.#latest) this.#latest = slot;
    return this.#total;
  }

  /** Adds to a slot, or takes off it, unless it is out of the minute already. */
  add(slot: number, amount: number): void {
    if (slot > this.#latest) this.total(slot);
    if (slot <= this.#latest - slots) return;
    this.#slots[slot % slots] = (this.#slots[slot % slots] ?? 0) + amount;
    this.#total += amount;
  }

  /** Milliseconds until the total is no more than this: when enough of the oldest slots are out of the minute. */
  waitFor(most: number, nowMs: number): number {
    const now = slotAt(nowMs);
    let left = this.total(now);
    for (let slot = now - slots + 1; slot <= now; slot++) {
      left -= this.#slots[slot % slots] ?? 0;
      if (left <= most) return (slot + slots) * slotMs - nowMs;
    }
    return slots * slotMs;
  }

  /** What the minute consists of: how many milliseconds ago each was, at most, and how much. */
  uses(nowMs: number): (readonly [ageMs: number, amount: number])[] {
    const now = slotAt(nowMs);
    this.total(now);
    const uses: (readonly [number, number])[] = [];
    for (let slot = now - slots + 1; slot <= now; slot++) {
      const amount = this.#slots[slot % slots] ?? 0;
      if (amount > 0) uses.push([Math.max(0, nowMs - (slot + 1) * slotMs), amount]);
    }
    return uses;
  }

  #empty(slot: number): void {
    this.#total -= this.#slots[slot % slots] ?? 0;
    this.#slots[slot % slots] = 0;
  }
}
