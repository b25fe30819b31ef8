import { z } from 'zod';
import type { Budget } from '../budgets/budget.entity.ts';
import { budgetTable, describeBudgetTable } from '../budgets/budget.wire.ts';
import { id, label, spendInfo, stampInfo } from '../kernel/fields.ts';
import { describeLimits, limitFields, limitInfo } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { answer } from '../kernel/wire.ts';
import type { Tag } from './tag.entity.ts';

/** A tag in answers, in LiteLLM's words. */
export const tagInfo = {
  name: z.string().describe('Names the tag'),
  description: z.string().nullable().describe('What the tag is for'),
  maxBudget: usd.nullable().describe('US dollars that may be spent; null is no limit'),
  ...spendInfo,
  ...limitInfo,
  budgetId: z.string().nullable().describe('The shared budget, for the limits that are not set here'),
  litellmBudgetTable: budgetTable,
  ...stampInfo,
};

interface Standing {
  readonly budget: Budget | undefined;
  readonly now: Date;
  /** In the present period, where the budget is for one. */
  readonly spent?: bigint | undefined;
}

export const describeTag = (tag: Tag, { budget, now, spent = tag.spend }: Standing) => ({
  name: tag.name,
  description: tag.description ?? null,
  maxBudget: tag.maxBudget ?? null,
  spend: spent,
  totalSpend: tag.spend,
  ...describeLimits(tag, now),
  budgetId: tag.budgetId ?? null,
  litellmBudgetTable: describeBudgetTable(budget, now),
  createdAt: tag.createdAt,
  createdBy: tag.createdBy,
  updatedAt: tag.updatedAt,
  updatedBy: tag.updatedBy,
});

const row = answer(tagInfo);

/** A tag as it travels: what the audit log keeps. */
export const encodeTag = (info: ReturnType<typeof describeTag>) => row.encode(info);

/** What can be set of a tag: absent leaves, a value sets, null clears. */
export const tagFields = {
  description: label.nullable().optional().describe('What the tag is for'),
  maxBudget: usd.nullable().optional().describe('US dollars that may be spent; null is no limit'),
  ...limitFields,
  budgetId: id.nullable().optional().describe('A shared budget, for the limits that are not set here'),
};
