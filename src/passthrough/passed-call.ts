import { chargeOf } from '../access/charge.ts';
import { readCredential } from '../access/credential.ts';
import type { PassedCall } from '../access/pass-through.ts';
import type { Principal } from '../access/principal.ts';
import { refuseElsewhere, regionOf } from '../access/region.ts';
import { operatorsRoute } from '../kernel/route-groups.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { storable } from '../proxy/endpoints/tags.ts';
import { authenticate, findPayers } from '../proxy/admission.ts';
import { authenticateAgain, finish, kept, type Step, takePlace } from '../proxy/pipeline.ts';
import { readBytes } from '../proxy/read-body.ts';
import { Relay } from '../proxy/relay.ts';
import { usageOf } from '../proxy/reported-usage.ts';
import type { RawRequest } from '../proxy/upstream.ts';
import { whenHeld } from '../proxy/when-held.ts';
import { type Fields, readFields } from './asked.ts';
import { hintOfUncounted, refuseBeyondPrice, setPrice, tierIn } from './beyond-price.ts';
import type { ModelUse } from './dialects.ts';
import { PassedAnswer } from './passed-answer.ts';
import { upstreamHeaders } from './passed-headers.ts';
import { refusalOf, RefusedAnswer } from './refused-answer.ts';
import type { Target } from './target.ts';
import { pathBelow, queryOf, unescaped } from './upstream-target.ts';

export interface PassedCallDeps {
  /** Throws a GatewayError 403 when the principal may not make the call. */
  decide(principal: Principal, call: PassedCall): void;
  isPriced(deployment: Deployment, model: string): boolean;
  /** A further header that keys are read from. */
  readonly keyHeader: string | undefined;
}

const nothing: ModelUse = { model: undefined, maxCompletionTokens: 0, answers: 1, stream: false };
const readingMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE']);

/** A request that goes on as it is, from the look at its credential to the last byte of its answer. */
export class PassedCallSteps {
  readonly #deps: PassedCallDeps;
  readonly #target: Target;
  /** Of the client's path, what comes behind the target's own. */
  readonly #rest: string;
  #use = nothing;
  #isFree = true;
  /** What to do where its answer will not say what it cost. */
  #hint: string | undefined = setPrice;
  #request: RawRequest | undefined;
  #answer: PassedAnswer | undefined;

  constructor(deps: PassedCallDeps, target: Target, rest: string) {
    this.#deps = deps;
    this.#target = target;
    this.#rest = target.restOf(rest);
  }

  /** @param first what comes before the look at the credential */
  steps(first: readonly Step[] = []): readonly Step[] {
    return [
      refuseUpgrade,
      ...first,
      authenticate,
      takePlace,
      (exchange) => readBytes(exchange),
      authenticateAgain,
      (exchange) => this.#read(exchange),
      findPayers,
      (exchange) => this.#decide(exchange),
      (exchange) => this.#prepare(exchange),
      (exchange) => this.#reserve(exchange),
      kept,
      (exchange) => this.#send(exchange),
      (exchange) => exchange.relay?.whole,
      () => this.#answer?.whole,
      (exchange) => this.#settle(exchange),
      kept,
      finish,
    ];
  }

  #read(exchange: Exchange): void {
    const { request, context } = exchange;
    const secret = readCredential(request, this.#deps.keyHeader);
    const body = (exchange.body = withoutCredential(exchange.body, secret, this.#target.insteadOfCredential));
    const fields = readFields(body, request.headers, context.limits);
    const { dialect } = this.#target;
    const path = unescaped(this.#target.shownBase + this.#rest);
    if (dialect) this.#use = dialect.read(path, fields);
    this.#isFree = readingMethods.has(request.method ?? '') || (dialect?.free.test(path) ?? false);
    if (dialect && !this.#hasOwnPrice) {
      const query = this.#isFree ? '' : queryIn(request.url);
      refuseBeyondPrice({ usage: dialect.usage, path, fields: fields ?? {}, query });
    }
    if (dialect) this.#hint = hintOfUncounted(dialect, path, fields);
    exchange.asked = {
      ...exchange.asked,
      fields: fields ?? {},
      model: this.#use.model ?? '',
      stream: this.#use.stream,
      maxCompletionTokens: this.#isFree ? 0 : this.#use.maxCompletionTokens,
      answers: this.#use.answers,
      serviceTier: this.#isFree || this.#hasOwnPrice ? undefined : tierIn(fields ?? {}),
      endUser: endUserOf(fields),
    };
  }

  /** After the decision: what the operator has not set up is nobody's business who may not call it. */
  #prepare(exchange: Exchange): void {
    const secret = readCredential(exchange.request, this.#deps.keyHeader);
    this.#request = this.#requestFor(exchange, secret);
    if (this.#request.path.includes(secret)) throw credentialInside('path');
  }

  #requestFor({ request, body, context: { limits } }: Exchange, secret: string): RawRequest {
    const { headers: own, forwards, query, timeoutMs = limits.firstByteMs } = this.#target;
    const { origin, path } = this.#target.baseFor(this.#rest);
    const { url, method } = request;
    return {
      origin,
      path: pathBelow(path, this.#rest) + queryOf(queryIn(url), query),
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no route is registered for another
      method: method as RawRequest['method'],
      headers: upstreamHeaders(request.headers, { own, forwards, secret }),
      body: body.length === 0 ? null : body,
      firstByteMs: timeoutMs,
      isPrivate: this.#target.isPrivate,
    };
  }

  #decide(exchange: Exchange): void {
    const { principal, handler, asked, payers, tags } = exchange;
    const models = this.#names();
    const { route, path } = handler;
    this.#deps.decide(principal, {
      models,
      route,
      path,
      fields: asked.fields,
      payers,
      ...(this.#target.isOperators && { alsoRoute: operatorsRoute }),
    });
    refuseElsewhere(regionOf(payers));
    exchange.model = this.#use.model ?? this.#target.name;
    exchange.charge = chargeOf(principal, { models: models.length > 0 ? models : [exchange.model], payers, tags });
    const deployment = this.#isFree ? this.#target.free : this.#target.deployment;
    exchange.target = { deployment, upstreamModel: this.#use.model ?? '' };
    this.#refuseUnpriced(exchange);
  }

  /** Names a list of models may have. What shows no model may be for any of the provider's: for all of them one must be let. */
  #names(): string[] {
    const { grantedAs } = this.#target;
    if (grantedAs === undefined) return [];
    const { model } = this.#use;
    return model === undefined ? [`${grantedAs}/*`] : [model, `${grantedAs}/${model}`];
  }

  /** A budget that a call could pass by, because nobody knows what it costs, would be none. */
  #refuseUnpriced({ charge, target: { deployment, upstreamModel }, handler }: Exchange): void {
    const budget = charge.budgets.find(({ max }) => max !== null);
    if (!budget || isPricedByRequest(deployment)) return;
    if (this.#hint === undefined && this.#deps.isPriced(deployment, upstreamModel)) return;
    const what = upstreamModel === '' ? handler.path : `${upstreamModel} of ${this.#target.name}`;
    throw new GatewayError(
      'forbidden',
      'unpriced_call',
      `No price is known for ${what}, and the budget of ${budget.entity} ${budget.label} applies`,
      {
        param: 'cost_per_request',
        hint: this.#hint ?? setPrice,
      },
    );
  }

  /** The operator's for each request, which holds whatever is asked for. */
  get #hasOwnPrice(): boolean {
    return isPricedByRequest(this.#target.deployment);
  }

  #reserve(exchange: Exchange): Promise<void> | undefined {
    const waiting = exchange.context.deps.metering.prepare(exchange.charge);
    if (waiting) return this.#admitAfter(exchange, waiting);
    return this.#admitWhenHeld(exchange);
  }

  #admitWhenHeld(exchange: Exchange): Promise<void> | undefined {
    return whenHeld(exchange, { take: () => this.#admit(exchange), anew: () => this.#lookAgain(exchange) });
  }

  async #admitAfter(exchange: Exchange, waiting: Promise<void>): Promise<void> {
    await waiting;
    if (exchange.stopped) return;
    await this.#lookAgain(exchange);
    await this.#admitWhenHeld(exchange);
  }

  /** The wait may have been long: the key is looked at again as it is now. */
  async #lookAgain(exchange: Exchange): Promise<void> {
    await authenticate(exchange);
    await findPayers(exchange);
    this.#decide(exchange);
    await exchange.context.deps.metering.prepare(exchange.charge);
  }

  #admit(exchange: Exchange): void {
    const { context, asked, target, principal, charge, request, body } = exchange;
    if (exchange.stopped) return;
    exchange.promptTokens = this.#isFree ? 0 : context.deps.counter.promptTokens(asked.fields, body.length);
    exchange.admit(
      context.deps.metering.begin({
        requestId: exchange.id,
        principal,
        charge,
        deployment: target.deployment,
        model: exchange.model,
        upstreamModel: target.upstreamModel,
        callType: 'pass_through_endpoint',
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

  #send(exchange: Exchange): Promise<void> | undefined {
    const request = this.#request;
    if (!request) throw new GatewayError('internal', 'internal_error', 'A request is sent before it was read');
    if (!this.#target.sign) return this.#dispatch(exchange, request);
    return this.#signAndDispatch(exchange, request, this.#target.sign);
  }

  async #signAndDispatch(exchange: Exchange, request: RawRequest, sign: NonNullable<Target['sign']>): Promise<void> {
    const { method, headers, body, origin, path } = request;
    const signed = await sign(
      { method, url: origin + path, headers, body: body ?? Buffer.alloc(0) },
      exchange.context.transport,
    );
    if (!exchange.stopped) this.#dispatch(exchange, { ...request, headers: [...headers, ...signed] });
  }

  #dispatch(exchange: Exchange, request: RawRequest): undefined {
    const { usage } = this.#isFree ? {} : { usage: this.#target.dialect?.usage };
    const { maxCompletionTokens, answers } = this.#use;
    const maxTokens = maxCompletionTokens === undefined ? undefined : maxCompletionTokens * answers;
    exchange.relay = new Relay(exchange, (_, status, headers) => {
      const refusal = refusalOf(status, headers);
      if (refusal) return new RefusedAnswer(refusal, usage && maxTokens);
      return (this.#answer = new PassedAnswer(
        exchange,
        { status, headers },
        { usage, maxTokens, readsTier: !this.#hasOwnPrice },
      ));
    });
    exchange.sentMs = performance.now();
    exchange.upstream = exchange.context.transport.relay(request, exchange.relay);
  }

  /** Before the last byte, as every call. What the upstream refused costs nothing. */
  #settle(exchange: Exchange): void {
    exchange.onStop = undefined;
    exchange.answeredMs = performance.now();
    const httpStatus = this.#answer?.status ?? 502;
    const isRefused = httpStatus >= 300;
    exchange.settle({
      status: isRefused ? 'failure' : 'success',
      httpStatus,
      usage: isRefused ? undefined : usageOf(exchange, this.#answer?.tokensSoFar ?? 0),
      ...(isRefused && { error: 'upstream_error' }),
      firstByteAt: exchange.relay?.firstByteAt,
    });
  }
}

const isPricedByRequest = ({ params }: Deployment): boolean => params['input_cost_per_request'] !== undefined;

function queryIn(url = ''): string {
  const mark = url.indexOf('?');
  return mark === -1 ? '' : url.slice(mark + 1);
}

/** A tunnel could carry anything, unmetered. `h2c` is left alone: clients offer it with every request, and go on without. */
function refuseUpgrade({ request }: Exchange): void {
  if (!/\bwebsocket\b/i.test(request.headers.upgrade ?? '')) return;
  throw new GatewayError('invalid', 'unsupported_upgrade', 'WebSockets are not passed through');
}

/** Where an API wants a key in the body, it would get ours. */
function withoutCredential(body: Buffer, secret: string, instead: string | undefined): Buffer {
  if (!body.includes(secret)) return body;
  if (instead === undefined) throw credentialInside('body');
  return Buffer.from(body.toString('latin1').replaceAll(secret, instead), 'latin1');
}

const credentialInside = (where: string): GatewayError =>
  new GatewayError(
    'invalid',
    'credential_inside',
    `The ${where} holds the caller’s own key, which is for this gateway alone`,
    {
      hint: 'Send the virtual key in a header only.',
    },
  );

/** OpenAI's `user`, or Anthropic's. */
function endUserOf(fields: Fields | undefined): string | undefined {
  const { user, metadata } = fields ?? {};
  const named = user ?? (typeof metadata === 'object' && metadata ? Reflect.get(metadata, 'user_id') : undefined);
  return (typeof named === 'string' && storable(named)) || undefined;
}
