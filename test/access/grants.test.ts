import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everything, excessOf, type Grant } from '../../src/kernel/grant.ts';

/** The same numbers in every run: https://en.wikipedia.org/wiki/Linear_congruential_generator */
let state = 20_261_127;
function below(limit: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}
const some = <T>(list: readonly T[], most: number): T[] => list.filter(() => below(list.length) < most);
function oneOf<T>(list: readonly T[]): T {
  const chosen = list[below(list.length)];
  assert.ok(chosen !== undefined, 'the list is not empty');
  return chosen;
}

const entries = ['a', 'a/b', 'a/*', 'a/b*', '*/b', '*', 'b', 'b/*', 'a*c', 'all-proxy-models', 'no-default-models'];
const models = ['a', 'b', 'a/b', 'a/bc', 'b/b', 'b/x', 'abc', 'ac', 'c/b', 'zz', 'a/x/b'];
const routes = ['/key/info', '/key/list', '/key/*', '/team/*', 'info_routes', 'management_routes', '/v1/models', '/*'];

const passed = ['/openai', '/openai/v1', '/openai/v1/files', '/open', '/vertex_ai/v1', '/search'];
const called = ['/openai/v1/files/x', '/openai/v1/chat', '/openai', '/openaint/v1', '/open/x', '/search'];
/** Told segment by segment, and not by how a path begins. */
function passes(list: readonly string[], path: string): boolean {
  if (list.length === 0) return true;
  const segments = path.split('/');
  return list.some((entry) => entry.split('/').every((each, index) => segments[index] === each));
}

const networks = ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '0.0.0.0/0', '10.128.0.0/9', '192.0.2.0/24'];
/** Where each of the addresses is, told by hand. */
const within: Readonly<Record<string, readonly string[]>> = {
  '10.1.2.3': ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '0.0.0.0/0'],
  '10.1.2.4': ['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0'],
  '10.200.0.1': ['10.0.0.0/8', '10.128.0.0/9', '0.0.0.0/0'],
  '10.2.0.1': ['10.0.0.0/8', '0.0.0.0/0'],
  '192.0.2.9': ['192.0.2.0/24', '0.0.0.0/0'],
  '203.0.113.1': ['0.0.0.0/0'],
};
const isFrom = (list: readonly string[], inside: readonly string[]): boolean =>
  list.length === 0 || list.some((each) => inside.includes(each));

const aGrant = (): Grant => ({
  models: below(3) === 0 ? [] : some(entries, 3),
  allowedIps: below(2) === 0 ? [] : some(networks, 3),
  allowedRoutes: below(2) === 0 ? [] : some(routes, 3),
  allowedPassthroughRoutes: below(4) < 3 ? [] : some(passed, 3),
  maxBudget: oneOf([null, 0n, 5n, 10n, 20n]),
  tpmLimit: oneOf([null, 0, 5, 10]),
  rpmLimit: oneOf([null, 0, 5, 10]),
  maxParallelRequests: oneOf([null, 0, 5, 10]),
  expiresAt: oneOf([null, new Date(1_000), new Date(2_000)]),
});

/** What a list of models lets through, told in another way than the program tells it. */
function lets(list: readonly string[], model: string): boolean {
  if (list.length === 0) return true;
  if (list.includes('no-default-models')) return false;
  return list.some((entry) => {
    if (entry === 'all-proxy-models') return true;
    const pattern = entry.split('*').map((part) => part.replaceAll(/[/]/g, '\\/'));
    return new RegExp(`^${pattern.join('.*')}$`).test(model);
  });
}

const isMore = (wanted: bigint | number | null, held: bigint | number | null): boolean =>
  held !== null && (wanted === null || wanted > held);

test('of 20,000 generated grants none that is given lets anybody do more than the giver holds', () => {
  let given = 0;
  for (let round = 0; round < 20_000; round++) {
    const [wanted, held] = [aGrant(), aGrant()];
    if (excessOf(wanted, [{ grant: held, isInherited: false }], new Set())) continue;
    given++;
    const told = JSON.stringify({ wanted, held }, (_, value: unknown) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
    for (const model of models) assert.ok(!lets(wanted.models, model) || lets(held.models, model), `${model}: ${told}`);
    for (const path of called) {
      const [mayCall, may] = [wanted, held].map((each) => passes(each.allowedPassthroughRoutes, path));
      assert.ok(!mayCall || may, `${path}: ${told}`);
    }
    for (const [address, inside] of Object.entries(within)) {
      assert.ok(!isFrom(wanted.allowedIps, inside) || isFrom(held.allowedIps, inside), `${address}: ${told}`);
    }
    for (const field of ['maxBudget', 'tpmLimit', 'rpmLimit', 'maxParallelRequests'] as const) {
      assert.ok(!isMore(wanted[field], held[field]), `${field}: ${told}`);
    }
    assert.ok(!isMore(wanted.expiresAt?.getTime() ?? null, held.expiresAt?.getTime() ?? null), told);
  }
  assert.ok(given > 200, `${given} were given: the test is about these`);
});

test('whoever holds everything gives anything', () => {
  for (let round = 0; round < 100; round++) {
    assert.equal(excessOf(aGrant(), [{ grant: everything, isInherited: false }], new Set()), undefined);
  }
});
