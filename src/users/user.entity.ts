import { defineEntity, p } from '@mikro-orm/core';
import { limitColumns } from '../db/limit-columns.ts';

const UserSchema = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: p.text().primary(),
    alias: p.text().nullable(),
    email: p.text().nullable(),
    role: p.text(),
    organizationId: p.text().nullable(),
    models: p.array(),
    metadata: p.json<Record<string, unknown>>(),
    maxBudget: p.bigint().nullable(),
    ...limitColumns(),
    budgetId: p.text().nullable(),
    blocked: p.boolean(),
    ssoUserId: p.text().nullable(),
    spend: p.bigint(),
    gen: p.bigint(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** A person, or a program that stands for one. */
export class User extends UserSchema.class {}
UserSchema.setClass(User);
