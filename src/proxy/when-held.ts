import type { Exchange } from './exchange.ts';

/** Each wait takes some tenths of a second at most; whoever was behind others all the time is told so. */
const waitsForMs = 2_000;

/**
 * Takes from the budgets, or returns a promise when this daemon must get hold of more of them first.
 *
 * @param take admits the call, or throws
 * @param anew what is done after a wait, and before it is tried again
 */
export function whenHeld(
  exchange: Exchange,
  take: () => void,
  anew: () => Promise<void> | undefined,
): Promise<void> | undefined {
  try {
    take();
    return undefined;
  } catch (thrown) {
    const waiting = exchange.context.deps.metering.cover(thrown);
    if (!waiting) throw thrown;
    return takeLater(exchange, waiting, { take, anew });
  }
}

async function takeLater(
  exchange: Exchange,
  first: Promise<void>,
  { take, anew }: { readonly take: () => void; readonly anew: () => Promise<void> | undefined },
): Promise<void> {
  const untilMs = performance.now() + waitsForMs;
  let waiting: Promise<void> | undefined = first;
  for (;;) {
    await waiting;
    if (exchange.stopped) throw exchange.stopped;
    await anew();
    try {
      take();
      return;
    } catch (thrown) {
      waiting = performance.now() < untilMs ? exchange.context.deps.metering.cover(thrown) : undefined;
      if (!waiting) throw thrown;
    }
  }
}
