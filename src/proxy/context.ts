import type { IncomingMessage } from 'node:http';
import type { AskedCall } from '../access/decide.ts';
import type { Named, Payer } from '../access/payers.ts';
import type { Charge, Principal } from '../access/principal.ts';
import type { OwnPlaces } from '../egress/own-places.ts';
import type { Call, CallStart } from '../metering/call.ts';
import type { Departures } from './departures.ts';
import type { Exchange } from './exchange.ts';
import type { ProxyLimits } from './limits.ts';
import type { Provider } from './providers/provider.ts';
import type { Places } from './places.ts';
import type { ResponseLengths } from './response-lengths.ts';
import type { KeptObjects } from './kept-list.ts';
import type { ResponseCache } from '../response-cache/response-cache.ts';
import type { ResponseIds } from './response-ids.ts';
import type { DeploymentTable } from './routing.ts';
import type { Deployment } from '../models/deployment.ts';
import type { Router } from '../routing/router.ts';
import type { RoutingSettings } from '../routing/routing-settings.ts';
import type { Handler } from './proxy.ts';
import type { RegisteredRoute } from '../kernel/route-policy.ts';
import type { Transport } from './upstream.ts';

/** What the data plane needs of the rest of the house. */
export interface ProxyDeps {
  /** Reads the credential and says whose it is; at once when that is cached. Throws a GatewayError 401 or 503. */
  authenticate(request: IncomingMessage): Principal | Promise<Principal>;
  /** Where a request came from, for its row; empty for the admin socket. */
  addressOf(request: IncomingMessage): string;
  /** The customer and the tags a request names, as far as they are known; at once when that is cached. Throws 503. */
  payers(named: Named): readonly Payer[] | Promise<readonly Payer[]>;
  /** The model to call. Throws a GatewayError 403 when the principal may not make the call, 400 when it lacks something. */
  decide(principal: Principal, call: AskedCall): string;
  /** Whether `decide` would let its model pass, on a route or, for lists of models, on any. */
  allows(principal: Principal, model: string, route?: string): boolean;
  readonly metering: Metering;
  readonly deployments: DeploymentTable;
  /** Without them: one attempt, at any of the deployments. */
  readonly routing?: RoutingSettings;
  /** What a token costs at a deployment, in any unit. */
  readonly tokenCost?: (deployment: Deployment) => number;
  now(): Date;
  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void;
  readonly limits?: Partial<ProxyLimits>;
  /** Without it every provider serves what its upstream speaks, and nothing else. */
  readonly translate?: Translate;
  /** Where no deployment may lead. */
  readonly ownPlaces?: OwnPlaces;
  /** Of gatewayctl; goes into `x-litellm-version` and the user agent. */
  readonly version?: string;
  readonly counter: TokenCounter;
  /** Without one nothing is answered twice from one answer. */
  readonly responseCache?: ResponseCache | undefined;
  /** What their owners have at upstreams; without it there is no list. */
  readonly keptObjects?: KeptObjects | undefined;
  /** Whether a batch is refused where a budget applies and nothing limits what it costs. */
  readonly refusesUnsized?: boolean;
  readonly responseIds: Pick<ResponseIds, 'seal' | 'isOwn'>;
  /** Told of each call once it is over and booked; absent where nobody wants to know. */
  readonly onBooked?: ((exchange: Exchange) => void) | undefined;
  /** Told of every request once it is over, with what it failed with. */
  readonly onEnded?: ((exchange: Exchange, thrown: unknown) => void) | undefined;
  /** Routes that come behind those of the proxy itself. */
  readonly further?: FurtherRoutes | undefined;
}

/** Makes of the providers as they speak such as serve other protocols too. */
export type Translate = (native: ReadonlyMap<string, Provider>, transport: Transport) => ReadonlyMap<string, Provider>;

export interface FurtherRoutes {
  readonly routes: readonly RegisteredRoute[];
  match(method: string, path: string): Handler | undefined;
}

/** Counts, or guesses, what no upstream has counted. */
export interface TokenCounter {
  /** Of a request's body, guessed high. Called for every request. @param bytes the body's length */
  promptTokens(fields: Readonly<Record<string, unknown>>, bytes: number): number;
  /** Of what a model wrote. */
  completionTokens(text: string): number | Promise<number>;
}

export interface Metering {
  /** Brings what `begin` must know at once; undefined when it is there already. */
  prepare(charge: Charge): Promise<void> | undefined;
  /** What is to be waited for before a call that `begin` has refused is tried again; undefined when that is no use. */
  cover(thrown: unknown): Promise<void> | undefined;
  /** Reserves the worst case. Throws a GatewayError 429 when it does not fit, or a limit is reached. */
  begin(start: CallStart): Call;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What every exchange shares. */
export interface ProxyContext {
  readonly deps: ProxyDeps;
  readonly limits: ProxyLimits;
  readonly version: string;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly router: Router;
  readonly transport: Transport;
  readonly isDraining: boolean;
  /** For calls under way. */
  readonly calls: Places;
  /** For those among them that have files in memory. */
  readonly forms: Places;
  readonly departures: Departures;
  /** For streams that are read on without a client. */
  readonly usageWaits: Places;
  readonly responseLengths: ResponseLengths;
  /** For answers that are read to their end without a client. */
  readonly drains: Places;
}
