import { z } from 'zod';
import { id } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { dayFlags, days, daysBetween } from '../kernel/period.ts';
import { answer, wire } from '../kernel/wire.ts';
import {
  type ActivityNeeds,
  activityOf,
  DAYS_AT_MOST,
  flags,
  ids,
  narrowed,
  paged,
  shown,
  unserved,
} from './activity.asked.ts';
import { activityInfo } from './activity.wire.ts';

/** Customers and tags are names that clients put on their calls: what is spent under them is for administrators. */

export const customerActivity = operation({
  command: ['customer', 'activity'],
  route: ['GET', '/customer/daily/activity'],
  alsoAt: [['GET', '/end_user/daily/activity']],
  summary: 'Show what was spent for customers, day by day',
  description: 'Those that were never created too. The last day is included, in UTC.',
  input: wire({ endUserIds: ids('customers, by id'), ...narrowed, ...paged }),
  output: answer(activityInfo),
  unserved: [...unserved, 'exclude_end_user_ids'],
  access: 'admin',
  cli: {
    ...shown,
    flags: { ...flags, end_user_ids: { name: 'of-customer', placeholder: 'customer,…' } },
    examples: [['A month of a customer', 'gatewayctl customer activity --of-customer acme-42 --since 30d']],
  },
  run: async (needs: ActivityNeeds, { endUserIds, ...asked }) =>
    activityOf(needs, asked, { entity: 'customer', ids: endUserIds }),
});

export const tagActivity = operation({
  command: ['tag', 'activity'],
  route: ['GET', '/tag/daily/activity'],
  summary: 'Show what was spent under tags, day by day',
  description:
    'Those that were never created too. A call with several tags counts under each of them, so that the sums of several tags can hold it more than once. The last day is included, in UTC.',
  input: wire({ tags: ids('tags'), ...narrowed, ...paged }),
  output: answer(activityInfo),
  unserved,
  access: 'admin',
  cli: {
    ...shown,
    flags: { ...flags, tags: { name: 'of-tag', placeholder: 'tag,…' } },
    examples: [['A week of two tags', 'gatewayctl tag activity --of-tag batch,nightly --since 7d']],
  },
  run: async (needs: ActivityNeeds, { tags, ...asked }) => activityOf(needs, asked, { entity: 'tag', ids: tags }),
});

const summaryInfo = {
  tag: z.string().describe('The tag'),
  uniqueUsers: z.int().describe('Users whose calls carried it'),
  totalRequests: z.int().describe('Calls that carried it'),
  successfulRequests: z.int().describe('Calls that did not fail'),
  failedRequests: z.int().describe('Calls that failed'),
  totalTokens: z.int().describe('Input and output tokens'),
  totalSpend: usd.describe('What the calls cost in US dollars'),
};

export const tagSummary = operation({
  command: ['tag', 'summary'],
  route: ['GET', '/tag/summary'],
  summary: 'Show how much tags are used',
  description: 'The 1,000 that most calls carried. The last day is included, in UTC.',
  input: wire({
    ...days,
    tagFilter: id.optional().describe('Only tags that contain this, in capitals or not'),
    tagFilters: ids('tags; goes before tag_filter'),
  }),
  output: answer({ results: z.array(answer(summaryInfo)).describe('The tags, those with most calls first') }),
  access: 'admin',
  cli: {
    result: 'results',
    columns: ['tag', 'unique_users', 'total_requests', 'failed_requests', 'total_tokens', 'total_spend'],
    headings: {
      unique_users: 'USERS',
      total_requests: 'REQUESTS',
      failed_requests: 'FAILED',
      total_tokens: 'TOKENS',
      total_spend: 'SPEND',
    },
    id: 'tag',
    flags: {
      ...dayFlags,
      tag_filter: { name: 'containing', placeholder: 'text' },
      tag_filters: { name: 'of-tag', placeholder: 'tag,…' },
    },
    examples: [['Who used what in a month', 'gatewayctl tag summary --since 30d']],
  },
  run: async ({ spend, em, now }: ActivityNeeds, { tagFilter, tagFilters, ...asked }) => {
    const found = await spend.tags(em, {
      ...daysBetween(asked, { now, most: DAYS_AT_MOST }),
      tags: tagFilters,
      containing: tagFilters ? undefined : tagFilter,
    });
    return {
      results: found.map(({ tag, users, sums }) => ({
        tag,
        uniqueUsers: users,
        totalRequests: sums.requests,
        successfulRequests: sums.requests - sums.failed_requests,
        failedRequests: sums.failed_requests,
        totalTokens: sums.prompt_tokens + sums.completion_tokens,
        totalSpend: BigInt(sums.spend),
      })),
    };
  },
});

export const labelActivityOperations = [customerActivity, tagActivity, tagSummary] as const;
