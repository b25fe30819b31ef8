import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { label } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { dateFlags, dates } from '../kernel/period.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { activity } from './activity.ts';
import type { spendRows, SpendRow, spendSums, SpendSum } from './spend.queries.ts';
import type { tagSums } from './tag-summary.ts';
import type { requireSpender, spendScope } from './spend.scope.ts';

/** The reads of the ledger, handed in so that importing an operation loads no database. */
export interface SpendReads {
  rows: typeof spendRows;
  sums: typeof spendSums;
  activity: typeof activity;
  tags: typeof tagSums;
  scope: typeof spendScope;
  requireSpender: typeof requireSpender;
}

interface Needs {
  spend: SpendReads;
  em: EntityManager;
  authority: Authority;
  keys: KeyService;
  teams: TeamService;
}

const count = z.codec(z.int(), z.string(), { decode: String, encode: Number });

const logInfo = {
  requestId: z.string().describe('Names the call: the x-litellm-call-id of its answer'),
  startTime: timestamp.describe('When the call came in'),
  endTime: timestamp.describe('When it was booked'),
  apiKey: z.string().describe('The hash of the key'),
  keyId: z.string().describe('Names the key for good'),
  keyAlias: z.string().nullable().describe('What people call the key; null when it is deleted'),
  teamId: z.string().nullable().describe('The team of the key'),
  user: z.string().nullable().describe('The user of the key'),
  endUser: z.string().nullable().describe('The user field of the request'),
  modelGroup: z.string().describe('The model the client asked for'),
  model: z.string().describe('The model that was called upstream'),
  modelId: z.string().describe('The deployment'),
  customLlmProvider: z.string().describe('The provider'),
  call_type: z.string().describe('The kind of call, such as chat_completion'),
  stream: z.boolean().describe('Whether the answer was streamed'),
  attempts: z.int().describe('Which attempt at an upstream it was, counted from 1'),
  cacheHit: z.enum(['True', 'False']).describe('Whether the answer came from the response cache, as LiteLLM writes it'),
  status: z.string().describe('success, interrupted or failure'),
  httpStatus: z.int().describe('The HTTP status the client got'),
  error: z.string().nullable().describe('What went wrong'),
  promptTokens: count.describe('Input tokens'),
  completionTokens: count.describe('Output tokens'),
  totalTokens: z.int().describe('Input and output tokens'),
  usageEstimated: z.boolean().describe('Whether the tokens were counted here because the provider did not say'),
  spend: usd.describe('What the call cost in US dollars'),
  priceSource: z.string().describe('Where the price came from; unpriced calls cost nothing'),
  priceVersion: z.string().nullable().describe('Which edition of that source'),
  serviceTier: z.string().nullable().describe('The service tier the price is of; null when none was named'),
};

const describeRow = (row: SpendRow) => ({
  requestId: row.request_id,
  startTime: new Date(row.started_at),
  endTime: new Date(row.created_at),
  apiKey: row.api_key,
  keyId: row.key_id,
  keyAlias: row.key_label,
  teamId: row.team_id,
  user: row.user_id,
  endUser: row.end_user,
  modelGroup: row.model,
  model: row.upstream_model,
  modelId: row.model_id,
  customLlmProvider: row.provider,
  call_type: row.call_type,
  stream: row.stream,
  attempts: row.attempts ?? 1,
  cacheHit: row.cache_hit ? ('True' as const) : ('False' as const),
  status: row.status,
  httpStatus: row.http_status,
  error: row.error,
  promptTokens: row.prompt_tokens,
  completionTokens: row.completion_tokens,
  totalTokens: Number(row.prompt_tokens) + Number(row.completion_tokens),
  usageEstimated: row.usage_estimated,
  spend: BigInt(row.spend),
  priceSource: row.price_source,
  priceVersion: row.price_version,
  serviceTier: row.service_tier,
});

export const listSpendLogs = operation({
  command: ['spend', 'logs'],
  route: ['GET', '/spend/logs'],
  summary: 'List booked calls, the newest first',
  description: 'Without the role of an administrator: your own, and those of teams and organizations you administer.',
  input: wire({
    requestId: label.optional().describe('Only this call'),
    apiKey: label.optional().describe('Only calls with this key: alias, id or hash'),
    teamId: label.optional().describe('Only calls of this team, by id or alias'),
    userId: label.optional().describe('Only calls of this user'),
    model: label.optional().describe('Only calls for this model'),
    ...dates,
    limit: z.int().min(1).max(1_000).default(100).describe('Calls at most'),
  }),
  output: z.array(answer(logInfo)),
  unserved: ['summarize'],
  access: 'scoped',
  cli: {
    columns: [
      'start_time',
      'key_alias',
      'model_group',
      'status',
      'prompt_tokens',
      'completion_tokens',
      'spend',
      'request_id',
    ],
    wide: [
      'team_id',
      'user',
      'end_user',
      'model',
      'custom_llm_provider',
      'price_source',
      'usage_estimated',
      'error',
      'key_id',
    ],
    headings: {
      start_time: 'TIME',
      key_alias: 'KEY',
      model_group: 'MODEL',
      prompt_tokens: 'IN',
      completion_tokens: 'OUT',
      model: 'UPSTREAM',
      custom_llm_provider: 'PROVIDER',
    },
    id: 'request_id',
    flags: {
      api_key: { name: 'key', placeholder: 'key', completes: 'key' },
      team_id: { name: 'team', placeholder: 'team', completes: 'team' },
      user_id: { name: 'user', placeholder: 'user', completes: 'user' },
      model: { name: 'model', placeholder: 'model', completes: 'model' },
      ...dateFlags,
    },
    examples: [['The last day of a key', 'gatewayctl spend logs --key ci-runner --since 24h']],
  },
  run: async ({ spend, em, authority, keys, teams }: Needs, { apiKey, teamId, startDate, endDate, limit, ...rest }) => {
    const scope = await spend.scope(em, authority);
    if (rest.userId !== undefined) await spend.requireSpender(em, scope, rest.userId);
    const filter = {
      ...rest,
      keyId: apiKey === undefined ? undefined : (await keys.get(apiKey)).id,
      teamId: teamId === undefined ? undefined : (await teams.get(teamId)).id,
      since: startDate,
      until: endDate,
    };
    return (await spend.rows(em, { filter, scope, limit })).map(describeRow);
  },
});

const sumInfo = {
  group: z.string().describe('What the calls have in common'),
  label: z.string().nullable().describe('What people call it'),
  requests: count.describe('Calls'),
  failedRequests: count.describe('Calls that failed'),
  promptTokens: count.describe('Input tokens'),
  completionTokens: count.describe('Output tokens'),
  spend: usd.describe('What the calls cost in US dollars'),
};

const describeSum = (sum: SpendSum) => ({
  group: sum.group,
  label: sum.label,
  requests: sum.requests,
  failedRequests: sum.failed_requests,
  promptTokens: sum.prompt_tokens,
  completionTokens: sum.completion_tokens,
  spend: BigInt(sum.spend),
});

export const reportSpend = operation({
  command: ['spend', 'report'],
  route: ['GET', '/spend/report'],
  summary: 'Add up what calls have cost',
  description: 'Without the role of an administrator: your own, and those of teams and organizations you administer.',
  input: wire({
    groupBy: z
      .enum(['key', 'team', 'user', 'organization', 'model', 'provider', 'day'])
      .default('key')
      .describe('What the calls are added up by'),
    ...dates,
    limit: z.int().min(1).max(1_000).default(20).describe('Rows at most, the dearest first'),
  }),
  output: z.array(answer(sumInfo)),
  access: 'scoped',
  cli: {
    columns: ['group', 'label', 'requests', 'failed_requests', 'prompt_tokens', 'completion_tokens', 'spend'],
    headings: { failed_requests: 'FAILED', prompt_tokens: 'TOKENS-IN', completion_tokens: 'TOKENS-OUT' },
    id: 'group',
    flags: { group_by: 'by', limit: 'top', ...dateFlags },
    examples: [['What each team has cost in a month', 'gatewayctl spend report --by team --since 30d']],
  },
  run: async ({ spend, em, authority }: Needs, { groupBy: by, startDate, endDate, limit }) => {
    const scope = await spend.scope(em, authority);
    const period = { since: startDate, until: endDate };
    return (await spend.sums(em, { by, dates: period, scope, limit })).map(describeSum);
  },
});

export const spendOperations = [listSpendLogs, reportSpend] as const;
