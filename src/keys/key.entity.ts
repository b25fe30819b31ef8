import { defineEntity, p } from '@mikro-orm/core';
import { limitColumns } from '../db/limit-columns.ts';
import type { BudgetWindow, ThroughputType } from '../kernel/limits.ts';

const KeySchema = defineEntity({
  name: 'Key',
  tableName: 'keys',
  properties: {
    id: p.text().primary(),
    token: p.text(),
    name: p.text(),
    alias: p.text().nullable(),
    teamId: p.text().nullable(),
    userId: p.text().nullable(),
    organizationId: p.text().nullable(),
    models: p.array(),
    metadata: p.json<Record<string, unknown>>(),
    maxBudget: p.bigint().nullable(),
    tempBudgetIncrease: p.bigint().nullable(),
    tempBudgetExpiry: p.datetime().nullable(),
    spend: p.bigint(),
    ...limitColumns(),
    budgetId: p.text().nullable(),
    budgetLimits: p.json<BudgetWindow[]>(),
    rpmLimitType: p.text().$type<ThroughputType>().nullable(),
    tpmLimitType: p.text().$type<ThroughputType>().nullable(),
    tags: p.array(),
    permissions: p.json<Record<string, boolean>>(),
    aliases: p.json<Record<string, string>>(),
    allowedRoutes: p.array(),
    allowedPassthroughRoutes: p.array(),
    allowedIps: p.array(),
    enforcedParams: p.array(),
    isServiceAccount: p.boolean(),
    autoRotate: p.boolean(),
    rotationInterval: p.text().nullable(),
    lastRotationAt: p.datetime().nullable(),
    keyRotationAt: p.datetime().nullable(),
    blocked: p.boolean(),
    expiresAt: p.datetime().nullable(),
    rotationCount: p.integer(),
    gen: p.bigint(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** A virtual key. Only the hash of its secret is kept: the secret is shown once, when it is made. */
export class Key extends KeySchema.class {}
KeySchema.setClass(Key);

const RetiredTokenSchema = defineEntity({
  name: 'RetiredToken',
  tableName: 'retired_tokens',
  properties: {
    token: p.text().primary(),
    keyId: p.text(),
    expiresAt: p.datetime(),
  },
});

/** The secret a key had before it was rotated, working until its grace ends. */
export class RetiredToken extends RetiredTokenSchema.class {}
RetiredTokenSchema.setClass(RetiredToken);

const DeletedKeySchema = defineEntity({
  name: 'DeletedKey',
  tableName: 'deleted_keys',
  properties: {
    id: p.text().primary(),
    token: p.text(),
    alias: p.text().nullable(),
    teamId: p.text().nullable(),
    userId: p.text().nullable(),
    organizationId: p.text().nullable(),
    createdAt: p.datetime(),
    record: p.json<Record<string, unknown>>(),
    deletedAt: p.datetime(),
    deletedBy: p.text(),
    deletedByApiKey: p.text().nullable(),
    litellmChangedBy: p.text().nullable(),
  },
});

/** What is kept of a key that was deleted: what it was, who deleted it, when, and for whom. */
export class DeletedKey extends DeletedKeySchema.class {}
DeletedKeySchema.setClass(DeletedKey);
