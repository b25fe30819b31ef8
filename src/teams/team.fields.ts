import { z } from 'zod';
import { durationText } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { grantChanges, grantFields, id, label, orNone, passedPaths } from '../kernel/fields.ts';
import { budgetLimits, limitFields, throughputType } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { wire } from '../kernel/wire.ts';
import { memberRole } from './team.wire.ts';

/**
 * Members shown with a team of a list, of LiteLLM's list without pages, and with one that is asked for by itself: a team may
 * have as many as there are users. `team member list` shows all, page by page.
 */
export const membersShown = { inList: 50, inWholeList: 10, alone: 1_000 } as const;

/** What a list of teams can be sorted by. */
export const teamSorts = ['created_at', 'team_alias', 'spend'] as const;

/** Routes that a team may open to its plain members. */
export const memberRoutes = [
  '/key/info',
  '/key/list',
  '/key/generate',
  '/key/service-account/generate',
  '/key/update',
  '/key/delete',
  '/key/regenerate',
  '/key/block',
  '/key/unblock',
] as const;

/** How a team is named by those who ask for it. */
export const teamReference = id.describe('The team, by id or alias');

/** How a user is named that is in a team, or is to be. */
export const memberNames = {
  userId: id.nullable().optional().describe('The user, by id'),
  userEmail: z.email().nullable().optional().describe('The user, by e-mail address'),
};

export const noneNamed = (param: string) =>
  new GatewayError('invalid', 'invalid_request_error', `${param}: no user was named`, { param });

export const memberPermissions = z
  .array(
    z.enum(memberRoutes, {
      error: ({ input }) => `${JSON.stringify(input)} cannot be given to members; ${memberRoutes.join(', ')} can`,
    }),
  )
  .max(memberRoutes.length);

const rate = limitFields.rpmLimit;

/** The limits of one member in one team. */
export const memberLimits = {
  maxBudgetInTeam: usd
    .nullable()
    .optional()
    .describe('US dollars the member may spend in the team; null is the default of the team'),
  budgetDuration: durationText
    .nullable()
    .optional()
    .describe('How long that budget is for; null is the default of the team'),
  tpmLimit: rate.describe('Tokens per minute of the member in the team; null is the default of the team'),
  rpmLimit: rate.describe('Requests per minute of the member in the team; null is the default of the team'),
  budgetId: id
    .nullable()
    .optional()
    .describe('A shared budget, for what the member has no limit of its own for; administrators only'),
};

const newMember = wire({
  role: memberRole.default('user').describe('What the user may do in the team'),
  userId: id.nullable().optional().describe('The user, by id; made if it is not there'),
  userEmail: z.email().nullable().optional().describe('The user, by e-mail address'),
});

/** One member or several, as LiteLLM takes them. */
export const newMembers = z.union([newMember, z.array(newMember).min(1).max(500)]);

/** What is said of a new team and of one there is in the same way: absent leaves or is nothing, null clears. */
const settings = {
  ...limitFields,
  budgetLimits,
  rpmLimitType: throughputType
    .nullable()
    .optional()
    .describe('guaranteed_throughput sets its requests per minute aside in the organization'),
  tpmLimitType: throughputType
    .nullable()
    .optional()
    .describe('guaranteed_throughput sets its tokens per minute aside in the organization'),
  modelAliases: z
    .record(z.string().min(1).max(255), z.string().min(1).max(255))
    .nullable()
    .optional()
    .describe('Models by the names that clients send, such as {"fast": "gpt-4o-mini"}'),
  tags: z.array(label).max(100).nullable().optional().describe('Tags that the spend of the team is booked under'),
  allowedPassthroughRoutes: passedPaths.describe(
    'Pass-through routes that keys of the team may call, each with what is below it; none means all',
  ),
  teamMemberPermissions: memberPermissions
    .nullable()
    .optional()
    .describe('Routes of keys that plain members may ask for too, such as /key/generate'),
  teamMemberBudget: usd.nullable().optional().describe('US dollars a member may spend that has no budget of its own'),
  teamMemberBudgetDuration: durationText.nullable().optional().describe('How long that budget is for'),
  teamMemberTpmLimit: rate.describe('Tokens per minute of a member that has no limit of its own'),
  teamMemberRpmLimit: rate.describe('Requests per minute of a member that has no limit of its own'),
  teamMemberKeyDuration: durationText
    .nullable()
    .optional()
    .describe('How long keys work that members make and name no end for'),
};

export const newTeamFields = {
  teamAlias: label.nullable().optional().describe('What the team is called; unique'),
  teamId: id.nullable().optional().describe('Names the team; made up when absent'),
  organizationId: id.nullable().optional().describe('The organization the team belongs to'),
  membersWithRoles: orNone(z.array(newMember).max(500), [])
    .default([])
    .describe('Who belongs to the team from the start'),
  ...grantFields,
  ...settings,
  blocked: orNone(z.boolean(), false)
    .default(false)
    .describe('Whether all keys of the team are refused from the start'),
};

export const teamChanges = {
  teamAlias: label.nullable().optional().describe('What the team is called; unique'),
  organizationId: id.nullable().optional().describe('The organization the team belongs to'),
  ...grantChanges,
  ...settings,
  blocked: orNone(z.boolean(), false).optional().describe('Whether all keys of the team are refused for now'),
};

/** LiteLLM's fields of a team that have no effect here yet. `admins` and `members` are older than members_with_roles. */
export const unservedTeamFields = [
  'admins',
  'members',
  'router_settings',
  'access_group_ids',
  'guardrails',
  'policies',
  'prompts',
  'object_permission',
  'secret_manager_settings',
  'allowed_vector_store_indexes',
] as const;
