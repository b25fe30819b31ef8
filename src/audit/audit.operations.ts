import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { dateFlags, dates } from '../kernel/period.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { AuditService } from './audit.service.ts';
import { auditActions, auditEntry, auditObjects, auditWays, describeEntry } from './audit.wire.ts';
import { auditVerdict, brokenLines, describeVerdict } from './verdict.wire.ts';

interface Needs {
  audit: AuditService;
}

const shown: Partial<CommandLine> = {
  columns: ['at', 'actor', 'via', 'action', 'object_type', 'object_id'],
  wide: ['changed_by', 'id', 'before', 'after', 'client', 'request_id', 'organization_ids'],
  headings: {
    at: 'TIME',
    object_type: 'OBJECT',
    object_id: 'ID',
    changed_by: 'FOR',
    id: 'ENTRY',
    request_id: 'REQUEST',
    organization_ids: 'ORGS',
  },
  id: 'id',
};

const organizationFlag = { name: 'org', placeholder: 'org', completes: 'org' } as const;

export const listAudit = operation({
  command: ['audit', 'list'],
  aliases: ['ls'],
  route: ['GET', '/audit'],
  summary: 'List who changed what, the newest first',
  description:
    'Administrators read everything. The administrators of an organization read what was done to it, its teams, members ' +
    'and keys, and to the users who belong to it.',
  input: wire({
    ...pageFields({ default: 50, max: 100 }),
    objectType: z.enum(auditObjects).optional().describe('Only changes of this kind of object'),
    objectId: label.optional().describe('Only changes of this object, by its id'),
    actor: label.optional().describe('Only changes made by this one'),
    action: z.enum(auditActions).optional().describe('Only where this was done'),
    organizationId: label.optional().describe('Only what concerns this organization'),
    via: z.enum(auditWays).optional().describe('Only what came this way'),
    ...dates,
  }),
  output: answer({
    entries: z.array(auditEntry).describe('The changes'),
    totalCount: z.int().describe('How many there are on all pages; an estimate above 10,000 where counting takes long'),
    currentPage: z.int().describe('Which page this is'),
    totalPages: z.int().describe('How many pages there are'),
  }),
  access: 'scoped',
  cli: {
    ...shown,
    result: 'entries',
    pages: { page: 'page', size: 'size', total: 'total_count' },
    flags: {
      size: 'limit',
      object_type: 'object',
      object_id: 'object-id',
      organization_id: organizationFlag,
      ...dateFlags,
    },
    examples: [
      ['The changes of a day', 'gatewayctl audit list --since 24h'],
      ['What was done to keys by one administrator', 'gatewayctl audit list --object key --actor anna'],
      ['Who asked for what they may not', 'gatewayctl audit list --action denied --since 24h'],
    ],
  },
  run: async ({ audit }: Needs, { startDate: since, endDate: until, ...filter }) => {
    const { entries, total } = await audit.list({ ...filter, since, until });
    return {
      entries: entries.map(describeEntry),
      totalCount: total,
      currentPage: filter.page,
      totalPages: pagesFor(total, filter.size),
    };
  },
});

export const getAudit = operation({
  command: ['audit', 'show'],
  aliases: ['get', 'info'],
  route: ['GET', '/audit/info'],
  summary: 'Show one change, before and after',
  input: wire({ id: label.describe('The entry, by its id') }),
  output: auditEntry,
  access: 'scoped',
  cli: {
    ...shown,
    args: ['id'],
    examples: [['The whole entry as JSON', 'gatewayctl audit show 7b0f5c1e-5a54-4c1e-9f52-0d9f3a7e6b11 --json']],
  },
  run: async ({ audit }: Needs, { id }) => describeEntry(await audit.get(id)),
});

export const verifyAudit = operation({
  command: ['audit', 'verify'],
  route: ['GET', '/audit/verify'],
  summary: 'Verify that no entry was changed, moved or deleted',
  description:
    'Every entry is chained to the one before it with a code that only a holder of the encryption key can make. All ' +
    'chains are walked, and for each that is broken the first place is named; the exit status is 1 then.',
  input: wire({}),
  output: auditVerdict,
  access: 'admin',
  cli: {
    columns: ['ok', 'entries', 'chains', 'unkeyed', 'before_chains', 'broken'],
    cells: { broken: brokenLines },
    no: ({ ok, broken }) =>
      ok === true ? undefined : `The audit log is not as it was written:\n${brokenLines(broken)}`,
    examples: [['Whether anybody has touched the log', 'gatewayctl audit verify']],
  },
  run: async ({ audit }: Needs) => describeVerdict(await audit.verify()),
});

export const auditOperations = [listAudit, getAudit, verifyAudit] as const;
