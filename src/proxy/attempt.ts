import { GatewayError } from '../kernel/errors.ts';
import { Course } from '../routing/course.ts';
import { type Failure, meanings } from '../routing/failure.ts';
import { authenticate, decide, findPayers, startOf } from './admission.ts';
import { unknownModel } from './endpoints/json-request.ts';
import type { Exchange } from './exchange.ts';
import { isPaid, settleAttempt } from './failing.ts';
import { failureOf } from './failure-of.ts';
import { Relay } from './relay.ts';

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
      return;
    } catch (thrown) {
      await goOn(exchange, GatewayError.from(thrown));
    }
  }
}

function send(exchange: Exchange): void {
  const { context, callId, endpoint, asked, target } = exchange;
  const provider = context.providers.get(target.deployment.provider);
  if (!provider) {
    throw new GatewayError(
      'upstream',
      'upstream_misconfigured',
      `No provider is called ${JSON.stringify(target.deployment.provider)}`,
    );
  }
  exchange.relay = new Relay(exchange);
  exchange.upstream = provider.send({ id: callId, endpoint, asked, ...target }, exchange.relay);
}

/** Returns when another attempt is admitted. Throws the failure when there is none. */
async function goOn(exchange: Exchange, error: GatewayError): Promise<void> {
  const failure = failureOf(error);
  if (failure) exchange.lease?.failed(failure);
  else exchange.lease?.release();
  if (!failure || exchange.stopped || exchange.isAnswering || exchange.response.destroyed) throw error;
  exchange.upstream?.abort();
  (exchange.tried ??= new Set()).add(exchange.target.deployment);

  const { model, routed, target, charge, promptTokens } = exchange;
  const waitMs = next(exchange, failure);
  if (waitMs === undefined) throw error;
  await bookFailed(exchange, error);
  if (waitMs > 0) await pause(exchange, waitMs);
  do {
    if (await readmit(exchange)) return;
  } while (takeFallback(exchange, failure));
  // What is told and booked is the attempt that failed last.
  Object.assign(exchange, { model, routed, target, charge, promptTokens });
  throw error;
}

/** What is tried next: milliseconds to wait for it, or undefined when there is nothing. */
function next(exchange: Exchange, failure: Failure): number | undefined {
  const { routed, lease, context } = exchange;
  const { router, limits } = context;
  const course = courseOf(exchange);
  if (routed && course.mayRetry(failure, lease?.state.rules.retries) && isTaken(exchange)) {
    if (!exchange.tried?.has(exchange.target.deployment)) return retryAfter(course, 0);
    // It is to be had, but only after a while: meanwhile it is everybody's.
    exchange.lease?.release();
    exchange.lease = undefined;
    const waitMs = course.waitMs(failure, router.random);
    const leftMs = limits.totalMs - (performance.now() - exchange.startedMs);
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
  } catch {
    // All of them are at a limit or have failed: the next model, or the failure itself, is what is left.
    return false;
  }
}

function courseOf(exchange: Exchange): Course {
  const { context, asked } = exchange;
  return (exchange.course ??= new Course(context.router.settings, {}, asked.model));
}

/** Takes a deployment of the next model that may be called in the place of the one that failed. */
export function takeFallback(exchange: Exchange, failure: Failure): boolean {
  const course = courseOf(exchange);
  const names = [exchange.goal, exchange.model, exchange.routed?.name ?? exchange.model];
  for (let name = course.nextModel(failure, names); name !== undefined; name = course.nextModel(failure, names)) {
    try {
      decide(exchange, name);
      if (!exchange.routed) throw unknownModel(name, exchange.endpoint.path);
      exchange.take(exchange.routed);
      exchange.goal = name;
      return true;
    } catch (thrown) {
      noteRefusal(exchange, name, GatewayError.from(thrown));
    }
  }
  return false;
}

/** For the operator: a fallback that never comes into play is one they rely on in vain. */
function noteRefusal({ id, goal, context }: Exchange, fallback: string, { type, message }: GatewayError): void {
  context.deps.log('info', `A fallback was passed over: ${message}`, { requestId: id, model: goal, fallback, type });
}

/**
 * A failed attempt that its upstream may bill has a row of its own, and the next one another. One that cost nothing
 * leaves its row and what it had reserved to the next.
 */
async function bookFailed(exchange: Exchange, error: GatewayError): Promise<void> {
  exchange.onStop = undefined;
  if (isPaid(exchange, error)) {
    await settleAttempt(exchange, error, { reason: error, goesOn: true });
    exchange.callId = `${exchange.id}-${exchange.attempts + 1}`;
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

/**
 * Admits the next attempt as the first one was: whoever lost access or money meanwhile makes none.
 *
 * @returns false when it is refused; then nothing of it is left
 */
async function readmit(exchange: Exchange): Promise<boolean> {
  const { context, startedMs, attempts } = exchange;
  const { metering } = context.deps;
  try {
    if (performance.now() - startedMs > context.limits.trustMs) {
      await authenticate(exchange);
      await findPayers(exchange);
    }
    decide(exchange, exchange.goal);
    if (!exchange.routed) throw unknownModel(exchange.goal, exchange.endpoint.path);
    if (!exchange.lease?.isHeld) exchange.take(exchange.routed);
    await metering.prepare(exchange.charge);
    if (exchange.stopped) throw exchange.stopped;
    exchange.attempts = attempts + 1;
    if (exchange.isUnsettled) exchange.redirect(startOf(exchange));
    else exchange.admit(metering.begin(startOf(exchange)));
    return true;
  } catch (thrown) {
    exchange.lease?.release();
    exchange.attempts = attempts;
    if (exchange.stopped) throw exchange.stopped;
    noteRefusal(exchange, exchange.goal, GatewayError.from(thrown));
    return false;
  }
}
