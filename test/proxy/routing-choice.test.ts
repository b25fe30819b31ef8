import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GatewayError } from '../../src/kernel/errors.ts';
import type { Deployment } from '../../src/models/deployment.ts';
import { Router, type RouterOptions } from '../../src/routing/router.ts';
import { plainRouting, type RoutingSettings } from '../../src/routing/routing-settings.ts';
import { aDeployment } from './gateway.ts';

const at = (id: string, params: Deployment['params'] = {}): Deployment => aDeployment({ id, params });

/** The same numbers every time: a linear congruential generator (Numerical Recipes). */
function seeded(): () => number {
  let state = 42;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

function aRouter(settings: Partial<RoutingSettings> = {}, options: Partial<RouterOptions> = {}) {
  const clock = { nowMs: 1_000_000 };
  const random = seeded();
  const router = new Router({ settings: { ...plainRouting, ...settings }, now: () => clock.nowMs, random, ...options });
  const take = (deployments: readonly Deployment[], wanted: { tokens?: number; tags?: readonly string[] } = {}) =>
    router.take(deployments, { model: 'm', tokens: 1, tags: [], ...wanted });
  const idsOf = (deployments: readonly Deployment[], count: number) =>
    Array.from({ length: count }, () => {
      const lease = take(deployments);
      lease.release();
      return lease.state.deployment.id;
    });
  return { clock, router, take, idsOf };
}

const shares = (ids: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    [...Map.groupBy(ids, (id) => id)].map(([id, all]) => [id, Number((all.length / ids.length).toFixed(2))]),
  );

const refusal = (action: () => unknown): GatewayError => {
  let error: unknown;
  assert.throws(action, (thrown) => ((error = thrown), true));
  return error as GatewayError;
};

describe('of several deployments', () => {
  test('a shuffle takes each as often as its weight says, else its rpm, else its tpm, else evenly', () => {
    for (const [name, unit] of [
      ['weight', 1],
      ['rpm', 100_000],
      ['tpm', 100_000],
    ] as const) {
      const { idsOf } = aRouter();
      const deployments = [at('a', { [name]: 7 * unit }), at('b', { [name]: 2 * unit }), at('c', { [name]: unit })];
      const { a = 0, b = 0, c = 0 } = shares(idsOf(deployments, 2_000));
      assert.ok(
        Math.abs(a - 0.7) <= 0.03 && Math.abs(b - 0.2) <= 0.03 && Math.abs(c - 0.1) <= 0.03,
        `${name} ${a} ${b} ${c}`,
      );
    }
    const { idsOf } = aRouter();
    const { a = 0, b = 0 } = shares(idsOf([at('a'), at('b')], 2_000));
    assert.ok(Math.abs(a - 0.5) <= 0.03 && Math.abs(b - 0.5) <= 0.03);
    assert.deepEqual(shares(idsOf([at('a', { weight: 1 }), at('b')], 50)), { a: 1 }, 'no weight among weights is none');
  });

  test('the least busy has the fewest calls under way', () => {
    const { take } = aRouter({ strategy: 'least-busy' });
    const deployments = [at('a'), at('b'), at('c')];
    const leases = Array.from({ length: 9 }, () => take(deployments));
    assert.deepEqual(shares(leases.map(({ state }) => state.deployment.id)), { a: 0.33, b: 0.33, c: 0.33 });
    for (const lease of leases) if (lease.state.deployment.id === 'b') lease.release();
    assert.equal(take(deployments).state.deployment.id, 'b');
  });

  test('the fastest is tried first until it is slow, and a failure is slow', () => {
    const { take, clock, idsOf } = aRouter({ strategy: 'latency-based-routing', cooldownMs: 0 });
    const deployments = [at('a'), at('b')];
    const answer = (ms: number): void => {
      const lease = take(deployments);
      clock.nowMs += ms;
      lease.answered();
      lease.release();
    };
    answer(300);
    answer(300);
    const slow = take(deployments);
    clock.nowMs += 5;
    slow.failed({ kind: 'server' });
    const other = slow.state.deployment.id === 'a' ? 'b' : 'a';
    assert.deepEqual(shares(idsOf(deployments, 20)), { [other]: 1 });
    clock.nowMs += 61_000;
    assert.equal(Object.keys(shares(idsOf(deployments, 40))).length, 2, 'what is long ago counts no more');
  });

  test('the cheapest, or the one that was used least, is taken', () => {
    const deployments = [at('a'), at('b')];
    const cheap = aRouter({ strategy: 'cost-based-routing' }, { costOf: ({ id }) => (id === 'b' ? 1 : 2) });
    assert.deepEqual(shares(cheap.idsOf(deployments, 20)), { b: 1 });
    const { take } = aRouter({ strategy: 'usage-based-routing' });
    const used: string[] = [];
    for (let call = 0; call < 10; call++) {
      const lease = take(deployments, { tokens: 10 });
      used.push(lease.state.deployment.id);
      lease.release(100);
    }
    assert.deepEqual(shares(used), { a: 0.5, b: 0.5 });
  });

  test('a lower order comes first, and the next one when nothing of it is left', () => {
    const { take } = aRouter();
    const deployments = [at('second', { order: 2 }), at('first', { order: 1, max_parallel_requests: 2 }), at('last')];
    assert.deepEqual(
      Array.from({ length: 4 }, () => take(deployments).state.deployment.id),
      ['first', 'first', 'second', 'second'],
    );
  });

  test('one at its limit of requests, tokens or calls at once is passed over; all of them are 429', () => {
    for (const [params, tokens] of [
      [{ rpm: 2 }, 1],
      [{ tpm: 20 }, 10],
      [{ max_parallel_requests: 2 }, 1],
    ] as const) {
      const { take, clock } = aRouter();
      const deployments = [at('a', params), at('b', params)];
      const leases = Array.from({ length: 4 }, () => take(deployments, { tokens }));
      assert.deepEqual(shares(leases.map(({ state }) => state.deployment.id)), { a: 0.5, b: 0.5 });
      const { status, type, headers } = refusal(() => take(deployments, { tokens }));
      assert.deepEqual([status, type], [429, 'no_deployments_available']);
      clock.nowMs += Number(headers['retry-after']) * 1_000;
      leases[0]?.release(tokens);
      take(deployments, { tokens });
      if (!('max_parallel_requests' in params)) assert.ok(Number(headers['retry-after']) > 50);
    }
  });

  test('those are for a call that have one of its tags, all of them, or are for everybody else', () => {
    const deployments = [
      at('free', { tags: ['free'] }),
      at('paid', { tags: ['paid', 'eu'] }),
      at('rest', { tags: ['default'] }),
    ];
    const { take, router } = aRouter({ tagFiltering: true });
    const chosen = (tags: string[], list = deployments) => take(list, { tags }).state.deployment.id;
    assert.deepEqual(
      [chosen(['free']), chosen(['eu', 'x']), chosen(['x']), chosen([])],
      ['free', 'paid', 'rest', 'rest'],
    );
    const { status, message } = refusal(() => chosen(['x'], deployments.slice(0, 2)));
    assert.equal(status, 401);
    assert.match(message, /no deployments with tag routing/);
    const strict = new Router({ settings: { ...router.settings, matchesAnyTag: false } });
    const strictly = (tags: string[]) => strict.take(deployments, { model: 'm', tokens: 1, tags }).state.deployment.id;
    assert.deepEqual([strictly(['eu', 'paid']), strictly(['eu', 'x'])], ['paid', 'rest']);
  });
});

describe('what is known of a deployment', () => {
  test('stays when its list is read anew, and goes when it is another', () => {
    const { take } = aRouter();
    const params = { max_parallel_requests: 1 };
    take([at('a', params)]);
    assert.equal(refusal(() => take([at('a', params)])).status, 429);
    take([at('a', { ...params, weight: 2 })]);
  });

  test('is bounded', () => {
    const { take } = aRouter({}, { most: 2 });
    const params = { max_parallel_requests: 1 };
    for (const id of ['a', 'b', 'c']) take([at(id, params)]);
    take([at('a', params)]);
    assert.equal(refusal(() => take([at('c', params)])).status, 429);
  });

  test('says who probes: one call, and after its failure nobody for as long again', () => {
    const { take, clock } = aRouter({ allowedFails: 0, cooldownMs: 10_000 });
    const only = [at('a')];
    take(only).failed({ kind: 'server' });
    assert.equal(refusal(() => take(only)).headers['retry-after'], '10');
    clock.nowMs += 10_000;
    const probe = take(only);
    assert.equal(refusal(() => take(only)).headers['retry-after'], '1');
    probe.failed({ kind: 'timeout' });
    assert.equal(refusal(() => take(only)).headers['retry-after'], '10');
    clock.nowMs += 10_000;
    // Its client left before there was an answer: nobody is any the wiser.
    take(only).release();
    const second = take(only);
    second.answered();
    take(only);
  });

  test('counts failures by their kind, within a minute', () => {
    const { take, clock } = aRouter({
      allowedFails: 1,
      cooldownMs: 10_000,
      allowedFailsPolicy: { rate_limit: 2, bad_request: 0 },
    });
    const only = [at('a')];
    for (let failure = 0; failure < 2; failure++) take(only).failed({ kind: 'rate_limit' });
    clock.nowMs += 66_000;
    take(only).failed({ kind: 'server' });
    take(only).failed({ kind: 'context_window' });
    take(only).failed({ kind: 'server' });
    assert.equal(refusal(() => take(only)).status, 429);
    clock.nowMs += 80_000;
    const probe = take(only);
    probe.answered();
    probe.release();
    take(only).failed({ kind: 'bad_request' });
    assert.equal(refusal(() => take(only)).status, 429);
  });
});
