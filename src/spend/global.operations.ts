import { z } from 'zod';
import { id } from '../kernel/fields.ts';
import { toDollars, usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import { dearest, filterOf, type GlobalNeeds, idAt, most, nameAt, period, sumOf, whole } from './global.asked.ts';

/** What LiteLLM's clients ask for of everybody's spend; for people there is `gatewayctl spend report`. */

const spent = usd.describe('US dollars');
const calls = z.int().describe('Calls');
const admin = { access: 'admin' } as const;

export const globalSpend = operation({
  command: ['global-spend', 'show'],
  route: ['GET', '/global/spend'],
  summary: 'Show what was spent in all',
  description: 'In the last 30 days, today included.',
  input: wire(period),
  output: answer({
    spend: spent,
    maxBudget: usd.describe('US dollars that may be spent by all together; 0 is no limit, as there is none'),
  }),
  ...admin,
  run: async (needs: GlobalNeeds, asked) => ({
    spend: sumOf(await whole(needs, ['month'], await filterOf(needs, asked))),
    maxBudget: 0n,
  }),
});

export const globalSpendByDay = operation({
  command: ['global-spend', 'list-days'],
  route: ['GET', '/global/spend/logs'],
  summary: 'List what was spent day by day',
  input: wire(period),
  output: z.array(answer({ date: z.string().describe('The day, in UTC'), spend: spent })),
  ...admin,
  run: async (needs: GlobalNeeds, asked) =>
    (await whole(needs, ['day'], await filterOf(needs, asked)))
      .map((sum) => ({ date: idAt(sum, 0), spend: BigInt(sum.spend) }))
      .toReversed(),
});

export const globalSpendByKey = operation({
  command: ['global-spend', 'list-keys'],
  route: ['GET', '/global/spend/keys'],
  summary: 'List what keys have spent',
  input: wire({ ...period, limit: most }),
  output: z.array(
    answer({
      apiKey: z.string().describe('The hash of the key, or its id where the hash is not known any more'),
      keyAlias: z.string().nullable().describe('What people call the key'),
      keyName: z.string().nullable().describe('The key, shortened'),
      totalSpend: spent,
    }),
  ),
  ...admin,
  run: async (needs: GlobalNeeds, asked) => {
    const found = await dearest(needs, 'key', asked);
    const known = await needs.spend.keysNamed(
      needs.em,
      found.map((sum) => idAt(sum, 0)),
    );
    return found.map((sum) => {
      const key = known.get(idAt(sum, 0));
      const totalSpend = BigInt(sum.spend);
      return {
        apiKey: key?.token ?? idAt(sum, 0),
        keyAlias: key?.alias ?? null,
        keyName: key?.name ?? null,
        totalSpend,
      };
    });
  },
});

export const globalSpendByTeam = operation({
  command: ['global-spend', 'list-teams'],
  route: ['GET', '/global/spend/teams'],
  summary: 'List what teams have spent, day by day',
  input: wire(period),
  output: answer({
    dailySpend: z
      .array(z.record(z.string(), z.union([z.string(), z.number()])))
      .describe('Days: the date, and what each team has spent, by its name'),
    teams: z.array(z.string()).describe('The names of the teams'),
    totalSpendPerTeam: z
      .array(answer({ teamId: z.string().describe('The name of the team'), totalSpend: spent }))
      .describe('What each has spent in all, the dearest first'),
  }),
  ...admin,
  run: async (needs: GlobalNeeds, asked) => {
    const found = await whole(needs, ['day', 'team'], await filterOf(needs, asked));
    const teamOf = (sum: (typeof found)[number]) => nameAt(sum, 1) || 'Unassigned';
    const days = [...Map.groupBy(found, (sum) => idAt(sum, 0))].toReversed();
    const totals = [...Map.groupBy(found, teamOf)].map(([teamId, sums]) => ({ teamId, totalSpend: sumOf(sums) }));
    return {
      dailySpend: days.map(([date, sums]) =>
        Object.fromEntries([...sums.map((sum) => [teamOf(sum), toDollars(BigInt(sum.spend))]), ['date', date]]),
      ),
      teams: totals.map(({ teamId }) => teamId),
      totalSpendPerTeam: totals.toSorted((one, other) => (one.totalSpend < other.totalSpend ? 1 : -1)),
    };
  },
});

export const globalSpendByModel = operation({
  command: ['global-spend', 'list-models'],
  route: ['GET', '/global/spend/models'],
  summary: 'List what models have cost',
  input: wire({ ...period, limit: most }),
  output: z.array(answer({ model: z.string().describe('The model'), totalSpend: spent })),
  ...admin,
  run: async (needs: GlobalNeeds, asked) =>
    (await dearest(needs, 'model', asked)).map((sum) => ({ model: idAt(sum, 0), totalSpend: BigInt(sum.spend) })),
});

export const globalSpendByProvider = operation({
  command: ['global-spend', 'list-providers'],
  route: ['GET', '/global/spend/provider'],
  summary: 'List what providers have cost',
  input: wire({ ...period, limit: most }),
  output: z.array(answer({ provider: z.string().describe('The provider'), spend: spent })),
  ...admin,
  run: async (needs: GlobalNeeds, asked) =>
    (await dearest(needs, 'provider', asked)).map((sum) => ({ provider: idAt(sum, 0), spend: BigInt(sum.spend) })),
});

export const globalSpendByTag = operation({
  command: ['global-spend', 'list-tags'],
  route: ['GET', '/global/spend/tags'],
  summary: 'List what was spent under tags',
  input: wire({
    ...period,
    tags: z.array(id).min(1).max(100).optional().describe('Only these tags'),
    limit: most,
  }),
  output: answer({
    spendPerTag: z
      .array(answer({ name: z.string().describe('The tag'), spend: spent, logCount: calls }))
      .describe('The tags, the dearest first'),
  }),
  ...admin,
  run: async (needs: GlobalNeeds, { tags, ...asked }) => {
    const filter = await filterOf(needs, asked);
    const report = { by: ['tag'] as const, scope: undefined, limit: asked.limit, hasTotal: false };
    const found = await needs.spend.report(needs.em, { ...report, filter: { ...filter, tags } });
    return {
      spendPerTag: found.map((sum) => ({
        name: idAt(sum, 0),
        spend: BigInt(sum.spend),
        logCount: Number(sum.requests),
      })),
    };
  },
});

const TAGS_AT_MOST = 10_000;

export const globalTagNames = operation({
  command: ['global-spend', 'list-tag-names'],
  route: ['GET', '/global/spend/all_tag_names'],
  summary: 'List the tags that calls have carried',
  input: wire({}),
  output: answer({ tagNames: z.array(z.string()).describe(`The tags in order, ${TAGS_AT_MOST} at most`) }),
  ...admin,
  run: async ({ spend, em }: GlobalNeeds) => ({ tagNames: await spend.tagNames(em, TAGS_AT_MOST) }),
});

export const globalSpendByCustomer = operation({
  command: ['global-spend', 'list-end-users'],
  route: ['POST', '/global/spend/end_users'],
  summary: 'List what customers have spent',
  input: wire({
    apiKey: period.apiKey,
    startTime: period.startDate,
    endTime: period.endDate,
    limit: most,
  }),
  output: z.array(answer({ endUser: z.string().describe('The customer'), totalCount: calls, totalSpend: spent })),
  ...admin,
  isRead: true,
  run: async (needs: GlobalNeeds, { startTime: startDate, endTime: endDate, ...asked }) =>
    (await dearest(needs, 'customer', { ...asked, startDate, endDate })).map((sum) => ({
      endUser: idAt(sum, 0),
      totalCount: Number(sum.requests),
      totalSpend: BigInt(sum.spend),
    })),
});

export const globalSpendOperations = [
  globalSpend,
  globalSpendByDay,
  globalSpendByKey,
  globalSpendByTeam,
  globalSpendByModel,
  globalSpendByProvider,
  globalSpendByTag,
  globalTagNames,
  globalSpendByCustomer,
] as const;
