import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import Koa, { type Context, type Middleware } from 'koa';
import { isLocal, markLocal } from '../kernel/client.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Networks } from '../kernel/networks.ts';
import { type RegisteredRoute, requirePolicies } from '../kernel/route-policy.ts';
import { type AdminParts, adminRoutes } from './admin.ts';
import { answerErrors, type Log } from './errors.ts';
import { Connections } from './connections.ts';
import { type Health, healthPaths, healthRoutes, isRead } from './health.ts';
import { limits } from './limits.ts';
import { refuse } from './refusal.ts';
import type { State } from './state.ts';
import { requirePlainRequest } from './target.ts';

/** The data plane, as far as the daemon has to know it. */
export interface DataPlane<Handler> {
  readonly routes: readonly RegisteredRoute[];
  match(method: string, path: string): Handler | undefined;
  handle(handler: Handler, request: IncomingMessage, response: ServerResponse): Promise<void>;
}

export interface DaemonParts<Handler> extends AdminParts, Health {
  readonly proxy: DataPlane<Handler>;
  readonly openapi: string;
  /** Peers that stand for many clients. */
  readonly trustedProxies?: Networks | undefined;
  /** Connections of clients to one listener. */
  readonly maxConnections: number;
  /** Milliseconds a connection is kept between two requests. */
  readonly keepAliveMs: number;
  readonly log: Log;
}

/** What a listener answers besides health: the admin socket has both, and every caller there is the operator. */
export interface Listening {
  readonly isLocal?: boolean;
  readonly hasAdmin: boolean;
  readonly hasModels: boolean;
}

export interface Daemon {
  /** Every route there is, on whichever listener. */
  readonly routes: readonly RegisteredRoute[];
  createServer(listening: Listening): Server;
}

/**
 * The web server, in the order a request meets it. Calls for models leave it at the first step: they are the many, they
 * need nothing of what an admin request needs, and their bytes go through raw.
 */
export function createDaemon<Handler>(parts: DaemonParts<Handler>): Daemon {
  const koa = new Koa<State>();
  koa.use(identifyRequest);
  koa.use(answerErrors(parts.log));
  koa.use(healthRoutes(parts));
  koa.use(serveDocument(parts.openapi));
  const routes = adminRoutes(parts);
  const registered = [...publicRoutes, ...parts.proxy.routes, ...routes.routes];
  requirePolicies(registered);
  koa.use((ctx, next) => (hasAdmin(ctx.req) ? routes.middleware(ctx, next) : next()));
  koa.use(
    refuseMethod(({ path, req }) => [
      ...(listenings.get(req)?.hasModels === false ? [] : modelMethods(parts.proxy, path)),
      ...(hasAdmin(req) ? routes.methodsAt(path) : []),
      ...methodsOfOthers(path),
    ]),
  );
  koa.on('error', (error: Error) => parts.log('warn', 'An answer could not be sent', { error }));
  const admin = koa.callback();

  function handle(request: IncomingMessage, response: ServerResponse, { hasModels }: Listening): void {
    try {
      requirePlainRequest(request);
    } catch (error) {
      refuse(response, GatewayError.from(error));
      return;
    }
    const { url = '/', method = 'GET' } = request;
    const query = url.indexOf('?');
    const path = query === -1 ? url : url.slice(0, query);
    const handler = hasModels ? parts.proxy.match(method === 'HEAD' ? 'GET' : method, path) : undefined;
    if (handler) void parts.proxy.handle(handler, request, response);
    else void admin(request, response);
  }

  return {
    routes: registered,
    createServer: (listening) => {
      const connections = new Connections(parts.maxConnections, parts.trustedProxies);
      const server = createServer({ ...limits.http, keepAliveTimeout: parts.keepAliveMs }, (request, response) => {
        if (connections.isRefused(request.socket)) return;
        connections.answering(request.socket, response);
        if (listening.isLocal) markLocal(request);
        if (!listening.hasAdmin || !listening.hasModels) listenings.set(request, listening);
        handle(request, response, listening);
      });
      connections.watch(server);
      return server;
    },
  };
}

/** The listeners of requests that came by one which does not answer everything. */
const listenings = new WeakMap<IncomingMessage, Listening>();

const hasAdmin = (request: IncomingMessage): boolean => listenings.get(request)?.hasAdmin ?? true;

const identifyRequest: Middleware<State> = (ctx, next) => {
  ctx.state.requestId = randomUUID();
  ctx.state.isLocal = isLocal(ctx.req);
  ctx.set('x-request-id', ctx.state.requestId);
  ctx.set('x-content-type-options', 'nosniff');
  return next();
};

const documentPath = '/openapi.json';

const serveDocument =
  (openapi: string): Middleware<State> =>
  (ctx, next) => {
    if (!isRead(ctx.method) || ctx.path !== documentPath) return next();
    ctx.type = 'json';
    ctx.body = openapi;
    return undefined;
  };

const publicRoutes: readonly RegisteredRoute[] = [documentPath, ...healthPaths].map((path) => ({
  method: 'GET',
  path,
  policy: { caller: 'anyone' },
}));

const methodsOfOthers = (path: string): string[] => (publicRoutes.some((each) => each.path === path) ? ['GET'] : []);

const modelMethods = <Handler>(proxy: DataPlane<Handler>, path: string): string[] =>
  ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) => proxy.match(method, path) !== undefined);

/** Comes last: whatever is there under this path, it is not there for this method. */
function refuseMethod(methodsAt: (context: Context) => readonly string[]): Middleware<State> {
  return (ctx, next) => {
    const methods = new Set(methodsAt(ctx));
    if (methods.size === 0) return next();
    if (methods.has('GET')) methods.add('HEAD');
    throw new GatewayError('methodNotAllowed', 'method_not_allowed', `${ctx.path} does not take ${ctx.method}`, {
      headers: { allow: [...methods].toSorted().join(', ') },
    });
  };
}
