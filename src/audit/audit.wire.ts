import { z } from 'zod';
import { answer, timestamp } from '../kernel/wire.ts';
import type { AuditEntry } from './audit.entity.ts';

export const auditObjects = [
  'key',
  'team',
  'team_member',
  'user',
  'model',
  'organization',
  'organization_member',
  'budget',
  'customer',
  'tag',
  'credential',
  'invitation',
  'jwt_key_mapping',
  'pass_through_endpoint',
  'cached_answer',
  'encryption_key',
  'team_logging',
  'key_logging',
  'spend_log_body',
  'spend',
  /** Something somebody asked for and was refused. */
  'operation',
] as const;
export type AuditObject = (typeof auditObjects)[number];

export const auditActions = [
  'created',
  'updated',
  'deleted',
  'blocked',
  'unblocked',
  'rotated',
  /** By an authenticated caller who may not. */
  'denied',
  /** With a credential that is none. */
  'unauthenticated',
] as const;
export type AuditAction = (typeof auditActions)[number];

export const auditWays = [
  'api-master',
  'api-key',
  'api-jwt',
  'api-anonymous',
  'admin-socket',
  'cli-direct',
  'daemon',
] as const;
export type AuditWay = (typeof auditWays)[number];

/** An entry of the audit log in answers. */
const entryInfo = {
  id: z.string().describe('Names the entry'),
  at: timestamp.describe('When the change was made'),
  actor: z.string().describe('Who made it'),
  via: z.string().describe(`Which way: ${auditWays.join(', ')}`),
  changedBy: z.string().nullable().describe('For whom the caller said to act'),
  action: z.string().describe('What was done'),
  objectType: z.string().describe('What kind of object it was done to'),
  objectId: z.string().describe('Which object'),
  requestId: z.string().nullable().describe('Of the HTTP request: the x-request-id of its answer'),
  client: z.string().nullable().describe('The address an HTTP request came from; null for the admin socket'),
  organizationIds: z.array(z.string()).describe('Organizations whose administrators may read this too'),
  before: z.unknown().describe('The object before, without secrets; null when it was made'),
  after: z
    .unknown()
    .describe('The object afterwards, without secrets; null when it was deleted; for what was refused, why'),
};

export const auditEntry = answer(entryInfo);

export const describeEntry = (entry: AuditEntry) => ({
  id: entry.id,
  at: entry.at,
  actor: entry.actor,
  via: entry.via,
  changedBy: entry.changedBy ?? null,
  action: entry.action,
  objectType: entry.objectType,
  objectId: entry.objectId,
  requestId: entry.requestId ?? null,
  client: entry.client ?? null,
  organizationIds: entry.organizationIds ?? [],
  before: entry.before ?? null,
  after: entry.after ?? null,
});
