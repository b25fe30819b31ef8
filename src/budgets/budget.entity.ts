import { defineEntity, p } from '@mikro-orm/core';
import type { ModelBudgets } from '../kernel/limits.ts';

const BudgetSchema = defineEntity({
  name: 'Budget',
  tableName: 'budgets',
  properties: {
    id: p.text().primary(),
    maxBudget: p.bigint().nullable(),
    softBudget: p.bigint().nullable(),
    budgetDuration: p.text().nullable(),
    tpmLimit: p.bigint('number').nullable(),
    rpmLimit: p.bigint('number').nullable(),
    maxParallelRequests: p.integer().nullable(),
    modelMaxBudget: p.json<ModelBudgets>(),
    gen: p.bigint(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** Limits that several keys, users, customers and others share: each of them is held to the whole of it by itself. */
export class Budget extends BudgetSchema.class {}
BudgetSchema.setClass(Budget);
