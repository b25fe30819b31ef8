import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Principal } from '../../src/access/principal.ts';
import type { GatewayError } from '../../src/kernel/errors.ts';
import { startRelay } from '../support/postgres-relay.ts';
import { assertSumsAreExact } from './sums.ts';
import {
  aDatabase,
  aDeployment,
  aDirectory,
  aMetering,
  anId,
  aPool,
  aPrincipal,
  aStart,
  type Database,
  enroll,
  success,
  until,
} from './support.ts';

describe('metering', () => {
  let database: Database;
  before(async () => {
    database = await aDatabase();
  });
  after(() => database[Symbol.asyncDispose]());

  const one = async <Row>(sql: string, ...values: unknown[]) => (await database.pool.query(sql, values)).rows[0] as Row;

  async function enrolled(given: Parameters<typeof aPrincipal>[0] = {}): Promise<Principal> {
    const principal = aPrincipal(given);
    await enroll(database.pool, principal);
    return principal;
  }
  const spendOf = async (table: string, id: string) =>
    BigInt((await one<{ spend: string }>(`select spend from gatewayctl.${table} where id = $1`, id)).spend);

  test('books a call on its key, team, user, organization and membership, by itself', async () => {
    const { metering } = await aMetering(database.pool);
    const principal = await enrolled({
      teamId: anId('team'),
      userId: anId('user'),
      organizationId: anId('org'),
      max: 10n ** 9n,
    });
    await metering.prepare(principal);
    const start = aStart({ principal, charge: { ...principal, tags: ['a', 'b'] }, endUser: 'someone', stream: true });
    const settlement = metering
      .begin(start)
      .settle({ ...success({ promptTokens: 10, completionTokens: 5 }), firstByteAt: new Date() });
    assert.deepEqual(settlement, { cost: 20_000n, priceSource: 'model_info', keySpend: 20_000n });

    await until(() => metering.backlog === 0);
    assert.equal(await spendOf('keys', principal.keyId), 20_000n);
    assert.equal(await spendOf('organizations', principal.organizationId!), 20_000n);
    const row = await one<Record<string, unknown>>(
      'select * from gatewayctl.spend_logs where request_id = $1',
      start.requestId,
    );
    assert.partialDeepStrictEqual(row, {
      key_id: principal.keyId,
      team_id: principal.teamId,
      end_user: 'someone',
      request_tags: ['a', 'b'],
      stream: true,
      status: 'success',
      http_status: 200,
      prompt_tokens: '10',
      completion_tokens: '5',
      spend: '20000',
      price_source: 'model_info',
      started_at: start.startedAt,
    });
    await assertSumsAreExact(database.pool);
    await metering[Symbol.asyncDispose]();
  });

  test('admits calls of no known length one at a time where a budget has no room for the longest answers', async () => {
    const { metering } = await aMetering(database.pool);
    // Of two dollars for a million tokens: the longest answer is some 0.26 dollars, what is guessed 0.008.
    const call = (principal: Principal) =>
      metering.begin(aStart({ principal, promptTokens: 10, maxCompletionTokens: undefined }));
    const ask = (principal: Principal) => {
      try {
        return { call: call(principal) };
      } catch (thrown) {
        return { thrown: thrown as GatewayError };
      }
    };
    const tight = await enrolled({ max: 50_000_000n });
    await metering.prepare(tight);
    const asked = Array.from({ length: 20 }, () => ask(tight));
    const [first, ...others] = asked;
    assert.ok(first?.call, 'one of twenty at once');
    assert.ok(others.every(({ thrown }) => thrown?.type === 'budget_busy' && thrown.headers['retry-after'] === '1'));
    assert.ok(metering.begin(aStart({ principal: tight, promptTokens: 1, maxCompletionTokens: 1 })), 'others go on');

    // Whoever has waited for long in vain waits again: to look at once would leave no turn to anybody else.
    await metering.cover(others[0]?.thrown);
    const again = metering.cover(ask(tight).thrown);
    const lookedAt = await Promise.race([again?.then(() => 'at once'), turn('later')]);
    assert.equal(lookedAt, 'later');
    const waiting = metering.cover(others[0]?.thrown);
    first.call.settle(success({ promptTokens: 10, completionTokens: 1_000 }));
    await waiting;
    const second = call(tight);
    assert.equal(ask(tight).thrown?.type, 'budget_busy');
    second.settle(success({ promptTokens: 10, completionTokens: 100_000 }));
    assert.equal(ask(tight).thrown?.type, 'budget_exceeded', 'one request has passed the budget, and no other does');

    const ample = await enrolled({ max: 6_000_000_000n });
    await metering.prepare(ample);
    const all = Array.from({ length: 20 }, () => call(ample));
    for (const each of all) each.settle(success({ promptTokens: 10, completionTokens: 100_000 }));

    // Those whose own budgets are small do not wait for each other where what they share has room for all of them.
    const teamId = anId('team');
    const inTeam = async (max: bigint) => {
      const { keyId, ...member } = await enrolled({ max: 50_000_000n, teamId });
      const budgets = member.budgets.map((limit) => (limit.entity === 'team' ? { ...limit, max } : limit));
      return { ...member, keyId, budgets };
    };
    const members = await Promise.all(Array.from({ length: 4 }, () => inTeam(600_000_000n)));
    for (const each of members) await metering.prepare(each);
    // Of 0.6 dollars two times 0.26 are held: the third could pass it, and the fourth waits for that one.
    const begun = members.map(ask);
    assert.deepEqual(
      begun.map(({ thrown }) => thrown?.type),
      [undefined, undefined, undefined, 'budget_busy'],
    );
    for (const each of begun) each.call?.settle(success({ promptTokens: 10, completionTokens: 100_000 }));
    await until(() => metering.backlog === 0);
    await assertSumsAreExact(database.pool);
    await metering[Symbol.asyncDispose]();
  });

  test('lets a further attempt take the place of one that cost nothing, if there is room for it', async () => {
    const { metering } = await aMetering(database.pool);
    const found = await enrolled({ max: 20_000n });
    const limit = { entity: 'key', id: found.keyId, label: 'k', requests: 1, tokens: null, parallel: 1 } as const;
    const principal = { ...found, rates: [limit] };
    await metering.prepare(principal);
    const start = aStart({ principal, promptTokens: 10, maxCompletionTokens: 5 });
    const begun = async () => {
      try {
        return metering.begin(start);
      } catch (thrown) {
        await metering.cover(thrown);
        return metering.begin(start);
      }
    };
    const call = await begun();
    const at = (id: string, price: number) =>
      aDeployment({ id, info: { input_cost_per_token: price, output_cost_per_token: price } });
    assert.throws(
      () => call.redirect({ ...start, deployment: at('dear', 1e-5), attempts: 2 }),
      (error: GatewayError) => error.type === 'budget_exceeded',
    );
    // What was refused has changed nothing: the room is still this call's, and nobody else's.
    await assert.rejects(begun, (error: GatewayError) => error.kind === 'limited');
    call.redirect({ ...start, deployment: at('cheap', 1e-6), attempts: 2 });
    await assert.rejects(begun, /Limit type: requests/);
    assert.equal(call.settle(success({ promptTokens: 10, completionTokens: 5 })).cost, 15_000n);
    await until(() => metering.backlog === 0);
    const { rows } = await database.pool.query(
      'select model_id, attempts, spend from gatewayctl.spend_logs where request_id = $1',
      [start.requestId],
    );
    assert.deepEqual(rows, [{ model_id: 'cheap', attempts: 2, spend: '15000' }]);
    await assertSumsAreExact(database.pool);
    await metering[Symbol.asyncDispose]();
  });

  test('settles a call once, whatever is said of it later', async () => {
    const { metering } = await aMetering(database.pool);
    const principal = await enrolled();
    await metering.prepare(principal);
    const call = metering.begin(aStart({ principal }));
    const first = call.settle(success({ promptTokens: 10 }));
    assert.equal(call.settle({ status: 'failure', httpStatus: 502 }), first);
    await metering[Symbol.asyncDispose]();
    assert.equal(await spendOf('keys', principal.keyId), 10_000n);
  });

  test('charges nothing for a failure, and gives its reservation back', async () => {
    const { metering } = await aMetering(database.pool);
    const principal = await enrolled({ max: 300_000n });
    await metering.prepare(principal);
    for (let attempt = 0; attempt < 3; attempt++) {
      const { cost } = metering
        .begin(aStart({ principal }))
        .settle({ status: 'failure', httpStatus: 502, error: 'upstream' });
      assert.equal(cost, 0n);
    }
    await metering[Symbol.asyncDispose]();
    assert.partialDeepStrictEqual(
      await one('select failed_requests, requests from gatewayctl.daily_spend where key_id = $1', principal.keyId),
      { failed_requests: '3', requests: '3' },
    );
  });

  test('books the master key without a budget', async () => {
    const { metering } = await aMetering(database.pool);
    const principal = aPrincipal({ kind: 'master', keyId: 'master', hash: 'master', budgets: [] });
    assert.equal(metering.prepare(principal), undefined);
    assert.equal(metering.begin(aStart({ principal })).settle(success({ promptTokens: 10 })).keySpend, undefined);
    await metering[Symbol.asyncDispose]();
    assert.partialDeepStrictEqual(await one(`select spend from gatewayctl.spend_logs where key_id = 'master'`), {
      spend: '10000',
    });
  });

  test('refuses a call over budget before anything is in the journal', async () => {
    const { metering } = await aMetering(database.pool);
    const principal = await enrolled({ max: 0n });
    await metering.prepare(principal);
    assert.throws(
      () => metering.begin(aStart({ principal })),
      ({ type }: GatewayError) => type === 'budget_exceeded',
    );
    await metering[Symbol.asyncDispose]();
    assert.partialDeepStrictEqual(
      await one('select count(*) from gatewayctl.spend_logs where key_id = $1', principal.keyId),
      { count: '0' },
    );
  });

  describe('service tiers', () => {
    const priced = aDeployment({
      info: {
        input_cost_per_token: 1e-6,
        output_cost_per_token: 2e-6,
        input_cost_per_token_priority: 2e-6,
        output_cost_per_token_priority: 4e-6,
        input_cost_per_token_flex: 5e-7,
        output_cost_per_token_flex: 1e-6,
      },
    });
    const size = { promptTokens: 100, maxCompletionTokens: 100 };

    async function costOfCall(serviceTier: string | undefined, servedBy: string | undefined, max = 10n ** 9n) {
      const { metering } = await aMetering(database.pool);
      const principal = await enrolled({ max });
      await metering.prepare(principal);
      try {
        const call = metering.begin(aStart({ principal, deployment: priced, serviceTier, ...size }));
        return call.settle({ ...success({ promptTokens: 100, completionTokens: 100 }), serviceTier: servedBy }).cost;
      } finally {
        await metering[Symbol.asyncDispose]();
      }
    }

    test('are booked by the one that answered, else by the one asked for', async () => {
      assert.equal(await costOfCall(undefined, undefined), 300_000n);
      assert.equal(await costOfCall('priority', undefined), 600_000n);
      assert.equal(await costOfCall('priority', 'priority'), 600_000n);
      assert.equal(await costOfCall('priority', 'default'), 300_000n);
      assert.equal(await costOfCall('flex', 'flex'), 150_000n);
      assert.equal(await costOfCall('auto', 'priority'), 600_000n);
      assert.equal(await costOfCall('default', 'somewhere'), 300_000n);
    });

    test('are reserved by the one asked for, and by the dearest when it is left open', async () => {
      const isRefused = ({ type }: GatewayError) => type === 'budget_exceeded';
      assert.equal(await costOfCall('default', 'default', 300_000n), 300_000n);
      assert.equal(await costOfCall('flex', 'flex', 150_000n), 150_000n);
      for (const tier of ['auto', 'priority', undefined]) {
        await assert.rejects(() => costOfCall(tier, 'default', 599_999n), isRefused);
        assert.equal(await costOfCall(tier, 'default', 600_000n), 300_000n);
      }
    });

    test('without a price are refused for a model that has one', async () => {
      const { metering } = await aMetering(database.pool);
      const principal = await enrolled();
      await metering.prepare(principal);
      for (const tier of ['priority', 'flex', 'scale', 'Priority', '']) {
        assert.throws(
          () => metering.begin(aStart({ principal, serviceTier: tier })),
          ({ type, status, param }: GatewayError) =>
            type === 'unsupported_service_tier' && status === 400 && param === 'service_tier',
        );
      }
      const free = aDeployment({ provider: 'hosted_vllm', info: {} });
      metering.begin(aStart({ principal, deployment: free, serviceTier: 'priority' })).settle(success({}));
      await metering[Symbol.asyncDispose]();
    });
  });

  test('counts what the last process left unbooked against the budget from the first call on', async () => {
    await using relay = await startRelay(database.url);
    const behind = aPool(relay.url);
    const principal = await enrolled({ max: 500_000n });
    const { metering, journalPath } = await aMetering(behind);
    await metering.prepare(principal);
    relay.cut();
    metering.begin(aStart({ principal, promptTokens: 10 })).settle(success({ promptTokens: 10 }));
    metering.begin(aStart({ principal, promptTokens: 290 }));
    // The files as a kill would leave them: one call settled, one open, nothing flushed.
    const copy = join(await aDirectory(), 'spend.db');
    for (const end of ['', '-wal']) await copyFile(journalPath + end, copy + end);

    const next = await aMetering(database.pool, { journalPath: copy });
    await next.metering.prepare(principal);
    assert.throws(
      () => next.metering.begin(aStart({ principal, promptTokens: 1 })),
      /Current cost: 0.0003, Max budget: 0.0005/,
    );
    next.metering.begin(aStart({ principal, promptTokens: 0 }));
    await behind.end();
  });
});
