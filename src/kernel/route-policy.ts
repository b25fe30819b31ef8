import { GatewayError } from './errors.ts';

/** What has to be known of a caller before the handler of a route runs. It hangs on the route, and looks at no path. */
export type RoutePolicy =
  | { readonly caller: 'anyone' }
  /** `admin` and `scoped` as operations have it; `call` for whoever may call models. */
  | { readonly caller: 'known'; readonly access: 'admin' | 'scoped' | 'call' };

export interface RegisteredRoute {
  readonly method: string;
  readonly path: string;
  /** Undefined only where somebody forgot it: then the daemon does not start. */
  readonly policy: RoutePolicy | undefined;
}

/** Routes that answer without a credential. There are no others. */
export const publicPaths: ReadonlySet<string> = new Set([
  '/health/liveliness',
  '/health/liveness',
  '/health/readiness',
  '/openapi.json',
]);

const accesses: ReadonlySet<unknown> = new Set(['admin', 'scoped', 'call']);

/** What is wrong with a route, if anything is. */
function wrongWith({ path, policy }: RegisteredRoute): string | undefined {
  if (policy === undefined) return 'has no policy';
  if (policy.caller === 'anyone') return publicPaths.has(path) ? undefined : 'is public and not listed as such';
  return accesses.has(policy.access) ? undefined : 'has a policy that says nothing';
}

/**
 * @throws GatewayError `route_without_policy` for a route that would answer whom nobody has looked at, and for two of one
 * name: only one of their policies would count
 */
export function requirePolicies(routes: readonly RegisteredRoute[]): void {
  const seen = new Set<string>();
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    const wrong = seen.has(name) ? 'is registered twice' : wrongWith(route);
    if (wrong) throw new GatewayError('internal', 'route_without_policy', `The route ${name} ${wrong}`);
    seen.add(name);
  }
}
