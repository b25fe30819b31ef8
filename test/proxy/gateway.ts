import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import OpenAI from 'openai';
import { type Principal, unlimited } from '../../src/access/principal.ts';
import type { Call, CallOutcome, CallStart, Settlement } from '../../src/metering/call.ts';
import { estimatePromptTokens } from '../../src/metering/estimate.ts';
import type { Deployment } from '../../src/models/deployment.ts';
import { createProxy } from '../../src/proxy/proxy.ts';
import type { Proxy, ProxyDeps } from '../../src/proxy/proxy.ts';
import { ResponseIds } from '../../src/proxy/response-ids.ts';
import { DeploymentTable } from '../../src/proxy/routing.ts';
import { plainRouting, type RoutingSettings } from '../../src/routing/routing-settings.ts';
import { translating } from '../../src/translation/translating.ts';

export const aPrincipal: Principal = {
  ...unlimited,
  kind: 'key',
  keyId: 'key-1',
  hash: 'a'.repeat(64),
  alias: null,
  userId: null,
  teamId: null,
  organizationId: null,
  role: 'internal_user',
  teamAlias: null,
};

export function aDeployment(given: Partial<Deployment> = {}): Deployment {
  return {
    id: 'deployment-1',
    name: 'gpt-4o',
    provider: 'openai',
    upstreamModel: 'gpt-4o-2024-08-06',
    apiBase: undefined,
    apiKey: 'sk-provider-secret-0123456789',
    source: 'config',
    info: {},
    params: {},
    ...given,
  };
}

/** A call as the books have it. */
export interface Booking {
  /** Of the latest attempt that it is of. */
  start: CallStart;
  readonly outcomes: CallOutcome[];
  readonly checkpoints: number[];
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: { error: Record<string, unknown> } & Record<string, unknown>;
  /** Whether the answer came to its end as HTTP. */
  readonly complete: boolean;
}

export interface GatewayOptions extends Partial<Omit<ProxyDeps, 'deployments' | 'routing'>> {
  readonly deployments?: readonly Deployment[];
  readonly routing?: Partial<RoutingSettings>;
}

export interface SendOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** Keeps connections for further requests; without one each has its own. */
  readonly agent?: Agent;
}

/** A proxy on a real socket, with books in memory and a door that lets everybody in who has a key. */
export class Gateway {
  readonly proxy: Proxy;
  readonly bookings: Booking[] = [];
  readonly logged: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #open = new Set<ClientRequest>();
  settlement: Settlement = { cost: 1_500_000n, priceSource: 'catalogue', keySpend: 2_500_000_000n };

  constructor({ deployments = [aDeployment()], routing = {}, ...deps }: GatewayOptions) {
    this.proxy = createProxy({
      authenticate: () => aPrincipal,
      addressOf: () => '127.0.0.1',
      payers: () => [],
      decide: (_, { model }) => model,
      allows: () => true,
      metering: { prepare: () => undefined, cover: () => undefined, begin: (start) => this.#begin(start) },
      deployments: new DeploymentTable(deployments, routing.aliases),
      routing: { ...plainRouting, ...routing },
      now: () => new Date(),
      log: (level, message, fields) => this.logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
      version: '1.2.3',
      translate: translating({ dropParams: false }),
      responseIds: new ResponseIds('a secret of the tests'),
      counter: { promptTokens: estimatePromptTokens, completionTokens: (text) => Math.ceil(text.length / 4) },
      ...deps,
    });
    this.#server = createServer((request, response) => {
      const handler = this.proxy.match(request.method ?? '', request.url?.split('?')[0] ?? '');
      if (handler) void this.proxy.handle(handler, request, response);
      else response.writeHead(404).end();
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(options: GatewayOptions = {}): Promise<Gateway> {
    const gateway = new Gateway(options);
    await new Promise<void>((resolve) => {
      gateway.#server.listen(0, '127.0.0.1', resolve);
    });
    return gateway;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get client(): OpenAI {
    return new OpenAI({ apiKey: 'sk-client', baseURL: `http://127.0.0.1:${this.port}/v1`, maxRetries: 0 });
  }

  /** The only outcome of the only call there was; fails when there was another, or none. */
  get outcome(): CallOutcome {
    assert.equal(this.bookings.length, 1, 'one call was begun');
    const { outcomes } = this.bookings[0]!;
    assert.equal(outcomes.length, 1, 'it was settled once');
    return outcomes[0]!;
  }

  /** Bytes of answers that wait for their clients in this process. */
  get buffered(): number {
    let bytes = 0;
    for (const socket of this.#sockets) bytes += socket.writableLength;
    return bytes;
  }

  /** Clients connected, as far as this side has noticed. */
  get clients(): number {
    return this.#sockets.size;
  }

  /** Cuts the connections of all clients, from their side. */
  hangUp(): void {
    for (const request of this.#open) request.destroy();
  }

  /** Opens a request without reading its answer. */
  async open(body: unknown, options: SendOptions = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = httpRequest({
      port: this.port,
      host: '127.0.0.1',
      method: options.method ?? (body === undefined ? 'GET' : 'POST'),
      path: options.path ?? '/v1/chat/completions',
      agent: options.agent ?? false,
      headers: { 'content-type': 'application/json', authorization: 'Bearer sk-client', ...options.headers },
    });
    this.#open.add(request);
    request.on('close', () => this.#open.delete(request));
    request.on('response', resolve).on('error', reject);
    request.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : body && JSON.stringify(body));
    return promise;
  }

  async send(body: unknown, options: SendOptions = {}): Promise<Answer> {
    return readAnswer(await this.open(body, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #begin(start: CallStart): Call {
    const booking: Booking = { start, outcomes: [], checkpoints: [] };
    this.bookings.push(booking);
    return {
      kept: () => undefined,
      redirect: (next) => void (booking.start = next),
      reserved: 0n,
      checkpoint: (tokens) => booking.checkpoints.push(tokens),
      settle: (outcome) => {
        booking.outcomes.push(outcome);
        return this.settlement;
      },
    };
  }
}

export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  response.on('error', () => {});
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => {
    response.on('close', resolve);
  });
  const text = Buffer.concat(chunks).toString();
  let json = {} as Answer['json'];
  if (response.headers['content-type']?.includes('json')) json = JSON.parse(text) as Answer['json'];
  return { status: response.statusCode ?? 0, headers: response.headers, text, json, complete: response.complete };
}

/** The data of each event of a stream, comments left out. */
export function eventsOf(text: string): string[] {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice(6));
}

/** Waits for something to become true, not for a time. */
export async function until(what: string, condition: () => boolean, deadlineMs = 5_000): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`in vain: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}

export const hello = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] };
