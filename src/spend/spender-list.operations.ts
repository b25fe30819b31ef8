import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { id } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { dates } from '../kernel/period.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { Spender } from './global.queries.ts';
import type { SpendReads } from './spend.reads.ts';

export interface Needs {
  spend: SpendReads;
  em: EntityManager;
  authority: Authority;
}

const limit = z.int().min(1).max(1_000).default(100).describe('Rows at most, the dearest first');

const text = (what: string) => z.string().nullable().describe(what);

const spentInfo = {
  spend: usd.describe('US dollars spent in all'),
  maxBudget: usd.nullable().describe('US dollars that may be spent; null is no limit'),
  models: z.array(z.string()).describe('Models that may be called; none means all'),
  createdAt: timestamp.describe('When it was made'),
};

const keyInfo = {
  token: z.string().describe('The hash of the key'),
  keyName: text('The key, shortened'),
  keyAlias: text('What people call the key'),
  teamId: text('The team'),
  userId: text('The user'),
  organizationId: text('The organization'),
  blocked: z.boolean().describe('Whether the key is blocked'),
  expires: timestamp.nullable().describe('Until when it is valid'),
  ...spentInfo,
};

const userInfo = {
  userId: z.string().describe('The user'),
  userEmail: text('The e-mail address'),
  userAlias: text('What people call the user'),
  userRole: z.string().describe('The role'),
  ...spentInfo,
};

const plain = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const moment = (value: unknown): Date | null =>
  typeof value === 'string' || value instanceof Date ? new Date(value) : null;
const list = z.array(z.string());

const spentOf = (row: Spender) => ({
  spend: BigInt(row.spend),
  maxBudget: row.max_budget === null ? null : BigInt(row.max_budget),
  models: list.parse(row['models']),
  createdAt: moment(row['created_at']) ?? new Date(0),
});

const describeKey = (row: Spender) => ({
  token: String(row['token']),
  keyName: plain(row['key_name']),
  keyAlias: plain(row['key_alias']),
  teamId: plain(row['team_id']),
  userId: plain(row['user_id']),
  organizationId: plain(row['organization_id']),
  blocked: row['blocked'] === true,
  expires: moment(row['expires_at']),
  ...spentOf(row),
});

const describeUser = (row: Spender) => ({
  userId: String(row['user_id']),
  userEmail: plain(row['user_email']),
  userAlias: plain(row['user_alias']),
  userRole: String(row['user_role']),
  ...spentOf(row),
});

/** What LiteLLM's older clients ask for; `gatewayctl key list` is the command. */
export const listSpendOfKeys = operation({
  command: ['spend', 'list-keys'],
  route: ['GET', '/spend/keys'],
  summary: 'List keys by what they have spent',
  input: wire({ limit }),
  output: z.array(answer(keyInfo)),
  access: 'scoped',
  run: async ({ spend, em, authority }: Needs, { limit: most }) => {
    const found = await spend.topSpenders(em, 'keys', { scope: await spend.scope(em, authority), limit: most });
    return found.map(describeKey);
  },
});

export const listSpendOfUsers = operation({
  command: ['spend', 'list-users'],
  route: ['GET', '/spend/users'],
  summary: 'List users by what they have spent',
  input: wire({ userId: id.optional().describe('Only this user'), limit }),
  output: z.array(answer(userInfo)),
  access: 'scoped',
  run: async ({ spend, em, authority }: Needs, { userId, limit: most }) => {
    const scope = await spend.scope(em, authority);
    if (userId !== undefined) await spend.requireSpender(em, scope, userId);
    // Whoever may read a user's calls in a team need not learn its limits: of all others only oneself.
    const own = scope
      ?.filter(({ owner }) => owner === 'user_id')
      .map(({ ids }) => ({ owner: 'user_id' as const, ids }));
    const found = await spend.topSpenders(em, 'users', { scope: own, id: userId, limit: most });
    return found.map(describeUser);
  },
});

export const listSpendOfTags = operation({
  command: ['spend', 'list-tags'],
  route: ['GET', '/spend/tags'],
  summary: 'List tags by what was spent under them',
  input: wire({ ...dates, limit }),
  output: z.array(
    answer({
      individualRequestTag: z.string().describe('The tag'),
      logCount: z.int().describe('Calls that carried it'),
      totalSpend: usd.describe('What they cost in US dollars'),
    }),
  ),
  access: 'admin',
  run: async ({ spend, em }: Needs, { startDate: since, endDate: until, limit: most }) => {
    const report = { by: ['tag'] as const, filter: { since, until }, scope: undefined, limit: most, hasTotal: false };
    return (await spend.report(em, report)).map(({ groups: [tag], requests, spend: spent }) => ({
      individualRequestTag: tag?.id ?? '',
      logCount: Number(requests),
      totalSpend: BigInt(spent),
    }));
  },
});

export const spenderListOperations = [listSpendOfKeys, listSpendOfUsers, listSpendOfTags] as const;
