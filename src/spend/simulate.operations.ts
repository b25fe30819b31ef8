import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { after, type Duration, duration } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import { type Window, windowOf } from '../kernel/window.ts';
import { type Cut, type Simulated, simulated } from './simulate.queries.ts';
import type { SpendReads } from './spend.reads.ts';
import { count } from './spend.wire.ts';

export interface Needs {
  spend: SpendReads;
  em: EntityManager;
  now: Date;
}

const WINDOWS_AT_MOST = 1_000;

/** The windows of a budget from one that holds a moment to the one that holds the present. */
function windowsSince(
  since: Date,
  { now, window }: { readonly now: Date; readonly window: Duration | undefined },
): Window[] {
  if (!window) return [{ start: since, end: now }];
  const windows: Window[] = [];
  for (let at = since; at <= now;) {
    if (windows.length >= WINDOWS_AT_MOST) {
      throw new GatewayError(
        'invalid',
        'invalid_request_error',
        `last: there are more than ${WINDOWS_AT_MOST} windows in it`,
        {
          param: 'last',
          hint: 'Simulate a shorter time, or a longer window.',
        },
      );
    }
    const next = windowOf(window, at);
    windows.push(next);
    at = next.end;
  }
  return windows;
}

const cutInfo = {
  entity: z.enum(simulated).describe('What it is'),
  id: z.string().describe('Who would have been refused'),
  label: z.string().nullable().describe('What people call it'),
  windowStart: timestamp.describe('When the window began'),
  cutAt: timestamp.describe('When the first call would have been refused'),
  spend: usd.describe('US dollars that were spent in the window'),
  refusedRequests: count.describe('Calls that would have been refused'),
  refusedSpend: usd.describe('US dollars that they cost'),
};

const describeCut = ({ by, cut }: { readonly by: Simulated; readonly cut: Cut }) => ({
  entity: by,
  ...cut,
  refusedRequests: String(cut.refusedRequests),
});

const byRefused = (one: { readonly refusedSpend: bigint }, other: { readonly refusedSpend: bigint }): number =>
  one.refusedSpend === other.refusedSpend ? 0 : one.refusedSpend < other.refusedSpend ? 1 : -1;

export const simulateBudget = operation({
  command: ['budget', 'simulate'],
  route: ['POST', '/budget/simulate'],
  summary: 'Say whom a budget would have stopped, and when',
  description:
    'By the calls that are kept, as if each key, team, user, organization or customer had had this budget: a call is refused when those before it in the window have used it up. Windows are those of budgets, in UTC; the first is looked at whole. Reservations of calls that ran at the same time are not known any more, so that a real budget may have stopped a little earlier.',
  input: wire({
    limit: usd.describe('The budget, in US dollars'),
    last: duration.describe('How far back to look'),
    window: duration
      .optional()
      .describe('After how long the budget begins anew; one budget for all of the time when absent'),
    by: z
      .array(z.enum(simulated))
      .min(1)
      .default(['key'])
      .describe('Whose budget it would be; of several each has one of its own'),
    top: z.int().min(1).max(1_000).default(100).describe('Rows at most, the most refused first'),
  }),
  output: z.array(answer(cutInfo)),
  access: 'admin',
  isRead: true,
  cli: {
    columns: ['entity', 'id', 'label', 'window_start', 'cut_at', 'spend', 'refused_requests', 'refused_spend'],
    headings: { window_start: 'WINDOW', cut_at: 'CUT', refused_requests: 'REFUSED', refused_spend: 'REFUSED-SPEND' },
    id: 'id',
    examples: [
      ['Fifty dollars a key in a month', 'gatewayctl budget simulate --limit 50 --last 30d'],
      ['Ten dollars a day for each team', 'gatewayctl budget simulate --limit 10 --last 30d --window 1d --by team'],
    ],
  },
  run: async ({ spend, em, now }: Needs, { limit, last, window, by, top: most }) => {
    const since = new Date(now.getTime() - (after(now, last).getTime() - now.getTime()));
    const windows = windowsSince(since, { now, window });
    const found: { by: Simulated; cut: Cut }[] = [];
    for (const each of new Set(by)) {
      const cuts = await spend.simulate(em, { by: each, limit, windows, now });
      found.push(...cuts.map((cut) => ({ by: each, cut })));
    }
    return found.map(describeCut).toSorted(byRefused).slice(0, most);
  },
});
