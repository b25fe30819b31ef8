import { z } from 'zod';
import { usd } from '../kernel/money.ts';
import { type Page, pagesFor } from '../kernel/page.ts';
import { answer } from '../kernel/wire.ts';
import type { Activity, Day } from './activity.ts';
import type { Slice, Sums } from './activity.queries.ts';

const metricInfo = {
  spend: usd.describe('What the calls cost in US dollars'),
  promptTokens: z.int().describe('Input tokens'),
  completionTokens: z.int().describe('Output tokens'),
  cacheReadInputTokens: z.int().describe('Input tokens read from a provider’s cache'),
  cacheCreationInputTokens: z.int().describe('Input tokens written to a provider’s cache'),
  totalTokens: z.int().describe('Input and output tokens'),
  successfulRequests: z.int().describe('Calls that did not fail'),
  failedRequests: z.int().describe('Calls that failed'),
  apiRequests: z.int().describe('Calls'),
};

const describeMetrics = (sums: Sums) => ({
  spend: BigInt(sums.spend),
  promptTokens: sums.prompt_tokens,
  completionTokens: sums.completion_tokens,
  cacheReadInputTokens: sums.cache_read_tokens,
  cacheCreationInputTokens: sums.cache_write_tokens,
  totalTokens: sums.prompt_tokens + sums.completion_tokens,
  successfulRequests: sums.requests - sums.failed_requests,
  failedRequests: sums.failed_requests,
  apiRequests: sums.requests,
});

const metrics = answer(metricInfo);

const part = answer({
  metrics: metrics.describe('What these calls add up to'),
  metadata: z.record(z.string(), z.string().nullable()).describe('What people call it'),
});

const parts = (what: string) => z.record(z.string(), part).describe(`By ${what}, the dearest 50`);

const breakdown = answer({
  models: parts('model'),
  modelGroups: parts('model, as the client names it'),
  providers: parts('provider'),
  apiKeys: parts('the hash of the key, or its id where the hash is not known any more'),
  entities: parts('user, team or organization'),
});

const dayInfo = {
  date: z.string().describe('The day, in UTC'),
  spend: usd.describe('What the calls of the day cost in US dollars'),
  apiRequests: z.int().describe('Calls'),
  failedRequests: z.int().describe('Calls that failed'),
  promptTokens: z.int().describe('Input tokens'),
  completionTokens: z.int().describe('Output tokens'),
  metrics: metrics.describe('What the day adds up to'),
  breakdown: breakdown.describe('The day by what its calls have in common'),
};

const totalInfo = {
  totalSpend: usd.describe('US dollars over all days'),
  totalPromptTokens: z.int().describe('Input tokens over all days'),
  totalCompletionTokens: z.int().describe('Output tokens over all days'),
  totalTokens: z.int().describe('Input and output tokens over all days'),
  totalApiRequests: z.int().describe('Calls over all days'),
  totalSuccessfulRequests: z.int().describe('Calls over all days that did not fail'),
  totalFailedRequests: z.int().describe('Calls over all days that failed'),
  totalCacheReadInputTokens: z.int().describe('Input tokens over all days that were read from a provider’s cache'),
  totalCacheCreationInputTokens: z.int().describe('Input tokens over all days that were written to a provider’s cache'),
  totalDays: z.int().describe('Days with calls'),
  page: z.int().describe('Which page this is'),
  totalPages: z.int().describe('How many pages there are'),
  hasMore: z.boolean().describe('Whether there is another page'),
};

/** LiteLLM's answer to all of its questions for daily activity. */
export const activityInfo = {
  results: z.array(answer(dayInfo)).describe('Days with calls, the newest first'),
  metadata: answer(totalInfo).describe('What all days add up to, and where the page stands'),
};

const describeParts = (slices: readonly Slice[], name: (slice: Slice) => string, metadata: (slice: Slice) => object) =>
  Object.fromEntries(
    slices.map((slice) => [name(slice), { metrics: describeMetrics(slice), metadata: named(metadata(slice)) }]),
  );

const named = (metadata: object): Record<string, string | null> => ({ ...metadata });

function describeDay({ date, sums, slices }: Day) {
  const all = describeMetrics(sums);
  const models = describeParts(
    slices.model,
    ({ name }) => name,
    () => ({}),
  );
  return {
    date,
    spend: all.spend,
    apiRequests: all.apiRequests,
    failedRequests: all.failedRequests,
    promptTokens: all.promptTokens,
    completionTokens: all.completionTokens,
    metrics: all,
    breakdown: {
      models,
      modelGroups: models,
      providers: describeParts(
        slices.provider,
        ({ name }) => name,
        () => ({}),
      ),
      apiKeys: describeParts(
        slices.key,
        ({ token, name }) => token ?? name,
        ({ alias, team_id: team }) => ({ key_alias: alias, team_id: team }),
      ),
      entities: describeParts(
        slices.entity,
        ({ name }) => name,
        ({ alias }) => ({ alias }),
      ),
    },
  };
}

export function describeActivity({ days, total, dayCount }: Activity, { page, size }: Page) {
  const all = describeMetrics(total);
  const totalPages = pagesFor(dayCount, size);
  return {
    results: days.map(describeDay),
    metadata: {
      totalSpend: all.spend,
      totalPromptTokens: all.promptTokens,
      totalCompletionTokens: all.completionTokens,
      totalTokens: all.totalTokens,
      totalApiRequests: all.apiRequests,
      totalSuccessfulRequests: all.successfulRequests,
      totalFailedRequests: all.failedRequests,
      totalCacheReadInputTokens: all.cacheReadInputTokens,
      totalCacheCreationInputTokens: all.cacheCreationInputTokens,
      totalDays: dayCount,
      page,
      totalPages,
      hasMore: page < totalPages,
    },
  };
}
