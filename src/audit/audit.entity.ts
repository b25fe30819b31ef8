import { defineEntity, p } from '@mikro-orm/core';

const AuditEntrySchema = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_log',
  properties: {
    id: p.text().primary(),
    at: p.datetime(),
    actor: p.text(),
    via: p.text(),
    changedBy: p.text().nullable(),
    action: p.text(),
    objectType: p.text(),
    objectId: p.text(),
    requestId: p.text().nullable(),
    client: p.text().nullable(),
    before: p.json<unknown>().nullable(),
    after: p.json<unknown>().nullable(),
    organizationIds: p.array().nullable(),
  },
});

/** Who changed what. Only read by this class: what is written has a place in a chain (`append`). */
export class AuditEntry extends AuditEntrySchema.class {}
AuditEntrySchema.setClass(AuditEntry);
