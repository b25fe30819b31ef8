import { z } from 'zod';
import type { Budget } from '../budgets/budget.entity.ts';
import { budgetTable, describeBudgetTable } from '../budgets/budget.wire.ts';
import { id, label, spendInfo, stampInfo } from '../kernel/fields.ts';
import { describeLimits, limitFields, limitInfo } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { answer } from '../kernel/wire.ts';
import type { Customer } from './customer.entity.ts';

/** A customer in answers, in LiteLLM's words. */
export const customerInfo = {
  userId: z.string().describe('Names the customer: what clients send as the user of a request'),
  alias: z.string().nullable().describe('What the customer is called'),
  blocked: z.boolean().describe('Whether calls for the customer are refused for now'),
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

export const describeCustomer = (customer: Customer, { budget, now, spent = customer.spend }: Standing) => ({
  userId: customer.id,
  alias: customer.alias ?? null,
  blocked: customer.blocked,
  maxBudget: customer.maxBudget ?? null,
  spend: spent,
  totalSpend: customer.spend,
  ...describeLimits(customer, now),
  budgetId: customer.budgetId ?? null,
  litellmBudgetTable: describeBudgetTable(budget, now),
  createdAt: customer.createdAt,
  createdBy: customer.createdBy,
  updatedAt: customer.updatedAt,
  updatedBy: customer.updatedBy,
});

const row = answer(customerInfo);

/** A customer as it travels: what the audit log keeps. */
export const encodeCustomer = (info: ReturnType<typeof describeCustomer>) => row.encode(info);

const fields = {
  alias: label.nullable().optional().describe('What the customer is called'),
  maxBudget: usd.nullable().optional().describe('US dollars that may be spent; null is no limit'),
  ...limitFields,
  budgetId: id.nullable().optional().describe('A shared budget in place of a budget of its own'),
};

export const newCustomerFields = {
  userId: id.describe('Names the customer: what clients send as the user of a request'),
  ...fields,
  blocked: z.boolean().default(false).describe('Whether calls for the customer are refused from the start'),
};

export const customerChanges = {
  ...fields,
  blocked: z.boolean().optional().describe('Whether calls for the customer are refused for now'),
};
