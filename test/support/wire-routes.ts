import type { RegisteredRoute } from '../../src/kernel/route-policy.ts';
import { ResponseIds } from '../../src/proxy/response-ids.ts';
import { aPrincipal } from '../proxy/gateway.ts';

/** What nobody owns, under names that can be read. */
const ids = new ResponseIds('of nobody');
const kept = { model: 'nothing', deploymentId: 'nothing', upstreamId: 'nothing' };
const names: Readonly<Record<string, string>> = {
  ':response_id': ids.seal(kept, aPrincipal),
  ':file_id': ids.seal(kept, aPrincipal, 'file'),
  ':batch_id': ids.seal(kept, aPrincipal, 'batch'),
};

/** The names that are put in the place of a route's parameters: nothing is called like that. */
export const plainPath = (path: string): string => path.replaceAll(/:\w+/g, (name) => names[name] ?? 'nothing');

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** Every one of some ten thousand lines is compared with every route. */
const patterns = new WeakMap<RegisteredRoute, RegExp>();

const patternOf = (route: RegisteredRoute): RegExp => {
  let pattern = patterns.get(route);
  if (pattern === undefined) patterns.set(route, (pattern = patternFor(route.path)));
  return pattern;
};

const patternFor = (path: string): RegExp =>
  new RegExp(
    `^${path
      .split(/:\w+/)
      .map(escaped)
      // A model's name may hold slashes, in whatever way they are written.
      .join(/:model/.test(path) ? '.+' : '[^/]+')}$`,
    's',
  );

/** The routes whose path a request's target is, to the letter: no others may answer it. */
export function routesNamed(routes: readonly RegisteredRoute[], line: string): readonly RegisteredRoute[] {
  // Node's parser takes more than one space, as RFC 9112 (3) lets it: the target is the same.
  const [, method = '', target = ''] = /^([A-Z]+) +(\S*)/s.exec(line) ?? [];
  const [path = ''] = target.split('?');
  return routes.filter((route) => route.method === (method === 'HEAD' ? 'GET' : method) && patternOf(route).test(path));
}
