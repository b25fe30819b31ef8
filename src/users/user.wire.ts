import { z } from 'zod';
import { budgetTable, describeBudgetTable } from '../budgets/budget.wire.ts';
import type { Standing } from '../budgets/budgeted.wire.ts';
import { grantInfo, stampInfo } from '../kernel/fields.ts';
import { describeLimits, limitInfo } from '../kernel/limits.ts';
import { answer } from '../kernel/wire.ts';
import type { User } from './user.entity.ts';

/** A row of the table of users, in LiteLLM's words. */
const rowInfo = {
  userId: z.string().describe('Names the user'),
  userEmail: z.string().nullable().describe('The address of the user'),
  userAlias: z.string().nullable().describe('What the user is called'),
  userRole: z.string().describe('What the user may do'),
  organizationId: z.string().nullable().describe('The organization the user is at home in'),
  ssoUserId: z.string().nullable().describe('How an identity provider knows the user'),
  ...grantInfo,
  ...limitInfo,
  budgetId: z.string().nullable().describe('The shared budget whose limits count where the user has none of its own'),
  blocked: z.boolean().describe('Whether all keys of the user are refused for now'),
  status: z.enum(['active', 'blocked']).describe('Whether its keys work'),
  ...stampInfo,
};

/** A user in answers. */
export const userInfo = { ...rowInfo, litellmBudgetTable: budgetTable };

const describeRow = (user: User, now: Date, spent = user.spend) => ({
  userId: user.id,
  userEmail: user.email ?? null,
  userAlias: user.alias ?? null,
  userRole: user.role,
  organizationId: user.organizationId ?? null,
  ssoUserId: user.ssoUserId ?? null,
  models: user.models,
  maxBudget: user.maxBudget ?? null,
  spend: spent,
  totalSpend: user.spend,
  metadata: user.metadata,
  ...describeLimits(user, now),
  budgetId: user.budgetId ?? null,
  blocked: user.blocked,
  status: user.blocked ? ('blocked' as const) : ('active' as const),
  createdAt: user.createdAt,
  createdBy: user.createdBy,
  updatedAt: user.updatedAt,
  updatedBy: user.updatedBy,
});

export const describeUser = (user: User, { budget, now, spent }: Standing) => ({
  ...describeRow(user, now, spent),
  litellmBudgetTable: describeBudgetTable(budget, now),
});

/** A user in a list: with what is counted for a page at once. */
export const listedUserInfo = {
  ...userInfo,
  keyCount: z.int().describe('How many keys the user has'),
  teamCount: z.int().describe('How many teams the user belongs to'),
};

const row = answer(rowInfo);

/** A user as the audit log keeps it: without the budget it shares, which has rows of its own there. */
export const encodeUser = (user: User, now: Date) => row.encode(describeRow(user, now));
