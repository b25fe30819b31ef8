import { z } from 'zod';
import { grantChanges, grantFields, grantInfo, id, label, stampInfo } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { Team, TeamMember } from './team.entity.ts';

export const memberRole = z.enum(['admin', 'user']);

const memberInfo = {
  userId: z.string().describe('The user'),
  userEmail: z.string().nullable().describe('The address of the user'),
  role: memberRole.describe('What the user may do in the team'),
};

/** A team in answers, in LiteLLM's words. */
export const teamInfo = {
  teamId: z.string().describe('Names the team'),
  teamAlias: z.string().nullable().describe('What the team is called; unique'),
  organizationId: z.string().nullable().describe('The organization the team belongs to'),
  membersWithRoles: z.array(answer(memberInfo)).describe('Who belongs to the team'),
  ...grantInfo,
  blocked: z.boolean().describe('Whether all keys of the team are refused for now'),
  ...stampInfo,
};

export interface TeamWithMembers {
  readonly team: Team;
  readonly members: readonly { readonly member: TeamMember; readonly email: string | null }[];
}

export const describeTeam = ({ team, members }: TeamWithMembers) => ({
  teamId: team.id,
  teamAlias: team.alias ?? null,
  organizationId: team.organizationId ?? null,
  membersWithRoles: members.map(({ member: { userId, role }, email }) => ({ userId, userEmail: email, role })),
  models: team.models,
  maxBudget: team.maxBudget ?? null,
  spend: team.spend,
  metadata: team.metadata,
  blocked: team.blocked,
  createdAt: team.createdAt,
  createdBy: team.createdBy,
  updatedAt: team.updatedAt,
  updatedBy: team.updatedBy,
});

const row = answer(teamInfo);

/** A team as it travels: what administrators see, and what the audit log keeps. */
export const encodeTeam = (info: ReturnType<typeof describeTeam>) => row.encode(info);

/** What a member has spent through the team's keys. */
export const membershipInfo = {
  userId: z.string().describe('The user'),
  teamId: z.string().describe('The team'),
  spend: usd.describe('US dollars the user has spent through keys of the team'),
  joinedAt: timestamp.describe('When the user joined the team'),
};

export const describeMembership = (member: TeamMember) => ({
  userId: member.userId,
  teamId: member.teamId,
  spend: member.spend,
  joinedAt: member.createdAt,
});

const newMember = wire({
  role: memberRole.default('user').describe('What the user may do in the team'),
  userId: id.nullable().optional().describe('The user, by id; made if it is not there'),
  userEmail: z.email().nullable().optional().describe('The user, by e-mail address'),
});

/** One member or several, as LiteLLM takes them. */
export const newMembers = z.union([newMember, z.array(newMember).min(1).max(500)]);

export const newTeamFields = {
  teamAlias: label.nullable().optional().describe('What the team is called; unique'),
  teamId: id.nullable().optional().describe('Names the team; made up when absent'),
  organizationId: id.nullable().optional().describe('The organization the team belongs to'),
  membersWithRoles: z.array(newMember).max(500).default([]).describe('Who belongs to the team from the start'),
  ...grantFields,
  blocked: z.boolean().default(false).describe('Whether all keys of the team are refused from the start'),
};

export const teamChanges = {
  teamAlias: label.nullable().optional().describe('What the team is called; unique'),
  organizationId: id.nullable().optional().describe('The organization the team belongs to'),
  ...grantChanges,
  blocked: z.boolean().optional().describe('Whether all keys of the team are refused for now'),
};

/** LiteLLM's fields of a team that have no effect here yet. */
export const unservedTeamFields = [
  'admins',
  'members',
  'team_member_permissions',
  'tpm_limit',
  'rpm_limit',
  'soft_budget',
  'budget_duration',
  'budget_limits',
  'max_parallel_requests',
  'router_settings',
  'access_group_ids',
  'model_aliases',
  'tags',
  'guardrails',
  'policies',
  'prompts',
  'object_permission',
  'allowed_passthrough_routes',
  'secret_manager_settings',
  'model_rpm_limit',
  'model_tpm_limit',
  'rpm_limit_type',
  'tpm_limit_type',
  'team_member_budget',
  'team_member_budget_duration',
  'team_member_rpm_limit',
  'team_member_tpm_limit',
  'team_member_key_duration',
  'allowed_vector_store_indexes',
] as const;
