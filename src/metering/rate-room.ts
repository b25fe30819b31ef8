import type { RateLimit } from '../access/principal.ts';
import type { GatewayError } from '../kernel/errors.ts';
import { DeploymentFull, rateLimitExceeded } from './rate-limit-exceeded.ts';
import type { RateLease } from './rate-lease.ts';
import type { RateLeases } from './rate-leases.ts';
import type { RateShortage } from './rate-shortage.ts';
import { type SlidingCount, slotAt } from './sliding-count.ts';

/** What one holder has asked for lately. */
export interface Meter {
  readonly name: string;
  readonly requests: SlidingCount;
  readonly tokens: SlidingCount;
  /** Whether each attempt is a request: of a deployment, which was called by each of them. */
  readonly isOfAttempts: boolean;
  /** Calls under way. */
  parallel: number;
  /** Of each kind that is limited. */
  readonly leases: { [Kind in RateKind]?: RateLease };
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

/** A meter that a call counts on, and since when. */
export interface Part {
  readonly meter: Meter;
  readonly slot: number;
  /** On the clock that only goes forward. */
  readonly atMs: number;
}

/** Room that was found for a call, and what it takes of it. */
export interface Admittance {
  readonly parts: readonly Part[];
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

export interface Wanted {
  readonly tokens: number;
  readonly nowMs: number;
  /** What the request has of this limit already. */
  readonly taken?: Admittance | undefined;
  readonly atMs: number;
  readonly leases: RateLeases | undefined;
  /** Whether this process counts for itself. */
  readonly isAlone: boolean;
}

/** What is found so far. */
export interface Search {
  allowance: Allowance;
  shortages: RateShortage[] | undefined;
}

export const kinds = ['requests', 'tokens', 'max_parallel_requests'] as const;
type RateKind = (typeof kinds)[number];

/** The member of a limit that each kind is set by. */
const of = { requests: 'requests', tokens: 'tokens', max_parallel_requests: 'parallel' } as const;

export const takenOf = (kind: RateKind, tokens: number): number => (kind === 'tokens' ? tokens : 1);

/** Adds what a limit leaves when a call takes its part, or throws when it does not leave that much. */
export function search(meter: Meter, limit: RateLimit, wanted: Wanted, found: Search): void {
  for (const kind of kinds) {
    const most = limit[of[kind]];
    if (most === null) continue;
    if (wanted.taken && neededOf(kind, wanted) <= 0) continue;
    const state = stateOf(meter, kind, most, wanted);
    if (state.waitMs !== undefined) throw shortage(limit, state, wanted);
    if (state.lacking) {
      const { lacking: lease, needed: amount } = state;
      (found.shortages ??= []).push({ lease, amount, limit });
    } else if (kind !== 'max_parallel_requests' && limit.entity !== 'deployment') {
      const remaining = Math.max(0, most - state.used - (wanted.taken ? state.needed : takenOf(kind, wanted.tokens)));
      found.allowance = tightened(found.allowance, kind, { limit: most, remaining });
    }
  }
}

/** Also a call of no tokens needs a limit that is not used up; a further attempt needs what it takes beyond the one before. */
const neededOf = (kind: RateKind, { tokens, taken }: Wanted): number =>
  taken ? takenOf(kind, tokens) - takenOf(kind, taken.tokens) : Math.max(1, takenOf(kind, tokens));

/** One limit at one moment. */
interface RateState {
  readonly kind: RateKind;
  readonly most: number;
  readonly used: number;
  readonly needed: number;
  /** Until there is room, where it is certain that there is none. */
  readonly waitMs: number | undefined;
  /** Of what too little is held here to know. */
  readonly lacking: RateLease | undefined;
}

function stateOf(meter: Meter, kind: RateKind, most: number, wanted: Wanted): RateState {
  const { nowMs, atMs, leases } = wanted;
  const needed = neededOf(kind, wanted);
  const lease = leases && leaseOf(meter, kind, most, leases);
  if (!lease || wanted.isAlone || needed > most) {
    const used = usedOf(meter, kind, slotAt(nowMs));
    const waitMs = used + needed > most ? waitOf(meter, kind, most - needed, nowMs) : undefined;
    return { kind, most, used, needed, waitMs, lacking: undefined };
  }
  const isCovered = lease.covers(needed, atMs);
  const left = lease.left(atMs);
  const used = left === undefined ? Math.min(most, usedOf(meter, kind, slotAt(nowMs))) : most - left;
  const waitMs = isCovered ? undefined : lease.deniedForMs(needed, atMs);
  return { kind, most, used, needed, waitMs, lacking: isCovered || waitMs !== undefined ? undefined : lease };
}

function leaseOf(meter: Meter, kind: RateKind, most: number, leases: RateLeases): RateLease {
  const found = meter.leases[kind];
  if (found) {
    found.limitTo(most);
    return found;
  }
  const count = kind === 'max_parallel_requests' ? undefined : meter[kind];
  const lease = leases.lease(`${meter.name}\u001f${kind}`, most, count);
  meter.leases[kind] = lease;
  return lease;
}

const usedOf = ({ requests, tokens, parallel }: Meter, kind: RateKind, slot: number): number => {
  if (kind === 'max_parallel_requests') return parallel;
  return (kind === 'requests' ? requests : tokens).total(slot);
};

/** How long until there is room: when a call in flight will end is not known. */
const waitOf = (meter: Meter, kind: RateKind, most: number, nowMs: number): number =>
  kind === 'max_parallel_requests' ? 1_000 : meter[kind].waitFor(most, nowMs);

function shortage(limit: RateLimit, { kind, most, used, waitMs = 1_000 }: RateState, wanted: Wanted): GatewayError {
  const { tokens, nowMs } = wanted;
  if (limit.entity === 'deployment') return new DeploymentFull(limit, waitMs);
  return rateLimitExceeded(limit, {
    kind,
    left: most - used,
    ...(kind === 'tokens' && { wanted: tokens }),
    waitMs,
    nowMs,
  });
}

export function roomOf(meter: Meter, limit: RateLimit, kind: RateKind, wanted: Wanted): RateRoom | undefined {
  const most = limit[of[kind]];
  if (most === null) return undefined;
  const state = stateOf(meter, kind, most, wanted);
  const { used, needed } = state;
  const isShort = state.waitMs !== undefined || used + needed > most;
  return {
    limit,
    kind,
    most,
    used,
    waitMs: isShort && needed <= most ? (state.waitMs ?? 1_000) : undefined,
    refusal: isShort ? shortage(limit, state, wanted) : undefined,
  };
}

function tightened(allowance: Allowance, kind: keyof Allowance, left: Left): Allowance {
  const other = allowance[kind];
  return other && other.remaining <= left.remaining ? allowance : { ...allowance, [kind]: left };
}
