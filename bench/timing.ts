import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import type { Pool } from 'undici';
import type { Pool as Database } from 'pg';
import { generateSecret, hashSecret } from '../src/kernel/secret.ts';
import { seeded } from '../test/chaos/support.ts';
import { connectTo } from './callers.ts';
import { type FaultSite, insertKeys, startFaultSite } from './fault-site.ts';
import { withinLimit } from './interruption.ts';
import { median } from './numbers.ts';

/**
 * Whether the time of a refusal says something about a key that its text does not say. Kinds of keys take turns at random
 * on one connection, and are compared as dudect does: Welch's t of the nine tenths that no pause of the machine has hit.
 */

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '50000' },
    /** Keys of each kind that nobody has looked up before. */
    cold: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
  },
});

const tGoal = 4.5;
/** Of wrong keys one address may have 100 looked up at once: each is used for fewer. */
const perAddress = 40;

async function timeOf(server: Pool, key: string): Promise<number> {
  const start = performance.now();
  const answer = await server.request({
    method: 'GET',
    path: '/v1/models',
    headers: { authorization: `Bearer ${key}` },
  });
  const text = await answer.body.text();
  const time = performance.now() - start;
  if (answer.statusCode !== 401) throw new Error(`${answer.statusCode} ${text}`);
  return time;
}

/** As LiteLLM makes them: without a checksum, which would tell a guess before anything is looked up. */
const aKey = (): string => `sk-${randomBytes(24).toString('base64url')}`;

/** As near as a guess can come. */
const nearMiss = (key: string): string => key.slice(0, -1) + (key.endsWith('x') ? 'y' : 'x');

const many = (count: number, make: () => string): string[] => Array.from({ length: count }, make);

interface Times {
  readonly mean: number;
  readonly variance: number;
  readonly count: number;
  readonly median: number;
}

function summary(times: readonly number[], atMost: number): Times {
  const kept = times.filter((time) => time <= atMost);
  const mean = kept.reduce((sum, time) => sum + time, 0) / kept.length;
  const variance = kept.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (kept.length - 1);
  return { mean, variance, count: kept.length, median: median(kept) };
}

const welch = (one: Times, other: Times): number =>
  (one.mean - other.mean) / Math.sqrt(one.variance / one.count + other.variance / other.count);

const table = new Table({
  head: ['', 'requests', 'median µs', '÷ unknown', 't', 'goal'],
  style: { head: [], border: [] },
});
let failed = 0;

const shown = ({ count, median: middle }: Times): string[] => [String(count), (middle * 1_000).toFixed(1)];

interface Measured {
  readonly what: string;
  readonly times: readonly number[];
  /** Why the time may tell it from a key that is unknown; absent where it must not. */
  readonly toldBy?: string;
}

function compare(title: string, unknown: readonly number[], others: readonly Measured[]): void {
  const pooled = [unknown, ...others.map(({ times }) => times)].flat().toSorted((one, other) => one - other);
  const atMost = pooled[Math.floor(pooled.length * 0.9)] ?? Number.POSITIVE_INFINITY;
  const base = summary(unknown, atMost);
  table.push([{ colSpan: 6, content: title }], ['unknown', ...shown(base), '1.000', '', '']);
  for (const { what, times, toldBy } of others) {
    const each = summary(times, atMost);
    const t = welch(each, base);
    if (toldBy === undefined && Math.abs(t) >= tGoal) failed++;
    const ratio = (each.median / base.median).toFixed(3);
    table.push([what, ...shown(each), ratio, t.toFixed(1), toldBy ?? `|t| < ${tGoal}`]);
  }
}

/** Keys of some kinds, one after the other in no order that a pause of the machine could follow. */
async function measure(
  kinds: readonly (readonly string[])[],
  { requests, server }: { requests: number; server: (turn: number) => Pool },
): Promise<number[][]> {
  const random = seeded(Number(flags.seed));
  const times: number[][] = kinds.map(() => []);
  for (let turn = 0; turn < requests; turn++) {
    const kind = Math.floor(random() * kinds.length);
    const keys = kinds[kind] ?? [];
    const taken = times[kind] ?? [];
    taken.push(await timeOf(server(turn), keys[taken.length % keys.length] ?? ''));
  }
  return times;
}

async function blockedKeys(database: Database, count: number): Promise<string[]> {
  const keys = many(count, aKey);
  await insertKeys(database, keys);
  await database.query('update gatewayctl.keys set blocked = true where token = any ($1)', [keys.map(hashSecret)]);
  return keys;
}

async function warm({ pool, daemons: [daemon] }: FaultSite): Promise<void> {
  if (!daemon) throw new Error('No daemon');
  const server = connectTo(daemon.url, 1);
  const known = many(20, aKey);
  await insertKeys(pool, known);
  const kinds = [
    many(20, aKey),
    known.map(nearMiss),
    await blockedKeys(pool, 20),
    many(20, () => nearMiss(generateSecret('virtual'))),
  ];
  const masters = [many(20, () => nearMiss(generateSecret('master'))), [nearMiss(daemon.masterKey)]];
  const options = { server: () => server, requests: Number(flags.requests) };
  await measure([...kinds, ...masters], { ...options, requests: 5_000 });
  const [unknown = [], near = [], blocked = [], malformed = []] = await measure(kinds, options);
  compare('Remembered', unknown, [
    { what: 'a known key but for its last character', times: near },
    { what: 'known and blocked', times: blocked, toldBy: 'the answer says it' },
    { what: 'malformed: its own checksum is wrong', times: malformed, toldBy: 'its checksum says it' },
  ]);
  const [random = [], nearMaster = []] = await measure(masters, { ...options, requests: options.requests / 2 });
  compare('Of the length of the master key', random, [
    { what: 'the master key but for its last character', times: nearMaster },
  ]);
  await server.destroy();
}

async function cold({ pool, daemons: [daemon] }: FaultSite): Promise<void> {
  if (!daemon) throw new Error('No daemon');
  const count = Number(flags.cold);
  const known = many(count, aKey);
  await insertKeys(pool, known);
  // More than will be taken of any: which kind comes next is drawn.
  const kinds = [many(count, aKey), known.map(nearMiss), await blockedKeys(pool, count)];
  const servers = new Map<number, Pool>();
  const server = (turn: number): Pool => {
    const at = Math.floor(turn / perAddress);
    let found = servers.get(at);
    if (!found) servers.set(at, (found = connectTo(daemon.url, 1, `127.1.${at >> 7}.${1 + (at & 127)}`)));
    return found;
  };
  const [unknown = [], near = [], blocked = []] = await measure(kinds, { server, requests: 2.5 * count });
  compare('Never looked up before', unknown, [
    { what: 'a known key but for its last character', times: near },
    { what: 'known and blocked', times: blocked, toldBy: 'the answer says it' },
  ]);
  await Promise.all([...servers.values()].map((each) => each.destroy()));
}

await using site = await startFaultSite(1, 1);
await withinLimit(
  300_000,
  cold(site).then(() => warm(site)),
);
process.stdout.write(`${table.toString()}\n${failed === 0 ? 'All goals hold' : `${failed} goals fail`}.\n`);
process.exitCode = failed === 0 ? 0 : 1;
