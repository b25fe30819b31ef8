import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import type { RegisteredRoute } from '../kernel/route-policy.ts';
import { Router } from '../routing/router.ts';
import { plainRouting, type RoutingSettings } from '../routing/routing-settings.ts';
import type { ProxyContext, ProxyDeps } from './context.ts';
import { Departures } from './departures.ts';
import { type Called, Exchange, clientGone } from './exchange.ts';
import { fail } from './failing.ts';
import { chatCompletions, completions } from './endpoints/chat-completions.ts';
import { embeddings, moderations } from './endpoints/embeddings.ts';
import { speech, transcriptions, translations } from './endpoints/audio.ts';
import type { Endpoint } from './endpoints/endpoint.ts';
import { cancelResponse, deleteResponse, getResponse, listInputItems } from './endpoints/kept-responses.ts';
import { countTokens, messages } from './endpoints/messages.ts';
import { responses } from './endpoints/responses.ts';
import { imageEdits, imageGenerations, imageVariations } from './endpoints/images.ts';
import { cancelBatch, createBatch, getBatch, sizeBatch } from './endpoints/batches.ts';
import { createFile, deleteFile, getFile, getFileContent } from './endpoints/files.ts';
import { rerank } from './endpoints/rerank.ts';
import { BatchOutput } from './batch-output.ts';
import { defaultLimits } from './limits.ts';
import type { ProxyLimits } from './limits.ts';
import { listBatches, listFiles, remember } from './kept-list.ts';
import { listModels, showModel } from './models.ts';
import { authenticate, modelCall, run, stepsOf } from './pipeline.ts';
import { Pipelines } from './pipelines.ts';
import { Places } from './places.ts';
import type { Step } from './pipeline.ts';
import { ResponseLengths } from './response-lengths.ts';
import { createProviders } from './providers/providers.ts';
import { countTokens as countText } from './token-counter.ts';
import { egressWithin, Transport } from './upstream.ts';
import { Watch } from './watch.ts';

export type { Metering, ProxyDeps } from './context.ts';

/** What answers a request, and what was called. */
export interface Handler extends Called {
  readonly name: string;
  readonly steps: readonly Step[];
}

type Routed = Omit<Handler, 'parameter' | 'route' | 'path'>;

const calls = (endpoint: Endpoint): Routed => ({ name: endpoint.callType, steps: modelCall, endpoint });
const keeps = (endpoint: Endpoint): Routed => ({
  name: endpoint.callType,
  steps: stepsOf({ settled: remember, ...(endpoint === createBatch && { admitted: sizeBatch }) }),
  endpoint,
});
const list: Routed = { name: 'list_models', steps: listModels };
const counts: Routed = { name: 'count_tokens', steps: countText };
const show: Routed = { name: 'show_model', steps: showModel };

const exact: ReadonlyMap<string, ReadonlyMap<string, Handler>> = new Map([
  [
    'POST',
    new Map([
      ...routes(['/v1/chat/completions', '/chat/completions'], calls(chatCompletions)),
      ...routes(['/v1/completions', '/completions'], calls(completions)),
      ...routes(['/v1/embeddings', '/embeddings'], calls(embeddings)),
      ...routes(['/v1/moderations', '/moderations'], calls(moderations)),
      ...routes(['/v1/responses', '/responses'], calls(responses)),
      ...routes(['/v1/messages'], calls(messages)),
      ...routes(['/v1/messages/count_tokens'], calls(countTokens)),
      ...routes(['/v1/images/generations', '/images/generations'], calls(imageGenerations)),
      ...routes(['/v1/images/edits', '/images/edits'], calls(imageEdits)),
      ...routes(['/v1/images/variations', '/images/variations'], calls(imageVariations)),
      ...routes(['/v1/audio/speech', '/audio/speech'], calls(speech)),
      ...routes(['/v1/audio/transcriptions', '/audio/transcriptions'], calls(transcriptions)),
      ...routes(['/v1/audio/translations', '/audio/translations'], calls(translations)),
      ...routes(['/utils/token_counter'], counts),
      ...routes(['/v1/files', '/files'], keeps(createFile)),
      ...routes(['/v1/batches', '/batches'], keeps(createBatch)),
      ...routes(['/v1/rerank', '/rerank', '/v2/rerank'], calls(rerank)),
    ]),
  ],
  [
    'GET',
    new Map([
      ...routes(['/v1/models', '/models'], list),
      ...routes(['/v1/files', '/files'], { name: 'list_files', steps: listFiles }),
      ...routes(['/v1/batches', '/batches'], { name: 'list_batches', steps: listBatches }),
    ]),
  ],
]);

function routes(paths: readonly string[], handler: Routed): ReadonlyMap<string, Handler> {
  return new Map(paths.map((path) => [path, { ...handler, route: path, path, parameter: undefined }]));
}

/** As Azure and older clients name a model, in the path. */
const inPath = (endpoint: Endpoint): Pattern[] => [inDeployment(endpoint), behind('/engines', endpoint)];
const inDeployment = (endpoint: Endpoint): Pattern => behind('/openai/deployments', endpoint);

const behind = (head: string, endpoint: Endpoint): Pattern => [
  'POST',
  // `/engines/x/chat/completions` has one reading, and is no completion of a model called `x/chat`.
  new RegExp(`^${head}/(.+)(?<!/chat)${endpoint.path}$`),
  `${head}/:model${endpoint.path}`,
  calls(endpoint),
];

/** What is done with a response that an upstream keeps. */
const kept = (method: string, tail: string, endpoint: Endpoint): Pattern[] =>
  behindNoun(['responses', 'response_id'], [method, tail], calls(endpoint));

/** The same of a file, or of a batch. */
const ofFile = (method: string, tail: string, endpoint: Endpoint): Pattern[] =>
  behindNoun(['files', 'file_id'], [method, tail], tail === '' ? keeps(endpoint) : calls(endpoint));
const ofBatch = (method: string, tail: string, endpoint: Endpoint): Pattern[] =>
  behindNoun(['batches', 'batch_id'], [method, tail], keeps(endpoint));

function behindNoun(
  [noun, parameter]: readonly [string, string],
  [method, tail]: readonly [string, string],
  handler: Routed,
): Pattern[] {
  return [`/v1/${noun}`, `/${noun}`].map((head) => [
    method,
    new RegExp(`^${head}/([^/]+)${tail}$`),
    `${head}/:${parameter}${tail}`,
    handler,
  ]);
}

type Pattern = readonly [method: string, path: RegExp, route: string, handler: Routed];

/** Routes with a model in them. Its name may hold slashes: `openai/gpt-4o`. */
const patterns: readonly Pattern[] = [
  ...inPath(chatCompletions),
  ...inPath(completions),
  ...inPath(embeddings),
  ...kept('GET', '', getResponse),
  ...kept('DELETE', '', deleteResponse),
  ...kept('POST', '/cancel', cancelResponse),
  ...kept('GET', '/input_items', listInputItems),
  ...ofFile('GET', '', getFile),
  ...ofFile('GET', '/content', getFileContent),
  ...ofFile('DELETE', '', deleteFile),
  ...ofBatch('GET', '', getBatch),
  ...ofBatch('POST', '/cancel', cancelBatch),
  ...[imageGenerations, imageEdits, speech, transcriptions, translations].map(inDeployment),
  ['GET', /^\/v1\/models\/(.+)$/, '/v1/models/:model', show],
  ['GET', /^\/models\/(.+)$/, '/models/:model', show],
];

/**
 * What is registered here. The policy is read off the steps that are taken, so that no list can promise what they do not
 * do: whose first step is not the look at the credential has none.
 */
const registered: readonly RegisteredRoute[] = [
  ...[...exact].flatMap(([method, handlers]) => [...handlers].map(([path, handler]) => ({ method, path, handler }))),
  ...patterns.map(([method, , path, handler]) => ({ method, path, handler })),
].map(({ method, path, handler: { steps } }) => ({
  method,
  path,
  policy: steps[0] === authenticate ? { caller: 'known', access: 'call' } : undefined,
}));

/** How long the answers of an aborted exchange may take to leave, before their connections are cut. */
const farewellMs = 2_000;

const shuttingDown = (): GatewayError =>
  new GatewayError('unavailable', 'shutting_down', 'The gateway is shutting down', { headers: { 'retry-after': '5' } });

const tooManyAtOnce = (): GatewayError =>
  new GatewayError('unavailable', 'overloaded', 'Too many requests at once on one connection', {
    headers: { 'retry-after': '1', connection: 'close' },
  });

/** Limits that can change while calls are under way. */
export type Times = Pick<ProxyLimits, 'firstByteMs' | 'streamFirstByteMs' | 'idleMs' | 'totalMs'>;

export type Proxy = ReturnType<typeof createProxy>;

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    // Not a name of anything: an escape that is not UTF-8.
    return undefined;
  }
}

/** Which handler answers a request, if this room has one. The path is compared as it is, without a query. */
export function match(method: string, path: string): Handler | undefined {
  const found = exact.get(method)?.get(path);
  if (found) return found;
  for (const [verb, pattern, route, handler] of patterns) {
    const named = verb === method ? pattern.exec(path)?.[1] : undefined;
    const parameter = named && decode(named);
    if (parameter) return { ...handler, route, path, parameter };
  }
  return undefined;
}

/** The data plane: answers calls of models and lists of them. */
export function createProxy(deps: ProxyDeps) {
  let limits: ProxyLimits = { ...defaultLimits, ...deps.limits };
  const version = deps.version ?? '0.0.0';
  const transport = new Transport(limits, version, egressWithin(limits, deps.ownPlaces));
  const watch = new Watch(limits);
  const pipelines = new Pipelines(limits.pipelined);
  let isDraining = false;
  let hasEnded = false;

  const shared = {
    deps,
    version,
    providers: createProviders(transport, deps.translate),
    transport,
    calls: new Places(limits.inFlight),
    forms: new Places(limits.forms),
    departures: new Departures(),
    usageWaits: new Places(limits.usageWaits),
    responseLengths: new ResponseLengths(),
    drains: new Places(limits.drains),
  };
  const contextWith = (router: Router): ProxyContext => ({
    ...shared,
    router,
    limits,
    get isDraining() {
      return isDraining;
    },
  });
  let context = contextWith(
    new Router({ settings: deps.routing ?? plainRouting, ...(deps.tokenCost && { costOf: deps.tokenCost }) }),
  );

  /** Calls under way go on as they began. */
  function reconfigure(routing: RoutingSettings, times: Partial<Times>): void {
    limits = { ...limits, ...times };
    transport.limit(limits);
    context = contextWith(context.router.with(routing));
  }

  /** Answers a request. Never rejects; an exchange counts as in flight until its answer has left. */
  async function handle(handler: Handler, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(context, handler, request, response);
    const { socket } = request;
    watch.add(exchange);
    let isClosed = false;
    const end = () => {
      watch.delete(exchange);
      exchange.leave();
    };
    const close = () => {
      if (isClosed) return;
      isClosed = true;
      pipelines.leave(socket, cut);
      if (!response.writableFinished) exchange.stop(clientGone);
      // A call that is still to be booked is waited for.
      if (!exchange.isUnsettled) end();
    };
    const cut = () => {
      response.destroy();
      close();
    };
    const hasRoom = pipelines.enter(socket, cut);
    response.on('close', close);
    let failure: unknown;
    try {
      if (hasEnded) throw shuttingDown();
      if (!hasRoom) throw tooManyAtOnce();
      await run(handler.steps, exchange);
    } catch (thrown) {
      failure = thrown;
      await failSafely(exchange, thrown);
    } finally {
      if (isClosed) end();
      if (exchange.booked) tell(deps.onBooked, exchange, failure);
      tell(deps.onEnded, exchange, failure);
    }
  }

  /** What becomes of what is told of a call is none of the call's business. */
  function tell(listener: ProxyDeps['onEnded'], exchange: Exchange, failure: unknown): void {
    try {
      listener?.(exchange, failure);
    } catch (cause) {
      deps.log('error', 'Somebody could not be told of the end of a call', { requestId: exchange.id, cause });
    }
  }

  async function failSafely(exchange: Exchange, thrown: unknown): Promise<void> {
    try {
      await fail(exchange, thrown);
    } catch (cause) {
      deps.log('error', 'An exchange could not be ended properly', { requestId: exchange.id, cause });
      exchange.response.destroy();
    }
  }

  /** Waits for what is in flight, then ends the rest: streams with an error event, the others with 503. */
  async function drain(deadlineMs: number): Promise<void> {
    isDraining = true;
    if (await watch.empty(deadlineMs)) return;
    hasEnded = true;
    shared.departures.flush();
    watch.forEach((exchange) => exchange.stop(shuttingDown()));
    if (await watch.empty(farewellMs)) return;
    watch.forEach(({ response }) => response.destroy());
    await watch.empty(farewellMs);
  }

  return {
    /** What upstreams say of batches, for whoever books them. */
    batchOutput: new BatchOutput(shared.providers),
    routes: [...registered, ...(deps.further?.routes ?? [])],
    match: (method: string, path: string) => match(method, path) ?? deps.further?.match(method, path),
    handle,
    drain,
    reconfigure,
    visit: (look: (exchange: Exchange) => void) => watch.forEach(look),
    get inFlight() {
      return watch.size;
    },
    async [Symbol.asyncDispose]() {
      await drain(0);
      hasEnded = true;
      watch[Symbol.dispose]();
      await transport[Symbol.asyncDispose]();
    },
  };
}
