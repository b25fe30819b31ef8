import { z } from 'zod';
import { id, stampInfo } from '../kernel/fields.ts';
import { limitFields, limitInfo, type LimitChanges } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { resetAt } from '../kernel/window.ts';
import { answer } from '../kernel/wire.ts';
import type { Budget } from './budget.entity.ts';

/** LiteLLM keeps limits by model with their holders, but for budgets by model. */
type OwnLimit = Exclude<keyof LimitChanges, 'modelRpmLimit' | 'modelTpmLimit'>;

const withoutModelRates = <T extends { modelRpmLimit: unknown; modelTpmLimit: unknown }>({
  modelRpmLimit: _rpm,
  modelTpmLimit: _tpm,
  ...rest
}: T) => rest;

/** What a budget holds, for input: absent leaves, a value sets, null clears. */
export const budgetFields = {
  maxBudget: usd.nullable().optional().describe('US dollars that may be spent; null is no limit'),
  ...withoutModelRates(limitFields),
};

export type BudgetFields = Pick<LimitChanges, OwnLimit> & { maxBudget?: bigint | null | undefined };

export const newBudgetFields = {
  budgetId: id.nullable().optional().describe('Names the budget; made up when absent'),
  ...budgetFields,
};

/** A budget in answers; LiteLLM's `litellm_budget_table`. */
export const budgetInfo = {
  budgetId: z.string().describe('Names the budget'),
  maxBudget: usd.nullable().describe('US dollars that may be spent; null is no limit'),
  ...withoutModelRates(limitInfo),
  ...stampInfo,
};

/** The budget that somebody else's answer shows, or null for one that shares none. */
export const budgetTable = answer(budgetInfo).nullable().describe('The shared budget, or null');

export const describeBudget = (budget: Budget, now: Date) => ({
  budgetId: budget.id,
  maxBudget: budget.maxBudget ?? null,
  softBudget: budget.softBudget ?? null,
  budgetDuration: budget.budgetDuration ?? null,
  budgetResetAt: resetAt(budget.budgetDuration, now),
  tpmLimit: budget.tpmLimit ?? null,
  rpmLimit: budget.rpmLimit ?? null,
  maxParallelRequests: budget.maxParallelRequests ?? null,
  modelMaxBudget: budget.modelMaxBudget,
  createdAt: budget.createdAt,
  createdBy: budget.createdBy,
  updatedAt: budget.updatedAt,
  updatedBy: budget.updatedBy,
});

export const describeBudgetTable = (budget: Budget | undefined, now: Date) =>
  budget ? describeBudget(budget, now) : null;

const row = answer(budgetInfo);

/** A budget as it travels: what the audit log keeps. */
export const encodeBudget = (info: ReturnType<typeof describeBudget>) => row.encode(info);
