import type { RegisteredRoute } from '../../src/kernel/route-policy.ts';
import { pathSpellings } from './spellings.ts';
import { plainPath } from './wire-routes.ts';

/** Marsaglia's xorshift: the same lines for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const methods = [
  'GET',
  'GET',
  'GET',
  'POST',
  'POST',
  'HEAD',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'get',
  'PROPFIND',
  'X',
];
const versions = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'HTTP/1.1 ',
  'http/1.1',
  '',
];
const pieces = [
  '/', '//', '/.', '/..', '/../', '\\', ';', '#', '?', '%', '%2', '%2f', '%2F', '%2e', '%5c', '%00', '%0d%0a', '%25', '%zz', '%ff',
  '%c3%a9', '\xc3\xa9', '\xff', '\x00', '\x7f', '\t', ' ', '*', ':', '@', '[', ']', '{', '}', '|', '"', "'", '&', '=', '..;/', '/*', '/health',
  '/liveliness', '/openapi.json', '/v1', '/models', '/chat/completions', '/key', '/list', '/info', '?key=sk-x', 'http://', 'a', 'A',
]; // prettier-ignore

/** Request lines: of routes there are, damaged in one to three places, and now and then of anything. */
export function randomLines(routes: readonly RegisteredRoute[], most: number, seed: number): string[] {
  const below = random(seed);
  const one = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const anything = (): string => Array.from({ length: below(9) }, () => one(pieces)).join('');
  const damaged = (path: string): string => {
    const at = below(path.length + 1);
    return path.slice(0, at) + one(pieces) + path.slice(at + (below(3) === 0 ? 1 : 0));
  };
  const targetOf = (path: string): string => {
    switch (below(8)) {
      case 0:
        return path;
      case 1:
        return one(pathSpellings)(path);
      case 2:
        return anything();
      case 3:
        return plainPath(one(routes).path) + damaged(path);
      default:
        return Array.from({ length: 1 + below(3) }).reduce<string>((damagedPath) => damaged(damagedPath), path);
    }
  };
  return Array.from({ length: most }, () => {
    const { method, path } = one(routes);
    const named = below(3) === 0 ? one(methods) : method;
    return `${named} ${targetOf(plainPath(path))}${below(20) === 0 ? '\t' : ' '}${below(4) === 0 ? one(versions) : 'HTTP/1.1'}`;
  });
}
