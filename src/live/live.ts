import { GatewayError } from '../kernel/errors.ts';
import { clampTokens } from '../metering/usage.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { type Holder, Holders } from './holders.ts';
import type { Kind } from './live.wire.ts';
import { type Ending, type Finished, reasonsAtMost, slotMs, Window } from './window.ts';

/** What calls that no key, team or user stands behind, or that asked for a model there is none of, are counted under. */
export const nobody = '';

const other = 'other';
const longestReason = 64;
/** Behind a pattern such as `openai/*` whoever calls makes up names, and each is kept for a minute. */
const longestModel = 256;

/** How a call ended, and the type of the error it ended with. */
export interface Verdict {
  readonly ending: Ending;
  readonly reason: string;
}

const gone = 'client_disconnected';

/**
 * The calls of the last minute, in memory of a fixed size: for each key, team, user and model a window of its own.
 *
 * Whoever calls chooses neither what is kept nor how much: strangers and names of models that lead nowhere are one holder.
 */
export class Live {
  readonly startedAt = new Date();
  readonly startedMs = performance.now();
  readonly total = new Window();
  readonly of: Readonly<Record<Kind, Holders>> = {
    key: new Holders(),
    team: new Holders(),
    user: new Holders(),
    model: new Holders(),
  };
  readonly #reasons = new Map<string, number>([[other, 0]]);
  readonly #finished: Finished = {
    ending: 'answered',
    promptTokens: 0,
    completionTokens: 0,
    cost: 0,
    firstByteMs: -1,
    reason: 0,
  };

  get reasons(): readonly string[] {
    return [...this.#reasons.keys()];
  }

  /** Counts a call that is over. @param thrown what it failed with; undefined where it was answered */
  add(exchange: Exchange, thrown: unknown): void {
    const { booked, principal } = exchange;
    if (!booked && thrown === undefined) return;
    const finished = this.#finished;
    const usage = booked?.outcome.usage;
    finished.promptTokens = clampTokens(usage?.promptTokens ?? 0);
    finished.completionTokens = clampTokens(usage?.completionTokens ?? 0);
    finished.cost = Number(booked?.totalCost ?? 0n);
    finished.firstByteMs = firstByteMsOf(exchange);
    if (thrown === undefined && booked?.outcome.status === 'success') {
      finished.ending = 'answered';
      finished.reason = 0;
    } else {
      const { ending, reason } = verdictOf(exchange, thrown);
      finished.ending = ending;
      finished.reason = ending === 'left' ? 0 : this.#numberOf(reason);
    }
    const slot = slotNow();
    this.total.add(slot, finished);
    const key = this.of.key.add(slot, principal.keyId, finished);
    if (key) nameKey(key, exchange);
    const team = this.of.team.add(slot, principal.teamId ?? nobody, finished);
    if (team) team.name = principal.teamAlias;
    this.of.user.add(slot, principal.userId ?? nobody, finished);
    this.of.model.add(slot, idOf(exchange, 'model'), finished);
  }

  /** An upstream's error types are its own to choose. */
  #numberOf(reason: string): number {
    const known = this.#reasons.get(reason);
    if (known !== undefined) return known;
    if (this.#reasons.size >= reasonsAtMost || reason.length > longestReason) return 0;
    this.#reasons.set(reason, this.#reasons.size);
    return this.#reasons.size - 1;
  }
}

export const slotNow = (): number => Math.floor(performance.now() / slotMs);

function nameKey(holder: Holder, { principal }: Exchange): void {
  holder.name = principal.alias;
  holder.team = principal.teamAlias ?? principal.teamId;
}

export function idOf({ principal, routed, model, asked }: Exchange, kind: Kind): string {
  if (kind === 'key') return principal.keyId;
  if (kind === 'team') return principal.teamId ?? nobody;
  if (kind === 'user') return principal.userId ?? nobody;
  const name = model || asked.model;
  return routed && name.length <= longestModel ? name : nobody;
}

/** How a call that was not simply answered ended. */
export function verdictOf({ booked, stopped }: Exchange, thrown: unknown): Verdict {
  if (booked) {
    const { status, error = other } = booked.outcome;
    if (error === gone) return { ending: 'left', reason: gone };
    // What was passed through as the upstream said it is no error of ours to throw.
    return { ending: status === 'success' ? 'answered' : 'failed', reason: error };
  }
  const { type, kind } = GatewayError.from(thrown);
  if (type === gone || stopped?.type === gone) return { ending: 'left', reason: gone };
  return { ending: kind === 'internal' ? 'failed' : 'refused', reason: type };
}

export function firstByteMsOf({ booked, startedAt }: Exchange): number {
  const firstByteAt = booked?.outcome.firstByteAt;
  return firstByteAt && startedAt ? Math.max(0, firstByteAt.getTime() - startedAt.getTime()) : -1;
}
