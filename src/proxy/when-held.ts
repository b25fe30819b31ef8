import { DeploymentFull } from '../metering/rate-limit-exceeded.ts';
import type { Exchange } from './exchange.ts';

/** Each wait takes some tenths of a second at most; whoever was behind others all the time is told so. */
const waitsForMs = 2_000;

export interface Taking {
  /** Admits the call, or throws. */
  readonly take: (exchange: Exchange) => void;
  /** What is done after a wait, and before it is tried again. */
  readonly anew: (exchange: Exchange) => Promise<void> | undefined;
  /** Takes another deployment in the place of one that other daemons have used up, or throws. */
  readonly elsewhere?: (exchange: Exchange) => void;
}

/** Takes from budgets and limits, or returns a promise when this daemon must get hold of more of them first. */
export function whenHeld(exchange: Exchange, taking: Taking): Promise<void> | undefined {
  try {
    taking.take(exchange);
    return undefined;
  } catch (thrown) {
    return takeLater(exchange, waitFor(exchange, thrown, taking), taking);
  }
}

/** @throws what was thrown, where no wait helps */
function waitFor(exchange: Exchange, thrown: unknown, { elsewhere }: Taking): Promise<void> {
  if (thrown instanceof DeploymentFull && elsewhere) {
    exchange.lease?.full(thrown.waitMs);
    elsewhere(exchange);
    return Promise.resolve();
  }
  const waiting = exchange.context.deps.metering.cover(thrown);
  if (!waiting) throw thrown;
  return waiting;
}

async function takeLater(exchange: Exchange, first: Promise<void>, taking: Taking): Promise<void> {
  const untilMs = performance.now() + waitsForMs;
  for (let waiting = first; ;) {
    await waiting;
    if (exchange.stopped) throw exchange.stopped;
    await taking.anew(exchange);
    try {
      taking.take(exchange);
      return;
    } catch (thrown) {
      if (performance.now() >= untilMs) throw thrown;
      waiting = waitFor(exchange, thrown, taking);
    }
  }
}
