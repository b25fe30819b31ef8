import { parseArgs } from 'node:util';
import { aSeed } from '../test/chaos/support.ts';
import { startFaultSite } from './fault-site.ts';
import { Goals } from './goals.ts';
import { withinLimit } from './interruption.ts';
import { commitsPart, endsPart, ratePart } from './ledger-parts.ts';

const { values: flags } = parseArgs({
  options: {
    /** Ends of daemons by each signal. */
    ends: { type: 'string', default: '20' },
    /** Seconds in which commits fail. */
    seconds: { type: 'string', default: '60' },
    rows: { type: 'string', default: '50000' },
    seed: { type: 'string' },
    only: { type: 'string', default: 'abc' },
  },
});

const seed = flags.seed === undefined ? aSeed() : Number(flags.seed);
const rate = 200;
const goals = new Goals();

async function run(): Promise<void> {
  process.stdout.write(`Seed ${seed}\n`);
  if (flags.only.includes('a')) {
    await using site = await startFaultSite(2, 40);
    goals.add(await withinLimit(420_000, endsPart(site, { rate, seed, ends: Number(flags.ends) })));
  }
  if (flags.only.includes('b')) {
    await using site = await startFaultSite(8, 40);
    goals.add(await withinLimit(150_000, commitsPart(site, { rate, seed, seconds: Number(flags.seconds) })));
  }
  if (flags.only.includes('c')) goals.add(await withinLimit(150_000, ratePart(Number(flags.rows))));
}

await goals.after(run);
