import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { aSeed } from '../test/chaos/support.ts';
import { startFaultSite } from './fault-site.ts';
import { Goals } from './goals.ts';
import { withinLimit } from './interruption.ts';
import { nemesisPart, outagePart, type PartReport, unseenPart } from './fault-parts.ts';

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    /** Calls a second on the known keys, of all clients. */
    rate: { type: 'string', default: '600' },
    daemons: { type: 'string', default: '3' },
    /** Seconds that PostgreSQL and then Redis are gone. */
    outage: { type: 'string', default: '30' },
    seed: { type: 'string' },
    only: { type: 'string', default: 'abcd' },
    verbose: { type: 'boolean', default: false },
  },
});

const seed = flags.seed === undefined ? aSeed() : Number(flags.seed);
const rate = Number(flags.rate);
const startMs = performance.now();
const note = (what: string): void => {
  if (flags.verbose) process.stderr.write(`${((performance.now() - startMs) / 1_000).toFixed(1)} s  ${what}\n`);
};

/** @throws when it takes longer, or somebody interrupts it; the part itself is told, and ends what it has begun */
async function bounded(limitMs: number, part: (over: AbortSignal) => Promise<PartReport>): Promise<PartReport> {
  const over = new AbortController();
  const running = part(over.signal);
  try {
    return await withinLimit(limitMs, running);
  } finally {
    over.abort();
    // What hangs is ended with the servers.
    await Promise.race([running.catch(() => undefined), wait(30_000, undefined, { ref: false })]);
  }
}

const goals = new Goals();

async function run(): Promise<void> {
  process.stdout.write(`Seed ${seed} (--seed ${seed} does the same things in the same order)\n`);
  await using site = await startFaultSite(Number(flags.daemons), 40);
  const outage = { rate, seconds: Number(flags.outage), note };
  const nemesis = { rate, requests: Number(flags.requests), seed, note };
  const parts: Record<string, readonly [limitMs: number, part: (over: AbortSignal) => Promise<PartReport>]> = {
    a: [270_000, (over) => nemesisPart(site, { ...nemesis, over })],
    b: [45_000, (over) => unseenPart({ count: 2_000, over })],
    c: [75_000, (over) => outagePart(site, { ...outage, of: 'PostgreSQL', over })],
    d: [75_000, (over) => outagePart(site, { ...outage, of: 'Redis', over })],
  };
  for (const [name, [limitMs, part]] of Object.entries(parts)) {
    if (!flags.only.includes(name)) continue;
    goals.add(await bounded(limitMs, part));
  }
}

await goals.after(run);
