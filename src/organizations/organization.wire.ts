import { z } from 'zod';
import { budgetTable, describeBudgetTable } from '../budgets/budget.wire.ts';
import type { Standing } from '../budgets/budgeted.wire.ts';
import { grantChanges, grantFields, grantInfo, id, label, spendInfo, stampInfo } from '../kernel/fields.ts';
import { describeLimits, limitFields, limitInfo } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { answer, timestamp } from '../kernel/wire.ts';
import type { Organization, OrganizationMember } from './organization.entity.ts';

export const organizationRole = z.enum(['org_admin', 'internal_user', 'internal_user_viewer']);

/** An organization in answers, in LiteLLM's words. */
export const organizationInfo = {
  organizationId: z.string().describe('Names the organization'),
  organizationAlias: z.string().describe('What the organization is called; unique'),
  ...grantInfo,
  ...limitInfo,
  budgetId: z.string().nullable().describe('The shared budget, for the limits that are not set here'),
  litellmBudgetTable: budgetTable,
  blocked: z.boolean().describe('Whether all its keys are refused for now'),
  ...stampInfo,
};

export const describeOrganization = (
  organization: Organization,
  { budget, now, spent = organization.spend }: Standing,
) => ({
  organizationId: organization.id,
  organizationAlias: organization.alias,
  models: organization.models,
  maxBudget: organization.maxBudget ?? null,
  spend: spent,
  totalSpend: organization.spend,
  metadata: organization.metadata,
  ...describeLimits(organization, now),
  budgetId: organization.budgetId ?? null,
  litellmBudgetTable: describeBudgetTable(budget, now),
  blocked: organization.blocked,
  createdAt: organization.createdAt,
  createdBy: organization.createdBy,
  updatedAt: organization.updatedAt,
  updatedBy: organization.updatedBy,
});

const row = answer(organizationInfo);

/** An organization as it travels: what administrators see, and what the audit log keeps. */
export const encodeOrganization = (info: ReturnType<typeof describeOrganization>) => row.encode(info);

/** How much an organization holds, for lists. */
export const sizeInfo = {
  teamCount: z.int().describe('How many teams it has'),
  memberCount: z.int().describe('How many members it has'),
};

/** A team as its organization shows it. */
export const ownTeamInfo = {
  teamId: z.string().describe('Names the team'),
  teamAlias: z.string().nullable().describe('What the team is called'),
  models: z.array(z.string()).describe('Models its keys may call; none means all'),
  maxBudget: usd.nullable().describe('US dollars it may spend; null is no limit'),
  ...spendInfo,
  blocked: z.boolean().describe('Whether all its keys are refused for now'),
};

export const membershipInfo = {
  organizationId: z.string().describe('The organization'),
  userId: z.string().describe('The user'),
  userEmail: z.string().nullable().describe('The address of the user'),
  userRole: organizationRole.describe('What the user is in the organization'),
  ...spendInfo,
  maxBudget: usd.nullable().describe('US dollars the user may spend in the organization; null is no limit'),
  budgetId: z.string().nullable().describe('The shared budget, for what the membership has no limit of its own for'),
  litellmBudgetTable: budgetTable,
  createdAt: timestamp.describe('When the user joined'),
};

export const describeMembership = (
  member: OrganizationMember,
  email: string | null,
  { budget, now, spent = member.spend }: Standing,
) => ({
  organizationId: member.organizationId,
  userId: member.userId,
  userEmail: email,
  userRole: organizationRole.parse(member.role),
  spend: spent,
  totalSpend: member.spend,
  maxBudget: member.maxBudget ?? null,
  budgetId: member.budgetId ?? null,
  litellmBudgetTable: describeBudgetTable(budget, now),
  createdAt: member.createdAt,
});

const budgetId = id.nullable().optional().describe('A shared budget, for the limits that are not set here');

export const newOrganizationFields = {
  organizationAlias: label.describe('What the organization is called; unique'),
  organizationId: id.nullable().optional().describe('Names the organization; made up when absent'),
  ...grantFields,
  ...limitFields,
  budgetId,
};

export const organizationChanges = {
  organizationAlias: label.optional().describe('What the organization is called; unique'),
  ...grantChanges,
  ...limitFields,
  budgetId,
};
