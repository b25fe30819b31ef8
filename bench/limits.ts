import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { maxTokens, startBudgetSite } from './budget-site.ts';
import { connectTo } from './callers.ts';
import { countStatements, statementsSince } from './statements.ts';

const { values: flags } = parseArgs({
  options: {
    daemons: { type: 'string', default: '1,4' },
    /** Of a minute each: the limits are per minute, and nothing shortens that. */
    windows: { type: 'string', default: '10' },
    stores: { type: 'string', default: 'PostgreSQL,Redis' },
    /** Calls at once, at all daemons together. */
    clients: { type: 'string', default: '4' },
  },
});

const windows = Number(flags.windows);
const minuteMs = 60_000;
/** A call is repeated at once when it is let through, and after a while when it is not: what is given back is found. */
const refusedMs = 250;
const limits = { rpm: 600, tpm: 60_000 } as const;

interface Admitted {
  /** It was admitted after this, and before the other. */
  readonly atMs: number;
  readonly answeredMs: number;
  readonly tokens: number;
}

interface Outcome {
  readonly admitted: readonly Admitted[];
  readonly calls: number;
  /** Answered neither 200 nor 429. */
  readonly troubles: number;
}

type Site = Awaited<ReturnType<typeof startBudgetSite>>;

/** Clients that call for as long as the windows last, whatever they are answered. */
async function callOn({ daemons }: Site, key: string, untilMs: number): Promise<Outcome> {
  const admitted: Admitted[] = [];
  let calls = 0;
  let troubles = 0;
  const servers = daemons.map(({ url }) => connectTo(url, Number(flags.clients)));
  async function client(index: number): Promise<void> {
    const server = servers[index % servers.length];
    while (performance.now() < untilMs) {
      const sentMs = performance.now();
      const answer = await server?.request({
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'bench-middle',
          messages: [{ role: 'user', content: 'Hi' }],
          max_tokens: maxTokens,
        }),
      });
      const text = (await answer?.body.text()) ?? '';
      calls++;
      if (answer?.statusCode === 200) {
        admitted.push({
          atMs: sentMs,
          answeredMs: performance.now(),
          tokens: Number(/"total_tokens": ?(\d+)/.exec(text)?.[1]),
        });
      } else {
        // A machine with too much to do keeps a daemon from its database.
        if (answer?.statusCode !== 429) troubles++;
        await wait(refusedMs);
      }
    }
  }
  await Promise.all(Array.from({ length: Number(flags.clients) }, (_, index) => client(index)));
  await Promise.all(servers.map((server) => server.destroy()));
  return { admitted, calls, troubles };
}

/** The most that was in any minute for certain, and the mean of those that came one after the other. */
function sums(admitted: readonly Admitted[], amountOf: (each: Admitted) => number, fromMs: number) {
  const sorted = admitted.toSorted((one, other) => one.atMs - other.atMs);
  let most = 0;
  let inside = 0;
  let first = 0;
  for (const each of sorted) {
    inside += amountOf(each);
    for (let oldest = sorted[first]; oldest && oldest.atMs <= each.answeredMs - minuteMs; oldest = sorted[++first]) {
      inside -= amountOf(oldest);
    }
    most = Math.max(most, inside);
  }
  const whole = sorted.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + windows * minuteMs);
  return { most, mean: whole.reduce((sum, each) => sum + amountOf(each), 0) / windows };
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

const table = new Table({
  head: [
    'counted in',
    'daemons',
    'limit',
    'calls',
    'mean of a minute',
    'most in any minute',
    'statements a call',
    'Redis scripts a call',
  ],
  style: { head: [], border: [] },
});
let failed = 0;

async function measure(store: string, site: Site): Promise<void> {
  const count = site.daemons.length;
  const keyOf = async (body: object): Promise<string> => String((await site.post('/key/generate', body))['key']);
  const keys = { rpm: await keyOf({ rpm_limit: limits.rpm }), tpm: await keyOf({ tpm_limit: limits.tpm }) };
  await countStatements(site.pool);
  const scripts = site.redisScripts;
  const before = (await scripts?.()) ?? 0;
  const fromMs = performance.now();
  const untilMs = fromMs + windows * minuteMs;
  const [rpm, tpm] = await Promise.all([callOn(site, keys.rpm, untilMs), callOn(site, keys.tpm, untilMs)]);
  const statements = (await statementsSince(site.pool))
    .filter(({ text }) => text.includes('exchange_rates('))
    .reduce((sum, each) => sum + each.calls, 0);
  const ran = ((await scripts?.()) ?? 0) - before;
  const calls = rpm.calls + tpm.calls;
  const rows = [
    ['rpm', limits.rpm, rpm, sums(rpm.admitted, () => 1, fromMs)],
    ['tpm', limits.tpm, tpm, sums(tpm.admitted, ({ tokens }) => tokens, fromMs)],
  ] as const;
  for (const [name, limit, outcome, { most, mean }] of rows) {
    if (most > limit) failed++;
    table.push([
      store,
      count,
      `${name} ${limit}`,
      `${outcome.admitted.length} of ${outcome.calls}${outcome.troubles > 0 ? `, ${outcome.troubles} × trouble` : ''}`,
      percent(mean, limit),
      percent(most, limit),
      (statements / calls).toFixed(3),
      scripts ? (ran / calls).toFixed(3) : '–',
    ]);
  }
}

const sites: (readonly [store: string, site: Site])[] = [];
try {
  for (const store of flags.stores.split(',')) {
    for (const count of flags.daemons.split(',')) {
      sites.push([store, await startBudgetSite(Number(count), { hasRedis: store === 'Redis' })]);
    }
  }
  // The minutes are waited for, not worked in: all cases at once take no longer than one.
  await Promise.all(sites.map(([store, site]) => measure(store, site)));
} finally {
  for (const [, site] of sites) await site[Symbol.asyncDispose]();
}
process.stdout.write(`${table.toString()}\n`);
process.stdout.write(failed === 0 ? 'No limit was passed in any minute.\n' : `${failed} limits were passed.\n`);
process.exitCode = failed === 0 ? 0 : 1;
