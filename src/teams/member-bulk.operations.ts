import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { text } from '../kernel/fields.ts';
import { type Flag, operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { UserService } from '../users/user.service.ts';
import type { MemberChanges, MemberService } from './member.service.ts';
import type { Team } from './team.entity.ts';
import { memberLimits, memberNames, noneNamed, teamReference } from './team.fields.ts';
import type { Person, TeamJoin } from './team.join.ts';
import type { TeamStanding } from './team.policy.ts';
import type { TeamService } from './team.service.ts';
import { describeMembership, memberRole, membershipInfo, teamInfo } from './team.wire.ts';

export interface Needs {
  teams: TeamService;
  members: MemberService;
  joining: TeamJoin;
  users: UserService;
  now: Date;
}

const outcome = {
  userId: z.string().nullable().describe('The user, as it was named or as it is called'),
  userEmail: z.string().nullable().describe('The address of the user'),
  success: z.boolean().describe('Whether the user was added'),
  error: z.string().nullable().describe('Why not'),
  updatedTeamMembership: answer(membershipInfo).nullable().describe('The membership'),
};

/** What became of one of many: refused is that one, and not the others. */
async function outcomeOf(
  { members, joining, now }: Needs,
  { found, standing, limits }: { found: Team; standing: TeamStanding; limits: MemberChanges },
  { userId = null, userEmail = null, role }: Person & Pick<MemberChanges, 'role'>,
) {
  try {
    const user = await joining.candidate(found, standing, { userId, userEmail });
    const added = describeMembership(await members.add(found, user, { ...limits, role }), found, now);
    return { userId: user.id, userEmail: added.userEmail, success: true, error: null, updatedTeamMembership: added };
  } catch (thrown) {
    // Each of these is thrown before anything is written; a constraint that fails ends the whole, as the transaction does.
    if (!(thrown instanceof GatewayError) || thrown.cause !== undefined) throw thrown;
    return { userId, userEmail, success: false, error: thrown.message, updatedTeamMembership: null };
  }
}

const membersFlag: Flag = {
  name: 'members',
  placeholder: 'user,…',
  description: 'The users, by id or e-mail address',
  completes: 'user',
  parse: (given) => ({
    members: given
      .split(',')
      .map((name) => name.trim())
      .map((name) => (name.includes('@') ? { user_email: name } : { user_id: name })),
  }),
};

export const addTeamMembers = operation({
  command: ['team', 'member', 'add-all'],
  route: ['POST', '/team/bulk_member_add'],
  summary: 'Add many users to a team, or all there are',
  description: 'Whoever can be added is, and the answer says of each what became of it.',
  input: wire({
    teamId: teamReference,
    members: z
      .array(wire({ ...memberNames, role: memberRole.default('user').describe('What the user may do in the team') }))
      .max(500)
      .default([])
      .describe('The members'),
    allUsers: z.boolean().default(false).describe('Every user there is, at most 500; administrators only'),
    ...memberLimits,
  }),
  output: answer({
    teamId: z.string().describe('The team'),
    results: z.array(answer(outcome)).describe('What became of each, in the order they were named'),
    totalRequested: z.int().describe('How many were named'),
    successfulAdditions: z.int().describe('How many were added'),
    failedAdditions: z.int().describe('How many were not'),
    updatedTeam: answer(teamInfo).describe('The team as it is now'),
  }),
  access: 'scoped',
  cli: {
    result: 'results',
    columns: ['user_id', 'user_email', 'success', 'error'],
    headings: { user_id: 'USER', user_email: 'EMAIL' },
    id: 'user_id',
    args: ['team_id'],
    completes: { team_id: 'team' },
    flags: { members: membersFlag, max_budget_in_team: 'max-budget' },
    done: ({ successful_additions: count, failed_additions: failed }, { team_id: teamId }) =>
      `${text(count)} added to team ${text(teamId)}, ${text(failed)} not`,
    examples: [
      [
        'Some people, of whom a few may be in it already',
        'gatewayctl team member add-all platform --members anna,ben@example.com',
      ],
      ['Everybody', 'gatewayctl team member add-all platform --all-users'],
    ],
  },
  run: async (needs: Needs, { teamId, members: listed, allUsers, ...limits }) => {
    const { team: found, standing } = await needs.teams.lock(teamId, allUsers ? 'admin' : 'manager');
    const everybody = allUsers ? await needs.users.all(500) : [];
    const named = [...listed, ...everybody.map(({ id: userId }) => ({ userId, role: 'user' as const }))];
    if (named.length === 0) throw noneNamed('members');
    // Before anybody is made for the team: what is wrong with all is not found out with the first.
    needs.members.requireWithin(found, limits);
    await needs.members.requireBudget(limits.budgetId);
    const results = [];
    for (const person of named) results.push(await outcomeOf(needs, { found, standing, limits }, person));
    const successfulAdditions = results.filter(({ success }) => success).length;
    return {
      teamId: found.id,
      results,
      totalRequested: results.length,
      successfulAdditions,
      failedAdditions: results.length - successfulAdditions,
      updatedTeam: await needs.teams.describe(found),
    };
  },
});
