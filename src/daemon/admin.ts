import type { IncomingMessage } from 'node:http';
import type { ParsedUrlQuery } from 'node:querystring';
import type { Readable } from 'node:stream';
import { Router } from '@koa/router';
import type { Middleware } from 'koa';
import { z } from 'zod';
import type { App, Services } from '../app.ts';
import type { Refusals } from '../audit/refusals.ts';
import { changeOptions, changeOptionsOf } from '../kernel/change-options.ts';
import { requireWithin } from '../kernel/client.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Networks } from '../kernel/networks.ts';
import type { Actor, AnyOperation, Route } from '../kernel/operation.ts';
import type { RegisteredRoute } from '../kernel/route-policy.ts';
import { jsonBody } from './body.ts';
import { readQuery } from './query.ts';
import type { State } from './state.ts';

export interface AdminParts {
  readonly app: Pick<App, 'run'>;
  readonly operations: readonly AnyOperation<Services>[];
  /** @param path of the operation, as it is registered: with a token of several teams it says which is meant */
  readonly authenticate: (request: IncomingMessage, path: string) => Promise<Actor>;
  readonly refusals: Pick<Refusals, 'record'>;
  /**
   * What follows the answer of an operation that does not end with it.
   *
   * @param ask asks the operation again; rejects once the caller may not
   */
  readonly follow: (first: Record<string, unknown>, ask: () => Promise<unknown>) => Readable;
  /** Where a request came from; empty for the admin socket. */
  readonly addressOf: (request: IncomingMessage) => string;
  /** From where the admin API may be used; everywhere when absent. */
  readonly adminAllowedIps?: Networks | undefined;
  /** What a request came with as a credential, masked. */
  readonly credentialOf: (request: IncomingMessage) => string | undefined;
}

export interface AdminRoutes {
  readonly routes: readonly RegisteredRoute[];
  readonly middleware: Middleware<State>;
  /** Empty where there is no route. */
  methodsAt(path: string): string[];
}

/**
 * Mounts every operation at the paths it declares. There is no other admin route.
 *
 * Matching is exact: with the router's defaults `/KEY/Generate` and `/key/generate/` would reach `/key/generate` while
 * the path a gate looks at stays as it was sent. The gate is therefore part of the route, and looks at no path.
 */
export function adminRoutes(parts: AdminParts): AdminRoutes {
  const { app, operations, authenticate, addressOf } = parts;
  const clientOf = (request: IncomingMessage) => addressOf(request) || undefined;
  const router = new Router<State>({ sensitive: true, strict: true });
  const registered: RegisteredRoute[] = [];
  for (const operation of operations) {
    for (const [method, path] of [operation.route, ...(operation.alsoAt ?? [])]) {
      registered.push({ method, path, policy: { caller: 'known', access: operation.access } });
      router.register(
        path,
        [method],
        [
          refuseBrowsers,
          keepRefusals([method, path], parts),
          refuseElsewhere(parts),
          identifyBy(authenticate, path),
          jsonBody,
          async (ctx) => {
            const given =
              method === 'GET'
                ? readQuery(operation.input, ctx.query)
                : // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- jsonBody makes nothing but objects
                  { ...optionsInQuery(operation, ctx.query), ...(ctx.state.body as object) };
            const input = named(given, ctx.params);
            const caller = {
              actor: ctx.state.actor,
              changedBy: ctx.get('litellm-changed-by').slice(0, 200) || undefined,
              requestId: ctx.state.requestId,
              client: clientOf(ctx.req),
              idempotencyKey: idempotencyKeyOf(ctx.req),
              onReplay: () => ctx.set('idempotent-replayed', 'true'),
            };
            const ask = () => app.run(operation, input, caller);
            ctx.body = operation.follows ? parts.follow(await ask(), ask) : await ask();
            ctx.set('cache-control', 'no-store');
            if (!operation.follows) return;
            ctx.type = 'application/x-ndjson';
            // nginx would keep a line back until it has some kilobytes of them.
            ctx.set('x-accel-buffering', 'no');
          },
        ],
      );
    }
  }
  return {
    routes: registered,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the router's own context is Koa's with params
    middleware: router.routes() as unknown as Middleware<State>,
    methodsAt: (path) => router.match(path, '').path.flatMap(({ methods }) => methods),
  };
}

/** What the path names is not named otherwise by the body: one of the two would be passed over. */
function named(given: Record<string, unknown>, path: Record<string, string>): Record<string, unknown> {
  for (const [param, value] of Object.entries(path)) {
    const other = given[param] ?? value;
    if (other === value) continue;
    throw new GatewayError('invalid', 'invalid_request_error', `${param}: the path names another`, {
      param,
      hint: `Leave ${param} out of the body, or give it the same value.`,
    });
  }
  return { ...given, ...path };
}

/** What may be said with every change may stand in the query too; anything else there is passed over, as in LiteLLM. */
function optionsInQuery(operation: AnyOperation<Services>, query: ParsedUrlQuery): Record<string, unknown> {
  const names = changeOptionsOf(operation);
  const given = Object.fromEntries(names.map((name) => [name, query[name]]));
  return readQuery(z.object(changeOptions), given);
}

/** An empty one is not an absent one: it is mostly a variable that was never set, and has to be refused. */
function idempotencyKeyOf({ headers }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key'];
  return Array.isArray(key) ? key.join(', ') : key;
}

/** A page in a browser has no business here, and a rebound DNS name must not give it any. */
const refuseBrowsers: Middleware<State> = (ctx, next) => {
  if (ctx.get('origin') === '') return next();
  throw new GatewayError('forbidden', 'origin_not_allowed', 'The admin API does not answer web pages');
};

/** Behind what keeps refusals: who tries the admin API from elsewhere is worth a line in the audit log. */
const refuseElsewhere =
  ({ addressOf, adminAllowedIps }: AdminParts): Middleware<State> =>
  (ctx, next) => {
    if (adminAllowedIps) requireWithin(adminAllowedIps, addressOf(ctx.req));
    return next();
  };

/** Whoever is refused for who they are is remembered, before they are told. */
function keepRefusals(route: Route, { refusals, credentialOf, addressOf }: AdminParts): Middleware<State> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (thrown) {
      const error = GatewayError.from(thrown);
      if (error.kind === 'unauthenticated' || error.kind === 'forbidden') {
        const { requestId, actor } = ctx.state;
        const isKnown = error.kind === 'forbidden' && actor !== undefined;
        const caller = isKnown ? { actor } : { credential: credentialOf(ctx.req) };
        await refusals.record({ error, route, requestId, client: addressOf(ctx.req) || undefined, ...caller });
      }
      throw thrown;
    }
  };
}

function identifyBy(authenticate: AdminParts['authenticate'], path: string): Middleware<State> {
  return async (ctx, next) => {
    ctx.state.actor = ctx.state.isLocal
      ? { type: 'operator', name: 'admin-socket', via: 'admin-socket' }
      : await authenticate(ctx.req, path);
    await next();
  };
}
