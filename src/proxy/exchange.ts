import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Payer } from '../access/payers.ts';
import { regionOf, withinRegion } from '../access/region.ts';
import type { Charge } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Call, CallOutcome, CallStart } from '../metering/call.ts';
import { countedTokens } from '../metering/headroom.ts';
import type { Usage } from '../metering/usage.ts';
import type { Deployment } from '../models/deployment.ts';
import type { Course } from '../routing/course.ts';
import type { Lease } from '../routing/lease.ts';
import type { ProxyContext } from './context.ts';
import { chatCompletions } from './endpoints/chat-completions.ts';
import type { Endpoint } from './endpoints/endpoint.ts';
import { allowanceHeaders, callHeaders, courseHeaders, keyHeaders, passedHeaders } from './headers.ts';
import type { Wishes } from './wishes.ts';
import { notServed } from './providers/not-served.ts';
import type { UpstreamCall } from './providers/provider.ts';
import { servable } from './providers/serves.ts';
import type { Relay } from './relay.ts';
import type { KeptKind } from './response-ids.ts';
import type { Recall } from './recall.ts';
import { createRequestId } from './request-id.ts';
import { free, noBytes, nowhere, unknownPrincipal, unread } from './unknown.ts';
import { type Routed, targetOf } from './routing.ts';
import { secretsOf } from './secrets.ts';

/** Why an exchange ends without an answer: nobody is there to read one. Never shown. */
export const clientGone = new GatewayError('no', 'client_disconnected', 'The client has gone', { status: 499 });

/** What was called: the route as it is registered, the path as the client has it, and a model that is named in it. */
export interface Called {
  /** The kind of call; absent for what calls no model. */
  readonly endpoint?: Endpoint | undefined;
  readonly route: string;
  readonly path: string;
  readonly parameter: string | undefined;
}

/** One request and its answer: what the steps of the pipeline hand to one another. Each step fills in what it finds out. */
export class Exchange {
  readonly id = createRequestId();
  readonly startedMs = performance.now();
  readonly context: ProxyContext;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly handler: Called;
  /** Lists of models have none, and never ask for it. */
  readonly endpoint: Endpoint;

  principal = unknownPrincipal;
  body: Buffer = noBytes;
  /** When the request's body must have come; 0 while none is awaited. */
  bodyDeadlineMs = 0;
  asked = unread;
  wishes: Wishes = {};
  /** What was asked for at first, where a fallback asks for something else. */
  original: Pick<Exchange, 'asked' | 'body'> | undefined;
  /** The model that is called: what the client's name for it stands for. */
  model = '';
  /** The name the present attempt asks for: the client's, or of what takes its place. */
  goal = '';
  tags: readonly string[] = [];
  payers: readonly Payer[] = [];
  /** Whom the call is made for: the request says, or the token the caller came with. */
  customer: string | undefined;
  charge: Charge = unknownPrincipal;
  /** What stands behind the model; undefined when nothing does. */
  routed: Routed | undefined;
  target = nowhere;
  /** The target's, while an attempt has it. */
  lease: Lease | undefined;
  /** What is left to try; there once an attempt has failed. */
  course: Course | undefined;
  /** Where attempts have failed. */
  tried: Set<Deployment> | undefined;
  /** Names the row of the present attempt, and is what its upstream is told: each row has an id of its own. */
  callId = this.id;
  /** When that row began: with the first of the attempts that share it. */
  startedAt: Date | undefined;
  /** The present attempt included. */
  attempts = 1;
  /** When the first attempt was sent, and when the last one's answer was there. */
  sentMs = 0;
  answeredMs = 0;
  promptTokens = 0;
  upstream: UpstreamCall | undefined;
  relay: Relay | undefined;
  usage: Usage | undefined;
  /** What the response cache has to do with it; only where there is one, and it has. */
  recall: Recall | undefined;
  settlement = free;
  /** What was booked last, and what all attempts cost. */
  booked: { readonly outcome: CallOutcome; readonly totalCost: bigint } | undefined;
  /** Set when the exchange must end early; the steps after the current one are not taken. */
  stopped: GatewayError | undefined;
  /** Told once when that happens, by whoever is waiting. */
  onStop: ((reason: GatewayError) => void) | undefined;
  /** What the upstream calls the response that it made. */
  responseId: string | undefined;
  /** The service tier the upstream says it used. */
  serviceTier: string | undefined;
  /** Whether the operator has been told of a usage that cannot be so. */
  hasDoubts = false;
  #call: Call | undefined;
  #settled = false;
  #hasPlace = false;
  #hasForm = false;

  constructor(context: ProxyContext, handler: Called, request: IncomingMessage, response: ServerResponse) {
    this.context = context;
    this.handler = handler;
    this.endpoint = handler.endpoint ?? chatCompletions;
    this.request = request;
    this.response = response;
  }

  /** Whether something of an answer has reached the client, so that its status can no longer change. */
  get isAnswering(): boolean {
    return this.response.headersSent;
  }

  /** Ends the exchange early, whatever it is waiting for. Only the first reason counts. */
  stop(reason: GatewayError): void {
    if (this.stopped) {
      // Nobody is there any more, and now nobody waits either.
      if (reason !== clientGone) this.relay?.stopReading();
      return;
    }
    this.stopped = reason;
    if (reason === clientGone) this.context.departures.add(this);
    else this.hangUp();
  }

  /** Ends what a stopped exchange has under way: its upstream, or whatever it is waiting for. */
  hangUp(): void {
    if (!this.stopped || (this.stopped === clientGone && this.relay?.readOn())) return;
    this.upstream?.abort();
    this.onStop?.(this.stopped);
  }

  /** Takes one of the places there are for calls, until `leave`. */
  enter(): boolean {
    const { calls, forms } = this.context;
    if (this.endpoint.takesForm && !(this.#hasForm = forms.take())) return false;
    return (this.#hasPlace = calls.take());
  }

  leave(): void {
    if (this.#hasPlace) this.context.calls.release();
    this.#hasPlace = false;
    if (this.#hasForm) this.context.forms.release();
    this.#hasForm = false;
  }

  admit(call: Call): void {
    this.#call = call;
    this.#settled = false;
  }

  /** Makes the call that was admitted one of another attempt. @throws GatewayError when there is no room for that one */
  redirect(start: CallStart): void {
    this.#call?.redirect(start);
  }

  /**
   * Takes a deployment for the next attempt.
   *
   * @throws GatewayError 400 when none of the model's serves such calls; 403 when none is in the customer's region; 429 when none can be called now; 401 when none is
   *   for the call's tags
   */
  take(routed: Routed): void {
    const { asked, promptTokens, tags, tried, model } = this;
    const { maxCompletionTokens, answers } = asked;
    const tokens = countedTokens({ promptTokens, answers, maxCompletionTokens });
    this.lease = this.context.router.take(this.#able(routed), { model, tokens, tags, tried });
    this.target = targetOf(routed, this.lease.state.deployment);
  }

  /** Those that could answer. What an administrator wants to be answered needs no provider that could. */
  #able(routed: Routed): readonly Deployment[] {
    const { deployments } = routed.group;
    const able = this.wishes.mockResponse === undefined ? servable(routed, this) : deployments;
    if (able.length === 0) throw notServed(this.endpoint, deployments);
    return withinRegion(able, { model: this.model, region: regionOf(this.payers) });
  }

  /** Whether the present attempt is one that an administrator wants to fail. */
  get isPretending(): boolean {
    return this.wishes.pretends !== undefined && this.attempts === 1;
  }

  /** An attempt is over and booked: nothing of its answer may be taken for the next one's. */
  forgetAttempt(): void {
    this.relay = undefined;
    this.upstream = undefined;
    this.usage = undefined;
    this.serviceTier = undefined;
    this.responseId = undefined;
    this.hasDoubts = false;
  }

  /** The upstream's headers that the client may see: none about limits where it has its own. */
  passedHeaders(headers: IncomingHttpHeaders): string[] {
    return passedHeaders(headers, secretsOf(this.target.deployment), { withLimits: !this.hasOwnLimits });
  }

  get hasOwnLimits(): boolean {
    return this.#call?.allowance !== undefined;
  }

  /** Puts the client's names into an answer, or into the data of an event, where those of the upstream stand. */
  get rename(): ((json: Buffer) => Buffer) | undefined {
    const { endpoint, asked, goal: model, target, principal, context } = this;
    const { rename } = endpoint;
    if (!rename) return undefined;
    const { response } = asked;
    const deploymentId = target.deployment.id;
    const nameFor = (upstreamId: string, kind?: KeptKind): string => {
      if (upstreamId === response?.kept.upstreamId) return response.id;
      this.responseId = upstreamId;
      return context.deps.responseIds.seal({ model, deploymentId, upstreamId }, principal, kind);
    };
    return (json) => rename(json, nameFor);
  }

  /** Whether it was admitted and is not booked yet. */
  get isUnsettled(): boolean {
    return this.#call !== undefined && !this.#settled;
  }

  /** Nano-dollars held for it now. */
  get reserved(): bigint {
    return this.#call?.reserved ?? 0n;
  }

  checkpoint(completionTokens: number): void {
    if (!this.#settled) this.#call?.checkpoint(completionTokens);
  }

  /** Books the call. Every way out comes through here, and only the first one counts. */
  settle(outcome: CallOutcome): void {
    if (this.#settled || !this.#call) return;
    this.#settled = true;
    this.settlement = this.#call.settle({
      ...outcome,
      serviceTier: this.serviceTier,
      // Also where its client left before it had the answer: the upstream may have made the batch.
      ...(this.endpoint.callType === 'create_batch' && { isProvisional: outcome.status !== 'failure' }),
    });
    this.booked = { outcome, totalCost: (this.booked?.totalCost ?? 0n) + this.settlement.cost };
  }

  /** Waits for the journal. @throws GatewayError `ledger_unavailable` when it cannot take the call, which then is none */
  kept(): Promise<void> | undefined {
    return this.#call?.kept()?.catch((thrown: unknown) => {
      this.#call = undefined;
      throw thrown;
    });
  }

  /** The headers every answer about this call has. */
  headers(): string[] {
    const { id, callId, asked, target, context } = this;
    const list = callHeaders({
      id,
      callId,
      deploymentId: target.deployment.id,
      model: this.model || asked.model,
      version: context.version,
    });
    // Where Anthropic's clients look for it.
    if (this.endpoint.protocol === 'anthropic') list.push('request-id', id);
    if (this.sentMs > 0 || this.recall?.found) list.push(...this.#courseHeaders());
    if (this.recall) list.push(...this.recall.headers);
    list.push(...keyHeaders(this.principal));
    if (this.#call?.allowance) list.push(...allowanceHeaders(this.#call.allowance));
    if (context.isDraining) list.push('connection', 'close');
    return list;
  }

  #courseHeaders(): string[] {
    const { startedMs, answeredMs, course, target } = this;
    const nowMs = performance.now();
    // What the cache answers is sent nowhere.
    const sentMs = this.sentMs || nowMs;
    return courseHeaders({
      retries: course?.attemptedRetries ?? 0,
      fallbacks: course?.attemptedFallbacks ?? 0,
      durationMs: nowMs - startedMs,
      // Before the first attempt was sent, and after the answer was there.
      overheadMs: sentMs - startedMs + (answeredMs > 0 ? nowMs - answeredMs : 0),
      region: target.deployment.params['region_name'],
    });
  }

  /** Sends a whole answer. */
  answer(status: number, headers: readonly string[], body: Buffer): void {
    const { response } = this;
    response.writeHead(status, [...headers, 'content-length', String(body.length)]);
    this.end(body);
  }

  answerJson(status: number, value: unknown, headers: readonly string[] = []): void {
    this.answer(
      status,
      ['content-type', 'application/json', ...headers, ...this.headers()],
      Buffer.from(JSON.stringify(value)),
    );
  }

  /** Ends the answer, and gives the client a limited time to take it. */
  end(bytes?: Buffer | string): void {
    const { response } = this;
    response.end(bytes);
    if (response.writableLength > 0 || (response.socket?.writableLength ?? 0) > 0) this.limitStall();
  }

  /** From here on the client must take something every so often; a socket's own timer notices progress within a write. */
  limitStall(): void {
    const { response, context } = this;
    if (response.listenerCount('timeout') === 0) response.on('timeout', () => response.destroy());
    response.setTimeout(context.limits.stalledClientMs);
  }
}
