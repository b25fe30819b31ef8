import { defineEntity, p } from '@mikro-orm/core';

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
    spend: p.bigint(),
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
