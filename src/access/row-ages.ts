/** Longer than a change needs to reach every daemon, and than two ways of asking the database's clock can differ. */
const SETTLING_MS = 10_000;

/** Changes kept one by one, because anybody who may connect to the database can announce any number. */
const CHANGES_AT_MOST = 50_000;

/**
 * Which rows that another daemon has read are still believed: those read after this process began to hear of changes (a
 * change made before that may have gone by with nobody to drop the entry), and after every change of the row or of those
 * above it that it has heard of. All by the database's clock, so that no two clocks are compared.
 */
export class RowAges {
  /** Rows read before this are not believed. */
  #since = Number.POSITIVE_INFINITY;
  #sinceMs = 0;
  /** The same, once more has changed than is kept one by one. */
  #floor = 0;
  /** Of what has changed: rows of it read before `floor` are not believed. */
  readonly #changed = new Map<string, { readonly floor: number; readonly untilMs: number }>();

  /** Changes are heard of. @param since when the database was first listened to, by its own clock */
  begin(since: number): void {
    this.#since = since;
    this.#sinceMs = performance.now();
    // While nothing was heard there was no clock to tell it by.
    this.#floor = Math.min(this.#floor, since + SETTLING_MS);
  }

  /** No change is heard of: nothing is believed. */
  end(): void {
    this.#since = Number.POSITIVE_INFINITY;
    this.#sinceMs = performance.now();
  }

  /**
   * @param readAt when the row was read; milliseconds since 1970
   * @param names of the row and of everything whose change makes it untrue
   * @param ttl milliseconds an entry lives: whoever may write to the shared tier could make an old one last
   */
  isCurrent(readAt: number, names: readonly string[], ttl: number): boolean {
    if (readAt < Math.max(this.#since, this.#floor) || readAt < this.#databaseNow() - ttl) return false;
    return names.every((name) => readAt >= (this.#changed.get(name)?.floor ?? 0));
  }

  /** These have changed. Kept for as long as an entry of a row read before the change may turn up. */
  distrust(names: readonly string[], ttl: number): void {
    const now = performance.now();
    // The oldest stand first; what has run out is swept as new ones come.
    for (const [each, { untilMs }] of this.#changed) {
      if (untilMs > now) break;
      this.#changed.delete(each);
    }
    const change = { floor: this.#databaseNow() + SETTLING_MS, untilMs: now + ttl + SETTLING_MS };
    if (this.#changed.size + names.length > CHANGES_AT_MOST) {
      this.#floor = change.floor;
      this.#changed.clear();
      return;
    }
    for (const name of names) {
      this.#changed.delete(name);
      this.#changed.set(name, change);
    }
  }

  /** What the database's clock shows, or an eternity later when it is not listened to. */
  #databaseNow(): number {
    return this.#since + (performance.now() - this.#sinceMs);
  }
}
