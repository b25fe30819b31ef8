import { chargeOf, joinTags } from '../access/charge.ts';
import type { Payer } from '../access/payers.ts';
import { type Principal, standingsOf } from '../access/principal.ts';
import type { GatewayError } from '../kernel/errors.ts';
import type { CallStart } from '../metering/call.ts';
import { unknownModel } from './endpoints/json-request.ts';
import { tagsOf } from './endpoints/tags.ts';
import type { Exchange } from './exchange.ts';

/** What every attempt of a call goes through before it goes out: who asks, who pays, and whether that is allowed. */

export function authenticate(exchange: Exchange): Promise<void> | undefined {
  const found = exchange.context.deps.authenticate(exchange.request);
  if (found instanceof Promise) return wait(exchange, found);
  exchange.principal = found;
  return undefined;
}

async function wait(exchange: Exchange, found: Promise<Principal>): Promise<void> {
  exchange.principal = await found;
}

/** What a request asks for, and how that is to be routed. @throws GatewayError 400 */
export function readRequest(exchange: Exchange): void {
  const { body: bytes, request, handler, context, endpoint, principal } = exchange;
  exchange.asked = endpoint.read({
    bytes,
    url: request.url ?? '',
    headers: request.headers,
    parameter: handler.parameter,
    limits: context.limits,
    mayTry: principal.role === 'proxy_admin',
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

/**
 * Before the route, so that somebody with few models cannot find out which others there are.
 *
 * @param model as it is asked for: by the client, or as what takes the place of that
 * @throws GatewayError 403, 400
 */
export function decide(exchange: Exchange, model = exchange.asked.model): void {
  const { context, endpoint, principal, handler, asked, payers, tags } = exchange;
  const { deployments, responseIds } = context.deps;
  const { response } = asked;
  // First of all, so that nobody learns by another answer that it is somebody's.
  if (response && !responseIds.isOwn(response.id, principal)) throw response.unknown(response.id);
  const call = { model, route: handler.route, path: handler.path, fields: asked.fields, payers };
  exchange.model = context.deps.decide(principal, call);
  exchange.routed = response
    ? deployments.keepers(response.kept.deploymentId, exchange.model, {
        teamId: principal.teamId,
        isExact: endpoint.isFree === true,
      })
    : deployments.resolve(exchange.model, principal.teamId);
  // Limits of a model hold for its aliases.
  const served = exchange.routed?.name ?? exchange.model;
  exchange.charge = chargeOf(principal, { models: [exchange.model, model, served], payers, tags });
}

/** Where nothing stands behind a model. */
export const notThere = ({ asked: { response }, endpoint }: Exchange, model: string): GatewayError =>
  response?.unknown(response.id) ?? unknownModel(model, endpoint.path);

/** Of a request's prompt, guessed high; none of what is free. */
export function promptTokensOf({ endpoint, asked, body, context }: Exchange): number {
  if (endpoint.isFree) return 0;
  const inBody = asked.promptTokens ?? context.deps.counter.promptTokens(asked.fields, body.length);
  return asked.response ? inBody + context.responseLengths.of(asked.response.kept.upstreamId) : inBody;
}

/** The present attempt as the books have it. */
export function startOf(exchange: Exchange): CallStart {
  const { context, endpoint, asked, target, principal, charge, request } = exchange;
  return {
    requestId: exchange.callId,
    principal,
    charge,
    deployment: target.deployment,
    deploymentLimit: exchange.lease?.state.limit,
    model: exchange.model,
    upstreamModel: target.upstreamModel,
    callType: endpoint.callType,
    stream: asked.stream,
    startedAt: (exchange.startedAt ??= context.deps.now()),
    requesterIp: context.deps.addressOf(request),
    promptTokens: exchange.promptTokens,
    maxCompletionTokens: asked.maxCompletionTokens,
    answers: asked.answers,
    units: asked.units,
    toolUses: asked.toolUses,
    ...(endpoint.callType === 'create_batch' && { batch: asked.batch }),
    serviceTier: asked.serviceTier,
    endUser: exchange.customer,
    attempts: exchange.attempts,
  };
}
