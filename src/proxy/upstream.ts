import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { Egress } from '../egress/egress.ts';
import type { OwnPlaces } from '../egress/own-places.ts';
import { GatewayError } from '../kernel/errors.ts';
import { type Deployment, mayBePrivate } from '../models/deployment.ts';
import type { Fit } from './endpoints/endpoint.ts';
import type { ProxyLimits } from './limits.ts';
import { notServed } from './providers/not-served.ts';
import type { Destination, Provider, Receiver, UpstreamCall, UpstreamRequest } from './providers/provider.ts';

/** What distinguishes one HTTP provider from another. */
export interface Dialect {
  /** Where the provider is when the deployment does not say; absent where only that can. */
  readonly apiBase?: string | undefined;
  /** Where a call goes below that; undefined where the provider does not serve its kind. */
  readonly pathOf: (destination: Destination) => `/${string}` | undefined;
  /** For who refuses some of OpenAI's members. */
  readonly fit?: Fit;
  /** What every call has in its query, where the api_base has no such parameter. */
  readonly queryOf?: (deployment: Deployment) => readonly [name: string, value: string] | undefined;
  readonly authorize: (apiKey: string) => readonly [header: string, value: string];
  /** Headers that a provider wants in a call, beside the credential; names and values in turn. */
  readonly headers?: (request: UpstreamRequest) => readonly string[];
}

interface Address {
  readonly origin: string;
  /** Without a slash at its end. */
  readonly path: string;
  readonly query: string;
  /** Headers of every call to it. */
  readonly headers: readonly string[];
  /** Whose connections lead there. */
  readonly dispatcher: Dispatcher;
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
  readonly #egress: Egress;
  #limits: ProxyLimits;
  readonly #userAgent: string;

  constructor(limits: ProxyLimits, version: string, egress: Egress = egressWithin(limits)) {
    this.#limits = limits;
    this.#userAgent = `gatewayctl/${version}`;
    this.#egress = egress;
  }

  /** From the next call on; what is under way keeps what it began with. */
  limit(limits: ProxyLimits): void {
    this.#limits = limits;
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
        if (path === undefined) throw notServed(request.endpoint, [request.deployment]);
        const address = addressOf(request.deployment);
        const headers = dialect.headers?.(request) ?? [];
        return this.#send(address, { ...request, path, headers, fit: dialect.fit }, receiver);
      },
    };
  }

  /** Sends a request that is made already, headers and all; the user agent is ours. */
  relay({ firstByteMs, headers, isPrivate, ...request }: RawRequest, receiver: Receiver): UpstreamCall {
    const call = new HttpCall(receiver);
    this.#egress.to(isPrivate ? 'private' : 'public').dispatch(
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

  /** How long an answer may take to begin: as the client says, or the deployment, or the gateway's settings. */
  firstByteMsOf({ deployment: { params }, asked, firstByteMs: wanted }: UpstreamRequest): number {
    const { firstByteMs, streamFirstByteMs = firstByteMs } = this.#limits;
    const waitMs = secondsOf(params[asked.stream ? 'stream_timeout' : 'timeout'] ?? params['timeout']);
    return wanted ?? waitMs ?? (asked.stream ? streamFirstByteMs : firstByteMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#egress[Symbol.asyncDispose]();
  }

  /** Headers start from an empty set: what a client sent is not even in reach here (LiteLLM issue 32202). */
  #resolve({ apiBase, authorize, queryOf }: Dialect, deployment: Deployment): Address {
    const { apiBase: own, apiKey, name } = deployment;
    const base = own ?? apiBase;
    const url = base !== undefined && URL.canParse(base) ? new URL(base) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.hash) {
      throw new GatewayError(
        'upstream',
        'upstream_misconfigured',
        `The api_base of a deployment of ${name} is not usable`,
      );
    }
    const [parameter, value = ''] = queryOf?.(deployment) ?? [];
    if (parameter !== undefined && !url.searchParams.has(parameter)) url.searchParams.set(parameter, value);
    const headers = ['accept-encoding', 'identity', 'user-agent', this.#userAgent];
    if (apiKey) headers.push(...authorize(apiKey));
    const isOwn = apiBase === undefined || url.origin !== new URL(apiBase).origin;
    const dispatcher = this.#egress.to(mayBePrivate(deployment, isOwn) ? 'private' : 'public');
    return { origin: url.origin, path: url.pathname.replace(/\/+$/, ''), query: url.search, headers, dispatcher };
  }

  #send(
    address: Address,
    request: UpstreamRequest & { path: string; headers: readonly string[]; fit: Fit | undefined },
    receiver: Receiver,
  ): UpstreamCall {
    const { asked, path, fit } = request;
    const call = new HttpCall(receiver);
    const body = asked.bodyFor(request.upstreamModel, fit);
    address.dispatcher.dispatch(
      {
        origin: address.origin,
        path: address.path + withQuery(path, address.query),
        method: asked.method ?? 'POST',
        headers: [
          ...address.headers,
          ...request.headers,
          'content-type',
          asked.contentType,
          'accept',
          acceptOf(request),
          'x-request-id',
          request.id,
          ...(Buffer.isBuffer(body) ? [] : ['content-length', String(lengthOf(body))]),
        ],
        body: Buffer.isBuffer(body) ? (body.length > 0 ? body : null) : inSlices(body),
        headersTimeout: this.firstByteMsOf(request),
        bodyTimeout: this.#limits.idleMs,
      },
      call,
    );
    return call;
  }
}

const lengthOf = (pieces: readonly Buffer[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** TLS copies what it is handed at one time, and a socket keeps the whole of it until all is sent. */
const sliceBytes = 256 * 1024;

/** Read only as fast as the upstream takes it. */
const inSlices = (pieces: readonly Buffer[]): Readable => Readable.from(slicesOf(pieces), { objectMode: false });

function* slicesOf(pieces: readonly Buffer[]): Generator<Buffer> {
  for (const piece of pieces) {
    for (let from = 0; from < piece.length; from += sliceBytes) yield piece.subarray(from, from + sliceBytes);
  }
}

/** @param query with its question mark, or empty */
const withQuery = (path: string, query: string): string =>
  path + (path.includes('?') ? query.replace('?', '&') : query);

function acceptOf({ endpoint, asked }: UpstreamRequest): string {
  if (endpoint.isRaw?.(asked) || endpoint.readText) return '*/*';
  return asked.stream ? 'text/event-stream' : 'application/json';
}

/** @param own where nothing leads, whatever a deployment says */
export const egressWithin = (limits: ProxyLimits, own?: OwnPlaces): Egress =>
  new Egress({
    own,
    connectMs: limits.connectMs,
    agent: {
      keepAliveTimeout: 30_000,
      maxHeaderSize: limits.responseHeaderBytes,
      headersTimeout: limits.firstByteMs,
      bodyTimeout: limits.idleMs,
    },
  });

/** A time-out of a deployment, in seconds as LiteLLM spells it. */
function secondsOf(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 && value <= 3_600 ? Math.ceil(value * 1_000) : undefined;
}

const aborted = new Error('aborted');

/**
 * Hangs up. undici and Node each make an error of it that nobody reads, and a stack trace for each takes longer than all
 * the rest of hanging up; when thousands of clients leave at once that is seconds.
 */
function hangUp(controller: Dispatcher.DispatchController): void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    controller.abort(aborted);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
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
    if (!this.#over && this.#controller) hangUp(this.#controller);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It waited for a connection, and meanwhile nobody wants it any more.
    if (this.#aborted) hangUp(controller);
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
