import { chargeOf, joinTags } from '../access/charge.ts';
import type { Payer } from '../access/payers.ts';
import { type Principal, standingsOf } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { unknownModel } from './endpoints/json-request.ts';
import { tagsOf } from './endpoints/tags.ts';
import type { Exchange } from './exchange.ts';
import { readBody } from './read-body.ts';
import { Relay } from './relay.ts';
import { usageOf } from './reported-usage.ts';

/** One step of an exchange. It returns a promise only when it has to wait. */
export type Step = (exchange: Exchange) => Promise<void> | undefined | void;

/**
 * A call of a model. The credential comes first: a stranger's body is not even read. The route is found before the
 * reservation, because what a call can cost at most depends on where it goes.
 */
export const modelCall: readonly Step[] = [
  authenticate,
  takePlace,
  readBody,
  authenticateAgain,
  parseBody,
  findPayers,
  decide,
  route,
  reserve,
  callUpstream,
  relay,
  settle,
  finish,
];

/** Takes the steps one after the other. A promise is awaited only where there is one, which saves 1 µs at each of the others. */
export async function run(steps: readonly Step[], exchange: Exchange): Promise<void> {
  for (const step of steps) {
    const waiting = step(exchange);
    if (waiting) await waiting;
    if (exchange.stopped) throw exchange.stopped;
  }
}

export function authenticate(exchange: Exchange): Promise<void> | undefined {
  const found = exchange.context.deps.authenticate(exchange.request);
  if (found instanceof Promise) return wait(exchange, found);
  exchange.principal = found;
  return undefined;
}

async function wait(exchange: Exchange, found: Promise<Principal>): Promise<void> {
  exchange.principal = await found;
}

/** Before the body, which takes memory. After the credential, so that strangers do not take the places of others. */
export function takePlace(exchange: Exchange): void {
  if (exchange.enter()) return;
  throw new GatewayError('unavailable', 'overloaded', 'The gateway has as many calls under way as it can take', {
    headers: { 'retry-after': '1' },
  });
}

/** A client that withholds its body keeps nothing of a key that was blocked or deleted meanwhile. */
export function authenticateAgain(exchange: Exchange): Promise<void> | undefined {
  if (performance.now() - exchange.startedMs <= exchange.context.limits.trustMs) return undefined;
  return authenticate(exchange);
}

function parseBody(exchange: Exchange): void {
  const { body: bytes, request, handler, context, endpoint } = exchange;
  exchange.asked = endpoint.read({
    bytes,
    headers: request.headers,
    parameter: handler.parameter,
    limits: context.limits,
  });
}

/** The customer and the tags a call is charged to, which its client names or its key and team have. */
export function findPayers(exchange: Exchange): Promise<void> | undefined {
  const { asked, request, context } = exchange;
  const principal = (exchange.principal = standingFor(exchange));
  exchange.customer = principal.token?.customer ?? asked.endUser;
  exchange.tags = joinTags(principal, asked.tags.concat(tagsOf(request.headers['x-litellm-tags'])));
  const found = context.deps.payers({ customer: exchange.customer, tags: exchange.tags });
  if (found instanceof Promise) return waitForPayers(exchange, found);
  exchange.payers = found;
  return undefined;
}

/** Of several teams of a token, its bearer calls in the first that has the model. */
function standingFor({ principal, handler, asked, context }: Exchange): Principal {
  const standings = standingsOf(principal);
  if (standings.length === 1) return principal;
  const call = { model: asked.model, route: handler.route };
  return standings.find((each) => context.deps.allows(each, call.model, call.route)) ?? principal;
}

async function waitForPayers(exchange: Exchange, found: Promise<readonly Payer[]>): Promise<void> {
  exchange.payers = await found;
}

/** Before the route, so that somebody with few models cannot find out which others there are. */
function decide(exchange: Exchange): void {
  const { context, principal, handler, asked, payers, tags } = exchange;
  const call = { model: asked.model, route: handler.route, path: handler.path, fields: asked.fields, payers };
  exchange.model = context.deps.decide(principal, call);
  exchange.charge = chargeOf(principal, { models: [exchange.model, asked.model], payers, tags });
}

function route(exchange: Exchange): void {
  const target = exchange.context.deps.deployments.find(exchange.model, exchange.principal.teamId);
  if (!target) throw unknownModel(exchange.asked.model, exchange.endpoint.path);
  exchange.target = target;
}

function reserve(exchange: Exchange): Promise<void> | undefined {
  const waiting = exchange.context.deps.metering.prepare(exchange.charge);
  if (waiting) return admitAfter(exchange, waiting);
  admit(exchange);
  return undefined;
}

/** The wait may have been long, with the database away: the key is looked at again as it is now. */
async function admitAfter(exchange: Exchange, waiting: Promise<void>): Promise<void> {
  await waiting;
  if (exchange.stopped) return;
  await authenticate(exchange);
  await findPayers(exchange);
  decide(exchange);
  await exchange.context.deps.metering.prepare(exchange.charge);
  admit(exchange);
}

function admit(exchange: Exchange): void {
  const { context, endpoint, asked, target, principal, charge, request } = exchange;
  // Whoever left meanwhile is not charged for a call that was never made.
  if (exchange.stopped) return;
  exchange.promptTokens = context.deps.counter.promptTokens(asked.fields, exchange.body.length);
  exchange.admit(
    context.deps.metering.begin({
      requestId: exchange.id,
      principal,
      charge,
      deployment: target.deployment,
      model: exchange.model,
      upstreamModel: target.upstreamModel,
      callType: endpoint.callType,
      stream: asked.stream,
      startedAt: context.deps.now(),
      requesterIp: context.deps.addressOf(request),
      promptTokens: exchange.promptTokens,
      maxCompletionTokens: asked.maxCompletionTokens,
      answers: asked.answers,
      serviceTier: asked.serviceTier,
      endUser: exchange.customer,
    }),
  );
}

function callUpstream(exchange: Exchange): void {
  const { context, id, endpoint, asked, target } = exchange;
  const provider = context.providers.get(target.deployment.provider);
  if (!provider) {
    throw new GatewayError(
      'upstream',
      'upstream_misconfigured',
      `No provider is called ${JSON.stringify(target.deployment.provider)}`,
    );
  }
  exchange.relay = new Relay(exchange);
  exchange.upstream = provider.send({ id, endpoint, asked, ...target }, exchange.relay);
}

/** Waits until all of the answer but its end has been passed on, or read. */
export function relay(exchange: Exchange): Promise<void> | undefined {
  return exchange.relay?.whole;
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
  exchange.settle({
    status: 'success',
    httpStatus: 200,
    usage: usageOf(exchange, completionTokens),
    firstByteAt: exchange.relay?.firstByteAt,
  });
}

export function finish(exchange: Exchange): void {
  exchange.relay?.finish();
}
