import type { RateLimit } from '../access/principal.ts';
import type { GatewayError } from '../kernel/errors.ts';
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

/** What one limit has room for, at one moment. */
export interface RateRoom {
  readonly limit: RateLimit;
  readonly kind: RateKind;
  readonly most: number;
  readonly used: number;
  /** Milliseconds until a call like this one fits; undefined when it fits, or never will. */
  readonly waitMs: number | undefined;
  /** Why it does not fit. */
  readonly refusal: GatewayError | undefined;
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

  /** What `find` would go by, of each limit. */
  look(limits: readonly RateLimit[], tokens: number, nowMs: number): RateRoom[] {
    return limits.flatMap((limit) => {
      const meter = this.#meter(limit, slotAt(nowMs));
      return kinds.flatMap((kind) => roomOf(meter, limit, kind, { tokens, nowMs }) ?? []);
    });
  }

  /** Takes the room that was found. In the same turn, or somebody else has it by then. */
  take({ meters, slot, tokens }: Admittance): void {
    for (const meter of meters) {
      meter.requests.add(slot, 1);
      meter.tokens.add(slot, tokens);
      meter.parallel++;
    }
  }

  /**
   * The call is over: what it really used counts, at the time it was admitted.
   *
   * @param options.isCounted false where another attempt stands for the same request
   */
  settle({ meters, slot, tokens }: Admittance, used: number, { isCounted = true } = {}): void {
    for (const meter of meters) {
      meter.tokens.add(slot, used - tokens);
      if (!isCounted) meter.requests.add(slot, -1);
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
}

/** What a limit leaves when a call takes its part, or an error when it does not leave that much. */
function room(meter: Meter, limit: RateLimit, wanted: Wanted & { readonly allowance: Allowance }): Allowance {
  const { tokens, nowMs } = wanted;
  const slot = slotAt(nowMs);
  let left: Allowance = wanted.allowance;
  for (const kind of kinds) {
    const most = limit[of[kind]];
    if (most === null) continue;
    const used = usedOf(meter, kind, slot);
    const takes = takenOf(kind, tokens);
    if (used + Math.max(1, takes) > most) throw shortage(meter, limit, { kind, most, used, tokens, nowMs });
    if (kind !== 'max_parallel_requests') left = tightened(left, kind, { limit: most, remaining: most - used - takes });
  }
  return left;
}

const kinds = ['requests', 'tokens', 'max_parallel_requests'] as const;
type RateKind = (typeof kinds)[number];

/** The member of a limit that each kind is set by. */
const of = { requests: 'requests', tokens: 'tokens', max_parallel_requests: 'parallel' } as const;

const usedOf = ({ requests, tokens, parallel }: Meter, kind: RateKind, slot: number): number => {
  if (kind === 'max_parallel_requests') return parallel;
  return (kind === 'requests' ? requests : tokens).total(slot);
};

const takenOf = (kind: RateKind, tokens: number): number => (kind === 'tokens' ? tokens : 1);

interface Short extends Wanted {
  readonly kind: RateKind;
  readonly most: number;
  readonly used: number;
}

/** How long until there is room: when a call in flight will end is not known. */
function waitOf(meter: Meter, { kind, most, tokens, nowMs }: Short): number {
  if (kind === 'max_parallel_requests') return 1_000;
  return meter[kind].waitFor(most - Math.max(1, takenOf(kind, tokens)), nowMs);
}

function shortage(meter: Meter, limit: RateLimit, short: Short): GatewayError {
  const { kind, most, used, tokens, nowMs } = short;
  const left = most - used;
  const wanted = kind === 'tokens' ? { wanted: tokens } : {};
  return rateLimitExceeded(limit, { kind, left, ...wanted, waitMs: waitOf(meter, short), nowMs });
}

function roomOf(meter: Meter, limit: RateLimit, kind: RateKind, { tokens, nowMs }: Wanted): RateRoom | undefined {
  const most = limit[of[kind]];
  if (most === null) return undefined;
  const used = usedOf(meter, kind, slotAt(nowMs));
  const needed = Math.max(1, takenOf(kind, tokens));
  const isShort = used + needed > most;
  const short = { kind, most, used, tokens, nowMs };
  return {
    limit,
    kind,
    most,
    used,
    waitMs: isShort && needed <= most ? waitOf(meter, short) : undefined,
    refusal: isShort ? shortage(meter, limit, short) : undefined,
  };
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
