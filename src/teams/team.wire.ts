import { z } from 'zod';
import type { Budget } from '../budgets/budget.entity.ts';
import { grantInfo, spendInfo, stampInfo } from '../kernel/fields.ts';
import {
  budgetLimitsInfo,
  describeBudgetLimits,
  describeLimits,
  limitInfo,
  throughputTypes,
} from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { resetAt } from '../kernel/window.ts';
import { answer, timestamp } from '../kernel/wire.ts';
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
  membersWithRoles: z.array(answer(memberInfo)).describe('Who belongs to the team, the first ones where they are many'),
  membersCount: z.int().describe('How many belong to the team'),
  keysCount: z.int().describe('How many keys the team has'),
  ...grantInfo,
  ...limitInfo,
  budgetLimits: budgetLimitsInfo,
  rpmLimitType: z.enum(throughputTypes).nullable().describe('Whether its requests per minute are set aside'),
  tpmLimitType: z.enum(throughputTypes).nullable().describe('Whether its tokens per minute are set aside'),
  modelAliases: z.record(z.string(), z.string()).describe('Models by the names that clients send'),
  litellmModelTable: answer({
    modelAliases: z.record(z.string(), z.string()).describe('The same, where LiteLLM has it'),
    createdBy: stampInfo.createdBy,
    updatedBy: stampInfo.updatedBy,
  })
    .nullable()
    .describe('The aliases where LiteLLM has them; null without any'),
  tags: z.array(z.string()).describe('Tags that the spend of the team is booked under'),
  allowedPassthroughRoutes: z
    .array(z.string())
    .describe('Pass-through routes that its keys may call, each with what is below it; none means all'),
  teamMemberPermissions: z.array(z.string()).describe('Routes of keys that plain members may ask for too'),
  teamMemberBudget: usd.nullable().describe('US dollars a member may spend that has no budget of its own'),
  teamMemberBudgetDuration: z.string().nullable().describe('How long that budget is for'),
  teamMemberTpmLimit: z.int().nullable().describe('Tokens per minute of a member that has no limit of its own'),
  teamMemberRpmLimit: z.int().nullable().describe('Requests per minute of a member that has no limit of its own'),
  teamMemberKeyDuration: z.string().nullable().describe('How long keys work that members make and name no end for'),
  blocked: z.boolean().describe('Whether all keys of the team are refused for now'),
  status: z.enum(['active', 'blocked']).describe('Whether its keys work'),
  ...stampInfo,
};

/** What there is to say of a member. */
export type MemberRow = Readonly<
  Pick<
    TeamMember,
    | 'teamId'
    | 'userId'
    | 'role'
    | 'spend'
    | 'budgetId'
    | 'maxBudget'
    | 'budgetDuration'
    | 'tpmLimit'
    | 'rpmLimit'
    | 'createdAt'
  >
>;

export type SharedLimits = Readonly<Pick<Budget, 'maxBudget' | 'budgetDuration' | 'tpmLimit' | 'rpmLimit'>>;

export interface Membership<Member extends MemberRow = MemberRow> {
  readonly member: Member;
  readonly email: string | null;
  /** The limits of its shared budget; absent without one. */
  readonly shared?: SharedLimits | undefined;
  /** In the present period, where its budget is for one and it was asked. */
  readonly spent?: bigint | undefined;
}

export interface TeamWithMembers {
  readonly team: Team;
  /** The first ones; see `membersCount`. */
  readonly members: readonly Membership[];
  readonly membersCount: number;
  readonly keysCount: number;
  /** In the present period, where its budget is for one and it was asked. */
  readonly spent?: bigint | undefined;
}

/** A team of which nobody has asked who is in it. */
export const bareTeam = (team: Team): TeamWithMembers => ({ team, members: [], membersCount: 0, keysCount: 0 });

export const inTeam = ({ member: { userId, role }, email }: Membership) => ({ userId, userEmail: email, role });

/** Where LiteLLM keeps aliases; its clients want to know who wrote them. */
const modelTable = ({ aliases: modelAliases, createdBy, updatedBy }: Team) => ({ modelAliases, createdBy, updatedBy });

export const describeTeam = (
  { team, members, membersCount, keysCount, spent = team.spend }: TeamWithMembers,
  now: Date,
) => ({
  teamId: team.id,
  teamAlias: team.alias ?? null,
  organizationId: team.organizationId ?? null,
  membersWithRoles: members.map(inTeam),
  membersCount,
  keysCount,
  models: team.models,
  maxBudget: team.maxBudget ?? null,
  spend: spent,
  totalSpend: team.spend,
  metadata: team.metadata,
  ...describeLimits(team, now),
  budgetLimits: describeBudgetLimits(team.budgetLimits, now),
  rpmLimitType: team.rpmLimitType ?? null,
  tpmLimitType: team.tpmLimitType ?? null,
  modelAliases: team.aliases,
  litellmModelTable: Object.keys(team.aliases).length > 0 ? modelTable(team) : null,
  tags: team.tags,
  allowedPassthroughRoutes: team.allowedPassthroughRoutes,
  teamMemberPermissions: team.memberPermissions,
  teamMemberBudget: team.memberMaxBudget ?? null,
  teamMemberBudgetDuration: team.memberBudgetDuration ?? null,
  teamMemberTpmLimit: team.memberTpmLimit ?? null,
  teamMemberRpmLimit: team.memberRpmLimit ?? null,
  teamMemberKeyDuration: team.memberKeyDuration ?? null,
  blocked: team.blocked,
  status: team.blocked ? ('blocked' as const) : ('active' as const),
  createdAt: team.createdAt,
  createdBy: team.createdBy,
  updatedAt: team.updatedAt,
  updatedBy: team.updatedBy,
});

const row = answer(teamInfo);

/** A team as it travels: what administrators see, and what the audit log keeps. */
export const encodeTeam = (info: ReturnType<typeof describeTeam>) => row.encode(info);

/** What members have that were given no limits of their own, where LiteLLM has it; null where the team says nothing. */
export const memberBudgetTable = answer({
  maxBudget: usd.nullable().describe('US dollars a member may spend'),
  budgetDuration: z.string().nullable().describe('How long that budget is for'),
  tpmLimit: z.int().nullable().describe('Tokens per minute'),
  rpmLimit: z.int().nullable().describe('Requests per minute'),
}).nullable();

export function describeMemberBudget(team: Team) {
  const table = {
    maxBudget: team.memberMaxBudget ?? null,
    budgetDuration: team.memberBudgetDuration ?? null,
    tpmLimit: team.memberTpmLimit ?? null,
    rpmLimit: team.memberRpmLimit ?? null,
  };
  return Object.values(table).every((value) => value === null) ? null : table;
}

const memberBudget = answer({
  maxBudget: usd.nullable().describe('US dollars the member may spend in the team, by its own limit or the team’s'),
  budgetDuration: z.string().nullable().describe('How long that budget is for'),
  budgetResetAt: timestamp.nullable().describe('When it begins anew'),
  tpmLimit: z.int().nullable().describe('Tokens per minute'),
  rpmLimit: z.int().nullable().describe('Requests per minute'),
});

/** What a member may spend and has spent through the team's keys. */
export const membershipInfo = {
  userId: z.string().describe('The user'),
  userEmail: z.string().nullable().describe('The address of the user'),
  teamId: z.string().describe('The team'),
  role: memberRole.describe('What the user may do in the team'),
  ...spendInfo,
  budgetId: z.string().nullable().describe('The shared budget, for what the member has no limit of its own for'),
  maxBudgetInTeam: usd.nullable().describe('US dollars the member may spend, by a limit of its own'),
  budgetDuration: z.string().nullable().describe('How long its own budget is for'),
  tpmLimit: z.int().nullable().describe('Tokens per minute, by a limit of its own'),
  rpmLimit: z.int().nullable().describe('Requests per minute, by a limit of its own'),
  litellmBudgetTable: memberBudget.describe(
    'The limits that count: its own, else those of its shared budget, else those the team has for members',
  ),
  joinedAt: timestamp.describe('When the user joined the team'),
};

export function describeMembership({ member, email, shared, spent = member.spend }: Membership, team: Team, now: Date) {
  const budgetDuration = member.budgetDuration ?? shared?.budgetDuration ?? team.memberBudgetDuration ?? null;
  return {
    userId: member.userId,
    userEmail: email,
    teamId: member.teamId,
    role: member.role,
    spend: spent,
    totalSpend: member.spend,
    budgetId: member.budgetId ?? null,
    maxBudgetInTeam: member.maxBudget ?? null,
    budgetDuration: member.budgetDuration ?? null,
    tpmLimit: member.tpmLimit ?? null,
    rpmLimit: member.rpmLimit ?? null,
    litellmBudgetTable: {
      maxBudget: member.maxBudget ?? shared?.maxBudget ?? team.memberMaxBudget ?? null,
      budgetDuration,
      budgetResetAt: resetAt(budgetDuration, now),
      tpmLimit: member.tpmLimit ?? shared?.tpmLimit ?? team.memberTpmLimit ?? null,
      rpmLimit: member.rpmLimit ?? shared?.rpmLimit ?? team.memberRpmLimit ?? null,
    },
    joinedAt: member.createdAt,
  };
}

const membershipRow = answer(membershipInfo);

/** A membership as it travels, for the audit log. */
export const encodeMembership = (info: ReturnType<typeof describeMembership>) => membershipRow.encode(info);
