import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Principal } from '../../src/access/principal.ts';
import { bookRows } from '../../src/metering/booking.ts';
import type { Metering } from '../../src/metering/metering.ts';
import { draftRow, finishRow } from '../../src/metering/spend-row.ts';
import { assertSumsAreExact } from './sums.ts';
import {
  aDatabase,
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

const flush = (metering: Metering) => metering.flush({ deadlineMs: 10_000 });

describe('the ledger', () => {
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

  test('loses and doubles nothing when connections die in the middle of a flush', async () => {
    const pool = aPool(database.url, { application_name: 'doomed' });
    const { metering, messages } = await aMetering(pool);
    const principal = await enrolled();
    await metering.prepare(principal);
    let killed = 0;
    for (let round = 0; round < 30; round++) {
      for (let call = 0; call < 400; call++) metering.begin(aStart({ principal })).settle(success({ promptTokens: 1 }));
      const flushing = flush(metering);
      // Whichever statement it is in by then: insert, commit, or between.
      await new Promise((resolve) => setImmediate(resolve));
      const { rowCount } = await database.pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'doomed' and state <> 'idle'`,
      );
      killed += rowCount ?? 0;
      await flushing;
    }
    await metering[Symbol.asyncDispose]();
    assert.ok(killed > 5 && messages.length > 5, `${killed} killed, ${messages.length} noticed`);
    assert.partialDeepStrictEqual(
      await one('select count(*) from gatewayctl.spend_logs where key_id = $1', principal.keyId),
      { count: '12000' },
    );
    assert.equal(await spendOf('keys', principal.keyId), 12_000_000n);
    await assertSumsAreExact(database.pool);
    await pool.end();
  });

  test('adds nothing for rows that are sent again after a commit nobody heard of, and says what they amount to', async () => {
    const principal = await enrolled({ teamId: anId('team') });
    await (await aMetering(database.pool)).metering[Symbol.asyncDispose]();
    const outcome = { status: 'success', httpStatus: 200 } as const;
    const rest = finishRow({
      at: new Date(),
      outcome,
      usage: undefined,
      cost: 7n,
      price: { source: 'model_info', version: 'model 1' },
    });
    const rows = `[${draftRow(aStart({ principal }))}${rest}]`;
    const forGood = { model: '', duration: '', startMs: 0 };
    const total = [
      { ...forGood, entity: 'key', id: principal.keyId, amount: 7n, total: 7n },
      { ...forGood, entity: 'team', id: principal.teamId, amount: 7n, total: 7n },
    ];
    assert.deepEqual(await bookRows(database.pool, rows, { daemon: 'nobody' }), total);
    assert.deepEqual(await bookRows(database.pool, rows, { daemon: 'nobody' }), total);
    await assertSumsAreExact(database.pool);
  });

  test('lets eight daemons write the same teams at once without a deadlock and without an error', async () => {
    const principals = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        enrolled({
          teamId: `shared-team-${index % 5}`,
          userId: `shared-user-${index % 7}`,
          organizationId: 'shared-org',
        }),
      ),
    );
    const daemons = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const pool = aPool(database.url, { max: 2 });
        return { pool, ...(await aMetering(pool)) };
      }),
    );
    await Promise.all(
      daemons.map(async ({ metering }) => {
        for (const principal of principals) await metering.prepare(principal);
        for (let round = 0; round < 10; round++) {
          for (const principal of principals.toSorted(() => Math.random() - 0.5)) {
            metering.begin(aStart({ principal })).settle(success({ promptTokens: Math.floor(Math.random() * 100) }));
          }
          await flush(metering);
        }
      }),
    );
    for (const { metering, pool, messages } of daemons) {
      await metering[Symbol.asyncDispose]();
      await pool.end();
      assert.deepEqual(messages, []);
    }
    assert.partialDeepStrictEqual(
      await one(`select count(*) from gatewayctl.spend_logs where organization_id = 'shared-org'`),
      { count: '3200' },
    );
    await assertSumsAreExact(database.pool);
  });

  test('keeps the rows while the database is away, and books them within two seconds of its return', async () => {
    const pool = aPool(database.url, { application_name: 'away' });
    const { metering, messages } = await aMetering(pool);
    const principal = await enrolled();
    await metering.prepare(principal);
    const connect = pool.options;
    const { connectionString } = connect;
    connect.connectionString = 'postgresql://nobody@127.0.0.1:1/none';
    await database.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'away'`);
    metering.begin(aStart({ principal })).settle(success({ promptTokens: 10 }));
    await until(() => messages.length >= 5);
    assert.equal(metering.backlog, 1);
    connect.connectionString = connectionString;
    await until(() => metering.backlog === 0, 2_000);
    assert.equal(await spendOf('keys', principal.keyId), 10_000n);
    await metering[Symbol.asyncDispose]();
    await pool.end();
  });

  test('creates the partition of a month that nobody expected', async () => {
    let now = new Date('2031-07-15T12:00:00Z');
    const { metering, messages } = await aMetering(database.pool, { now: () => now });
    const principal = await enrolled();
    await metering.prepare(principal);
    metering.begin(aStart({ principal })).settle(success({ promptTokens: 1 }));
    now = new Date('2029-01-31T23:59:59.999Z');
    metering.begin(aStart({ principal })).settle(success({ promptTokens: 1 }));
    assert.equal(await flush(metering), true);
    assert.deepEqual(messages, []);
    assert.partialDeepStrictEqual(
      await one('select count(*) from gatewayctl.spend_logs_2029_01 where key_id = $1', principal.keyId),
      { count: '1' },
    );
    await metering[Symbol.asyncDispose]();
  });

  test('drops whole months past their retention by the clock of the database, and keeps the daily sums', async () => {
    const old = new Date(Date.now() - 200 * 86_400_000);
    const first = await aMetering(database.pool, { now: () => old, retentionDays: 400 });
    const principal = await enrolled();
    await first.metering.prepare(principal);
    first.metering.begin(aStart({ principal })).settle(success({ promptTokens: 1 }));
    await first.metering[Symbol.asyncDispose]();
    const rows = 'select count(*) from gatewayctl.spend_logs where key_id = $1';
    assert.partialDeepStrictEqual(await one(rows, principal.keyId), { count: '1' });

    const far = await aMetering(database.pool, { now: () => new Date('2060-01-01T00:00:00Z'), retentionDays: 400 });
    assert.partialDeepStrictEqual(await one(rows, principal.keyId), { count: '1' });
    await far.metering[Symbol.asyncDispose]();

    const next = await aMetering(database.pool, { retentionDays: 90 });
    assert.partialDeepStrictEqual(await one(rows, principal.keyId), { count: '0' });
    assert.partialDeepStrictEqual(
      await one('select requests from gatewayctl.daily_spend where key_id = $1', principal.keyId),
      { requests: '1' },
    );
    await next.metering[Symbol.asyncDispose]();
    await database.pool.query('delete from gatewayctl.daily_spend where key_id = $1', [principal.keyId]);
    await database.pool.query('update gatewayctl.keys set spend = 0 where id = $1', [principal.keyId]);
  });

  test('books whatever clients put into names, and cuts what no index takes', async () => {
    const { metering, messages } = await aMetering(database.pool);
    const principal = await enrolled();
    await metering.prepare(principal);
    const hostile = ['\0', '\uD800', '"}],', '\\u0000', '🙂'.repeat(5_000), "'; drop table keys; --", ''];
    for (const text of hostile) {
      metering
        .begin(
          aStart({
            principal,
            model: text || 'x',
            upstreamModel: text,
            endUser: text,
            charge: { ...principal, tags: [text, text] },
            requesterIp: text,
          }),
        )
        .settle({ status: 'interrupted', httpStatus: 499, error: text, usage: success({ promptTokens: 1 }).usage });
    }
    assert.equal(await flush(metering), true);
    assert.deepEqual(messages, []);
    assert.partialDeepStrictEqual(
      await one('select count(*) from gatewayctl.spend_logs where key_id = $1', principal.keyId),
      { count: String(hostile.length) },
    );
    await metering[Symbol.asyncDispose]();
  });

  test('sets a row aside that the database refuses, and books the others', async () => {
    const { metering, messages } = await aMetering(database.pool);
    const principal = await enrolled();
    // Nobody but us makes ids, so this takes a bug of ours.
    const { keyId, budgets } = aPrincipal({ keyId: randomBytes(50_000).toString('hex') });
    const team = await enrolled({ teamId: anId('team') });
    const ofTeam = { entity: 'team', id: team.teamId!, label: 'team', max: 300_500n } as const;
    const poison = aPrincipal({ keyId, teamId: team.teamId, budgets: [...budgets, ofTeam] });
    metering.seed('key', poison.keyId, 0n);
    await metering.prepare(principal);
    await metering.prepare(poison);
    for (let call = 0; call < 100; call++) {
      metering.begin(aStart({ principal: call === 37 ? poison : principal })).settle(success({ promptTokens: 1 }));
    }
    assert.equal(await flush(metering), true);
    assert.match(messages.join('\n'), /^error The database refuses a spend row[^\n]*$/);
    assert.partialDeepStrictEqual(
      await one('select count(*) from gatewayctl.spend_logs where key_id = $1', principal.keyId),
      { count: '99' },
    );
    // What was set aside counts in no budget any more: there is room for a whole call again.
    metering.begin(aStart({ principal: poison }));
    await metering[Symbol.asyncDispose]();
  });
});
