import { setTimeout as wait } from 'node:timers/promises';
import { seeded } from '../test/chaos/support.ts';
import { aDatabase, aMetering, aPrincipal, aStart, enroll, success } from '../test/metering/support.ts';
import { assertSumsAreExact } from '../test/metering/sums.ts';
import { compareBooks } from './books.ts';
import { type Callers, callOn, Tally } from './callers.ts';
import type { Line, PartReport } from './fault-parts.ts';
import type { FaultSite } from './fault-site.ts';

const clients = 24;

/** Calls, half of them streams, for as long as something is done to those who answer them. */
async function callWhile(site: FaultSite, rate: number, work: () => Promise<void>): Promise<Tally> {
  const tally = new Tally();
  let isDone = false;
  const callers: Callers = {
    urls: site.daemons.map(({ url }) => url),
    keys: site.keys,
    clients,
    rate,
    kinds: ['plain', 'stream'],
    tally: () => tally,
    goesOn: () => !isDone,
  };
  const calling = callOn(callers);
  try {
    await work();
  } finally {
    isDone = true;
    await calling;
  }
  return tally;
}

const listed = ({ counts }: Tally): string => [...counts].map(([what, count]) => `${count} × ${what}`).join('\n');

async function deadlocksIn({ pool }: Pick<FaultSite, 'pool'>): Promise<Line> {
  const { rows } = await pool.query<{ deadlocks: number }>(
    'select sum(deadlocks)::int as deadlocks from pg_stat_database',
  );
  const deadlocks = rows[0]?.deadlocks ?? Number.NaN;
  return { what: 'deadlocks', measured: String(deadlocks), goal: '0', holds: deadlocks === 0 };
}

interface Under {
  readonly rate: number;
  readonly seed: number;
}

/** (a) Daemons are killed and stopped in turn, and PostgreSQL is restarted twice meanwhile. */
export async function endsPart(site: FaultSite, { rate, seed, ends }: Under & { ends: number }): Promise<PartReport> {
  const random = seeded(seed);
  const signals = Array.from({ length: 2 * ends }, (_, index): NodeJS.Signals =>
    index % 2 === 0 ? 'SIGKILL' : 'SIGTERM',
  );
  const restartsAt = new Set([Math.floor(signals.length / 3), Math.floor((2 * signals.length) / 3)]);
  let unclean = 0;
  const tally = await callWhile(site, rate, async () => {
    for (const [index, signal] of signals.entries()) {
      await wait(200 + 600 * random());
      const restarting = restartsAt.has(index) ? restartPostgres(site) : undefined;
      // By twos, so that each daemon is ended by both signals.
      const status = await site.restart(Math.floor(index / 2) % site.daemons.length, signal);
      if (signal === 'SIGTERM' && status !== 0) unclean++;
      await restarting;
    }
    await wait(1_000);
  });
  return {
    title: `a. ${ends} × kill -9 and ${ends} × SIGTERM of ${site.daemons.length} daemons under ${rate} calls a second, PostgreSQL restarted twice`,
    lines: [
      { what: 'answers', measured: listed(tally) },
      { what: 'SIGTERMs that did not end with 0', measured: String(unclean), goal: '0', holds: unclean === 0 },
      ...(await compareBooks(site, tally.answered)),
    ],
  };
}

async function restartPostgres({ postgres }: FaultSite): Promise<void> {
  await postgres.stop();
  await postgres.start();
}

/** (b) Of the commits of eight daemons some fail, half of them before PostgreSQL hears of them and half after. */
export async function commitsPart(
  site: FaultSite,
  { rate, seed, seconds }: Under & { seconds: number },
): Promise<PartReport> {
  const random = seeded(seed);
  const commits = site.relays.map((relay) => relay.failCommits(0.3, random));
  const tally = await callWhile(site, rate, () => wait(seconds * 1_000));
  const sum = (what: 'all' | 'unsent' | 'unanswered') => commits.reduce((total, each) => total + each[what], 0);
  const counts = { all: sum('all'), unsent: sum('unsent'), unanswered: sum('unanswered') };
  for (const relay of site.relays) relay.mend();
  return {
    title: `b. 30 % of the commits of ${site.daemons.length} daemons fail for ${seconds} s under ${rate} calls a second`,
    lines: [
      { what: 'answers', measured: listed(tally) },
      {
        what: 'commits; never sent; done, and nobody told',
        measured: `${counts.all}; ${counts.unsent}; ${counts.unanswered}`,
        holds: counts.unsent > 0 && counts.unanswered > 0,
      },
      ...(await compareBooks(site, tally.answered)),
      await deadlocksIn(site),
    ],
  };
}

const keyCount = 200;

/** (c) A journal full of rows goes to the database: how many a second, by one daemon, with nothing else to do. */
export async function ratePart(count: number): Promise<PartReport> {
  await using database = await aDatabase();
  const { pool } = database;
  const principals = Array.from({ length: keyCount }, (_, index) =>
    aPrincipal({ keyId: `key-${index}`, teamId: `team-${index % 20}`, userId: `user-${index % 50}`, max: 10n ** 15n }),
  );
  for (const principal of principals) await enroll(pool, principal);

  const startedMs = performance.now();
  {
    const { metering } = await aMetering(pool);
    for (const principal of principals) await metering.prepare(principal);
    for (let index = 0; index < count; index++) {
      const principal = principals[index % keyCount];
      if (!principal) continue;
      const call = metering.begin(aStart({ principal }));
      call.settle(success({ promptTokens: 100, completionTokens: 50 }));
      if (index % 100 === 99) await call.kept();
    }
    await metering.flush({ deadlineMs: 120_000 });
    await metering[Symbol.asyncDispose]();
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  await assertSumsAreExact(pool);
  const { rows } = await pool.query<{ count: number }>('select count(*)::int as count from gatewayctl.spend_logs');
  const booked = rows[0]?.count ?? 0;
  return {
    title: `c. ${count} calls of ${keyCount} keys in 20 teams and of 50 users, admitted, settled and booked by one process`,
    lines: [
      { what: 'rows', measured: String(booked), goal: String(count), holds: booked === count },
      { what: 'rows a second, journal and PostgreSQL on two cores', measured: (count / seconds).toFixed(0) },
    ],
  };
}
