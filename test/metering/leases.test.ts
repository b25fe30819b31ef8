import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Client, type Pool } from 'pg';
import { type BudgetLimit, memberId, type Principal } from '../../src/access/principal.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import type { Call } from '../../src/metering/call.ts';
import type { Metering } from '../../src/metering/metering.ts';
import { startRelay } from '../support/postgres-relay.ts';
import { assertSumsAreExact } from './sums.ts';
import {
  aDatabase,
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

const typeOf = (thrown: unknown): string => GatewayError.from(thrown).type;

/** The money side of a daemon, which hears what the others say. */
async function aDaemon(url: string, pool: Pool, journalPath?: string) {
  const { metering, journalPath: path } = await aMetering(pool, journalPath === undefined ? {} : { journalPath });
  const ears = new Client({ connectionString: url });
  ears.on('error', () => undefined);
  ears.on('notification', ({ payload = '' }) => metering.heard(payload));
  await ears.connect();
  await ears.query('listen gatewayctl_leases');
  return { metering, ears, journalPath: path };
}

/** As the pipeline admits a call. */
async function admit(metering: Metering, principal: Principal, tokens: number): Promise<Call> {
  const start = () => aStart({ principal, promptTokens: tokens, maxCompletionTokens: 1 });
  await metering.prepare(principal);
  for (let left = 6; ; left--) {
    try {
      return metering.begin(start());
    } catch (thrown) {
      const waiting = left > 0 ? metering.cover(thrown) : undefined;
      if (!waiting) throw thrown;
      await waiting;
      await metering.prepare(principal);
    }
  }
}

const perToken = 1_000n;
/** Of a call of so many tokens: one more may come in the answer. */
const worst = (tokens: number): bigint => BigInt(tokens) * perToken + 2_000n;
const costing = (tokens: number) => success({ promptTokens: tokens, completionTokens: 1 });

describe('budgets that several daemons share', () => {
  let database: Database;
  const daemons: Awaited<ReturnType<typeof aDaemon>>[] = [];
  before(async () => {
    database = await aDatabase();
    for (let index = 0; index < 4; index++) daemons.push(await aDaemon(database.url, database.pool));
  });
  after(async () => {
    for (const { metering, ears } of daemons) {
      await metering[Symbol.asyncDispose]();
      await ears.end();
    }
    await assertSumsAreExact(database.pool);
    await database[Symbol.asyncDispose]();
  });

  const one = async (sql: string, ...values: unknown[]): Promise<Record<string, unknown>> =>
    (await database.pool.query(sql, values)).rows[0] ?? {};
  const held = async (id: string): Promise<bigint> => {
    const { sum } = await one('select coalesce(sum(amount), 0) as sum from gatewayctl.budget_leases where id = $1', id);
    return BigInt(String(sum));
  };
  const booked = () => until(() => daemons.every(({ metering }) => metering.backlog === 0));

  async function aKey(max: bigint) {
    const principal = aPrincipal({ max });
    await enroll(database.pool, principal);
    return principal;
  }
  const spendOf = async ({ keyId }: Principal): Promise<bigint> =>
    BigInt(String((await one('select spend from gatewayctl.keys where id = $1', keyId))['spend']));

  /** One principal with a budget of each kind that is the narrowest, and wide ones beside it. */
  const kinds: Record<string, (id: string, max: bigint) => Partial<Principal> & { budgets: BudgetLimit[] }> = {
    key: (id, max) => ({ budgets: [{ entity: 'key', id, label: id, max }] }),
    'key for a day': (id, max) => ({ budgets: [{ entity: 'key', id, label: id, max, duration: '1d' }] }),
    'key for a model': (id, max) => ({
      budgets: [{ entity: 'key', id, label: id, max, duration: '30d', model: 'mock' }],
    }),
    team: (id, max) => ({ teamId: id, budgets: [{ entity: 'team', id, label: id, max }] }),
    user: (id, max) => ({ userId: id, budgets: [{ entity: 'user', id, label: id, max, duration: '7d' }] }),
    member: (id, max) => ({
      teamId: id,
      userId: id,
      budgets: [{ entity: 'member', id: memberId(id, id), label: id, max }],
    }),
    organization: (id, max) => ({
      organizationId: id,
      budgets: [{ entity: 'organization', id, label: id, max }],
    }),
    'all together': (id, max) => ({ budgets: [{ entity: 'gateway', id, label: id, max }] }),
    'all together for a day': (id, max) => ({
      budgets: [{ entity: 'gateway', id, label: id, max, duration: '1d' }],
    }),
  };

  for (const [kind, limits] of Object.entries(kinds)) {
    test(`are never passed, and used up to the last call that fits: ${kind}`, async (t) => {
      const id = anId(kind.replaceAll(' ', '-'));
      const max = 600_000n;
      const given = limits(id, max);
      const keyId = kind.startsWith('key') ? id : anId('key');
      const free = { entity: 'key', id: keyId, label: keyId, max: null } as const;
      const principal = aPrincipal({
        ...given,
        keyId,
        budgets: kind === 'key' ? given.budgets : [free, ...given.budgets],
      });
      await enroll(database.pool, principal);
      let spent = 0n;
      let admitted = 0;
      const answers = new Map<string, number>();
      const client = async (index: number): Promise<void> => {
        const daemon = daemons[index % daemons.length]!;
        for (let call = 0; call < 12; call++) {
          const tokens = 1 + Math.floor(Math.random() * 10);
          try {
            const begun = await admit(daemon.metering, principal, tokens);
            admitted++;
            await turn();
            const used = Math.ceil(Math.random() * tokens);
            spent += begun.settle(costing(used)).cost;
          } catch (thrown) {
            const type = typeOf(thrown);
            answers.set(type, (answers.get(type) ?? 0) + 1);
          }
        }
      };
      await Promise.all(Array.from({ length: 40 }, (_, index) => client(index)));
      t.diagnostic(`${admitted} calls, ${spent} of ${max}, refused: ${JSON.stringify([...answers])}`);
      assert.ok(spent <= max, `${spent} of ${max}`);
      assert.deepEqual(
        [...answers.keys()].filter((type) => type !== 'budget_exceeded'),
        [],
      );
      // Whatever is left is found by the smallest call, wherever it is.
      await until(async () => {
        const begun = await admit(daemons[admitted % 4]!.metering, principal, 1).catch((thrown: unknown) => {
          assert.equal(typeOf(thrown), 'budget_exceeded');
        });
        admitted++;
        if (begun) spent += begun.settle(costing(1)).cost;
        return begun === undefined;
      });
      assert.ok(spent <= max && spent > max - worst(1), `${spent} of ${max}`);
      await booked();
      const { sum } = await one('select sum(spend) as sum from gatewayctl.spend_logs where key_id = $1', keyId);
      assert.equal(BigInt(String(sum)), spent);
    });
  }

  test('are held by halves where there are other daemons, which each ask once', async () => {
    const principal = await aKey(10n ** 9n);
    const { metering } = daemons[0]!;
    await metering.prepare(principal);
    assert.equal(await held(principal.keyId), 10n ** 9n / 2n);
    await daemons[1]!.metering.prepare(principal);
    assert.equal(await held(principal.keyId), (10n ** 9n * 3n) / 4n);
    for (let call = 0; call < 50; call++) {
      assert.equal(metering.prepare(principal), undefined);
      metering.begin(aStart({ principal, promptTokens: 5 })).settle(costing(5));
    }
    await booked();
    assert.equal((await held(principal.keyId)) + (await spendOf(principal)), (10n ** 9n * 3n) / 4n);
  });

  test('are shared out when a second daemon wants some, and given over to the last bit', async () => {
    const principal = await aKey(100_000n);
    const [first, second] = [daemons[0]!.metering, daemons[1]!.metering];
    await first.prepare(principal);
    const begun = await admit(second, principal, 10);
    // A call for nearly all that is left gets it, although both hold some.
    await admit(first, principal, 84);
    begun.settle(costing(10));
    await assert.rejects(admit(second, principal, 10), ({ type }: GatewayError) => type === 'budget_exceeded');
  });

  test('come down to a maximum that was lowered, wherever the rest is held', async () => {
    const { keyId } = await aKey(100_000n);
    const withMax = (max: bigint) => aPrincipal({ keyId, max });
    const [first, second] = [daemons[0]!.metering, daemons[1]!.metering];
    const begun = await admit(first, withMax(100_000n), 10);
    await assert.rejects(admit(second, withMax(20_000n), 9), { type: 'budget_exceeded' });
    const small = await admit(second, withMax(20_000n), 6);
    begun.settle(costing(1));
    small.settle(costing(6));
    await until(async () => {
      await first.prepare(withMax(20_000n));
      first.refresh('key', keyId);
      return (await held(keyId)) <= 20_000n;
    });
    await assert.rejects(admit(first, withMax(20_000n), 9), { type: 'budget_exceeded' });
  });

  test('come down when what was added to them for a while is over, wherever it is held', async () => {
    const { keyId } = await aKey(100_000n);
    const untilMs = Date.now() + 500;
    const increase = { amount: 900_000n, untilMs };
    const principal = aPrincipal({
      keyId,
      budgets: [{ entity: 'key', id: keyId, label: keyId, max: 100_000n, increase }],
    });
    const [first, second] = [daemons[0]!.metering, daemons[1]!.metering];
    for (const metering of [first, second]) (await admit(metering, principal, 1)).settle(costing(1));
    assert.ok((await held(keyId)) > 200_000n, 'they hold more than there is without it');
    await until(() => Date.now() >= untilMs);
    const begun = await Promise.allSettled([first, second].map((metering) => admit(metering, principal, 80)));
    const admitted = begun.filter(({ status }) => status === 'fulfilled');
    assert.ok(admitted.length <= 1, 'two of these do not fit');
    for (const each of begun) if (each.status === 'fulfilled') each.value.settle(costing(80));
    await booked();
    assert.ok((await spendOf(principal)) <= 100_000n);
    // Nothing is lost either: what is left can be had.
    await until(
      async () => (await admit(second, principal, 1).catch(() => undefined))?.settle(costing(1)) !== undefined,
    );
  });

  test('are held for each window by itself', async () => {
    let now = new Date('2027-01-31T23:59:59Z');
    const clocked = await Promise.all([0, 1].map(() => aMetering(database.pool, { now: () => now })));
    const id = anId('key');
    const principal = aPrincipal({
      keyId: id,
      budgets: [{ entity: 'key', id, label: id, max: 12_000n, duration: '1d' }],
    });
    await enroll(database.pool, principal);
    const [first, second] = clocked.map(({ metering }) => metering);
    const late = await admit(first!, principal, 10);
    await assert.rejects(admit(second!, principal, 10), { type: 'budget_exceeded' });
    now = new Date('2027-02-01T00:00:01Z');
    const early = await admit(second!, principal, 10);
    await assert.rejects(admit(first!, principal, 10), { type: 'budget_exceeded' });
    late.settle(costing(10));
    early.settle(costing(10));
    for (const { metering } of clocked) await metering[Symbol.asyncDispose]();
    assert.equal(await held(id), 0n);
    const { spend } = await one('select spend from gatewayctl.budget_windows where id = $1', id);
    assert.equal(spend, '12000');
  });

  test('go on from what is held while the database is away, and no further', async () => {
    await using relay = await startRelay(database.url);
    const behind = aPool(relay.url);
    const { metering } = await aMetering(behind);
    const [known, unknown] = [await aKey(100_000n), await aKey(100_000n)];
    const other = daemons[0]!.metering;
    (await admit(other, known, 48)).settle(costing(1));
    (await admit(metering, known, 1)).settle(costing(1));
    relay.cut();
    for (let call = 0; call < 3; call++) (await admit(metering, known, 5)).settle(costing(5));
    await assert.rejects(admit(metering, known, 45), ({ status, type, headers }: GatewayError) => {
      assert.deepEqual([status, type], [503, 'budget_unavailable']);
      return Number(headers['retry-after']) >= 1;
    });
    await assert.rejects(admit(metering, unknown, 1), { status: 503 });
    relay.mend();
    await until(async () => (await admit(metering, unknown, 1).catch(() => undefined)) !== undefined);
    await until(() => metering.backlog === 0);
    await booked();
    assert.equal(await spendOf(known), 27_000n);
    assert.ok((await held(known.keyId)) + (await spendOf(known)) <= 100_000n);
    await metering[Symbol.asyncDispose]();
    await behind.end();
  });

  test('are not asked for with every call of no known length that another daemon leaves no room for', async () => {
    const principal = await aKey(600_000_000n);
    const running = await admit(daemons[0]!.metering, principal, 400_000);
    const pool = aPool(database.url);
    const query = pool.query.bind(pool) as (...given: unknown[]) => unknown;
    let asked = 0;
    Object.assign(pool, {
      query: (...given: unknown[]) => {
        if ((given[0] as { name?: string }).name === 'gatewayctl-leases') asked++;
        return query(...given);
      },
    });
    const { metering } = await aMetering(pool);
    (await admit(metering, principal, 5_000)).settle(costing(1));
    const askedBefore = asked;
    const untilMs = performance.now() + 200;
    let calls = 0;
    for (; performance.now() < untilMs; calls++) {
      await metering.prepare(principal);
      metering.begin(aStart({ principal, promptTokens: 1, maxCompletionTokens: undefined })).settle(costing(1));
      await turn();
    }
    assert.ok(asked - askedBefore <= 6, `asked ${asked - askedBefore} times in ${calls} calls`);
    running.settle(costing(1));
    await metering[Symbol.asyncDispose]();
    await pool.end();
  });

  test('are free again when a daemon is dead, which is not answered as used up, and lost to it when it comes back', async () => {
    const principal = await aKey(100_000n);
    const { metering } = await aMetering(database.pool);
    const running = await admit(metering, principal, 50);
    const last = await admit(metering, principal, 40);
    const [{ daemon }] = (
      await database.pool.query('select daemon from gatewayctl.budget_leases where id = $1', [principal.keyId])
    ).rows;
    const wasHeardOf = (seconds: number) =>
      database.pool.query(
        `update gatewayctl.lease_holders set expires_at = now() + (60 - $2) * interval '1 s' where daemon = $1`,
        [daemon, seconds],
      );
    const survivor = daemons[0]!.metering;
    await assert.rejects(admit(survivor, principal, 50), { type: 'budget_exceeded' });
    await wasHeardOf(30);
    await until(async () => {
      const refusal: unknown = await admit(survivor, principal, 50).catch((thrown: unknown) => thrown);
      return typeOf(refusal) === 'budget_unavailable';
    });
    await wasHeardOf(70);
    await until(async () => (await admit(survivor, principal, 50).catch(() => undefined)) !== undefined);
    // What it had under way is booked all the same. For what comes now it must ask, as anybody else.
    await metering.prepare(await aKey(1n));
    running.settle(costing(50));
    last.settle(costing(40));
    await assert.rejects(admit(metering, principal, 1), { type: 'budget_exceeded' });
    await metering[Symbol.asyncDispose]();
    assert.equal(await spendOf(principal), 94_000n);
  });

  test('are not told to have refused a call where a part of them is held by a daemon that is dead', async () => {
    const principal = await aKey(100_000n);
    const dead = await aMetering(database.pool);
    const running = await admit(dead.metering, principal, 90);
    const refused: bigint[] = [];
    const watch = {
      isOn: true,
      booked: () => Promise.resolve(() => undefined),
      refused: ({ spent }: { spent: bigint }) => void refused.push(spent),
    };
    const { metering } = await aMetering(database.pool, { watch });
    await database.pool.query(
      `update gatewayctl.lease_holders set expires_at = now() + interval '30 s'
        where daemon in (select daemon from gatewayctl.budget_leases where id = $1 and amount > 0)`,
      [principal.keyId],
    );
    const types = (await Promise.allSettled(Array.from({ length: 3 }, () => admit(metering, principal, 50)))).map(
      (each) => each.status === 'rejected' && typeOf(each.reason),
    );
    assert.deepEqual(types, Array(3).fill('budget_unavailable'));
    // In the same moment it is not asked again, but taken for found out.
    assert.throws(() => metering.begin(aStart({ principal, promptTokens: 50, maxCompletionTokens: 1 })), {
      type: 'budget_unavailable',
    });
    assert.deepEqual(refused, []);
    running.settle(costing(90));
    for (const each of [dead.metering, metering]) await each[Symbol.asyncDispose]();
  });

  test('are given back by a daemon that ends, and covered for one that is killed until it is there again', async () => {
    const principal = await aKey(100_000n);
    const ending = await aMetering(database.pool);
    (await admit(ending.metering, principal, 50)).settle(costing(50));
    await ending.metering[Symbol.asyncDispose]();
    assert.equal(await held(principal.keyId), 0n);

    await using relay = await startRelay(database.url);
    const behind = aPool(relay.url);
    const killed = await aMetering(behind);
    await killed.metering.prepare(principal);
    const running = await admit(killed.metering, principal, 40);
    relay.cut();
    running.settle(costing(40));
    const copy = join(await aDirectory(), 'spend.db');
    for (const end of ['', '-wal']) await copyFile(killed.journalPath + end, copy + end);
    await assert.rejects(admit(daemons[0]!.metering, principal, 8), { type: 'budget_exceeded' });

    const next = await aMetering(database.pool, { journalPath: copy });
    await assert.rejects(admit(next.metering, principal, 8), { type: 'budget_exceeded' });
    (await admit(next.metering, principal, 4)).settle(costing(4));
    await until(() => next.metering.backlog === 0);
    assert.equal(await spendOf(principal), 100_000n);
    await next.metering[Symbol.asyncDispose]();
    await behind.end();
  });
});
