import { setTimeout as wait } from 'node:timers/promises';
import type { Daemon } from '../test/support/gateway.ts';
import { compareBooks } from './books.ts';
import { call, type Callers, callOn, connectTo, Tally } from './callers.ts';
import { type FaultSite, startFaultSite, unseenKeys, until } from './fault-site.ts';
import { actsOnPostgres, actsOnRedis, Nemesis } from './nemesis.ts';
import { percentile } from './numbers.ts';

export interface Line {
  readonly what: string;
  readonly measured: string;
  readonly goal?: string;
  /** Absent where nothing is asked of it. */
  readonly holds?: boolean;
}

export interface PartReport {
  readonly title: string;
  readonly lines: readonly Line[];
}

interface Bounded {
  /** The part is to come to its end: its time is over, or somebody has interrupted it. */
  readonly over: AbortSignal;
}

const clients = 36;
const recoveryGoalMs = 2_000;
const connectionsGoal = 20;

const callersOf = (site: FaultSite, rest: Pick<Callers, 'rate' | 'tally' | 'goesOn'>): Callers => ({
  urls: site.daemons.map(({ url }) => url),
  keys: site.keys,
  clients,
  ...rest,
});

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const listed = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .toSorted(([, one], [, other]) => other - one)
    .map(([what, count]) => `${count} × ${what}`)
    .join('\n');

function fairness({ unfair, latencies }: Tally): Line[] {
  const sorted = latencies.toSorted((one, other) => one - other);
  return [
    {
      what: 'answers that are neither 200 nor 503 with Retry-After',
      measured: String(unfair),
      goal: '0',
      holds: unfair === 0,
    },
    {
      what: 'time to the answer: p50, p99, max',
      measured: [0.5, 0.99, 1].map((each) => ms(percentile(sorted, each))).join(', '),
    },
  ];
}

/** (a) Many calls with valid keys while everything happens to PostgreSQL, Redis and the network. */
export async function nemesisPart(
  site: FaultSite,
  {
    requests,
    rate,
    seed,
    note,
    over,
  }: Bounded & { requests: number; rate: number; seed: number; note: (what: string) => void },
): Promise<PartReport> {
  const tally = new Tally();
  let started = 0;
  await allIsWell(site, []);
  const times = new Map<string, number>();
  {
    await using onPostgres = new Nemesis({ acts: (random) => actsOnPostgres(site, random), seed, note });
    await using onRedis = new Nemesis({ acts: () => actsOnRedis(site), seed: seed + 1, note });
    await callOn(callersOf(site, { rate, tally: () => tally, goesOn: () => !over.aborted && started++ < requests }));
    for (const nemesis of [onPostgres, onRedis]) for (const [what, count] of nemesis.times) times.set(what, count);
  }
  const wellMs = await allIsWell(site, []);
  const refused = [...tally.counts].filter(([what]) => /^40[13]/.test(what)).reduce((sum, [, count]) => sum + count, 0);
  return {
    title: `a. ${tally.total} calls with valid keys on ${site.daemons.length} daemons while this happened:\n${listed(times)}`,
    lines: [
      { what: 'answers', measured: listed(tally.counts) },
      { what: 'answers 401 or 403', measured: String(refused), goal: '0', holds: refused === 0 },
      ...fairness(tally),
      {
        what: 'all is well again after the last fault',
        measured: ms(wellMs),
        goal: ms(recoveryGoalMs),
        holds: wellMs <= recoveryGoalMs,
      },
      ...(await compareBooks(site, tally.answered)),
    ],
  };
}

/** (b) Keys that nobody has looked up, all at once at one daemon, which has its PostgreSQL to itself. */
export async function unseenPart({ count, over }: Bounded & { count: number }): Promise<PartReport> {
  await using site = await startFaultSite(1, 1);
  const [daemon] = site.daemons;
  if (!daemon) throw new Error('No daemon');
  const keys = await unseenKeys(site.pool, count);
  const connections = async (): Promise<number> => {
    const { rows } = await site.pool.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where application_name like 'gatewayctl-%'`,
    );
    return rows[0]?.count ?? 0;
  };
  let most = 0;
  const done = new AbortController();
  const sampling = (async () => {
    while (!done.signal.aborted && !over.aborted) most = Math.max(most, await connections());
  })();
  // A client address may have 500 connections.
  const perClient = 400;
  const servers = Array.from({ length: Math.ceil(count / perClient) }, (_, index) =>
    connectTo(daemon.url, perClient, `127.0.0.${index + 2}`),
  );
  const tally = new Tally();
  await Promise.all(
    keys.map(async (key, index) => {
      const server = servers[index % servers.length];
      if (server) tally.add(await call(server, key));
    }),
  );
  done.abort();
  await sampling;
  await Promise.all(servers.map((server) => server.destroy()));
  return {
    title: `b. ${count} unseen keys at once, each on a connection of its own, at one daemon`,
    lines: [
      {
        what: 'answers',
        measured: listed(tally.counts),
        goal: `${count} × 200`,
        holds: tally.answered.length === count,
      },
      {
        what: 'connections to PostgreSQL at most, with the one that hears of changes',
        measured: String(most),
        goal: String(connectionsGoal),
        holds: most <= connectionsGoal,
      },
      ...fairness(tally),
    ],
  };
}

interface Outage extends Bounded {
  readonly of: 'PostgreSQL' | 'Redis';
  readonly seconds: number;
  readonly rate: number;
  readonly note: (what: string) => void;
}

const calmMs = 5_000;

/** (c, d) One of the two is away for a while; keys that were known go on calling. */
export async function outagePart(site: FaultSite, { of, seconds, rate, note, over }: Outage): Promise<PartReport> {
  const { postgres, redis } = site;
  const [begin, end] =
    of === 'PostgreSQL' ? [() => postgres.stop(), () => postgres.start()] : [() => redis.kill(), () => redis.start()];
  const cold = await unseenKeys(site.pool, site.daemons.length);
  await allIsWell(site, []);
  const [calm, during, after] = [new Tally(), new Tally(), new Tally()];
  let tally = calm;
  let isDone = false;
  const calling = callOn(callersOf(site, { rate, tally: () => tally, goesOn: () => !isDone && !over.aborted }));
  let wellMs: number;
  try {
    await wait(calmMs, undefined, { signal: over });
    note(`${of} stopped`);
    tally = during;
    await begin();
    try {
      await wait(seconds * 1_000, undefined, { signal: over });
    } finally {
      await end();
    }
    note(`${of} started`);
    tally = after;
    wellMs = await allIsWell(site, cold);
    if (of === 'Redis') await until(async () => !/^:0/m.test(await redis.ask('dbsize')), 10_000, 'Redis is used again');
    await wait(calmMs, undefined, { signal: over });
  } finally {
    isDone = true;
    await calling;
  }
  const all = [...calm.answered, ...during.answered, ...after.answered];
  const p99 = (each: Tally) =>
    ms(
      percentile(
        each.latencies.toSorted((one, other) => one - other),
        0.99,
      ),
    );
  return {
    title: `${of === 'Redis' ? 'd' : 'c'}. ${of} stopped for ${seconds} s under ${rate} calls a second with known keys`,
    lines: [
      { what: 'answers while it was away', measured: listed(during.counts) },
      { what: 'of them 200', measured: `${(100 * during.share).toFixed(2)} %` },
      { what: 'answers from its return on', measured: listed(after.counts) },
      { what: 'p99 before, meanwhile, after', measured: [calm, during, after].map(p99).join(', ') },
      {
        what: 'neither 200 nor 503 with Retry-After',
        measured: String(calm.unfair + during.unfair + after.unfair),
        goal: '0',
        holds: calm.unfair + during.unfair + after.unfair === 0,
      },
      {
        what: 'known and unseen keys, changes and readiness well at every daemon after its return',
        measured: ms(wellMs),
        goal: ms(recoveryGoalMs),
        holds: wellMs <= recoveryGoalMs,
      },
      ...(await compareBooks(site, all)),
    ],
  };
}

/** @param cold a key for each daemon that it has not seen; returns milliseconds until the last daemon did all it is for */
async function allIsWell(site: FaultSite, cold: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const isWell = async (daemon: Daemon, index: number): Promise<boolean> => {
    const keys = [site.keys[0], cold[index]].filter((key) => key !== undefined);
    const answers = await Promise.all([
      ...keys.map((key) => daemon.chat(key, 'bench')),
      daemon.request('POST', '/key/generate', { body: {} }),
      daemon.request('GET', '/health/readiness', { key: '' }),
    ]);
    return answers.every(({ status }) => status === 200);
  };
  await Promise.all(site.daemons.map((daemon, index) => until(() => isWell(daemon, index), 20_000, 'All is well')));
  return performance.now() - startMs;
}
