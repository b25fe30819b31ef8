import { activity } from './activity.ts';
import { summedDays } from './day-summary.ts';
import { keysNamed, tagNames, topSpenders, wholeReport } from './global.queries.ts';
import { spendReport } from './report.queries.ts';
import { simulateBudget } from './simulate.queries.ts';
import { countCalls, spendRows } from './spend.queries.ts';
import { requireSpender, spendScope } from './spend.scope.ts';
import { tagSums } from './tag-summary.ts';
import { verifySpend } from './verify.queries.ts';

/** The reads of the ledger, handed in so that importing an operation loads no database. */
export const spendReads = {
  rows: spendRows,
  countCalls,
  summedDays,
  report: spendReport,
  wholeReport,
  keysNamed,
  tagNames,
  topSpenders,
  verify: verifySpend,
  simulate: simulateBudget,
  activity,
  tags: tagSums,
  scope: spendScope,
  requireSpender,
} as const;

export type SpendReads = typeof spendReads;
