import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { memberId } from '../../src/access/principal.ts';
import type { GatewayError } from '../../src/kernel/errors.ts';
import { assertSumsAreExact } from './sums.ts';
import { aDatabase, aMetering, anId, aPrincipal, aStart, type Database, enroll, success, until } from './support.ts';

const isBudgetExceeded = ({ type }: GatewayError) => type === 'budget_exceeded';

describe('a window', () => {
  let database: Database;
  before(async () => {
    database = await aDatabase();
  });
  after(() => database[Symbol.asyncDispose]());

  const windowsOf = async (id: string) => {
    const { rows } = await database.pool.query(
      'select duration, model, started_at, spend from gatewayctl.budget_windows where id = $1 order by duration, model',
      [id],
    );
    return rows.map(({ duration, model, started_at: at, spend }) => [duration, model, at.toISOString(), Number(spend)]);
  };

  async function aMember(max: bigint) {
    const [teamId, userId] = [anId('team'), anId('user')];
    const id = memberId(teamId, userId);
    const holder = { entity: 'member', id, label: id } as const;
    const { budgets } = aPrincipal({ teamId, userId });
    const limits = [
      { ...holder, max, duration: '1d' },
      { ...holder, max: null, duration: '30d', soft: 150_000n },
      { ...holder, max: 10n ** 9n, duration: '1h', model: 'mock' },
    ];
    const principal = aPrincipal({ teamId, userId, budgets: [...budgets.slice(1), ...limits] });
    await enroll(database.pool, principal);
    return { id, principal };
  }
  const hundred = success({ promptTokens: 100 });

  test('is over when the clock says so, and a call is booked in the one it was admitted in', async () => {
    let now = new Date('2026-11-30T23:59:50Z');
    const { metering, messages } = await aMetering(database.pool, { now: () => now });
    const { id, principal } = await aMember(350_000n);
    const begin = () => metering.begin(aStart({ principal, startedAt: now, maxCompletionTokens: 1 }));
    await metering.prepare(principal);
    const late = begin();
    begin().settle(hundred);
    begin().settle(hundred);
    assert.throws(begin, isBudgetExceeded);

    now = new Date('2026-12-01T00:00:10Z');
    await metering.prepare(principal);
    begin().settle(hundred);
    late.settle(hundred);
    await until(() => metering.backlog === 0);
    assert.deepEqual(await windowsOf(id), [
      ['1d', '', '2026-12-01T00:00:00.000Z', 100_000],
      ['1h', 'mock', '2026-12-01T00:00:00.000Z', 100_000],
      ['30d', '', '2026-12-01T00:00:00.000Z', 100_000],
    ]);
    begin().settle(hundred);
    begin().settle(hundred);
    assert.throws(begin, isBudgetExceeded);
    await metering[Symbol.asyncDispose]();
    assert.equal(messages.filter((message) => /soft budget of member/.test(message)).length, 2, 'once in each window');
    await assertSumsAreExact(database.pool);
  });

  test('keeps what the process before this one has spent', async () => {
    const { id, principal } = await aMember(250_000n);
    const { metering, journalPath } = await aMetering(database.pool);
    await metering.prepare(principal);
    metering.begin(aStart({ principal, maxCompletionTokens: 1 })).settle(hundred);
    metering.begin(aStart({ principal, maxCompletionTokens: 1 })).settle(hundred);
    await metering[Symbol.asyncDispose]();
    assert.deepEqual(
      (await windowsOf(id)).map(([duration, , , spend]) => [duration, spend]),
      [
        ['1d', 200_000],
        ['1h', 200_000],
        ['30d', 200_000],
      ],
    );
    const { metering: next } = await aMetering(database.pool, { journalPath });
    await next.prepare(principal);
    assert.throws(() => next.begin(aStart({ principal, maxCompletionTokens: 1 })), isBudgetExceeded);
    await next[Symbol.asyncDispose]();
    await assertSumsAreExact(database.pool);
  });
});
