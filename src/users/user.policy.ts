import type { Role } from '../kernel/operation.ts';
import type { userChanges } from './user.fields.ts';

/**
 * What a caller is to a user, each more than the one before. `organization` administers the one the user is at home in. Of
 * any other that the user is a member of it is an `onlooker`: whoever administers one may add any user to it, and must not
 * get hold of an account by that.
 */
export const userStandings = ['onlooker', 'self', 'organization', 'admin'] as const;
export type UserStanding = (typeof userStandings)[number];

/** Who may change which field of a user, at least. A role or a budget of one's own is nobody's to change (CVE-2026-47102). */
export const userPolicy: Readonly<Record<keyof typeof userChanges, UserStanding>> = {
  userEmail: 'self',
  userAlias: 'self',

  userRole: 'organization',
  models: 'organization',
  maxBudget: 'organization',
  softBudget: 'organization',
  budgetDuration: 'organization',
  tpmLimit: 'organization',
  rpmLimit: 'organization',
  maxParallelRequests: 'organization',
  modelMaxBudget: 'organization',
  modelRpmLimit: 'organization',
  modelTpmLimit: 'organization',
  metadata: 'organization',
  blocked: 'organization',

  // Whom an identity provider takes for this user, and whose money it is.
  ssoUserId: 'admin',
  organizationId: 'admin',
  budgetId: 'admin',
};

/** Roles that whoever administers an organization may give: those below its own. */
export const rolesBelow: readonly Role[] = ['internal_user', 'internal_user_viewer'];

export const mayChange = (field: keyof typeof userPolicy, standing: UserStanding): boolean =>
  userStandings.indexOf(standing) >= userStandings.indexOf(userPolicy[field]);
