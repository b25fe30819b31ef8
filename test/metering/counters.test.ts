import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { GatewayError } from '../../src/kernel/errors.ts';
import { Counters, type Reservation } from '../../src/metering/counters.ts';
import { aDatabase, anId, aPool, aPrincipal, type Database, enroll } from './support.ts';

const isBudgetExceeded = ({ status, type, headers }: GatewayError) =>
  status === 429 && type === 'budget_exceeded' && headers['x-should-retry'] === 'false';

const forGood = { model: '', duration: '', startMs: 0 };

describe('the counters', () => {
  let database: Database;
  before(async () => {
    database = await aDatabase();
  });
  after(() => database[Symbol.asyncDispose]());

  async function aKey(max: bigint | null, spend = 0n) {
    const principal = aPrincipal({ max, teamId: anId('team'), userId: anId('user') });
    await enroll(database.pool, principal);
    await database.pool.query('update gatewayctl.keys set spend = $2 where id = $1', [principal.keyId, spend]);
    return principal;
  }

  test('read what is missing with one statement for all who wait, and nothing when all is known', async () => {
    const pool = aPool(database.url);
    const asked: string[] = [];
    pool.on('acquire', () => asked.push('statement'));
    const counters = new Counters(pool);
    const principals = await Promise.all(Array.from({ length: 50 }, () => aKey(100n)));
    await Promise.all(principals.map(async (principal) => counters.ensure(principal)));
    assert.equal(asked.length, 1);
    assert.equal(counters.ensure(principals[0]!), undefined);
    await pool.end();
  });

  test('need no statement for what the key look-up brought along', () => {
    const principal = aPrincipal({ max: 100n });
    const counters = new Counters(database.pool);
    counters.seed('key', principal.keyId, 40n);
    assert.equal(counters.ensure(principal), undefined);
    assert.equal(counters.settle(counters.reserve(principal.budgets, 60n), 50n), 90n);
  });

  test('refuse a budget that is used up, and one the worst case would pass', async () => {
    const principal = await aKey(100n, 40n);
    const counters = new Counters(database.pool);
    await counters.ensure(principal);
    assert.throws(() => counters.reserve(principal.budgets, 61n), isBudgetExceeded);
    const reservation = counters.reserve(principal.budgets, 60n);
    assert.throws(() => counters.reserve(principal.budgets, 0n), isBudgetExceeded);
    counters.settle(reservation, 0n);
    counters.reserve(principal.budgets, 60n);
  });

  test('refuse a budget of zero at once, and never one that is unlimited', async () => {
    const counters = new Counters(database.pool);
    const [none, endless] = [await aKey(0n), await aKey(null, 10n ** 18n)];
    await counters.ensure(none);
    await counters.ensure(endless);
    assert.throws(() => counters.reserve(none.budgets, 0n), isBudgetExceeded);
    counters.reserve(endless.budgets, 10n ** 15n);
  });

  test("refuse in LiteLLM's words, for each kind of budget", () => {
    const counters = new Counters(database.pool);
    const words = {
      key: /^Budget has been exceeded! Current cost: 1.5, Max budget: 1$/,
      team: /^Budget has been exceeded! Team=x Current cost: 1.5, Max budget: 1$/,
      user: /^ExceededBudget: User=x over budget. Spend=1.5, Budget=1$/,
    };
    for (const entity of ['key', 'team', 'user'] as const) {
      counters.seed(entity, 'x', 1_500_000_000n);
      assert.throws(() => counters.reserve([{ entity, id: 'x', label: 'x', max: 1_000_000_000n }], 0n), {
        message: words[entity],
      });
    }
  });

  test('reserve in all budgets or in none', () => {
    const counters = new Counters(database.pool);
    const principal = aPrincipal({ max: 100n });
    const full = anId('team');
    counters.seed('key', principal.keyId, 0n);
    counters.seed('team', full, 10n);
    const limits = [...principal.budgets, { entity: 'team', id: full, label: full, max: 10n } as const];
    assert.throws(() => counters.reserve(limits, 100n), /Team=/);
    counters.reserve(principal.budgets, 100n);
  });

  test('see what other daemons have spent with the totals of a flush', () => {
    const counters = new Counters(database.pool);
    const { keyId: id, budgets } = aPrincipal({ max: 100n });
    counters.seed('key', id, 0n);
    counters.settle(counters.reserve(budgets, 10n), 10n);
    const apply = counters.beginFlush();
    counters.settle(counters.reserve(budgets, 10n), 5n);
    apply([{ ...forGood, entity: 'key', id, amount: 10n, total: 80n }]);
    assert.equal(counters.settle(counters.reserve(budgets, 15n), 0n), 85n);
    assert.throws(() => counters.reserve(budgets, 16n), isBudgetExceeded);
  });

  test('read a total anew after a refresh, and believe no flush that started before it', async () => {
    const principal = await aKey(100n, 100n);
    const counters = new Counters(database.pool);
    await counters.ensure(principal);
    assert.throws(() => counters.reserve(principal.budgets, 1n), isBudgetExceeded);

    const applyLate = counters.beginFlush();
    await database.pool.query('update gatewayctl.keys set spend = 0 where id = $1', [principal.keyId]);
    counters.refresh('key', principal.keyId);
    await counters.ensure(principal);
    applyLate([{ ...forGood, entity: 'key', id: principal.keyId, amount: 0n, total: 100n }]);
    counters.reserve(principal.budgets, 100n);
  });

  test('read a total again after refusing on an old one, so that a reset nobody announced is found', async () => {
    const principal = await aKey(100n, 0n);
    const counters = new Counters(database.pool);
    counters.seed('key', principal.keyId, 100n);
    counters.seed('team', principal.teamId!, 0n);
    counters.seed('user', principal.userId!, 0n);
    assert.throws(() => counters.reserve(principal.budgets, 1n), isBudgetExceeded);
    await counters.ensure(principal);
    counters.reserve(principal.budgets, 1n);
  });

  test('serve on with what they know while the database is away, and refuse what they do not as unavailable', async () => {
    const dead = aPool('postgresql://nobody@127.0.0.1:1/none');
    const counters = new Counters(dead);
    const [known, unknown] = [aPrincipal({ max: 100n }), aPrincipal({ max: 100n })];
    counters.seed('key', known.keyId, 0n);
    counters.refresh('key', known.keyId);
    await counters.ensure(known);
    counters.reserve(known.budgets, 1n);
    await assert.rejects(counters.ensure(unknown)!, ({ status }: GatewayError) => status === 503);
    assert.throws(
      () => counters.reserve(unknown.budgets, 1n),
      ({ status }: GatewayError) => status === 503,
    );
  });

  test('forget idle entities, and none that has something reserved or unflushed', () => {
    const counters = new Counters(database.pool, { most: 100 });
    const held = aPrincipal();
    counters.seed('key', held.keyId, 0n);
    counters.reserve(held.budgets, 1n);
    const spending = aPrincipal();
    counters.seed('key', spending.keyId, 0n);
    counters.settle(counters.reserve(spending.budgets, 1n), 7n);
    for (let index = 0; index < 10_000; index++) counters.seed('key', `idle-${index}`, 0n);
    assert.ok(counters.size <= 101, String(counters.size));
    assert.equal(counters.ensure(held), undefined);
    assert.equal(counters.settle(counters.reserve(spending.budgets, 0n), 0n), 7n);
  });

  test('never pass a budget, whatever order 500 calls at once reserve and settle in', async () => {
    for (let round = 0; round < 20; round++) {
      const counters = new Counters(database.pool);
      const max = BigInt(Math.floor(Math.random() * 10_000));
      const { keyId, budgets } = aPrincipal({ max });
      counters.seed('key', keyId, 0n);
      let spent = 0n;
      let admitted = 0;
      const call = async () => {
        const worst = BigInt(Math.floor(Math.random() * 100));
        await Promise.resolve();
        let reservation: Reservation;
        try {
          reservation = counters.reserve(budgets, worst);
        } catch (error) {
          assert.ok(isBudgetExceeded(error as GatewayError));
          return;
        }
        admitted++;
        await new Promise((resolve) => setImmediate(resolve));
        const cost = (worst * BigInt(Math.floor(Math.random() * 101))) / 100n;
        spent += cost;
        assert.equal(counters.settle(reservation, cost), spent);
      };
      await Promise.all(Array.from({ length: 500 }, call));
      assert.ok(spent <= max, `${spent} of ${max}`);
      assert.ok(admitted > 0 || max < 100n);
    }
  });
});
