import { GatewayError } from '../kernel/errors.ts';
import { authenticate, decide, findPayers, notThere, promptTokensOf, readRequest, startOf } from './admission.ts';
import { attempt, restate, takeFallback } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import { failureOf } from './failure-of.ts';
import { readBody } from './read-body.ts';
import { usageOf } from './reported-usage.ts';
import { recall, recalledInstead, replay, keepAnswer, settleRecalled } from './recall.ts';
import { type Taking, whenHeld } from './when-held.ts';
import { readWishes } from './wishes.ts';

export { authenticate };

/** One step of an exchange. It returns a promise only when it has to wait. */
export type Step = (exchange: Exchange) => Promise<void> | undefined | void;

/**
 * A call of a model. The credential comes first: a stranger's body is not even read. The route is found before the
 * reservation, because what a call can cost at most depends on where it goes.
 */
export const modelCall = stepsOf();

/** The same with steps of a kind of call's own: one before its money is reserved, one before its answer is ended. */
export function stepsOf({
  admitted,
  settled,
}: { readonly admitted?: Step; readonly settled?: Step } = {}): readonly Step[] {
  return [
    authenticate,
    takePlace,
    readBody,
    authenticateAgain,
    parseBody,
    findPayers,
    decideAll,
    ...(admitted ? [admitted] : []),
    route,
    reserve,
    kept,
    recall,
    recalledInstead(attempt),
    recalledInstead(settle, settleRecalled),
    kept,
    ...(settled ? [settled] : []),
    recalledInstead(finish, replay),
  ];
}

/** Takes the steps one after the other. A promise is awaited only where there is one, which saves 1 µs at each of the others. */
export async function run(steps: readonly Step[], exchange: Exchange): Promise<void> {
  for (const step of steps) {
    const waiting = step(exchange);
    if (waiting) await waiting;
    if (exchange.stopped) throw exchange.stopped;
  }
}

/** Before the body, which takes memory. After the credential, so that strangers do not take the places of others. */
export function takePlace(exchange: Exchange): void {
  if (exchange.enter()) return;
  const what = exchange.endpoint.takesForm ? 'files' : 'calls';
  throw new GatewayError('unavailable', 'overloaded', `The gateway has as many ${what} under way as it can take`, {
    headers: { 'retry-after': '1' },
  });
}

/** A client that withholds its body keeps nothing of a key that was blocked or deleted meanwhile. */
export function authenticateAgain(exchange: Exchange): Promise<void> | undefined {
  if (performance.now() - exchange.startedMs <= exchange.context.limits.trustMs) return undefined;
  return authenticate(exchange);
}

function parseBody(exchange: Exchange): void {
  readRequest(exchange);
  const { asked, request } = exchange;
  exchange.wishes = readWishes(asked.fields, request.headers, asked.stream);
}

/** Where else a client wants to go must be open to it as well: it is told now, and not when it comes to that. */
function decideAll(exchange: Exchange): void {
  for (const name of exchange.wishes.fallbacks ?? []) {
    restate(exchange, name);
    decide(exchange, name);
    if (!exchange.routed) throw notThere(exchange, name);
  }
  if (exchange.original) Object.assign(exchange, exchange.original);
  decide(exchange);
}

function route(exchange: Exchange): void {
  if (!exchange.routed) throw notThere(exchange, exchange.asked.model);
  exchange.promptTokens = promptTokensOf(exchange);
  exchange.goal = exchange.asked.model;
  takeDeployment(exchange);
}

function takeDeployment(exchange: Exchange): void {
  if (!exchange.routed) throw notThere(exchange, exchange.goal);
  try {
    exchange.take(exchange.routed);
  } catch (thrown) {
    // Nothing of it can be called, or not now, which is one more way to fail.
    const failure = failureOf(GatewayError.from(thrown)) ?? { kind: 'rate_limit' };
    if (!takeFallback(exchange, failure)) throw thrown;
    exchange.course?.fallBack();
  }
}

function reserve(exchange: Exchange): Promise<void> | undefined {
  const waiting = exchange.context.deps.metering.prepare(exchange.charge);
  if (waiting) return admitAfter(exchange, waiting);
  return admitWhenHeld(exchange);
}

/** One for all calls, since each of them is admitted by it. */
const admitting: Taking = { take: admit, anew: lookAgain, elsewhere: takeDeployment };

const admitWhenHeld = (exchange: Exchange): Promise<void> | undefined => whenHeld(exchange, admitting);

async function admitAfter(exchange: Exchange, waiting: Promise<void>): Promise<void> {
  await waiting;
  if (exchange.stopped) return;
  await lookAgain(exchange);
  await admitWhenHeld(exchange);
}

/** The wait may have been long, with the database away: the key is looked at again as it is now. */
async function lookAgain(exchange: Exchange): Promise<void> {
  await authenticate(exchange);
  await findPayers(exchange);
  decide(exchange, exchange.goal);
  await exchange.context.deps.metering.prepare(exchange.charge);
}

function admit(exchange: Exchange): void {
  // Whoever left meanwhile is not charged for a call that was never made.
  if (exchange.stopped) return;
  exchange.admit(exchange.context.deps.metering.begin(startOf(exchange)));
}

/** No upstream is called, and no answer ended, before the call is in the journal. */
export function kept(exchange: Exchange): Promise<void> | undefined {
  return exchange.kept();
}

/** Books the call before the client sees the end of the answer, so that no answer is ever unpaid. */
function settle(exchange: Exchange): Promise<void> | undefined {
  exchange.onStop = undefined;
  const isKnown = exchange.usage !== undefined && exchange.relay?.isUsageFinal;
  const tokens = isKnown ? 0 : (exchange.relay?.completionTokens() ?? 0);
  if (typeof tokens !== 'number') return settleWhenCounted(exchange, tokens);
  settleAs(exchange, tokens);
  return undefined;
}

async function settleWhenCounted(exchange: Exchange, tokens: Promise<number>): Promise<void> {
  settleAs(exchange, await tokens);
}

function settleAs(exchange: Exchange, completionTokens: number): void {
  const usage = usageOf(exchange, completionTokens);
  exchange.settle({ status: 'success', httpStatus: 200, usage, firstByteAt: exchange.relay?.firstByteAt });
  const tokens = usage ? usage.promptTokens + usage.completionTokens : 0;
  exchange.lease?.release(tokens);
  const { responseId, context } = exchange;
  if (responseId !== undefined && tokens > 0) context.responseLengths.note(responseId, tokens);
}

export function finish(exchange: Exchange): void {
  exchange.relay?.finish();
  keepAnswer(exchange);
}
