import type { RateLimit } from '../access/principal.ts';
import type { RateLeases } from './rate-leases.ts';
import {
  type Admittance,
  kinds,
  type Meter,
  type Part,
  type RateRoom,
  roomOf,
  type Search,
  search,
  takenOf,
  type Wanted,
} from './rate-room.ts';
import { LimitNotHeld } from './rate-shortage.ts';
import { SlidingCount, slotAt } from './sliding-count.ts';

/** A call that room is looked for. */
export interface Request {
  readonly tokens: number;
  readonly nowMs: number;
  readonly before?: Admittance | undefined;
}

/**
 * Requests, tokens and calls at once, as they are limited for each holder. All daemons together admit no more: each
 * takes a part of a limit in advance, and admits against that. Without `leases`, this process alone is looked at.
 *
 * Synchronous, so that nothing comes between finding room in all limits and taking it in all: a call that is refused by
 * one of them takes nothing of the others.
 */
export class RateLimiter {
  readonly #most: number;
  readonly #meters = new Map<string, Meter>();
  readonly #leases: RateLeases | undefined;

  /** @param most meters kept; one has some 500 bytes, and 500 more for what is held of its limits */
  constructor(leases?: RateLeases, most = 50_000) {
    this.#leases = leases;
    this.#most = most;
  }

  /**
   * Finds room for a call in all limits, and takes none of it.
   *
   * @param wanted.tokens those of its prompt, and of its answer as far as the request limits that
   * @param wanted.before what an earlier attempt of the same request has taken: where the same limit applies it is still one request
   * @throws GatewayError `throttling_error` when one of the limits has none; `LimitNotHeld` when this daemon holds too
   *   little of one, which `cover` may change
   */
  find(limits: readonly RateLimit[], { tokens, nowMs, before }: Request): Admittance | undefined {
    if (limits.length === 0 && !before) return undefined;
    const wanted = this.#wanted(tokens, nowMs);
    const slot = slotAt(nowMs);
    const parts: Part[] = [];
    const found: Search = { allowance: {}, shortages: undefined };
    for (const limit of limits) {
      const meter = this.#meter(limit, slot);
      const part = before?.parts.find((each) => each.meter === meter);
      search(meter, limit, part ? { ...wanted, taken: before } : wanted, found);
      parts.push(part ?? { meter, slot, atMs: wanted.atMs });
    }
    if (found.shortages) throw new LimitNotHeld(found.shortages);
    return { parts, tokens, allowance: found.allowance };
  }

  /** Waits until enough is held for a call, or until it is certain that there is no more. Undefined for any other refusal. */
  cover(thrown: unknown): Promise<void> | undefined {
    const leases = this.#leases;
    if (!leases || !(thrown instanceof LimitNotHeld)) return undefined;
    return Promise.all(thrown.shortages.map(({ lease, amount }) => leases.ask(lease, amount))).then(() => undefined);
  }

  /** What `find` would go by, of each limit. */
  look(limits: readonly RateLimit[], tokens: number, nowMs: number): RateRoom[] {
    const wanted = this.#wanted(tokens, nowMs);
    return limits.flatMap((limit) => {
      const meter = this.#meter(limit, slotAt(nowMs));
      return kinds.flatMap((kind) => roomOf(meter, limit, kind, wanted) ?? []);
    });
  }

  /**
   * Takes the room that was found. In the same turn, or somebody else has it by then.
   *
   * @param before as it was found with
   */
  take(admittance: Admittance, before?: Admittance): void {
    const { parts, tokens } = admittance;
    for (const part of parts) {
      if (before?.parts.includes(part)) correct(part, tokens - before.tokens);
      else this.#begin(part, tokens);
    }
    if (!before) return;
    for (const part of before.parts) if (!parts.includes(part)) this.#end(part, -before.tokens, false);
  }

  /**
   * The call is over: what it really used counts, at the time it was admitted.
   *
   * @param options.isCounted false where another attempt stands for the same request
   */
  settle({ parts, tokens }: Admittance, used: number, { isCounted = true } = {}): void {
    for (const part of parts) this.#end(part, used - tokens, isCounted);
  }

  #begin({ meter, slot, atMs }: Part, tokens: number): void {
    meter.requests.add(slot, 1);
    meter.tokens.add(slot, tokens);
    meter.parallel++;
    const leases = this.#leases;
    if (!leases) return;
    for (const kind of kinds) {
      const lease = meter.leases[kind];
      if (!lease) continue;
      if (!lease.isActive) leases.follow(lease);
      if (lease.take(takenOf(kind, tokens), atMs)) leases.prepare(lease);
    }
  }

  #end(part: Part, tokens: number, isCounted: boolean): void {
    const { meter, slot, atMs } = part;
    correct(part, tokens);
    meter.parallel--;
    const { requests, max_parallel_requests: parallel } = meter.leases;
    if (!isCounted && !meter.isOfAttempts) {
      meter.requests.add(slot, -1);
      requests?.correct(atMs, -1);
    }
    if (parallel?.end()) this.#leases?.giveSoon(parallel);
  }

  #wanted(tokens: number, nowMs: number): Wanted {
    const leases = this.#leases;
    return { tokens, nowMs, atMs: performance.now(), leases, isAlone: leases?.isAlone ?? true };
  }

  #meter({ entity, id, model }: RateLimit, slot: number): Meter {
    const name = model === undefined ? `${entity} ${id}` : `${entity} ${id}\u001f${model}`;
    let meter = this.#meters.get(name);
    if (!meter) {
      if (this.#meters.size >= this.#most) evict(this.#meters, slot);
      const isOfAttempts = entity === 'deployment';
      meter = { name, requests: new SlidingCount(), tokens: new SlidingCount(), isOfAttempts, parallel: 0, leases: {} };
      this.#meters.set(name, meter);
    }
    return meter;
  }
}

/** Tokens turned out to be more, or fewer. */
function correct({ meter, slot, atMs }: Part, tokens: number): void {
  if (tokens === 0) return;
  meter.tokens.add(slot, tokens);
  meter.leases.tokens?.correct(atMs, tokens);
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
