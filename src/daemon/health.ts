import type { Middleware } from 'koa';
import type { LimitsState } from '../metering/shared-rates.ts';
import type { State } from './state.ts';

/** HEAD is GET without the body (RFC 9110, 9.3.2); whoever sends the answer leaves it out. */
export const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD';

/** Where GET is answered here. */
export const healthPaths = ['/health/liveliness', '/health/liveness', '/health/readiness'] as const;

export interface Health {
  /** Whether the database answers, within a second. */
  readonly database: () => Promise<boolean>;
  readonly isDraining: () => boolean;
  /** Where limits are counted, and what becomes of them where nothing answers. */
  readonly limits: () => LimitsState;
  readonly version: string;
}

/** LiteLLM's probes, without credentials: alive says that the process answers, ready that it can serve. */
export function healthRoutes({ database, isDraining, limits, version }: Health): Middleware<State> {
  return async (ctx, next) => {
    if (!isRead(ctx.method)) return next();
    switch (ctx.path) {
      case '/health/liveliness':
      case '/health/liveness':
        ctx.type = 'json';
        ctx.body = '"I\'m alive!"';
        return undefined;
      case '/health/readiness': {
        const isConnected = await database();
        const { countedIn, withoutSharedStore } = limits();
        const isReady = isConnected && !isDraining();
        ctx.status = isReady ? 200 : 503;
        if (!isReady) ctx.set('retry-after', '1');
        ctx.body = {
          status: isDraining() ? 'draining' : isConnected ? 'connected' : 'not connected',
          db: isConnected ? 'connected' : 'Not connected',
          limits: { counted_in: countedIn, without_shared_store: withoutSharedStore },
          version,
        };
        return undefined;
      }
      default:
        return next();
    }
  };
}
