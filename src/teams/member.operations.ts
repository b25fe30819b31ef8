import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { id, text } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { UserService } from '../users/user.service.ts';
import { addTeamMembers } from './member-bulk.operations.ts';
import type { MemberChanges, MemberService } from './member.service.ts';
import type { Team } from './team.entity.ts';
import { memberLimits, memberNames, newMembers, noneNamed, teamReference } from './team.fields.ts';
import type { Person, TeamJoin } from './team.join.ts';
import type { TeamStanding } from './team.policy.ts';
import type { TeamService } from './team.service.ts';
import { memberHeadings } from './team.shown.ts';
import { describeMembership, memberRole, membershipInfo, teamInfo } from './team.wire.ts';

interface Needs {
  teams: TeamService;
  members: MemberService;
  joining: TeamJoin;
  users: UserService;
  keys: KeyService;
  authority: Authority;
  now: Date;
}

const columns = ['user_id', 'user_email', 'role'];
/** Everybody that was named, each in the team or none. */
async function addAll(
  { members, joining }: Needs,
  { found, standing, limits }: { found: Team; standing: TeamStanding; limits: MemberChanges },
  people: readonly (Person & Pick<MemberChanges, 'role'>)[],
) {
  const memberships = [];
  for (const { role, ...person } of people) {
    const user = await joining.candidate(found, standing, person);
    memberships.push(await members.add(found, user, { ...limits, role }));
  }
  return memberships;
}

/** The answer of LiteLLM to whoever adds members. */
async function answerWith({ teams, members }: Needs, found: Team, memberships: Awaited<ReturnType<typeof addAll>>) {
  return {
    ...(await teams.describe(found)),
    updatedUsers: memberships.map(({ member: { userId }, email: userEmail }) => ({ userId, userEmail })),
    updatedTeamMemberships: await members.describe(found, memberships),
  };
}

const addedUsers = z.array(z.object({ user_id: z.string() }));

const added = {
  ...teamInfo,
  updatedUsers: z
    .array(answer({ userId: membershipInfo.userId, userEmail: membershipInfo.userEmail }))
    .describe('The users that were added'),
  updatedTeamMemberships: z.array(answer(membershipInfo)).describe('Their memberships'),
};

export const addTeamMember = operation({
  command: ['team', 'member', 'add'],
  route: ['POST', '/team/member_add'],
  summary: 'Add users to a team',
  description: 'A user that is not there yet is made, unless the caller administers no more than the team.',
  input: wire({
    teamId: teamReference,
    member: newMembers.optional().describe('The member or members'),
    userIds: z.array(id).max(500).optional().describe('The users, by id or e-mail address, in place of member'),
    role: memberRole.default('user').describe('What the users may do in the team'),
    ...memberLimits,
  }),
  output: answer(added),
  access: 'scoped',
  cli: {
    result: 'updated_team_memberships',
    columns,
    headings: memberHeadings,
    id: 'user_id',
    args: ['team_id', 'user_ids'],
    completes: { team_id: 'team', user_ids: 'user' },
    flags: { member: false, max_budget_in_team: 'max-budget' },
    done: ({ updated_users: users }, { team_id: teamId }) =>
      `${addedUsers
        .parse(users)
        .map(({ user_id: user }) => user)
        .join(', ')} added to team ${text(teamId)}`,
    examples: [
      ['An administrator of the team', 'gatewayctl team member add platform anna --role admin'],
      ['A member with a budget', 'gatewayctl team member add platform ben --max-budget 20 --budget-duration 30d'],
    ],
  },
  run: async (needs: Needs, { teamId, member, userIds = [], role, ...limits }) => {
    const given = member === undefined ? [] : [member].flat();
    const named = userIds.map((name) => ({ userId: name, userEmail: undefined, role }));
    if (given.length + named.length === 0) {
      throw noneNamed('member');
    }
    const people = [...given, ...named];
    const isPlain = Object.values(limits).every((limit) => limit === undefined || limit === null);
    const open = isPlain ? await needs.joining.open(teamId, people) : undefined;
    if (open) return answerWith(needs, open, [await joinedBy(needs, open)]);
    const { team: found, standing } = await needs.teams.lock(teamId, 'manager');
    return answerWith(needs, found, await addAll(needs, { found, standing, limits }, people));
  },
});

/** The caller itself comes into a team that is open to everybody. */
const joinedBy = async ({ users, members, authority }: Needs, found: Team) =>
  members.add(found, await users.existing({ userId: authority.userId }), { role: 'user' });

export const listTeamMembers = operation({
  command: ['team', 'member', 'list'],
  aliases: ['ls'],
  route: ['GET', '/team/member_list'],
  summary: 'List who belongs to a team',
  input: wire({ teamId: teamReference, ...pageFields({ default: 50, max: 100 }) }),
  output: answer({
    members: z.array(answer(membershipInfo)).describe('The members, the oldest first'),
    totalCount: z.int().describe('How many there are on all pages'),
    currentPage: z.int().describe('Which page this is'),
    totalPages: z.int().describe('How many pages there are'),
  }),
  access: 'scoped',
  cli: {
    result: 'members',
    columns: [...columns, 'spend', 'max_budget_in_team'],
    wide: ['tpm_limit', 'rpm_limit', 'joined_at'],
    headings: memberHeadings,
    id: 'user_id',
    args: ['team_id'],
    completes: { team_id: 'team' },
    pages: { page: 'page', size: 'size', total: 'total_count' },
    flags: { size: 'limit' },
    examples: [['With what they have spent', 'gatewayctl team member list platform']],
  },
  run: async ({ teams, members }: Needs, { teamId, page, size }) => {
    const found = await teams.get(teamId);
    await teams.access.requireRead(found, teamId);
    const { members: listed, total } = await members.list(found, { page, size });
    return {
      members: await members.describe(found, listed),
      totalCount: total,
      currentPage: page,
      totalPages: pagesFor(total, size),
    };
  },
});

export const updateTeamMember = operation({
  command: ['team', 'member', 'update'],
  route: ['POST', '/team/member_update'],
  summary: 'Change what a user may do or spend in a team',
  input: wire({
    teamId: teamReference,
    ...memberNames,
    role: memberRole.optional().describe('What the user may do in the team'),
    ...memberLimits,
  }),
  output: answer(membershipInfo),
  access: 'scoped',
  cli: {
    args: ['team_id', 'user_id'],
    completes: { team_id: 'team', user_id: 'user' },
    columns: [...columns, 'spend', 'max_budget_in_team'],
    headings: memberHeadings,
    id: 'user_id',
    flags: { max_budget_in_team: 'max-budget' },
    done: ({ user_id: user, role }) => `User ${text(user)} is ${text(role)} of the team`,
    examples: [
      ['Make an administrator of a member', 'gatewayctl team member update platform anna --role admin'],
      ['A budget', 'gatewayctl team member update platform anna --max-budget 25'],
    ],
  },
  run: async ({ teams, members, now }: Needs, { teamId, userId, userEmail, ...changes }) => {
    const { team: found, standing } = await teams.lock(teamId, 'manager');
    const membership = await members.named(found, { userId, userEmail });
    const changed = await members.update(found, membership, { changes, standing });
    const [described = describeMembership(changed, found, now)] = await members.describe(found, [changed]);
    return described;
  },
});

export const removeTeamMember = operation({
  command: ['team', 'member', 'delete'],
  aliases: ['remove', 'rm'],
  route: ['POST', '/team/member_delete'],
  summary: 'Take a user out of a team',
  description: 'Keys the user holds in the team are deleted: they would work on for somebody who left.',
  input: wire({
    teamId: teamReference,
    ...memberNames,
    keepKeys: z.boolean().default(false).describe('Leave the keys of the user in the team to it, as keys of nobody'),
  }),
  output: answer({ ...teamInfo, deletedKeys: z.array(z.string()).describe('The hashes of the keys that went too') }),
  access: 'scoped',
  cli: {
    result: 'members_with_roles',
    columns: ['user_id', 'user_email', 'role'],
    headings: { user_id: 'USER', user_email: 'EMAIL' },
    id: 'user_id',
    args: ['team_id', 'user_id'],
    completes: { team_id: 'team', user_id: 'user' },
    confirm: 'moderate',
    done: ({ deleted_keys: keys }, { team_id: teamId, user_id: user }) =>
      `User ${text(user)} taken out of team ${text(teamId)}, with ${Array.isArray(keys) ? keys.length : 0} keys`,
    examples: [['In a script', 'gatewayctl team member delete platform anna --yes']],
  },
  run: async ({ teams, members, keys }: Needs, { teamId, keepKeys, ...person }) => {
    const { team: found } = await teams.lock(teamId, 'manager');
    const membership = await members.named(found, person);
    const held = { teamId: found.id, userId: membership.member.userId };
    await members.remove(found, membership);
    const deletedKeys = keepKeys ? [] : await keys.removeOf(held);
    if (keepKeys) await keys.leaveToTeam(held);
    return { ...(await teams.describe(found)), deletedKeys };
  },
});

export const memberOperations = [
  addTeamMember,
  addTeamMembers,
  listTeamMembers,
  updateTeamMember,
  removeTeamMember,
] as const;
