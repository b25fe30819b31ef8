import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { postmasterPid } from '../support/postgres.ts';
import { startChaosSite } from './site.ts';
import {
  aSeed,
  type Figures,
  reconcile,
  rounds,
  seeded,
  spendRows,
  startBillingUpstream,
  startLoad,
} from './support.ts';

const clients = 20;

/** 22 s on two idle cores; a start takes several seconds where four suites share them. */
const timeout = 300_000;

const report = (t: TestContext, seed: number, figures: Figures): void =>
  t.diagnostic(
    `seed ${seed}: ${Object.entries(figures)
      .map(([name, figure]) => `${name} ${figure}`)
      .join(', ')}`,
  );

test(
  'kill -9 under load, again and again: every call the upstream has answered is booked, and none twice',
  { timeout },
  async (t) => {
    const seed = aSeed();
    const random = seeded(seed);
    await using billing = await startBillingUpstream(random);
    await using site = await startChaosSite(billing.upstream.url);
    using load = startLoad(site.target, site.key, clients);

    for (let round = 0; round < rounds; round++) {
      await billing.afterAnswers(5 + Math.floor(random() * 75));
      await site.end('SIGKILL');
      await site.start();
    }
    await billing.afterAnswers(50);
    await load.stop();
    // An orderly end flushes the journal.
    assert.equal(await site.end('SIGTERM'), 0);

    const figures = await reconcile(site.pool, billing, load.acknowledged);
    report(t, seed, figures);
    assert.ok(figures.interrupted > 0, 'something was under way when the daemon was killed');
    assert.equal(figures.failure, 0);
    assert.deepEqual([...load.refused], []);
  },
);

test('SIGTERM under load, again and again: the rows are exactly the calls the upstream has answered', async (t) => {
  const seed = aSeed();
  const random = seeded(seed);
  await using billing = await startBillingUpstream(random);
  await using site = await startChaosSite(billing.upstream.url);
  using load = startLoad(site.target, site.key, clients);

  for (let round = 0; round < rounds / 2; round++) {
    await billing.afterAnswers(30 + Math.floor(random() * 60));
    assert.equal(await site.end('SIGTERM'), 0);
    const rows = await spendRows(site.pool);
    assert.equal(rows.length, billing.billed.size, 'at its end nothing is left in the journal');
    await site.start();
  }
  await load.stop();
  assert.equal(await site.end('SIGTERM'), 0);

  const figures = await reconcile(site.pool, billing, load.acknowledged);
  report(t, seed, figures);
  const { received, answered, rows, success } = figures;
  assert.deepEqual({ answered, rows, success }, { answered: received, rows: received, success: received });
  assert.deepEqual([...load.refused], []);
});

test('kill -9 of PostgreSQL under load: it is started again, nobody is called unknown, and everything is booked', async (t) => {
  const seed = aSeed();
  await using billing = await startBillingUpstream(seeded(seed));
  await using site = await startChaosSite(billing.upstream.url, { durable: true });
  using load = startLoad(site.target, site.key, clients);

  await billing.afterAnswers(60);
  process.kill(await postmasterPid(site.stateDir), 'SIGKILL');
  await billing.afterAnswers(120);
  await load.stop();
  assert.equal(await site.end('SIGTERM'), 0);

  const figures = await reconcile(site.pool, billing, load.acknowledged);
  report(t, seed, figures);
  const { received, rows, success } = figures;
  assert.deepEqual({ rows, success }, { rows: received, success: received });
  // A key that cannot be looked up is not a bad key.
  assert.deepEqual(
    [...load.refused.keys()].filter((what) => what !== '503 database_unreachable'),
    [],
  );
});
