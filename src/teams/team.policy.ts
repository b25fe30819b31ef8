import type { teamChanges } from './team.fields.ts';

/**
 * What a caller is to a team, each more than the one before. `manager` administers the team, `organization` the
 * organization it belongs to.
 */
export const standings = ['member', 'manager', 'organization', 'admin'] as const;
export type TeamStanding = (typeof standings)[number];

/** `narrower`: also the team's administrator, as long as the team can do no more than before. */
type Rule = Exclude<TeamStanding, 'member'> | 'narrower';

/** Who may change which field of a team, at least. A field that is not here cannot be changed at all. */
export const teamPolicy: Readonly<Record<keyof typeof teamChanges, Rule>> = {
  teamAlias: 'manager',
  metadata: 'manager',
  // The models they lead to are looked at with every call.
  modelAliases: 'manager',
  tags: 'organization',
  teamMemberPermissions: 'manager',
  // As the limits of the team itself, these are only lowered once there are any: `TeamAccess.requireFields`.
  teamMemberBudget: 'manager',
  teamMemberBudgetDuration: 'manager',
  teamMemberTpmLimit: 'manager',
  teamMemberRpmLimit: 'manager',
  teamMemberKeyDuration: 'manager',

  models: 'narrower',
  allowedPassthroughRoutes: 'narrower',
  maxBudget: 'narrower',
  softBudget: 'narrower',
  tpmLimit: 'narrower',
  rpmLimit: 'narrower',
  maxParallelRequests: 'narrower',

  // A budget per day is worth more than the same for good.
  budgetDuration: 'organization',
  budgetLimits: 'organization',
  modelMaxBudget: 'organization',
  modelRpmLimit: 'organization',
  modelTpmLimit: 'organization',
  blocked: 'organization',
  // What is set aside for one team is taken from the others of its organization.
  rpmLimitType: 'organization',
  tpmLimitType: 'organization',

  // Moving a team would take it out of the budget of its organization.
  organizationId: 'admin',
};

const rank = (standing: TeamStanding): number => standings.indexOf(standing);

/** Whether it may be written, and whether only to less than there is. */
export function ruleFor(field: keyof typeof teamPolicy, standing: TeamStanding): 'free' | 'narrower' | 'refused' {
  const rule = teamPolicy[field];
  if (rule === 'narrower') return rank(standing) >= rank('organization') ? 'free' : 'narrower';
  return rank(standing) >= rank(rule) ? 'free' : 'refused';
}
