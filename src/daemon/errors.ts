import type { Middleware } from 'koa';
import { GatewayError } from '../kernel/errors.ts';
import type { State } from './state.ts';

export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void;

/** Answers whatever is thrown further in. The outermost middleware: nothing may be thrown past it. */
export function answerErrors(log: Log): Middleware<State> {
  return async (ctx, next) => {
    try {
      await next();
      if (ctx.status === 404 && ctx.body == null) throw noSuchRoute(ctx.method, ctx.path);
    } catch (thrown) {
      const error = GatewayError.from(thrown);
      if (error.status >= 500) {
        log('error', error.message, { request_id: ctx.state.requestId, type: error.type, error: error.cause ?? error });
      }
      ctx.status = error.status;
      ctx.set(error.headers);
      ctx.body = error;
    }
  };
}

const noSuchRoute = (method: string, path: string) =>
  new GatewayError('notFound', 'not_found_error', `No route ${method} ${path}`, {
    hint: 'Which routes there are: GET /openapi.json',
  });
