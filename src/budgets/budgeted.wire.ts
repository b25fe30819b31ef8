import { z } from 'zod';
import { spendInfo, stampInfo } from '../kernel/fields.ts';
import { describeLimits, limitInfo } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import type { Budget } from './budget.entity.ts';
import { budgetTable, describeBudgetTable } from './budget.wire.ts';

/** What answers say of a name on calls that has limits of its own and may share a budget: a customer, a tag. */
export const budgetedInfo = {
  maxBudget: usd.nullable().describe('US dollars that may be spent; null is no limit'),
  ...spendInfo,
  ...limitInfo,
  budgetId: z.string().nullable().describe('The shared budget, for the limits that are not set here'),
  litellmBudgetTable: budgetTable,
  ...stampInfo,
};

type Limited = Parameters<typeof describeLimits>[0];

export interface Budgeted extends Limited {
  readonly maxBudget?: bigint | null | undefined;
  readonly spend: bigint;
  readonly budgetId?: string | null | undefined;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
  readonly updatedBy: string;
}

/** How it stands with the budget of something. */
export interface Standing {
  /** The shared budget. */
  readonly budget: Budget | undefined;
  readonly now: Date;
  /** In the present period, where the budget is for one. */
  readonly spent?: bigint | undefined;
}

export const describeBudgeted = (entity: Budgeted, { budget, now, spent = entity.spend }: Standing) => ({
  maxBudget: entity.maxBudget ?? null,
  spend: spent,
  totalSpend: entity.spend,
  ...describeLimits(entity, now),
  budgetId: entity.budgetId ?? null,
  litellmBudgetTable: describeBudgetTable(budget, now),
  createdAt: entity.createdAt,
  createdBy: entity.createdBy,
  updatedAt: entity.updatedAt,
  updatedBy: entity.updatedBy,
});
