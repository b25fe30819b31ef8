import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { text } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { dateFlags, dates } from '../kernel/period.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { Difference } from './difference.ts';
import type { SpendReads } from './spend.reads.ts';
import { count } from './spend.wire.ts';

export interface Needs {
  spend: SpendReads;
  em: EntityManager;
  journal: () => { readonly pending: number; readonly setAside: number } | undefined;
}

const differenceInfo = {
  check: z
    .enum(['calls', 'total', 'window'])
    .describe(
      'calls: a day is not the sum of its calls; total: an owner’s total is not the sum of its days; window: a budget has more than was spent',
    ),
  entity: z.string().describe('Whose'),
  id: z.string().describe('Which one'),
  period: z.string().describe('The day, the length of the window, or all'),
  found: usd.describe('US dollars in the sum'),
  expected: usd.describe('US dollars it should be'),
  difference: z.number().meta({ format: 'usd' }).describe('US dollars too many, or too few'),
  requests: count.describe('Calls in the sum of the day'),
  expectedRequests: count.describe('Calls there are'),
  setByAdministrator: z.boolean().describe('An administrator has set this total, so that it is not one of calls'),
};

const describeDifference = ({ isSet, found, expected, ...rest }: Difference) => ({
  ...rest,
  found: BigInt(found),
  expected: BigInt(expected),
  difference: Number(BigInt(found) - BigInt(expected)) / 1e9,
  setByAdministrator: isSet,
});

const verdictInfo = {
  isValid: z.boolean().describe('Whether everything adds up'),
  since: z.string().nullable().describe('The first month whose calls are kept, as its first day'),
  days: z.int().describe('Days whose calls were compared with their sums'),
  owners: z.int().describe('Keys, teams, users, organizations, members, customers and tags whose totals were compared'),
  windows: z.int().describe('Windows of budgets that were compared'),
  pending: z.int().nullable().describe('Calls in the journal that are not booked yet; null where it cannot be read'),
  setAside: z.int().nullable().describe('Calls in the journal that the database refuses; null where it cannot be read'),
  differences: z.array(answer(differenceInfo)).describe('What does not add up, at most 100 of a kind and a day'),
};

export const verifyLedger = operation({
  command: ['spend', 'verify'],
  route: ['GET', '/spend/verify'],
  summary: 'Prove that all sums are those of the calls',
  description:
    'Compares the calls that are kept with the sums of their days, the days with what each key, team, user, organization, member, customer and tag has spent in all, and the windows of budgets. A running daemon is not disturbed, and what it books meanwhile is no difference. It reads every call that is kept: allow it time with --timeout, or name a time.',
  input: wire({ startDate: dates.startDate }),
  output: answer(verdictInfo),
  access: 'admin',
  isOfOneMoment: true,
  cli: {
    result: 'differences',
    columns: ['check', 'entity', 'id', 'period', 'found', 'expected', 'difference'],
    wide: ['requests', 'expected_requests', 'set_by_administrator'],
    flags: { start_date: dateFlags.start_date },
    done: ({ days, owners, windows, pending, set_aside: setAside }) =>
      `Compared: ${text(days)} days, ${text(owners)} totals and ${text(windows)} windows; ${
        pending === null
          ? 'the journal cannot be read here'
          : `${text(pending)} calls wait in the journal, ${text(setAside)} are set aside`
      }`,
    no: ({ is_valid: isValid }) => (isValid === true ? undefined : 'The sums are not those of the calls.'),
    examples: [
      ['Everything that is kept', 'gatewayctl spend verify --timeout 10m'],
      ['In a script, after a restore', 'gatewayctl spend verify --since 7d -o json'],
    ],
  },
  run: async ({ spend, em, journal }: Needs, { startDate }) => {
    const { differences, ...compared } = await spend.verify(em, startDate);
    const { pending = null, setAside = null } = journal() ?? {};
    return {
      ...compared,
      isValid: differences.every(({ isSet }) => isSet) && (setAside ?? 0) === 0,
      pending,
      setAside,
      differences: differences.map(describeDifference),
    };
  },
});
