import { p } from '@mikro-orm/core';
import type { ModelBudgets } from '../kernel/limits.ts';

/** The columns of every table whose rows can be limited; what they mean is in `kernel/limits.ts`. */
export const limitColumns = () => ({
  softBudget: p.bigint().nullable(),
  budgetDuration: p.text().nullable(),
  tpmLimit: p.bigint('number').nullable(),
  rpmLimit: p.bigint('number').nullable(),
  maxParallelRequests: p.integer().nullable(),
  modelMaxBudget: p.json<ModelBudgets>(),
  modelRpmLimit: p.json<Record<string, number>>(),
  modelTpmLimit: p.json<Record<string, number>>(),
});
