import { defineEntity, p } from '@mikro-orm/core';
import type { KeptValue } from '../credentials/credential.entity.ts';
import type { PassThroughMethod } from '../kernel/pass-through.ts';

const PassThroughSchema = defineEntity({
  name: 'PassThrough',
  tableName: 'pass_through_endpoints',
  properties: {
    id: p.text().primary(),
    path: p.text(),
    target: p.text(),
    headers: p.json<Record<string, KeptValue>>(),
    defaultQueryParams: p.json<Record<string, string>>(),
    forwardHeaders: p.json<boolean | string[]>(),
    includeSubpath: p.boolean(),
    methods: p.array<PassThroughMethod>(),
    costPerRequest: p.float().nullable(),
    timeout: p.float().nullable(),
    allowPrivateNetwork: p.boolean(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** An operator's own way through to somebody else's API. */
export class PassThrough extends PassThroughSchema.class {}
PassThroughSchema.setClass(PassThrough);
