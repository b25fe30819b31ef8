import { z } from 'zod';
import { limitColumnNames, limitFlags, limitHeadings } from '../kernel/limit-flags.ts';
import type { CommandLine } from '../kernel/operation.ts';
import { answer } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { ModelService } from '../models/model.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';
import type { OrganizationMemberService } from './member.service.ts';
import type { Organization } from './organization.entity.ts';
import type { OrganizationService } from './organization.service.ts';
import { describeOrganization, membershipInfo, organizationInfo, ownTeamInfo, sizeInfo } from './organization.wire.ts';

export interface Needs {
  organizations: OrganizationService;
  organizationMembers: OrganizationMemberService;
  teams: TeamService;
  keys: KeyService;
  models: ModelService;
  users: UserService;
  now: Date;
}

type Reading = Pick<Needs, 'organizations' | 'now'>;

/** LiteLLM's lists without pages end at a number instead; so do members shown with an organization. */
export const ROWS_AT_MOST = 1_000;

export const flags: NonNullable<CommandLine['flags']> = {
  organization_id: 'id',
  organization_alias: 'alias',
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
  ...limitFlags,
};

export const shown: Partial<CommandLine> = {
  columns: ['organization_alias', 'organization_id', 'spend', 'max_budget', 'blocked'],
  wide: ['models', ...limitColumnNames, 'budget_id', 'created_at', 'created_by'],
  headings: { organization_alias: 'ALIAS', organization_id: 'ID', max_budget: 'BUDGET', ...limitHeadings },
  id: 'organization_id',
};

export const shownWithSizes: Partial<CommandLine> = {
  ...shown,
  columns: ['organization_alias', 'organization_id', 'team_count', 'member_count', 'spend', 'max_budget', 'blocked'],
  headings: { ...shown.headings, team_count: 'TEAMS', member_count: 'MEMBERS' },
};

export const sizedInfo = { ...organizationInfo, ...sizeInfo };

export const wholeInfo = {
  ...sizedInfo,
  members: z.array(answer(membershipInfo)).describe('Its members, at most 1,000; to a plain member itself alone'),
  teams: z.array(answer(ownTeamInfo)).describe('Its teams, at most 1,000; to a plain member its own'),
};

/** Three statements more, however many organizations. */
export async function describeAll({ organizations, now }: Reading, found: readonly Organization[]) {
  const budgets = await organizations.budgetsOf(found);
  const sizes = await organizations.sizesOf(found);
  const spent = await organizations.spentBy(found);
  return found.map((organization) => ({
    ...describeOrganization(organization, {
      budget: budgets.get(organization.budgetId ?? ''),
      now,
      spent: spent.get(organization.id),
    }),
    ...(sizes.get(organization.id) ?? { teamCount: 0, memberCount: 0 }),
  }));
}

export async function describeOne({ organizations, now }: Reading, organization: Organization) {
  const budgets = await organizations.budgetsOf([organization]);
  const spent = await organizations.spentBy([organization]);
  const budget = budgets.get(organization.budgetId ?? '');
  return describeOrganization(organization, { budget, now, spent: spent.get(organization.id) });
}

export async function describeWhole(needs: Needs, organization: Organization) {
  const [sized] = await describeAll(needs, [organization]);
  const { members } = await needs.organizationMembers.list(organization, { page: 1, size: ROWS_AT_MOST });
  return {
    ...(sized ?? { ...(await describeOne(needs, organization)), teamCount: 0, memberCount: 0 }),
    members: await needs.organizationMembers.describe(members),
    teams: await needs.organizations.teamsOf(organization),
  };
}
