import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { id, text } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { UserService } from '../users/user.service.ts';
import { describeOne } from './team.operations.ts';
import type { TeamService } from './team.service.ts';
import { describeMembership, memberRole, membershipInfo, newMembers, teamInfo } from './team.wire.ts';

interface Needs {
  teams: TeamService;
  users: UserService;
}

const team = id.describe('The team, by id or alias');

const who = {
  userId: id.nullable().optional().describe('The user, by id'),
  userEmail: z.email().nullable().optional().describe('The user, by e-mail address'),
};

const unserved = ['max_budget_in_team', 'tpm_limit', 'rpm_limit', 'budget_duration'] as const;

const table = {
  result: 'members_with_roles',
  columns: ['user_id', 'user_email', 'role'],
  headings: { user_id: 'USER', user_email: 'EMAIL' },
  id: 'user_id',
};

export const addTeamMember = operation({
  command: ['team', 'member', 'add'],
  route: ['POST', '/team/member_add'],
  summary: 'Add users to a team',
  description: 'A user that is not there yet is made.',
  input: wire({
    teamId: team,
    member: newMembers.optional().describe('The member or members'),
    userIds: z.array(id).max(500).optional().describe('The users, by id or e-mail address, in place of member'),
    role: memberRole.default('user').describe('What the users may do in the team'),
  }),
  output: answer({
    ...teamInfo,
    updatedUsers: z.array(z.string()).describe('The users that were added'),
    updatedTeamMemberships: z.array(answer(membershipInfo)).describe('Their memberships'),
  }),
  unserved,
  access: 'admin',
  cli: {
    ...table,
    args: ['team_id', 'user_ids'],
    completes: { team_id: 'team', user_ids: 'user' },
    flags: { member: false },
    done: ({ updated_users: users }, { team_id: teamId }) =>
      `${Array.isArray(users) ? users.join(', ') : ''} added to team ${text(teamId)}`,
    examples: [['An administrator of the team', 'gatewayctl team member add platform anna --role admin']],
  },
  run: async ({ teams, users }: Needs, { teamId, member, userIds = [], role }) => {
    const found = await teams.lock(teamId);
    const given = member === undefined ? [] : [member].flat();
    const named = userIds.map((name) => ({ userId: name, userEmail: undefined, role }));
    if (given.length + named.length === 0) {
      throw new GatewayError('invalid', 'invalid_request_error', 'member: no user was named', { param: 'member' });
    }
    const memberships = [];
    for (const each of [...given, ...named]) {
      memberships.push(await teams.addMember(found, await users.named(each), each.role));
    }
    return {
      ...(await describeOne(teams, found)),
      updatedUsers: memberships.map(({ userId }) => userId),
      updatedTeamMemberships: memberships.map(describeMembership),
    };
  },
});

export const updateTeamMember = operation({
  command: ['team', 'member', 'update'],
  route: ['POST', '/team/member_update'],
  summary: 'Change what a user may do in a team',
  input: wire({ teamId: team, ...who, role: memberRole.describe('What the user may do in the team') }),
  output: answer({
    teamId: z.string().describe('The team'),
    userId: z.string().describe('The user'),
    userEmail: z.string().nullable().describe('The address of the user'),
    role: memberRole.describe('What the user may do in the team now'),
  }),
  unserved,
  access: 'admin',
  cli: {
    args: ['team_id', 'user_id'],
    completes: { team_id: 'team', user_id: 'user' },
    columns: ['user_id', 'user_email', 'role'],
    headings: table.headings,
    id: 'user_id',
    done: ({ user_id: user, role }) => `User ${text(user)} is now ${text(role)}`,
    examples: [['Make an administrator of a member', 'gatewayctl team member update platform anna --role admin']],
  },
  run: async ({ teams, users }: Needs, { teamId, role, ...person }) => {
    const found = await teams.lock(teamId);
    const user = await users.existing(person);
    await teams.updateMember(found, user.id, role);
    return { teamId: found.id, userId: user.id, userEmail: user.email ?? null, role };
  },
});

export const removeTeamMember = operation({
  command: ['team', 'member', 'delete'],
  aliases: ['remove', 'rm'],
  route: ['POST', '/team/member_delete'],
  summary: 'Take a user out of a team',
  description: 'Keys the user has in the team stay with the team.',
  input: wire({ teamId: team, ...who }),
  output: answer(teamInfo),
  access: 'admin',
  cli: {
    ...table,
    args: ['team_id', 'user_id'],
    completes: { team_id: 'team', user_id: 'user' },
    confirm: 'moderate',
    done: (_, { team_id: teamId, user_id: user }) => `User ${text(user)} taken out of team ${text(teamId)}`,
    examples: [['In a script', 'gatewayctl team member delete platform anna --yes']],
  },
  run: async ({ teams, users }: Needs, { teamId, ...person }) => {
    const found = await teams.lock(teamId);
    const user = await users.existing(person);
    await teams.removeMember(found, user.id);
    return describeOne(teams, found);
  },
});

export const memberOperations = [addTeamMember, updateTeamMember, removeTeamMember] as const;
