import { z } from 'zod';
import { budgetedInfo, describeBudgeted, type Standing } from '../budgets/budgeted.wire.ts';
import { id, label } from '../kernel/fields.ts';
import { limitFields } from '../kernel/limits.ts';
import { regions } from '../kernel/region.ts';
import { usd } from '../kernel/money.ts';
import { answer } from '../kernel/wire.ts';
import type { Customer } from './customer.entity.ts';

/** A customer in answers, in LiteLLM's words. */
export const customerInfo = {
  userId: z.string().describe('Names the customer: what clients send as the user of a request'),
  alias: z.string().nullable().describe('What the customer is called'),
  blocked: z.boolean().describe('Whether calls for the customer are refused for now'),
  allowedModelRegion: z
    .enum(regions)
    .nullable()
    .describe('Where calls for the customer may be worked on; null is anywhere'),
  ...budgetedInfo,
};

export const describeCustomer = (customer: Customer, standing: Standing) => ({
  userId: customer.id,
  alias: customer.alias ?? null,
  blocked: customer.blocked,
  allowedModelRegion: regions.find((region) => region === customer.allowedModelRegion) ?? null,
  ...describeBudgeted(customer, standing),
});

const row = answer(customerInfo);

/** A customer as it travels: what the audit log keeps. */
export const encodeCustomer = (info: ReturnType<typeof describeCustomer>) => row.encode(info);

const fields = {
  alias: label.nullable().optional().describe('What the customer is called'),
  maxBudget: usd.nullable().optional().describe('US dollars that may be spent; null is no limit'),
  ...limitFields,
  allowedModelRegion: z
    .enum(regions)
    .nullable()
    .optional()
    .describe('Where calls for the customer may be worked on, by the region_name of deployments; null is anywhere'),
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
