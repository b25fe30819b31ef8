import { defineEntity, p } from '@mikro-orm/core';
import { limitColumns } from '../db/limit-columns.ts';

const CustomerSchema = defineEntity({
  name: 'Customer',
  tableName: 'customers',
  properties: {
    id: p.text().primary(),
    alias: p.text().nullable(),
    blocked: p.boolean(),
    allowedModelRegion: p.text().nullable(),
    budgetId: p.text().nullable(),
    maxBudget: p.bigint().nullable(),
    spend: p.bigint(),
    ...limitColumns(),
    gen: p.bigint(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** Whoever the client names in the field `user` of a request: LiteLLM's end user. */
export class Customer extends CustomerSchema.class {}
CustomerSchema.setClass(Customer);
