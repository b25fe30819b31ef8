import type pg from 'pg';
import { chargeOf, joinTags } from '../access/charge.ts';
import { allows, type AskedCall, askedOf, type ScopeOf } from '../access/decide.ts';
import type { Payers } from '../access/payers.ts';
import { principalOf, type Seed } from '../access/principal-of.ts';
import { type Charge, type Principal, standingsOf } from '../access/principal.ts';
import { regionOf, withinRegion } from '../access/region.ts';
import { GatewayError } from '../kernel/errors.ts';
import { findKeyRows } from '../keys/key.queries.ts';
import { estimatePromptTokens } from '../metering/estimate.ts';
import { countedTokens, type Gauge, headroom, priceAndWorst, requirePrice, type Sized } from '../metering/headroom.ts';
import type { Endpoint, ModelRequest } from '../proxy/endpoints/endpoint.ts';
import { unknownModel } from '../proxy/endpoints/json-request.ts';
import { match } from '../proxy/proxy.ts';
import { tooLarge } from '../proxy/read-body.ts';
import { notServed } from '../proxy/providers/not-served.ts';
import { servable } from '../proxy/providers/serves.ts';
import { type DeploymentTable, type Routed, type Target, targetOf } from '../proxy/routing.ts';
import { inWordsOf, readAsked } from './asked-body.ts';
import { type Step, traceDecision, traceHeadroom } from './trace.ts';

/** A call that nobody makes: whether it would be let through is asked. */
export interface Question {
  /** The hash of the key. */
  readonly token: string;
  readonly model: string;
  readonly path: string;
  readonly customer: string | undefined;
  readonly tags: readonly string[];
  /** Tokens of the prompt; guessed from the body when absent, as admission does. */
  readonly promptTokens: number | undefined;
  /** Tokens of the answer, where the request would say. */
  readonly maxTokens?: number | undefined;
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** Where the call would come from. */
  readonly address: string | undefined;
}

export interface Explanation {
  /** What the model's name stands for. */
  readonly model: string;
  /** Nano-dollars the call can cost at most; undefined where nobody serves the model. */
  readonly worst: bigint | undefined;
  readonly steps: readonly Step[];
  /** As whom the call would be made: of several teams of a token, in which. */
  readonly principal: Principal;
}

export interface ExplainerOptions {
  readonly pool: pg.Pool;
  readonly now: () => Date;
  readonly seed: Seed;
  readonly payers: Pick<Payers, 'find'>;
  readonly deployments: () =>
    | Promise<Pick<DeploymentTable, 'resolve' | 'scopeOf'>>
    | Pick<DeploymentTable, 'resolve' | 'scopeOf'>;
  readonly gauge: () => Promise<Gauge> | Gauge;
  /** Whether the calls of this moment are counted in this process. */
  readonly isLive: boolean;
  /** Whether calls beyond a budget or a limit are let through. */
  readonly observes: () => boolean;
  /** The largest body that is read. */
  readonly bodyBytes: number;
  /** Statuses the operator's clients know. */
  readonly modelAccessStatus: number;
  readonly budgetExceededStatus: number;
}

const LOOKUP_MS = 1_800;

/**
 * Says of a call how each check would go. It runs the checks that calls go through, on the key as the database has it and
 * on the counters that admission goes by, and takes nothing.
 */
export class Explainer {
  readonly #options: ExplainerOptions;

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  /** @throws GatewayError 404 when the key is gone, 400 when the route calls no model, 503 when we cannot know */
  async explain(question: Question): Promise<Explanation> {
    const { pool, seed } = this.#options;
    requireHandler(question.path);
    const row = (await findKeyRows(pool, [question.token], LOOKUP_MS)).get(question.token);
    if (!row) throw new GatewayError('notFound', 'not_found_error', 'The key is gone', { param: 'key' });
    const principal = principalOf(row, seed);
    const explanation = await this.explainFor(principal, question);
    const detail = `virtual key ${principal.alias ?? row.name}`;
    return { ...explanation, steps: [{ check: 'credential', outcome: 'pass', detail }, ...explanation.steps] };
  }

  /** The same for a caller who is known. */
  async explainFor(caller: Principal, question: Omit<Question, 'token'>): Promise<Explanation> {
    const { now, modelAccessStatus: modelStatus, payers } = this.#options;
    const handler = requireHandler(question.path);
    const deployments = await this.#options.deployments();
    const principal = standingFor(
      caller,
      { model: handler.parameter ?? question.model, route: handler.route },
      deployments,
    );
    const { route, parameter, path, endpoint } = handler;
    const { request, steps: read } = readAsked({
      endpoint,
      parameter,
      path,
      model: question.model,
      body: question.body,
      bodyBytes: this.#options.bodyBytes,
      mayTry: principal.role === 'proxy_admin',
    });
    const tags = joinTags(principal, question.tags.concat(request?.tags ?? []));
    const customer = principal.token?.customer ?? question.customer ?? request?.endUser;
    const named = await payers.find({ customer, tags });
    const call: AskedCall = {
      model: parameter ?? question.model,
      route,
      path,
      fields: question.body ?? {},
      payers: named,
    };
    const scopeOf: ScopeOf = (model) => deployments.scopeOf(model, principal.teamId);
    const asked = askedOf(principal, call, scopeOf);
    const size = sizeStep(question.body, this.#options.bodyBytes);
    const decided = traceDecision(asked, {
      now: now(),
      modelStatus,
      hasBody: question.body !== undefined,
      address: question.address,
    });
    const routed = deployments.resolve(asked.model, principal.teamId);
    // Limits of a model hold for its aliases.
    const served = routed?.name ?? asked.model;
    const charge = chargeOf(principal, { models: [asked.model, call.model, served], payers: named, tags });
    const { worst, steps } = await this.#measure({
      question,
      endpoint,
      request,
      charge,
      model: asked.model,
      call,
      routed,
    });
    return {
      model: asked.model,
      worst,
      principal,
      steps: [...decided.caller, ...size, ...read, ...decided.call, ...steps].map((step) => inWordsOf(endpoint, step)),
    };
  }

  async #measure({
    question,
    endpoint,
    request,
    charge,
    model,
    call,
    routed,
  }: Measured): Promise<Omit<Explanation, 'model' | 'principal'>> {
    const { isLive, now, observes } = this.#options;
    const gauge = await this.#options.gauge();
    const at = now();
    const size = sizeOf(question, endpoint, request);
    const target = targetFor({ model, endpoint, call, routed, question });
    const found = !(target instanceof GatewayError)
      ? costOf(gauge, charge, {
          ...target,
          ...size,
          ...ofEndpoint(endpoint, request, question.body),
          model,
          startedAt: at,
        })
      : denied(target);
    const room = await headroom(gauge, charge, {
      amount: found.worst ?? 0n,
      tokens: countedTokens(size),
      nowMs: at.getTime(),
    });
    const steps = traceHeadroom(room, { isLive, now: at, isObserved: observes() });
    return { worst: found.worst, steps: [found.step, ...steps.map((step) => this.#inStatus(step))] };
  }

  #inStatus(step: Step): Step {
    const status = this.#options.budgetExceededStatus;
    const { error } = step;
    if (error?.type !== 'budget_exceeded' || error.status === status) return step;
    const { kind, type, message, hint, param, headers } = error;
    return { ...step, error: new GatewayError(kind, type, message, { hint, param, headers, status }) };
  }
}

/** As the body would be sent: without blanks it did not have. */
function sizeStep(body: Question['body'], limit: number): Step[] {
  if (!body) return [];
  const used = Buffer.byteLength(JSON.stringify(body));
  const detail = `${used} of ${limit} bytes`;
  if (used <= limit) return [{ check: 'request.size', outcome: 'pass', detail, limit, used, left: limit - used }];
  const error = tooLarge(limit);
  return [{ check: 'request.size', outcome: 'deny', detail: error.message, limit, used, left: 0, error }];
}

/** As admission counts it; what is free has no size. */
function sizeOf(
  { promptTokens, maxTokens, body }: Omit<Question, 'token'>,
  { isFree }: Endpoint,
  request: Measured['request'],
) {
  if (isFree) return { promptTokens: 0, maxCompletionTokens: 0 };
  const estimate = () => (body ? estimatePromptTokens(body, Buffer.byteLength(JSON.stringify(body))) : 0);
  return {
    promptTokens: promptTokens ?? request?.promptTokens ?? estimate(),
    maxCompletionTokens: maxTokens ?? request?.maxCompletionTokens,
    answers: request?.answers ?? 1,
    serviceTier: request?.serviceTier,
  };
}

interface Measured {
  readonly question: Omit<Question, 'token'>;
  readonly endpoint: Endpoint;
  /** As it would be read; undefined where it could not be, or nothing is known of it. */
  readonly request: ModelRequest | undefined;
  readonly charge: Charge;
  readonly model: string;
  /** What stands behind the model; undefined where nothing does. */
  readonly routed: Routed | undefined;
  readonly call: AskedCall;
}

/** One of the deployments that could answer, or why there is none. */
function targetFor({
  routed,
  endpoint,
  call,
  model,
  question,
}: Omit<Measured, 'charge' | 'request'>): Target | GatewayError {
  if (!routed) return unknownModel(question.model, endpoint.path);
  const able = servable(routed, { endpoint, asked: { fields: call.fields } });
  if (able.length === 0) return notServed(endpoint, routed.group.deployments);
  try {
    const [first] = withinRegion(able, { model, region: regionOf(call.payers) });
    return first ? targetOf(routed, first) : notServed(endpoint, routed.group.deployments);
  } catch (thrown) {
    return GatewayError.from(thrown);
  }
}

interface Priced {
  readonly worst: bigint | undefined;
  readonly step: Step;
}

const check = 'model.deployment';

/** A price that cannot be used stops a call as well. */
function costOf(gauge: Gauge, charge: Charge, sized: Sized): Priced {
  try {
    const { amount, price } = priceAndWorst(gauge, sized);
    requirePrice(gauge, price, { ...sized, charge });
    const detail = price.source === 'unpriced' ? `${sized.model}, for which no price is known` : sized.model;
    return { worst: amount, step: { check, outcome: 'pass', detail } };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { worst: undefined, step: { check, outcome: 'deny', detail: error.message, error } };
  }
}

const ofEndpoint = (
  { callType, unitsOf, toolUsesOf }: Endpoint,
  request: Measured['request'],
  fields: Question['body'],
) => ({
  callType,
  toolUses: request?.toolUses ?? toolUsesOf?.(fields ?? {}),
  units: request?.units ?? unitsOf?.(fields ?? {}),
});

function denied(error: GatewayError): Priced {
  return { worst: undefined, step: { check, outcome: 'deny', detail: error.message, error } };
}

function requireHandler(path: string) {
  const handler = match('POST', path);
  if (!handler?.endpoint) throw noSuchRoute(path);
  return { ...handler, endpoint: handler.endpoint };
}

/** As the pipeline chooses. */
const standingFor = (
  principal: Principal,
  call: { readonly model: string; readonly route: string },
  deployments: Pick<DeploymentTable, 'scopeOf'>,
): Principal =>
  standingsOf(principal).find((each) => allows(each, call, (model) => deployments.scopeOf(model, each.teamId))) ??
  principal;

const noSuchRoute = (path: string) =>
  new GatewayError('invalid', 'invalid_request_error', `${path} is no route that calls a model`, {
    param: 'route',
    hint: 'Such as /v1/chat/completions; it is what is asked about when no route is given. Pass-through routes are not explained.',
  });
