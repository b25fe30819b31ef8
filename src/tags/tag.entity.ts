import { defineEntity, p } from '@mikro-orm/core';
import { limitColumns } from '../db/limit-columns.ts';

const TagSchema = defineEntity({
  name: 'Tag',
  tableName: 'tags',
  properties: {
    name: p.text().primary(),
    description: p.text().nullable(),
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

/** A label that calls carry, with limits of its own for all calls that carry it. */
export class Tag extends TagSchema.class {}
TagSchema.setClass(Tag);
