import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import Koa, { type Middleware } from 'koa';
import { GatewayError } from '../kernel/errors.ts';
import { type AdminParts, adminRoutes } from './admin.ts';
import { answerErrors, type Log } from './errors.ts';
import { type Health, healthRoutes } from './health.ts';
import type { State } from './state.ts';
import { requirePlainTarget } from './target.ts';

/** The data plane, as far as the daemon has to know it. */
export interface DataPlane<Handler> {
  match(method: string, path: string): Handler | undefined;
  handle(handler: Handler, request: IncomingMessage, response: ServerResponse): Promise<void>;
}

export interface DaemonParts<Handler> extends AdminParts, Health {
  readonly proxy: DataPlane<Handler>;
  readonly openapi: string;
  readonly log: Log;
}

export interface Daemon {
  /** A server for the network, or for the admin socket, where every caller is the operator. */
  createServer(options: { readonly isLocal: boolean }): Server;
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
  koa.use(adminRoutes(parts));
  koa.on('error', (error: Error) => parts.log('warn', 'An answer could not be sent', { error }));
  const admin = koa.callback();

  function handle(request: IncomingMessage, response: ServerResponse): void {
    try {
      requirePlainTarget(request);
    } catch (error) {
      refuse(response, GatewayError.from(error));
      return;
    }
    const { url = '/', method = 'GET' } = request;
    const query = url.indexOf('?');
    const handler = parts.proxy.match(method, query === -1 ? url : url.slice(0, query));
    if (handler) void parts.proxy.handle(handler, request, response);
    else void admin(request, response);
  }

  return {
    createServer: ({ isLocal }) => {
      const server = createServer(limits, (request, response) => {
        if (isLocal) local.add(request);
        handle(request, response);
      });
      return server;
    },
  };
}

/** Requests from the admin socket. Kept outside the request, where nothing a client sends can reach. */
const local = new WeakSet<IncomingMessage>();

/** Slow or huge headers are cut before they cost anything; Node checks once a second. */
const limits = {
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 300_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1_000,
} as const;

const identifyRequest: Middleware<State> = (ctx, next) => {
  ctx.state.requestId = randomUUID();
  ctx.state.isLocal = local.has(ctx.req);
  ctx.set('x-request-id', ctx.state.requestId);
  ctx.set('x-content-type-options', 'nosniff');
  return next();
};

const serveDocument =
  (openapi: string): Middleware<State> =>
  (ctx, next) => {
    if (ctx.method !== 'GET' || ctx.path !== '/openapi.json') return next();
    ctx.type = 'json';
    ctx.body = openapi;
    return undefined;
  };

function refuse(response: ServerResponse, error: GatewayError): void {
  response.writeHead(error.status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify(error));
}
