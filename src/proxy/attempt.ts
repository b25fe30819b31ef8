import { GatewayError } from '../kernel/errors.ts';
import { Course } from '../routing/course.ts';
import { type Failure, meanings } from '../routing/failure.ts';
import { authenticate, decide, findPayers, notThere, promptTokensOf, readRequest, startOf } from './admission.ts';
import type { Exchange } from './exchange.ts';
import { isPaid, settleAttempt } from './failing.ts';
import { failureOf } from './failure-of.ts';
import { pretended } from './failures.ts';
import { Relay } from './relay.ts';
import type { Target } from './routing.ts';
import { whenHeld } from './when-held.ts';

/**
 * Calls the upstream, and waits until all of the answer but its end has been passed on, or read. As long as nothing has
 * reached the client, a failure may be followed by another attempt: at another deployment, at the same one after a while,
 * or at one of another model.
 */
export async function attempt(exchange: Exchange): Promise<void> {
  for (;;) {
    try {
      send(exchange);
      await exchange.relay?.whole;
      exchange.answeredMs = performance.now();
      return;
    } catch (thrown) {
      await goOn(exchange, GatewayError.from(thrown));
    }
  }
}

function send(exchange: Exchange): void {
  const { context, callId, endpoint, asked, wishes } = exchange;
  exchange.sentMs ||= performance.now();
  if (exchange.isPretending && wishes.pretends) throw pretended(wishes.pretends);
  const target = targetFor(exchange);
  const provider = context.providers.get(target.deployment.provider);
  if (!provider) {
    throw new GatewayError(
      'upstream',
      'upstream_misconfigured',
      `No provider is called ${JSON.stringify(target.deployment.provider)}`,
    );
  }
  const firstByteMs = wishes.timeoutMs && Math.min(wishes.timeoutMs, context.limits.totalMs);
  exchange.relay = new Relay(exchange);
  exchange.upstream = provider.send({ id: callId, endpoint, asked, ...target, firstByteMs }, exchange.relay);
}

/** The deployment's own, or what an administrator wants it to answer: at its price, and without calling it. */
function targetFor({ target, wishes: { mockResponse } }: Exchange): Target {
  if (mockResponse === undefined) return target;
  const { deployment, upstreamModel } = target;
  return { deployment: { ...deployment, provider: 'mock', params: { mock_response: mockResponse } }, upstreamModel };
}

/** Returns when another attempt is admitted. Throws the failure when there is none. */
async function goOn(exchange: Exchange, error: GatewayError): Promise<void> {
  const failure = failureOf(error);
  endLease(exchange, error, exchange.isPretending || isImpatience(exchange, error) ? undefined : failure);
  if (!failure || exchange.stopped || exchange.isAnswering || exchange.response.destroyed) throw error;
  exchange.upstream?.abort();
  (exchange.tried ??= new Set()).add(exchange.target.deployment);

  const { goal, model, routed, target, charge, asked, body, promptTokens } = exchange;
  const waitMs = next(exchange, failure);
  if (waitMs === undefined) throw error;
  await bookFailed(exchange, error, promptTokens);
  if (waitMs > 0) await pause(exchange, waitMs);
  do {
    if (await readmit(exchange)) {
      if (exchange.goal !== goal) exchange.course?.fallBack();
      return;
    }
  } while (takeFallback(exchange, failure));
  // What is told and booked is the attempt that failed last.
  Object.assign(exchange, { goal, model, routed, target, charge, asked, body, promptTokens });
  throw error;
}

/** A client that gives it less time than others would could have any deployment left out for everybody. */
const isImpatience = ({ wishes, context }: Exchange, { kind }: GatewayError): boolean =>
  kind === 'upstreamTimeout' && (wishes.timeoutMs ?? Number.POSITIVE_INFINITY) < context.limits.firstByteMs;

/** @param failure undefined where the deployment is not to blame */
function endLease({ id, lease, target, context }: Exchange, error: GatewayError, failure: Failure | undefined): void {
  if (!failure) lease?.release();
  else if (lease?.failed(failure)) {
    const { id: deployment, name: model } = target.deployment;
    const { type, status } = error;
    context.deps.log('warn', 'A deployment is left out after failures', {
      requestId: id,
      model,
      deployment,
      type,
      status,
    });
  }
}

/** A call that waits keeps its place, its body and what was reserved for it. LiteLLM waits no longer either. */
const longestWaitMs = 60_000;

/** What is tried next: milliseconds to wait for it, or undefined when there is nothing. */
function next(exchange: Exchange, failure: Failure): number | undefined {
  const { routed, lease, context } = exchange;
  const { router, limits } = context;
  const course = courseOf(exchange);
  // A failure that is made up is there for what comes after all retries.
  if (routed && !exchange.isPretending && course.mayRetry(failure, lease?.state.rules.retries) && isTaken(exchange)) {
    if (!exchange.tried?.has(exchange.target.deployment)) return retryAfter(course, 0);
    // It is to be had, but only after a while: meanwhile it is everybody's.
    exchange.lease?.release();
    exchange.lease = undefined;
    const waitMs = course.waitMs(failure, router.random);
    const leftMs = Math.min(longestWaitMs, limits.totalMs - (performance.now() - exchange.startedMs));
    if (meanings[failure.kind].retry === 'anywhere' && waitMs < leftMs) return retryAfter(course, waitMs);
  }
  return takeFallback(exchange, failure) ? 0 : undefined;
}

function retryAfter(course: Course, waitMs: number): number {
  course.retry();
  return waitMs;
}

function isTaken(exchange: Exchange): boolean {
  try {
    if (exchange.routed) exchange.take(exchange.routed);
    return exchange.routed !== undefined;
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    // All of them are at a limit or have failed: the next model, or the failure itself, is what is left.
    return false;
  }
}

function courseOf(exchange: Exchange): Course {
  const { context, asked, wishes } = exchange;
  return (exchange.course ??= new Course(context.router.settings, wishes, asked.model));
}

/** Takes a deployment of the next model that may be called in the place of the one that failed. */
export function takeFallback(exchange: Exchange, failure: Failure): boolean {
  const course = courseOf(exchange);
  const names = [exchange.goal, exchange.model, exchange.routed?.name ?? exchange.model];
  for (let name = course.nextModel(failure, names); name !== undefined; name = course.nextModel(failure, names)) {
    try {
      restate(exchange, name);
      decide(exchange, name);
      if (!exchange.routed) throw notThere(exchange, name);
      exchange.take(exchange.routed);
      exchange.goal = name;
      return true;
    } catch (thrown) {
      noteRefusal(exchange, name, GatewayError.from(thrown));
    }
  }
  return false;
}

/** Asks for what the client wants of a fallback, where that is something else than of the first model. */
export function restate(exchange: Exchange, name: string): void {
  const { wishes } = exchange;
  const others = wishes.fallbackFields;
  if (!others) return;
  const { asked, body } = (exchange.original ??= { asked: exchange.asked, body: exchange.body });
  const other = others.get(name);
  exchange.asked = asked;
  exchange.body = other ? Buffer.from(JSON.stringify({ ...asked.fields, ...other })) : body;
  if (other) readRequest(exchange);
  exchange.promptTokens = promptTokensOf(exchange);
}

/** For the operator: what never comes into play is relied on in vain. */
function noteRefusal({ id, goal, context }: Exchange, wanted: string, error: GatewayError): void {
  const { type, message, kind, cause } = error;
  const fields = { requestId: id, model: goal, wanted, type };
  if (kind === 'internal') context.deps.log('error', message, { ...fields, cause });
  else context.deps.log('info', `A further attempt was not made: ${message}`, fields);
}

/**
 * A failed attempt that its upstream may bill has a row of its own, and the next one another. One that cost nothing
 * leaves its row and what it had reserved to the next.
 */
async function bookFailed(exchange: Exchange, error: GatewayError, promptTokens: number): Promise<void> {
  exchange.onStop = undefined;
  if (isPaid(exchange, error)) {
    const { promptTokens: ofNext } = exchange;
    exchange.promptTokens = promptTokens;
    await settleAttempt(exchange, error, { reason: error, goesOn: true });
    exchange.promptTokens = ofNext;
  }
  exchange.forgetAttempt();
}

async function pause(exchange: Exchange, waitMs: number): Promise<void> {
  if (exchange.stopped) throw exchange.stopped;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, waitMs);
  exchange.onStop = (reason) => {
    clearTimeout(timer);
    reject(reason);
  };
  await promise;
  exchange.onStop = undefined;
}

/** @throws GatewayError why the exchange is to end, when it is */
function requireGoing({ stopped }: Exchange): void {
  if (stopped) throw stopped;
}

function admitNext(exchange: Exchange): void {
  requireGoing(exchange);
  if (exchange.isUnsettled) exchange.redirect(startOf(exchange));
  else exchange.admit(exchange.context.deps.metering.begin(startOf(exchange)));
}

/**
 * Admits the next attempt as the first one was: whoever lost access or money meanwhile makes none.
 *
 * @returns false when it is refused; then nothing of it is left
 */
async function readmit(exchange: Exchange): Promise<boolean> {
  const { context, startedMs, attempts, callId, startedAt } = exchange;
  const { metering } = context.deps;
  try {
    if (performance.now() - startedMs > context.limits.trustMs) {
      await authenticate(exchange);
      await findPayers(exchange);
    }
    decide(exchange, exchange.goal);
    if (!exchange.routed) throw notThere(exchange, exchange.goal);
    if (!exchange.lease?.isHeld) exchange.take(exchange.routed);
    const prepare = () => metering.prepare(exchange.charge);
    await prepare();
    if (exchange.stopped) throw exchange.stopped;
    exchange.attempts = attempts + 1;
    if (!exchange.isUnsettled)
      Object.assign(exchange, { callId: `${exchange.id}-${attempts + 1}`, startedAt: undefined });
    const { routed } = exchange;
    await whenHeld(exchange, {
      take: () => admitNext(exchange),
      anew: prepare,
      elsewhere: () => exchange.take(routed),
    });
    await exchange.kept();
    // Whoever left during one of these waits was hung up on when there was nothing to hang up: nobody would end the attempt.
    requireGoing(exchange);
    return true;
  } catch (thrown) {
    exchange.lease?.release();
    Object.assign(exchange, { attempts, callId, startedAt });
    if (exchange.stopped) throw exchange.stopped;
    noteRefusal(exchange, exchange.goal, GatewayError.from(thrown));
    return false;
  }
}
