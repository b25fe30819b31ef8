import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { GatewayError } from '../kernel/errors.ts';
import { label } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { offsetOf, pageFields, pagesFor } from '../kernel/page.ts';
import { dateFlags, dates, dayOf, daysBetween } from '../kernel/period.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import { cursorText } from './cursor.ts';
import { NAMED_AT_MOST } from './day-summary.ts';
import type { SpendReads } from './spend.reads.ts';
import { describeRow, logInfo } from './spend.wire.ts';

export interface Needs {
  spend: SpendReads;
  em: EntityManager;
  authority: Authority;
  keys: KeyService;
  teams: TeamService;
  now: Date;
}

const which = {
  requestId: label.optional().describe('Only this call'),
  apiKey: label.optional().describe('Only calls with this key: alias, id or hash'),
  teamId: label.optional().describe('Only calls of this team, by id or alias'),
  userId: label.optional().describe('Only calls of this user'),
  model: label.optional().describe('Only calls for this model'),
};

const narrower = {
  endUser: label.optional().describe('Only calls for this customer'),
  statusFilter: z.enum(['success', 'interrupted', 'failure']).optional().describe('Only calls that ended like this'),
  wouldRefuse: z
    .boolean()
    .optional()
    .describe('Only calls that would have been refused, had enforce not been observe; false for all others'),
  minSpend: usd.optional().describe('Only calls that cost so many US dollars or more'),
  maxSpend: usd.optional().describe('Only calls that cost at most so many US dollars'),
};

const behind = cursorText
  .optional()
  .describe('Only calls behind this one in the list: <end_time>,<request_id> of the last one of the page before');

interface Which {
  readonly requestId?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly teamId?: string | undefined;
  readonly userId?: string | undefined;
  readonly model?: string | undefined;
  readonly endUser?: string | undefined;
  readonly statusFilter?: string | undefined;
  readonly wouldRefuse?: boolean | undefined;
  readonly minSpend?: bigint | undefined;
  readonly maxSpend?: bigint | undefined;
}

/** What was asked for, by ids, and what of it the caller may see. */
async function callsOf({ spend, em, authority, keys, teams }: Needs, asked: Which) {
  const {
    apiKey,
    teamId,
    statusFilter: status,
    requestId,
    userId,
    model,
    endUser,
    wouldRefuse,
    minSpend,
    maxSpend,
  } = asked;
  const scope = await spend.scope(em, authority);
  if (userId !== undefined) await spend.requireSpender(em, scope, userId);
  const owners = {
    keyId: apiKey === undefined ? undefined : (await keys.get(apiKey)).id,
    teamId: teamId === undefined ? undefined : (await teams.get(teamId)).id,
    userId,
    model,
  };
  return { scope, owners, filter: { requestId, ...owners, endUser, status, wouldRefuse, minSpend, maxSpend } };
}

const day = z
  .record(z.string(), z.union([z.string(), z.number(), z.record(z.string(), z.number())]))
  .describe('A day: startTime, spend, users, models, and what each key has spent by its hash');

const YEAR = 366;

/** LiteLLM's clients get sums where they name both ends of a time and say nothing else. */
const isSummary = (summarize: boolean | undefined, { requestId, startDate, endDate, after }: Ends): boolean =>
  (summarize ?? (requestId === undefined && after === undefined)) && startDate !== undefined && endDate !== undefined;

interface Ends {
  readonly requestId?: string | undefined;
  readonly startDate?: Date | undefined;
  readonly endDate?: Date | undefined;
  readonly after?: unknown;
}

/** Sums are of whole days and have nothing of what the aggregates do not keep. */
function requireSummable({ requestId, endUser, statusFilter, wouldRefuse, minSpend, maxSpend }: Which): void {
  const names = { request_id: requestId, end_user: endUser, status_filter: statusFilter, would_refuse: wouldRefuse };
  const dollars = { min_spend: minSpend, max_spend: maxSpend };
  const found = Object.entries({ ...names, ...dollars }).find(([, value]) => value !== undefined)?.[0];
  if (found === undefined) return;
  throw new GatewayError('invalid', 'invalid_request_error', `${found}: days are not summed by it`, {
    param: found,
    hint: 'Send summarize=false for the calls themselves.',
  });
}

export const listSpendLogs = operation({
  command: ['spend', 'logs'],
  route: ['GET', '/spend/logs'],
  summary: 'List booked calls, the newest first',
  description:
    'Without the role of an administrator: your own, and those of teams and organizations you administer. A longer list is read on with --cursor.',
  input: wire({
    ...which,
    ...narrower,
    ...dates,
    summarize: z
      .boolean()
      .optional()
      .describe(
        `Sums of whole days in place of calls, each with the dearest ${NAMED_AT_MOST} keys, users and models; so it is when both dates are given and nothing is said`,
      ),
    cursor: behind,
    limit: z.int().min(1).max(1_000).default(100).describe('Calls at most'),
  }),
  output: z.array(z.union([answer(logInfo), day])),
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
      'request_tags',
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
    fixed: { summarize: false },
    flags: {
      api_key: { name: 'key', placeholder: 'key', completes: 'key' },
      team_id: { name: 'team', placeholder: 'team', completes: 'team' },
      user_id: { name: 'user', placeholder: 'user', completes: 'user' },
      model: { name: 'model', placeholder: 'model', completes: 'model' },
      end_user: { name: 'customer', placeholder: 'customer', completes: 'customer' },
      status_filter: 'status',
      ...dateFlags,
    },
    examples: [['The last day of a key', 'gatewayctl spend logs --key ci-runner --since 24h']],
  },
  run: async (needs: Needs, { startDate, endDate, limit, summarize, cursor: after, ...asked }) => {
    const { spend, em, now } = needs;
    const { scope, owners, filter } = await callsOf(needs, asked);
    if (isSummary(summarize, { ...asked, startDate, endDate, after }) && startDate && endDate) {
      requireSummable(asked);
      const ends = { startDate: dayOf(startDate), endDate: dayOf(endDate) };
      return spend.summedDays(em, { filter: { ...owners, ...daysBetween(ends, { now, most: YEAR }) }, scope });
    }
    const found = { ...filter, since: startDate, until: endDate };
    return (await spend.rows(em, { filter: found, scope, limit, after })).map(describeRow);
  },
});

const pages = pageFields({ default: 50, max: 1_000 });
const REACHED_AT_MOST = 10_000;

/** As LiteLLM's clients write it, `2026-11-27 08:00:00` in UTC, or as anybody else does. */
const moment = z.codec(
  z.union([z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/, 'must be a moment'), z.iso.date(), z.iso.datetime()]),
  z.date(),
  {
    decode: (text, context) => {
      const date = new Date(text.includes(' ') ? `${text.replace(' ', 'T')}Z` : text);
      if (!Number.isNaN(date.getTime())) return date;
      context.issues.push({ code: 'custom', input: text, message: 'must be a moment' });
      return z.NEVER;
    },
    encode: (date) => date.toISOString(),
  },
);

/** The routes of LiteLLM's later clients: the same calls in pages, by number or by cursor. */
export const listSpendLogsInPages = operation({
  command: ['spend', 'list-logs'],
  route: ['GET', '/spend/logs/v2'],
  summary: 'List booked calls in pages',
  input: wire({
    ...which,
    ...narrower,
    startDate: moment.optional().describe('From this day or moment on'),
    endDate: moment.optional().describe('Before this day or moment'),
    cursor: behind,
    page: pages.page,
    pageSize: pages.size,
  }),
  output: answer({
    data: z.array(answer(logInfo)).describe('The calls, the newest first'),
    total: z.int().describe(`How many there are; more than ${REACHED_AT_MOST} are not counted`),
    page: z.int().describe('Which page this is'),
    pageSize: z.int().describe('Calls on a page'),
    totalPages: z.int().describe('How many pages there are'),
    nextCursor: z.string().nullable().describe('The cursor of the next page; null after the last one'),
  }),
  unserved: ['key_alias', 'error_code', 'error_message', 'sort_by', 'sort_order', 'user_email'],
  access: 'scoped',
  run: async (needs: Needs, { startDate: since, endDate: until, cursor: after, page, pageSize, ...asked }) => {
    const { spend, em } = needs;
    const calls = await callsOf(needs, asked);
    const wanted = { filter: { ...calls.filter, since, until }, scope: calls.scope };
    const offset = after ? 0 : offsetOf({ page, size: pageSize });
    if (offset + pageSize > REACHED_AT_MOST) {
      throw new GatewayError('invalid', 'invalid_request_error', `page: only ${REACHED_AT_MOST} calls have pages`, {
        param: 'page',
        hint: 'Read on with cursor: the next_cursor of the page before.',
      });
    }
    const total = await spend.countCalls(em, { ...wanted, most: REACHED_AT_MOST });
    const found = await spend.rows(em, { ...wanted, after, offset, limit: pageSize + 1 });
    const rows = found.slice(0, pageSize).map(describeRow);
    const last = found.length > pageSize ? rows.at(-1) : undefined;
    return {
      data: rows,
      total,
      page,
      pageSize,
      totalPages: pagesFor(total, pageSize),
      nextCursor: last ? `${last.endTime.toISOString()},${last.requestId}` : null,
    };
  },
});

export const logOperations = [listSpendLogs, listSpendLogsInPages] as const;
