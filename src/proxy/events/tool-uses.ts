import type { Units } from '../../metering/units.ts';

type Unit = keyof Units;

/** A use of a tool that the provider runs, and takes money for, as far as it shows by now. */
export interface ToolUse {
  /** What is told of one use more than once has the same. */
  readonly id: string;
  /** What it is counted as; undefined for one that has turned out to cost nothing. */
  readonly unit: Unit | undefined;
}

/** No call makes as many; an upstream that goes on telling of more must not fill the memory. */
const mostUses = 10_000;

/** The uses of tools that a stream has told of. */
export class ToolUses {
  readonly #units = new Map<string, Unit | undefined>();

  add({ id, unit }: ToolUse): void {
    if (this.#units.size < mostUses || this.#units.has(id)) this.#units.set(id, unit);
  }

  /** Undefined where none has cost anything. */
  get units(): Units | undefined {
    const counts: Partial<Record<Unit, number>> = {};
    for (const unit of this.#units.values()) if (unit) counts[unit] = (counts[unit] ?? 0) + 1;
    return Object.keys(counts).length > 0 ? counts : undefined;
  }
}
