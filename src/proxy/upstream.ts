import { Agent } from 'undici';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';
import type { ProxyLimits } from './limits.ts';
import type { Provider, Receiver, UpstreamCall, UpstreamRequest } from './providers/provider.ts';

/** What distinguishes one HTTP provider from another. */
export interface Dialect {
  /** Where the provider is when the deployment does not say. */
  readonly apiBase: string;
  /** Where a call goes below that; undefined where the provider does not serve its kind. */
  readonly pathOf: (request: UpstreamRequest) => `/${string}` | undefined;
  readonly authorize: (apiKey: string) => readonly [header: string, value: string];
}

interface Address {
  readonly origin: string;
  /** Without a slash at its end. */
  readonly path: string;
  readonly query: string;
  /** Headers of every call to it. */
  readonly headers: readonly string[];
}

/** A request as it goes out. */
export interface RawRequest {
  readonly origin: string;
  /** With its query. */
  readonly path: string;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Names and values by turns. */
  readonly headers: readonly string[];
  readonly body: Buffer | null;
  readonly firstByteMs?: number | undefined;
  /** Whether it may lead to an address that is not public. */
  readonly isPrivate: boolean;
}

/** The connections to all upstreams: one pool in a process. Never follows a redirect, never inflates, never retries. */
export class Transport {
  readonly #agent: Dispatcher;
  readonly #limits: ProxyLimits;
  readonly #userAgent: string;

  constructor(limits: ProxyLimits, version: string, agent: Dispatcher = createAgent(limits)) {
    this.#limits = limits;
    this.#userAgent = `gatewayctl/${version}`;
    this.#agent = agent;
  }

  provider(dialect: Dialect): Provider {
    const addresses = new WeakMap<Deployment, Address>();
    const addressOf = (deployment: Deployment): Address => {
      let address = addresses.get(deployment);
      if (!address) addresses.set(deployment, (address = this.#resolve(dialect, deployment)));
      return address;
    };
    return {
      send: (request, receiver) => {
        const path = dialect.pathOf(request);
        if (path === undefined) throw notServed(request);
        const address = addressOf(request.deployment);
        return this.#send(address, { ...request, path }, receiver);
      },
    };
  }

  /** Sends a request that is made already, headers and all; the user agent is ours. */
  relay({ firstByteMs, headers, ...request }: RawRequest, receiver: Receiver): UpstreamCall {
    const call = new HttpCall(receiver);
    this.#agent.dispatch(
      {
        ...request,
        headers: [...headers, 'accept-encoding', 'identity', 'user-agent', this.#userAgent],
        headersTimeout: firstByteMs ?? this.#limits.firstByteMs,
        bodyTimeout: this.#limits.idleMs,
      },
      call,
    );
    return call;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  /** Headers start from an empty set: what a client sent is not even in reach here (LiteLLM issue 32202). */
  #resolve({ apiBase, authorize }: Dialect, { apiBase: own, apiKey, name }: Deployment): Address {
    const base = own ?? apiBase;
    const url = URL.canParse(base) ? new URL(base) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.hash) {
      throw new GatewayError(
        'upstream',
        'upstream_misconfigured',
        `The api_base of a deployment of ${name} is not usable`,
      );
    }
    const headers = ['accept-encoding', 'identity', 'user-agent', this.#userAgent];
    if (apiKey) headers.push(...authorize(apiKey));
    return { origin: url.origin, path: url.pathname.replace(/\/+$/, ''), query: url.search, headers };
  }

  #send(address: Address, request: UpstreamRequest & { path: string }, receiver: Receiver): UpstreamCall {
    const { deployment, asked, path } = request;
    const call = new HttpCall(receiver);
    const waitMs = secondsOf(
      deployment.params[asked.stream ? 'stream_timeout' : 'timeout'] ?? deployment.params['timeout'],
    );
    const accept = asked.stream ? 'text/event-stream' : 'application/json';
    this.#agent.dispatch(
      {
        origin: address.origin,
        path: address.path + path + address.query,
        method: 'POST',
        headers: [...address.headers, 'content-type', asked.contentType, 'accept', accept, 'x-request-id', request.id],
        body: asked.bodyFor(request.upstreamModel),
        headersTimeout: waitMs ?? this.#limits.firstByteMs,
        bodyTimeout: this.#limits.idleMs,
      },
      call,
    );
    return call;
  }
}

const notServed = ({ endpoint, deployment }: UpstreamRequest) =>
  new GatewayError('invalid', 'unsupported_endpoint', `Model ${deployment.name} does not serve ${endpoint.path}`, {
    param: 'model',
    hint: `Its provider, ${deployment.provider}, has no such endpoint. Ask for another model.`,
  });

function createAgent(limits: ProxyLimits): Dispatcher {
  return new Agent({
    connect: { timeout: limits.connectMs },
    keepAliveTimeout: 30_000,
    maxHeaderSize: limits.responseHeaderBytes,
    headersTimeout: limits.firstByteMs,
    bodyTimeout: limits.idleMs,
    // An aborted call then costs its own connection and nobody else's.
    allowH2: false,
  });
}

/** A time-out of a deployment, in seconds as LiteLLM spells it. */
function secondsOf(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 && value <= 3_600 ? Math.ceil(value * 1_000) : undefined;
}

/** undici's own events, without a stream between it and us: a stream costs 20 µs a call and copies nothing less. */
class HttpCall implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #receiver: Receiver;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted = false;
  #over = false;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    this.#aborted = true;
    if (!this.#over) this.#controller?.abort(new Error('aborted'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It waited for a connection, and meanwhile nobody wants it any more.
    if (this.#aborted) controller.abort(new Error('aborted'));
    else this.#receiver.sent();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[]>): void {
    if (status >= 200) this.#receiver.start(status, headers);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#receiver.data(chunk);
  }

  onResponseEnd(): void {
    this.#over = true;
    this.#receiver.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#over = true;
    if (!this.#aborted) this.#receiver.fail(error);
  }
}
