import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RateLimit } from '../../src/access/principal.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import type { Call } from '../../src/metering/call.ts';
import { openRedis } from '../../src/access/shared-cache.ts';
import type { Metering, MeteringOptions } from '../../src/metering/metering.ts';
import { startRelay } from '../support/postgres-relay.ts';
import { skipWithoutRedis, startRedis } from '../support/redis.ts';
import { aDatabase, aMetering, anId, aPool, aPrincipal, aStart, type Database, success, until } from './support.ts';

const aLimit = (given: Partial<RateLimit>): RateLimit => {
  const id = anId('key');
  return { entity: 'key', id, label: id, requests: null, tokens: null, parallel: null, ...given };
};

/** As the pipeline admits a call; undefined for one that is refused. */
async function admit(metering: Metering, limit: RateLimit, tokens = 1): Promise<Call | undefined> {
  const principal = aPrincipal({ keyId: limit.id, budgets: [], rates: [limit] });
  for (let left = 20; ; left--) {
    try {
      return metering.begin(aStart({ principal, promptTokens: tokens, maxCompletionTokens: 0 }));
    } catch (thrown) {
      const waiting = left > 0 ? metering.cover(thrown) : undefined;
      if (waiting) await waiting;
      else if (GatewayError.from(thrown).type === 'throttling_error') return undefined;
      else throw thrown;
    }
  }
}

let database: Database;
before(async () => void (database = await aDatabase()));
after(() => database[Symbol.asyncDispose]());

const openAll = (count: number, options: Partial<MeteringOptions> = {}) =>
  Promise.all(Array.from({ length: count }, async () => (await aMetering(database.pool, options)).metering));

const closeAll = (daemons: readonly Metering[]) =>
  Promise.all(daemons.map((metering) => metering[Symbol.asyncDispose]()));

const secret = 'what the daemons of one database know';
const joined = (url: string) => openRedis({ url, ttl: 1_000, secret, log: () => undefined });

/** Many clients at once, until each of them is refused. */
async function flood(limit: RateLimit, callers: readonly Metering[], tokens?: number): Promise<Call[]> {
  const admitted: Call[] = [];
  await Promise.all(
    Array.from({ length: 40 }, async (_, client) => {
      const metering = callers[client % callers.length] ?? assert.fail();
      for (let call; (call = await admit(metering, limit, tokens));) admitted.push(call);
    }),
  );
  return admitted;
}

for (const store of ['PostgreSQL', 'Redis'] as const) {
  describe(`limits that daemons share through ${store}`, { skip: store === 'Redis' && skipWithoutRedis }, () => {
    const opened = new AsyncDisposableStack();
    let daemons: Metering[] = [];
    before(async () => {
      const redis = store === 'Redis' ? opened.use(await startRedis()) : undefined;
      const link = redis && opened.use(await joined(redis.url));
      daemons = await openAll(2, { redis: link && { ...link, secret } });
      opened.defer(async () => void (await closeAll(daemons)));
    });
    after(() => opened.disposeAsync());

    for (const most of [1, 7, 100, 2_000]) {
      test(`of ${most} requests are kept by two daemons together, and used up by one`, async () => {
        const shared = aLimit({ requests: most });
        let both = 0;
        // What one of them holds and does not use is back within a second.
        await until(async () => (both += (await flood(shared, daemons)).length) >= most * 0.95);
        assert.ok(both <= most, `${both} of ${most}`);
        assert.equal((await flood(aLimit({ requests: most }), daemons.slice(0, 1))).length, most);
      });
    }

    test('of tokens count what is asked for, and give back what was not used', async () => {
      const limit = aLimit({ tokens: 10_000 });
      const calls = await flood(limit, daemons, 90);
      assert.ok(calls.length <= 111 && calls.length >= 105, `${calls.length} calls`);
      for (const call of calls) call.settle(success({ promptTokens: 9 }));
      let more = 0;
      await until(async () => {
        more += (await flood(limit, daemons, 90)).length;
        return more >= 95;
      });
      assert.ok(calls.length * 9 + more * 90 <= 10_000, `${more} more calls`);
    });

    test('of calls at once give a place back wherever a call ends', async () => {
      const limit = aLimit({ parallel: 9 });
      for (let round = 0; round < 3; round++) {
        const calls: Call[] = [];
        await until(async () => {
          calls.push(...(await flood(limit, daemons)));
          return calls.length >= 9;
        });
        assert.equal(calls.length, 9);
        for (const call of calls) call.settle(success({}));
      }
    });

    test('are counted there', () => {
      assert.deepEqual(
        daemons.map(({ limits }) => limits.countedIn),
        [store.toLowerCase(), store.toLowerCase()],
      );
    });
  });
}

describe('without a store that answers', () => {
  for (const withoutSharedStore of ['per_instance', 'refuse'] as const) {
    test(`limits go on as ${withoutSharedStore} says, and what was used meanwhile counts when it is back`, async () => {
      await using relay = await startRelay(database.url);
      const pool = aPool(relay.url);
      const { metering, messages } = await aMetering(pool, { withoutSharedStore });
      const limit = aLimit({ requests: 40 });
      assert.ok(await admit(metering, limit));
      relay.cut();
      let admitted = 1;
      const countOn = async () => {
        for (; await admit(metering, limit);) admitted++;
      };
      if (withoutSharedStore === 'refuse') {
        await assert.rejects(countOn, { type: 'limit_unavailable', status: 503 });
        assert.ok(admitted < 10, `${admitted} calls`);
      } else {
        await countOn();
        assert.equal(admitted, 40);
      }
      assert.equal(metering.limits.countedIn, null);
      assert.equal(messages.filter((line) => line.includes('Limits cannot be counted')).length, 1);
      relay.mend();
      await until(() => metering.limits.countedIn === 'postgresql');
      const [other] = await openAll(1);
      assert.ok(other);
      admitted += (await flood(limit, [metering, other])).length;
      assert.ok(admitted <= 40 && admitted >= 36, `${admitted} of 40`);
      await closeAll([metering, other]);
      await pool.end();
    });
  }
});
