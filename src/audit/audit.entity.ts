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
    before: p.json<unknown>().nullable(),
    after: p.json<unknown>().nullable(),
  },
});

/** Who changed what, written in the transaction of the change itself. */
export class AuditEntry extends AuditEntrySchema.class {}
AuditEntrySchema.setClass(AuditEntry);
