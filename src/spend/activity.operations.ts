import type { Authority } from '../access/authority.ts';
import { GatewayError } from '../kernel/errors.ts';
import { id } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';
import {
  type ActivityNeeds,
  activityOf,
  DAYS_AT_ONCE,
  flags,
  ids,
  narrowed,
  paged,
  shown,
  unserved,
} from './activity.asked.ts';
import { activityInfo } from './activity.wire.ts';

export interface Needs extends ActivityNeeds {
  users: UserService;
  teams: TeamService;
}

/** A user that is deleted has spent something too, which those may look at who may look at everything. */
async function spenderOf({ spend, em, authority, users }: Needs, userId: string | undefined) {
  if (userId === undefined) return undefined;
  if (!authority.seesAll) {
    const known = userId.includes('@') ? (await users.get(userId)).id : userId;
    await spend.requireSpender(em, await spend.scope(em, authority), known);
    return [known];
  }
  return [userId.includes('@') ? (await users.get(userId)).id : userId];
}

export const userActivity = operation({
  command: ['user', 'activity'],
  route: ['GET', '/user/daily/activity'],
  summary: 'Show what users have spent, day by day',
  description: 'Your own without a user; everybody’s for administrators. The last day is included, in UTC.',
  input: wire({ userId: id.optional().describe('Only this user, by id or e-mail address'), ...narrowed, ...paged }),
  output: answer(activityInfo),
  unserved,
  access: 'scoped',
  cli: {
    ...shown,
    flags: { ...flags, user_id: { name: 'user', placeholder: 'user', completes: 'user' } },
    examples: [['A month of a user', 'gatewayctl user activity --user anna --since 30d']],
  },
  run: async (needs: Needs, { userId, ...asked }) =>
    activityOf(needs, asked, { entity: 'user', ids: await spenderOf(needs, userId) }),
});

export const userActivityAtOnce = operation({
  command: ['user', 'activity-aggregated'],
  route: ['GET', '/user/daily/activity/aggregated'],
  summary: 'Show what users have spent, all days at once',
  description: 'As user activity, without pages: at most 366 days.',
  input: wire({ userId: id.optional().describe('Only this user, by id or e-mail address'), ...narrowed }),
  output: answer(activityInfo),
  unserved,
  access: 'scoped',
  run: async (needs: Needs, { userId, ...asked }) =>
    activityOf(
      needs,
      { ...asked, page: 1, pageSize: DAYS_AT_ONCE },
      { entity: 'user', ids: await spenderOf(needs, userId), most: DAYS_AT_ONCE },
    ),
});

export const teamActivity = operation({
  command: ['team', 'activity'],
  route: ['GET', '/team/daily/activity'],
  summary: 'Show what teams have spent, day by day',
  description: 'A plain member of a team sees what it has spent there itself. The last day is included, in UTC.',
  input: wire({ teamIds: ids('teams, by id or alias'), ...narrowed, ...paged }),
  output: answer(activityInfo),
  unserved: [...unserved, 'exclude_team_ids'],
  access: 'scoped',
  cli: {
    ...shown,
    flags: { ...flags, team_ids: { name: 'of-team', placeholder: 'team,…', completes: 'team' } },
    examples: [['A week of two teams', 'gatewayctl team activity --of-team platform,research --since 7d']],
  },
  run: async (needs: Needs, { teamIds, ...asked }) => {
    const found = teamIds && (await inTurn(teamIds, async (team) => (await needs.teams.get(team)).id));
    return activityOf(needs, asked, { entity: 'team', ids: found });
  },
});

export const organizationActivity = operation({
  command: ['org', 'activity'],
  route: ['GET', '/organization/daily/activity'],
  summary: 'Show what organizations have spent, day by day',
  description: 'A plain member of an organization sees what it has spent there itself.',
  input: wire({ organizationIds: ids('organizations'), ...narrowed, ...paged }),
  output: answer(activityInfo),
  unserved: [...unserved, 'exclude_organization_ids'],
  access: 'scoped',
  cli: {
    ...shown,
    flags: { ...flags, organization_ids: { name: 'of-org', placeholder: 'org,…', completes: 'org' } },
    examples: [['A quarter of an organization', 'gatewayctl org activity --of-org acme --since 90d']],
  },
  run: async (needs: Needs, { organizationIds, ...asked }) => {
    for (const each of organizationIds ?? []) await requireOrganization(needs.authority, each);
    return activityOf(needs, asked, { entity: 'organization', ids: organizationIds });
  },
});

/** One after the other: they share a connection. */
async function inTurn<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (const item of items) done.push(await act(item));
  return done;
}

/** Whoever is not in an organization learns nothing from trying: the answer is that of one that is not there. */
async function requireOrganization(authority: Authority, organizationId: string): Promise<void> {
  if (authority.seesAll || (await authority.organizationRole(organizationId))) return;
  throw new GatewayError('notFound', 'not_found_error', `No organization "${organizationId}"`, {
    param: 'organization_ids',
  });
}

export const activityOperations = [userActivity, userActivityAtOnce, teamActivity, organizationActivity] as const;
