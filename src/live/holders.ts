import { type Finished, noSums, slots, type Sums, Window } from './window.ts';

/** Whose calls are counted: named, so that the name need not be looked up. */
export interface Holder {
  readonly id: string;
  name: string | null;
  team: string | null;
  readonly window: Window;
}

/** Of each kind; a window that was used has up to 12 KiB. */
const most = 300;

/**
 * The windows of all keys, or teams, users or models, as many as there may be. Whoever finds no place left is counted
 * among the others, until somebody has called nothing for a minute.
 */
export class Holders {
  readonly #byId = new Map<string, Holder>();
  readonly #others = new Window();
  #lastSearch = -1;

  add(slot: number, id: string, finished: Finished): Holder | undefined {
    const holder = this.#byId.get(id) ?? this.#make(slot, id);
    (holder?.window ?? this.#others).add(slot, finished);
    return holder;
  }

  *[Symbol.iterator](): Generator<Holder> {
    yield* this.#byId.values();
  }

  get(id: string): Holder | undefined {
    return this.#byId.get(id);
  }

  others(fromSlot: number): Sums {
    const sums = noSums();
    this.#others.addTo(sums, fromSlot);
    return sums;
  }

  #make(slot: number, id: string): Holder | undefined {
    if (this.#byId.size >= most) this.#dropIdle(slot);
    if (this.#byId.size >= most) return undefined;
    const holder = { id, name: null, team: null, window: new Window() };
    this.#byId.set(id, holder);
    return holder;
  }

  /** Once in a slot at most: a flood of new ones must not make each of them look through all. */
  #dropIdle(slot: number): void {
    if (this.#lastSearch === slot) return;
    this.#lastSearch = slot;
    for (const [id, { window }] of this.#byId) if (window.lastSlot <= slot - slots) this.#byId.delete(id);
  }
}
