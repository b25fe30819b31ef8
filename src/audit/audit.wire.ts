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
  'encryption_key',
] as const;
export type AuditObject = (typeof auditObjects)[number];

/** An entry of the audit log in answers. */
const entryInfo = {
  id: z.string().describe('Names the entry'),
  at: timestamp.describe('When the change was made'),
  actor: z.string().describe('Who made it'),
  via: z.string().describe('Which way: api-master, api-key, admin-socket, cli-direct or daemon'),
  changedBy: z.string().nullable().describe('For whom the caller said to act'),
  action: z.string().describe('What was done'),
  objectType: z.string().describe('What kind of object it was done to'),
  objectId: z.string().describe('Which object'),
  before: z.unknown().describe('The object before, without secrets; null when it was made'),
  after: z.unknown().describe('The object afterwards, without secrets; null when it was deleted'),
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
  before: entry.before ?? null,
  after: entry.after ?? null,
});
