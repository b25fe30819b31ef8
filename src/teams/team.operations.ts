import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { comparing, ifThere } from '../kernel/existing.ts';
import { id, text } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyList } from '../keys/key.list.ts';
import type { KeyService } from '../keys/key.service.ts';
import { keyInfo } from '../keys/key.wire.ts';
import type { ModelService } from '../models/model.service.ts';
import type { UserService } from '../users/user.service.ts';
import type { MemberService } from './member.service.ts';
import { newTeamFields, teamChanges, unservedTeamFields } from './team.fields.ts';
import type { TeamJoin } from './team.join.ts';
import type { TeamService } from './team.service.ts';
import { shownTeam, teamFlags as flags } from './team.shown.ts';
import { describeMemberBudget, describeTeam, memberBudgetTable, membershipInfo, teamInfo } from './team.wire.ts';

interface Needs {
  teams: TeamService;
  members: MemberService;
  joining: TeamJoin;
  users: UserService;
  keys: KeyService;
  keyList: KeyList;
  authority: Authority;
  models: ModelService;
  now: Date;
}

/** Keys shown with a team or taken by a deletion that names no more: a team of more is asked for by `key list`. */
const KEYS_AT_MOST = 1_000;

const reference = id.describe('The team, by id or alias');

const memberList = z.array(
  z.object({
    user_id: z.string().nullish(),
    user_email: z.string().toLowerCase().nullish(),
    role: z.string().default('user'),
  }),
);

/** Whether both lists hold the same people in the same roles, in any order and by id or address. */
function areMembers(wanted: unknown, is: unknown): boolean {
  const asked = memberList.parse(wanted);
  const members = memberList.parse(is);
  const isThere = ({ user_id: user, user_email: email, role }: (typeof asked)[number]) =>
    members.some(
      (each) =>
        each.role === role && (user ? [each.user_id, each.user_email].includes(user) : each.user_email === email),
    );
  return asked.length === members.length && asked.every(isThere);
}

const atStake = z.object({ keys_count: z.int().default(0), members_count: z.int().default(0) });

const amount = (count: number, one: string, many: string): string =>
  `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;

const nameOf = ({ team_alias: alias, team_id: teamId }: Record<string, unknown>) => text(alias ?? teamId);

export const createTeam = operation({
  command: ['team', 'create'],
  aliases: ['new'],
  route: ['POST', '/team/new'],
  summary: 'Create a team',
  input: wire(newTeamFields),
  output: answer(teamInfo),
  unserved: unservedTeamFields,
  access: 'scoped',
  existing: {
    names: ['team_id', 'team_alias'],
    find: async ({ teams }: Needs, { teamId, teamAlias }) => {
      const byId = teamId ? await ifThere(teams.get(teamId)) : undefined;
      const byAlias = teamAlias ? await ifThere(teams.get(teamAlias)) : undefined;
      // A team is looked up by either name: what is given as an id must not find another team by its alias.
      if (byId && byId.id === teamId) return teams.describe(byId);
      return byAlias && byAlias.alias === teamAlias ? teams.describe(byAlias) : undefined;
    },
    compare: { members_with_roles: comparing(({ wanted, found }) => areMembers(wanted, found['members_with_roles'])) },
  },
  cli: {
    ...shownTeam,
    flags,
    done: (team) => `Team ${nameOf(team)} created`,
    examples: [['A team with a budget', 'gatewayctl team create --alias platform --max-budget 500 --models gpt-4o']],
  },
  run: async ({ teams, members, joining, users, authority }: Needs, { membersWithRoles, ...fields }) => {
    const team = await teams.create(fields);
    const standing = authority.isAdmin ? 'admin' : 'organization';
    for (const { role, ...person } of membersWithRoles) {
      await members.add(team, await joining.candidate(team, standing, person), { role });
    }
    // Whoever makes a team without being above all of them is its first administrator.
    const { isAdmin, userId } = authority;
    if (!isAdmin && userId !== null && !(await teams.isMember(team.id, userId))) {
      await members.add(team, await users.get(userId), { role: 'admin' });
    }
    return teams.describe(team);
  },
});

export const getTeam = operation({
  command: ['team', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/team/info'],
  summary: 'Show one team',
  input: wire({ teamId: reference }),
  output: answer({
    teamId: z.string().describe('Names the team'),
    teamInfo: answer({
      ...teamInfo,
      teamMemberBudgetTable: memberBudgetTable.describe('What members have that have no limits of their own'),
    }).describe('The team'),
    keys: z.array(answer(keyInfo)).describe('Its newest keys, at most 1,000'),
    teamMemberships: z.array(answer(membershipInfo)).describe('What its members have spent'),
  }),
  access: 'scoped',
  cli: {
    ...shownTeam,
    args: ['team_id'],
    completes: { team_id: 'team' },
    result: 'team_info',
    examples: [['By its alias', 'gatewayctl team get platform']],
  },
  run: async ({ teams, members, keys, keyList, now }: Needs, { teamId }) => {
    const team = await teams.get(teamId);
    const [whole] = await teams.shown([team], KEYS_AT_MOST);
    if (!whole) throw new Error('A team that was found is not shown');
    const found = await keyList.newestOf([team.id], KEYS_AT_MOST);
    return {
      teamId: team.id,
      teamInfo: { ...describeTeam(whole, now), teamMemberBudgetTable: describeMemberBudget(team) },
      keys: await keys.describe(found),
      teamMemberships: await members.describe(team, whole.members),
    };
  },
});

export const updateTeam = operation({
  command: ['team', 'update'],
  route: ['POST', '/team/update'],
  summary: 'Change a team',
  description: 'What is not named stays as it is; `none` removes a limit.',
  input: wire({ teamId: reference, ...teamChanges }),
  output: answer({
    teamId: z.string().describe('Names the team'),
    data: answer(teamInfo).describe('The team as it is now'),
  }),
  unserved: unservedTeamFields,
  access: 'scoped',
  cli: {
    ...shownTeam,
    args: ['team_id'],
    completes: { team_id: 'team' },
    flags: { ...flags, team_id: false },
    result: 'data',
    done: (_, input) => `Team ${text(input['team_id'])} updated`,
    examples: [['More money', 'gatewayctl team update platform --max-budget 800']],
  },
  run: async ({ teams, keys }: Needs, { teamId, ...changes }) => {
    const team = await teams.update(teamId, changes);
    if (changes.organizationId !== undefined) await keys.followTeam(team);
    return { teamId: team.id, data: await teams.describe(team) };
  },
});

export const deleteTeams = operation({
  command: ['team', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/team/delete'],
  summary: 'Delete teams and their keys',
  description:
    'All of them or, when one is not there, none. Their keys go with them; what they spent stays in the reports.',
  input: wire({ teamIds: z.array(reference).min(1).max(100).describe('The teams, by id or alias') }),
  output: answer({
    deletedTeams: z.array(answer(teamInfo)).describe('The teams as they were'),
    deletedKeys: z.array(z.string()).describe('The hashes of the keys that went with them'),
  }),
  access: 'scoped',
  cli: {
    ...shownTeam,
    args: ['team_ids'],
    completes: { team_ids: 'team' },
    result: 'deleted_teams',
    confirm: 'severe',
    atStake: {
      look: 'team get',
      field: 'team_id',
      says: ({ team_info: team }) => {
        const { keys_count: keys, members_count: members } = atStake.parse(team);
        return `deletes ${amount(keys, 'key', 'keys')} and ${amount(members, 'membership', 'memberships')}; what was spent stays in the reports`;
      },
    },
    done: ({ deleted_teams: teams, deleted_keys: keys }) =>
      `${Array.isArray(teams) ? teams.length : 0} deleted, with ${Array.isArray(keys) ? keys.length : 0} keys`,
    examples: [['In a script', 'gatewayctl team delete web --confirm web']],
  },
  run: async ({ teams, keys, models }: Needs, { teamIds }) => {
    const deletedTeams = [];
    const deletedKeys = [];
    for (const team of await teams.lockAll(teamIds, 'organization')) {
      deletedTeams.push(await teams.describe(team));
      deletedKeys.push(...(await keys.removeOf({ teamId: team.id })));
      await models.removeOf(team.id);
      await teams.remove(team);
    }
    return { deletedTeams, deletedKeys };
  },
});

const blocking = (verb: 'block' | 'unblock', summary: string) =>
  operation({
    command: ['team', verb],
    route: ['POST', `/team/${verb}`],
    summary,
    input: wire({ teamId: reference }),
    output: answer(teamInfo),
    access: 'scoped',
    cli: {
      ...shownTeam,
      args: ['team_id'],
      completes: { team_id: 'team' },
      done: (team) => `Team ${nameOf(team)} ${verb}ed`,
      examples: [['By its alias', `gatewayctl team ${verb} platform`]],
    },
    run: async ({ teams }: Needs, { teamId }) => teams.describe(await teams.setBlocked(teamId, verb === 'block')),
  });

export const blockTeam = blocking('block', 'Refuse all keys of a team for now');
export const unblockTeam = blocking('unblock', 'Let the keys of a blocked team work again');

export const teamOperations = [createTeam, getTeam, updateTeam, deleteTeams, blockTeam, unblockTeam] as const;
