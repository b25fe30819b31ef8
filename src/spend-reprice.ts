import { z } from 'zod';
import { printAnswer } from './cli/local-answer.ts';
import type { LocalContext } from './cli/local-command.ts';
import { answer } from './kernel/wire.ts';
import { isDryRun } from './local-work.ts';
import { datesOf, wantedBy } from './spend-export.ts';
import { skipReasons, type SkipReason } from './metering/repriced.ts';

const counts = z.record(z.string(), z.int());
const Model = z.object({
  model: z.string(),
  rows: z.int(),
  changed: z.int(),
  before: z.number(),
  after: z.number(),
  skipped: counts,
});
const Page = z.object({ rows: z.int(), models: z.array(Model), next_cursor: z.string().nullable() });
/** What a page would do stands in the entry of the audit log that it would write; without calls there is none. */
const Rehearsed = z.object({ changes: z.array(z.object({ after: Page })) });

const dollars = z.number().meta({ format: 'usd' });
const shown = z.array(
  answer({
    model: z.string().describe('The model the clients asked for'),
    rows: z.int().describe('Calls of it'),
    changed: z.int().describe('Those that are booked at another price'),
    before: dollars.describe('US dollars before, of calls with a price'),
    after: dollars.describe('US dollars by the prices of today'),
    difference: dollars.describe('US dollars more, or less'),
    skipped: z.string().nullable().describe('Calls that keep their cost, and why'),
  }),
);

type Sum = z.output<typeof Model>;

/** Books calls anew a page at a time, each in a transaction of its own: what is cut off is gone on with by another run. */
export async function repriceSpend(context: LocalContext): Promise<void> {
  const { io, ink, options, global } = context;
  const { api_key, team_id, model } = wantedBy(options);
  const wanted = {
    ...datesOf({ until: new Date().toISOString(), ...options }),
    ...(api_key !== undefined && { api_key }),
    ...(team_id !== undefined && { team_id }),
    ...(model !== undefined && { model }),
    ...(isDryRun(context) && { dry_run: true }),
  };
  const sums = new Map<string, Sum>();
  await using gateway = await context.connect();
  let cursor: string | null = null;
  do {
    const asked: Record<string, unknown> = { ...wanted, ...(cursor !== null && { cursor }) };
    const page = pageOf(await gateway.call('spend reprice', asked), isDryRun(context));
    for (const each of page.models) add(sums, each);
    cursor = page.next_cursor;
  } while (cursor !== null);
  const rows = [...sums.values()]
    .map(rowOf)
    .toSorted((one, other) => Math.abs(other.difference) - Math.abs(one.difference));
  await printAnswer({ path: ['spend', 'reprice'], schema: shown, columns, wide: [] }, rows, context);
  if (global.quiet) return;
  const skipped = totalSkipped(sums.values());
  for (const [reason, calls] of skipped) io.err(`${calls} calls keep their cost (${reason}): ${reasonText(reason)}.\n`);
  const changed = rows.reduce((sum, each) => sum + each.changed, 0);
  io.err(
    isDryRun(context)
      ? `Nothing was changed. It would be: ${changed} calls.\n`
      : `${ink.done} ${changed} calls are booked anew.\n`,
  );
}

const columns = ['model', 'rows', 'changed', 'before', 'after', 'difference', 'skipped'];

function pageOf(answered: unknown, isRehearsed: boolean): z.output<typeof Page> {
  if (!isRehearsed) return Page.parse(answered);
  return Rehearsed.parse(answered).changes[0]?.after ?? { rows: 0, models: [], next_cursor: null };
}

function add(sums: Map<string, Sum>, { model, rows, changed, before, after, skipped }: Sum): void {
  const sum = sums.get(model) ?? { model, rows: 0, changed: 0, before: 0, after: 0, skipped: {} };
  const all = { ...sum.skipped };
  for (const [reason, calls] of Object.entries(skipped)) all[reason] = (all[reason] ?? 0) + calls;
  sums.set(model, {
    model,
    rows: sum.rows + rows,
    changed: sum.changed + changed,
    before: inNanos(sum.before + before),
    after: inNanos(sum.after + after),
    skipped: all,
  });
}

/** Sums of dollars are whole nano-dollars again. */
const inNanos = (amount: number): number => Math.round(amount * 1e9) / 1e9;

const rowOf = ({ skipped, ...sum }: Sum) => ({
  ...sum,
  difference: inNanos(sum.after - sum.before),
  skipped:
    Object.entries(skipped)
      .map(([reason, calls]) => `${calls} ${reason}`)
      .join(', ') || null,
});

function totalSkipped(sums: Iterable<Sum>): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { skipped } of sums) {
    for (const [reason, calls] of Object.entries(skipped)) totals.set(reason, (totals.get(reason) ?? 0) + calls);
  }
  return totals;
}

const isReason = (reason: string): reason is SkipReason => Object.hasOwn(skipReasons, reason);
const reasonText = (reason: string): string => (isReason(reason) ? skipReasons[reason] : 'the gateway says no more');
