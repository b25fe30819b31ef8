import { redactLooks } from '../kernel/mask.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { idOf, type Live, nobody, slotNow } from './live.ts';
import type { DaemonInfo, Figures, HolderFigures, Kind, LiveUsage, Sorting } from './live.wire.ts';
import { noSums, reasonsAtMost, slotMs, slots, type Sums, withinMs } from './window.ts';

export interface AskedUsage {
  readonly by: Kind;
  /** Seconds; rounded up to whole slots. */
  readonly window: number;
  readonly sort: Sorting;
  readonly limit: number;
}

/** What goes on here: the calls that are over, and those under way. */
export interface Sources {
  readonly live: Live;
  /** Goes through the calls under way. */
  readonly visit: (look: (exchange: Exchange) => void) => void;
  readonly daemon: DaemonInfo;
  readonly now: () => Date;
}

interface UnderWay {
  name: string | null;
  team: string | null;
  inFlight: number;
  reserved: bigint;
}

/** Put together when somebody asks, so that calls themselves pay for none of it. */
export function usageOf({ live, visit, daemon, now }: Sources, { by, window, sort, limit }: AskedUsage): LiveUsage {
  const underWay = new Map<string, UnderWay>();
  const all = { inFlight: 0, reserved: 0n };
  visit((exchange) => {
    if (!isUnderWay(exchange)) return;
    const { reserved } = exchange;
    all.inFlight++;
    all.reserved += reserved;
    noteUnderWay(underWay, by, exchange);
  });
  const asked = Math.min(slots, Math.ceil((window * 1_000) / slotMs));
  const fromSlot = slotNow() - asked + 1;
  const seconds = Math.max(1, performance.now() - Math.max(fromSlot * slotMs, live.startedMs)) / 1_000;
  const measure = (sums: Sums, { inFlight, reserved }: Pick<UnderWay, 'inFlight' | 'reserved'>): Figures =>
    figuresOf(sums, { inFlight, reserved, seconds, reasons: live.reasons });

  const rows = new Map<string, HolderFigures>();
  for (const { id, name, team, window: calls } of live.of[by]) {
    const sums = noSums();
    calls.addTo(sums, fromSlot);
    const busy = underWay.get(id);
    if (sums.calls === 0 && !busy) continue;
    rows.set(id, { ...labelsOf(id, name, team), ...measure(sums, busy ?? idle) });
  }
  for (const [id, busy] of underWay) {
    if (!rows.has(id)) rows.set(id, { ...labelsOf(id, busy.name, busy.team), ...measure(noSums(), busy) });
  }
  const total = noSums();
  live.total.addTo(total, fromSlot);
  return {
    daemon,
    at: now(),
    by,
    windowSeconds: Math.round(seconds * 10) / 10,
    total: measure(total, all),
    rows: [...rows.values()].toSorted(order(sort)).slice(0, limit),
    rowsInAll: rows.size,
    others: measure(live.of[by].others(fromSlot), idle),
  };
}

/** Lists of models are none, and what is still to say who it is might be anything. */
const isUnderWay = ({ principal, handler, isUnsettled }: Exchange): boolean =>
  isUnsettled || (handler.endpoint !== undefined && principal.keyId !== '');

const idle = { inFlight: 0, reserved: 0n };

function noteUnderWay(underWay: Map<string, UnderWay>, by: Kind, exchange: Exchange): void {
  const { principal } = exchange;
  const id = idOf(exchange, by);
  let busy = underWay.get(id);
  if (!busy) {
    const name = by === 'key' ? principal.alias : by === 'team' ? principal.teamAlias : null;
    const team = by === 'key' ? (principal.teamAlias ?? principal.teamId) : null;
    underWay.set(id, (busy = { name, team, inFlight: 0, reserved: 0n }));
  }
  busy.inFlight++;
  busy.reserved += exchange.reserved;
}

const labelsOf = (id: string, name: string | null, team: string | null) => ({
  // People paste keys into names, and into the place of a model.
  id: id === nobody ? null : redactLooks(id),
  name: redactLooks(name ?? (id === nobody ? '(none)' : id)),
  teamAlias: team,
});

interface Measuring {
  readonly inFlight: number;
  readonly reserved: bigint;
  readonly seconds: number;
  readonly reasons: readonly string[];
}

function figuresOf(sums: Sums, { inFlight, reserved, seconds, reasons }: Measuring): Figures {
  const { calls, failed, refused, left, promptTokens, completionTokens, cost, byStep, byReason } = sums;
  const count = (from: number) =>
    Object.fromEntries(
      reasons.map((reason, index) => [reason, byReason[from + index] ?? 0]).filter(([, n]) => n !== 0),
    );
  return {
    requests: calls,
    requestsPerSecond: rounded(calls / seconds),
    requestsPerMinute: rounded((calls / seconds) * 60),
    promptTokens,
    completionTokens,
    tokensPerSecond: rounded((promptTokens + completionTokens) / seconds),
    cost: BigInt(Math.round(cost)),
    costPerHour: Math.round((cost / seconds) * 3_600) / 1e9,
    inFlight,
    reserved,
    refused,
    refusals: count(reasonsAtMost),
    failed,
    failures: count(0),
    left,
    firstByteP95Ms: withinMs(byStep, 0.95) ?? null,
  };
}

const rounded = (amount: number): number => Math.round(amount * 100) / 100;

const amounts: Readonly<Record<Exclude<Sorting, 'name'>, (figures: Figures) => number>> = {
  requests: ({ requestsPerSecond }) => requestsPerSecond,
  tokens: ({ tokensPerSecond }) => tokensPerSecond,
  cost: ({ costPerHour }) => costPerHour,
  in_flight: ({ inFlight }) => inFlight,
  reserved: ({ reserved }) => Number(reserved),
  refused: ({ refused }) => refused,
  failed: ({ failed }) => failed,
  first_byte: ({ firstByteP95Ms }) => firstByteP95Ms ?? -1,
};

const byName = (one: HolderFigures, other: HolderFigures): number =>
  one.name < other.name ? -1 : one.name > other.name ? 1 : 0;

/** The most first, and among equals by name, so that rows do not change places between two looks. */
function order(sort: Sorting): (one: HolderFigures, other: HolderFigures) => number {
  if (sort === 'name') return byName;
  const amount = amounts[sort];
  return (one, other) => amount(other) - amount(one) || byName(one, other);
}
