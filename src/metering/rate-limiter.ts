import type { RateLimit } from '../access/principal.ts';
import { rateLimitExceeded } from './rate-limit-exceeded.ts';
import { SlidingCount, slotAt } from './sliding-count.ts';

/** What one holder has asked for lately. */
interface Meter {
  readonly requests: SlidingCount;
  readonly tokens: SlidingCount;
  /** Calls under way. */
  parallel: number;
}

interface Left {
  readonly limit: number;
  readonly remaining: number;
}

/** What is left of the tightest limit of each kind. */
export interface Allowance {
  readonly requests?: Left | undefined;
  readonly tokens?: Left | undefined;
}

/** Room that was found for a call, and what it takes of it. */
export interface Admittance {
  readonly meters: readonly Meter[];
  readonly slot: number;
  /** As estimated. */
  readonly tokens: number;
  readonly allowance: Allowance;
}

/**
 * Requests, tokens and calls at once, as they are limited for each holder. In this process alone: each daemon keeps count
 * of its own calls.
 *
 * Synchronous, so that nothing comes between finding room in all limits and taking it in all: a call that is refused by
 * one of them takes nothing of the others.
 */
export class RateLimiter {
  readonly #most: number;
  readonly #meters = new Map<string, Meter>();

  /** @param most meters kept; one has some 500 bytes */
  constructor(most = 50_000) {
    this.#most = most;
  }

  /**
   * Finds room for a call in all limits, and takes none of it.
   *
   * @param tokens those of its prompt, and of its answer as far as the request limits that
   * @throws GatewayError `throttling_error` when one of the limits has none
   */
  find(limits: readonly RateLimit[], tokens: number, nowMs: number): Admittance | undefined {
    if (limits.length === 0) return undefined;
    const slot = slotAt(nowMs);
    const meters: Meter[] = [];
    let allowance: Allowance = {};
    for (const limit of limits) {
      const meter = this.#meter(limit, slot);
      allowance = room(meter, limit, { tokens, nowMs, allowance });
      meters.push(meter);
    }
    return { meters, slot, tokens, allowance };
  }

  /** Takes the room that was found. In the same turn, or somebody else has it by then. */
  take({ meters, slot, tokens }: Admittance): void {
    for (const meter of meters) {
      meter.requests.add(slot, 1);
      meter.tokens.add(slot, tokens);
      meter.parallel++;
    }
  }

  /** The call is over: what it really used counts, at the time it was admitted. */
  settle({ meters, slot, tokens }: Admittance, used: number): void {
    for (const meter of meters) {
      meter.tokens.add(slot, used - tokens);
      meter.parallel--;
    }
  }

  #meter({ entity, id, model }: RateLimit, slot: number): Meter {
    const name = model === undefined ? `${entity} ${id}` : `${entity} ${id}\u001f${model}`;
    let meter = this.#meters.get(name);
    if (!meter) {
      if (this.#meters.size >= this.#most) evict(this.#meters, slot);
      meter = { requests: new SlidingCount(), tokens: new SlidingCount(), parallel: 0 };
      this.#meters.set(name, meter);
    }
    return meter;
  }
}

interface Wanted {
  readonly tokens: number;
  readonly nowMs: number;
  readonly allowance: Allowance;
}

/** What a limit leaves when a call takes its part, or an error when it does not leave that much. */
function room(meter: Meter, limit: RateLimit, { tokens, nowMs, allowance }: Wanted): Allowance {
  const slot = slotAt(nowMs);
  let left: Allowance = allowance;
  if (limit.requests !== null) {
    const remaining = limit.requests - meter.requests.total(slot);
    if (remaining < 1) {
      const waitMs = meter.requests.waitFor(limit.requests - 1, nowMs);
      throw rateLimitExceeded(limit, { kind: 'requests', left: remaining, waitMs, nowMs });
    }
    left = tightened(left, 'requests', { limit: limit.requests, remaining: remaining - 1 });
  }
  if (limit.tokens !== null) {
    const remaining = limit.tokens - meter.tokens.total(slot);
    const least = Math.max(1, tokens);
    if (remaining < least) {
      const waitMs = meter.tokens.waitFor(limit.tokens - least, nowMs);
      throw rateLimitExceeded(limit, { kind: 'tokens', left: remaining, wanted: tokens, waitMs, nowMs });
    }
    left = tightened(left, 'tokens', { limit: limit.tokens, remaining: remaining - tokens });
  }
  if (limit.parallel !== null && meter.parallel >= limit.parallel) {
    throw rateLimitExceeded(limit, { kind: 'max_parallel_requests', left: 0, waitMs: 1_000, nowMs });
  }
  return left;
}

function tightened(allowance: Allowance, kind: keyof Allowance, left: Left): Allowance {
  const other = allowance[kind];
  return other && other.remaining <= left.remaining ? allowance : { ...allowance, [kind]: left };
}

/** Meters an eviction looks at: enough to find an idle one, few enough not to be felt. */
const sweepSteps = 64;

/** The first that has counted nothing for a minute goes; those that have are passed over, or else their limits would begin anew. */
function evict(meters: Map<string, Meter>, slot: number): void {
  let steps = 0;
  for (const [name, meter] of meters) {
    const isIdle = meter.parallel === 0 && meter.requests.total(slot) === 0;
    meters.delete(name);
    if (isIdle || ++steps >= sweepSteps) return;
    meters.set(name, meter);
  }
}
