import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { aSeed } from '../test/chaos/support.ts';
import type { PartReport } from './fault-parts.ts';
import { startFaultSite } from './fault-site.ts';
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
const table = new Table({ head: ['', 'measured', 'goal', ''], style: { head: [], border: [] } });
let failed = 0;

function tell({ title, lines }: PartReport): void {
  table.push([{ colSpan: 4, content: title }]);
  for (const { what, measured, goal, holds } of lines) {
    if (holds === false) failed++;
    table.push([what, measured, goal ?? '', holds === undefined ? '' : holds ? 'holds' : 'FAILS']);
  }
}

async function run(): Promise<void> {
  process.stdout.write(`Seed ${seed}\n`);
  if (flags.only.includes('a')) {
    await using site = await startFaultSite(2, 40);
    tell(await withinLimit(420_000, endsPart(site, { rate, seed, ends: Number(flags.ends) })));
  }
  if (flags.only.includes('b')) {
    await using site = await startFaultSite(8, 40);
    tell(await withinLimit(150_000, commitsPart(site, { rate, seed, seconds: Number(flags.seconds) })));
  }
  if (flags.only.includes('c')) tell(await withinLimit(150_000, ratePart(Number(flags.rows))));
}

try {
  await run();
} finally {
  process.stdout.write(`${table.toString()}\n`);
}
process.stdout.write(`${failed === 0 ? 'All goals hold' : `${failed} goals fail`}.\n`);
process.exitCode = failed === 0 ? 0 : 1;
