import { defineEntity, p } from '@mikro-orm/core';
import { limitColumns } from '../db/limit-columns.ts';

const OrganizationSchema = defineEntity({
  name: 'Organization',
  tableName: 'organizations',
  properties: {
    id: p.text().primary(),
    alias: p.text(),
    models: p.array(),
    metadata: p.json<Record<string, unknown>>(),
    maxBudget: p.bigint().nullable(),
    spend: p.bigint(),
    ...limitColumns(),
    budgetId: p.text().nullable(),
    blocked: p.boolean(),
    gen: p.bigint(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** A company or department: the widest owner of teams, users and keys. */
export class Organization extends OrganizationSchema.class {}
OrganizationSchema.setClass(Organization);

const OrganizationMemberSchema = defineEntity({
  name: 'OrganizationMember',
  tableName: 'organization_members',
  properties: {
    organizationId: p.text().primary(),
    userId: p.text().primary(),
    role: p.enum(['org_admin', 'internal_user', 'internal_user_viewer']),
    budgetId: p.text().nullable(),
    maxBudget: p.bigint().nullable(),
    budgetDuration: p.text().nullable(),
    spend: p.bigint(),
    createdAt: p.datetime(),
  },
});

/** Who belongs to an organization, and as what. A user may belong to several; one of them may be the home. */
export class OrganizationMember extends OrganizationMemberSchema.class {}
OrganizationMemberSchema.setClass(OrganizationMember);
