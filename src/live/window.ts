/** Milliseconds of a slot, and how many there are: what is older than a minute is forgotten. */
export const slotMs = 2_000;
export const slots = 30;

/** Steps of first-byte times, four to a doubling: a time is known to a fifth of itself, up to three minutes. */
const stepsPerDoubling = 4;
const steps = 71;
const mostInStep = 65_535;

/** Reasons told apart; what comes after them is counted as the first of them, `other`. */
export const reasonsAtMost = 48;

/** How a call ended: answered whole; failed at the upstream or in the gateway; turned away before it went out; given up by its client. */
export type Ending = 'answered' | 'failed' | 'refused' | 'left';

/** A call that is over, as a window takes it. One object serves all calls. */
export interface Finished {
  ending: Ending;
  promptTokens: number;
  completionTokens: number;
  /** Nano-dollars. */
  cost: number;
  /** Milliseconds from admission to the first byte of the answer; negative where there was none. */
  firstByteMs: number;
  /** Of a failure or a refusal: its number in the list of reasons. */
  reason: number;
}

export interface Sums {
  calls: number;
  failed: number;
  refused: number;
  left: number;
  promptTokens: number;
  completionTokens: number;
  /** Nano-dollars. */
  cost: number;
  /** Calls by first-byte time. */
  readonly byStep: Float64Array;
  /** Failures by the number of their reason, and refusals after them. */
  readonly byReason: Float64Array;
}

export const noSums = (): Sums => ({
  calls: 0,
  failed: 0,
  refused: 0,
  left: 0,
  promptTokens: 0,
  completionTokens: 0,
  cost: 0,
  byStep: new Float64Array(steps),
  byReason: new Float64Array(2 * reasonsAtMost),
});

const fields = 7;

/** The last minute of one key, team, user or model, in slots that are used in turn. Adding to it makes no object. */
export class Window {
  /** Which slot of all time each of them holds. */
  readonly #held = new Float64Array(slots).fill(-1);
  readonly #counts = new Float64Array(slots * fields);
  #steps: Uint16Array | undefined;
  #reasons: Uint16Array | undefined;
  /** The last slot of all time that something was added to. */
  lastSlot = -1;

  add(slot: number, { ending, promptTokens, completionTokens, cost, firstByteMs, reason }: Finished): void {
    const place = slot % slots;
    if (this.#held[place] !== slot) this.#begin(place, slot);
    const counts = this.#counts;
    const at = place * fields;
    increase(counts, at, 1);
    if (ending === 'failed') increase(counts, at + 1, 1);
    else if (ending === 'refused') increase(counts, at + 2, 1);
    else if (ending === 'left') increase(counts, at + 3, 1);
    increase(counts, at + 4, promptTokens);
    increase(counts, at + 5, completionTokens);
    increase(counts, at + 6, cost);
    if (firstByteMs >= 0) {
      this.#steps ??= new Uint16Array(slots * steps);
      increaseWithin(this.#steps, place * steps + stepOf(firstByteMs));
    }
    if (ending !== 'failed' && ending !== 'refused') return;
    this.#reasons ??= new Uint16Array(slots * 2 * reasonsAtMost);
    increaseWithin(this.#reasons, (place * 2 + (ending === 'refused' ? 1 : 0)) * reasonsAtMost + reason);
  }

  /** Adds the slots from one on to the sums. */
  addTo(sums: Sums, fromSlot: number): void {
    for (let place = 0; place < slots; place++) {
      if ((this.#held[place] ?? -1) < fromSlot) continue;
      const [calls = 0, failed = 0, refused = 0, left = 0, prompt = 0, completion = 0, cost = 0] =
        this.#counts.subarray(place * fields, (place + 1) * fields);
      sums.calls += calls;
      sums.failed += failed;
      sums.refused += refused;
      sums.left += left;
      sums.promptTokens += prompt;
      sums.completionTokens += completion;
      sums.cost += cost;
      addAll(sums.byStep, this.#steps, place);
      addAll(sums.byReason, this.#reasons, place);
    }
  }

  #begin(place: number, slot: number): void {
    this.#held[place] = this.lastSlot = slot;
    this.#counts.fill(0, place * fields, (place + 1) * fields);
    this.#steps?.fill(0, place * steps, (place + 1) * steps);
    this.#reasons?.fill(0, place * 2 * reasonsAtMost, (place + 1) * 2 * reasonsAtMost);
  }
}

function increase(counts: Float64Array, at: number, by: number): void {
  counts[at] = (counts[at] ?? 0) + by;
}

function increaseWithin(counts: Uint16Array, at: number): void {
  const count = counts[at] ?? 0;
  if (count < mostInStep) counts[at] = count + 1;
}

function addAll(sums: Float64Array, counts: Uint16Array | undefined, place: number): void {
  if (!counts) return;
  for (let index = 0; index < sums.length; index++) increase(sums, index, counts[place * sums.length + index] ?? 0);
}

const stepOf = (ms: number): number =>
  ms < 1 ? 0 : Math.min(steps - 1, 1 + Math.floor(Math.log2(ms) * stepsPerDoubling));

/** Milliseconds that so great a part of the first bytes came within; undefined where there were none. */
export function withinMs(byStep: Float64Array, part: number): number | undefined {
  let all = 0;
  for (const count of byStep) all += count;
  if (all === 0) return undefined;
  let seen = 0;
  for (const [step, count] of byStep.entries()) {
    seen += count;
    if (seen >= all * part) return Math.round(2 ** (step / stepsPerDoubling));
  }
  return undefined;
}
