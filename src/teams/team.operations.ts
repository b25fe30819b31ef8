import { z } from 'zod';
import { comparing, ifThere } from '../kernel/existing.ts';
import { id, label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import { describeKey, keyInfo } from '../keys/key.wire.ts';
import type { ModelService } from '../models/model.service.ts';
import type { UserService } from '../users/user.service.ts';
import type { Team } from './team.entity.ts';
import type { TeamService } from './team.service.ts';
import {
  describeMembership,
  describeTeam,
  membershipInfo,
  newTeamFields,
  teamChanges,
  teamInfo,
  unservedTeamFields,
} from './team.wire.ts';

interface Needs {
  teams: TeamService;
  users: UserService;
  keys: KeyService;
  models: ModelService;
  now: Date;
}

/** Keys shown with a team or taken by a deletion that names no more: a team of more is asked for by `key list`. */
const KEYS_AT_MOST = 1_000;

const reference = id.describe('The team, by id or alias');

export const describeOne = async (teams: TeamService, team: Team) => {
  const [whole = { team, members: [] }] = await teams.withMembers([team]);
  return describeTeam(whole);
};

const flags: CommandLine['flags'] = {
  team_alias: 'alias',
  team_id: 'id',
  organization_id: 'org',
  members_with_roles: false,
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
};

/** `anna (admin), bob (user)` */
const membersAsText = (members: unknown): string =>
  teamMembers
    .parse(members)
    .map(({ user_id: user, role }) => `${user} (${role})`)
    .join(', ');

const teamMembers = z.array(z.looseObject({ user_id: z.string(), role: z.string() })).catch([]);

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

const amount = (list: unknown, one: string, many: string): string => {
  const { length } = Array.isArray(list) ? list : [];
  return `${length.toLocaleString('en-US')} ${length === 1 ? one : many}`;
};

export const shownTeam: Partial<CommandLine> = {
  columns: ['team_alias', 'team_id', 'organization_id', 'spend', 'max_budget', 'blocked'],
  wide: ['models', 'members_with_roles', 'created_at', 'created_by'],
  headings: {
    team_alias: 'ALIAS',
    team_id: 'ID',
    organization_id: 'ORG',
    max_budget: 'BUDGET',
    members_with_roles: 'MEMBERS',
  },
  cells: { members_with_roles: membersAsText },
  id: 'team_id',
};

const nameOf = ({ team_alias: alias, team_id: teamId }: Record<string, unknown>) => text(alias ?? teamId);

export const createTeam = operation({
  command: ['team', 'create'],
  aliases: ['new'],
  route: ['POST', '/team/new'],
  summary: 'Create a team',
  input: wire(newTeamFields),
  output: answer(teamInfo),
  unserved: unservedTeamFields,
  access: 'admin',
  existing: {
    names: ['team_id', 'team_alias'],
    find: async ({ teams }: Needs, { teamId, teamAlias }) => {
      const byId = teamId ? await ifThere(teams.get(teamId)) : undefined;
      const byAlias = teamAlias ? await ifThere(teams.get(teamAlias)) : undefined;
      // A team is looked up by either name: what is given as an id must not find another team by its alias.
      if (byId && byId.id === teamId) return describeOne(teams, byId);
      return byAlias && byAlias.alias === teamAlias ? describeOne(teams, byAlias) : undefined;
    },
    compare: { members_with_roles: comparing(({ wanted, found }) => areMembers(wanted, found['members_with_roles'])) },
  },
  cli: {
    ...shownTeam,
    flags,
    done: (team) => `Team ${nameOf(team)} created`,
    examples: [['A team with a budget', 'gatewayctl team create --alias platform --max-budget 500 --models gpt-4o']],
  },
  run: async ({ teams, users }: Needs, { membersWithRoles, ...fields }) => {
    const team = await teams.create(fields);
    for (const { userId, userEmail, role } of membersWithRoles) {
      await teams.addMember(team, await users.named({ userId, userEmail }), role);
    }
    return describeOne(teams, team);
  },
});

export const listTeams = operation({
  command: ['team', 'list'],
  aliases: ['ls'],
  route: ['GET', '/v2/team/list'],
  summary: 'List teams',
  input: wire({
    page: pageFields({ default: 10, max: 100 }).page,
    pageSize: pageFields({ default: 10, max: 100 }).size,
    teamId: label.optional().describe('Only the team with this id'),
    teamAlias: label.optional().describe('Only the team with this alias'),
    organizationId: label.optional().describe('Only teams of this organization'),
    userId: label.optional().describe('Only teams this user belongs to'),
    sortBy: z.enum(['created_at', 'team_alias']).default('created_at').describe('What the list is sorted by'),
    sortOrder: z.enum(['asc', 'desc']).default('desc').describe('In which direction it is sorted'),
  }),
  output: answer({
    teams: z.array(answer(teamInfo)).describe('The teams'),
    total: z.int().describe('How many teams there are on all pages'),
    page: z.int().describe('Which page this is'),
    pageSize: z.int().describe('Teams on a page'),
    totalPages: z.int().describe('How many pages there are'),
  }),
  access: 'admin',
  cli: {
    ...shownTeam,
    result: 'teams',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    completes: { team_alias: 'team', team_id: 'team' },
    flags: {
      ...flags,
      page_size: 'limit',
      sort_by: 'sort',
      sort_order: 'order',
      user_id: { name: 'user', placeholder: 'user', completes: 'user' },
    },
    examples: [['The teams of a user', 'gatewayctl team list --user anna']],
  },
  run: async ({ teams }: Needs, { pageSize: size, ...filter }) => {
    const { teams: found, total } = await teams.list({ size, ...filter });
    return {
      teams: (await teams.withMembers(found)).map(describeTeam),
      total,
      page: filter.page,
      pageSize: size,
      totalPages: pagesFor(total, size),
    };
  },
});

/** LiteLLM's older list: no pages, so it ends at a number instead. */
export const listAllTeams = operation({
  command: ['team', 'list-all'],
  route: ['GET', '/team/list'],
  summary: 'List teams without pages',
  description: 'The first 1,000 teams by alias; /v2/team/list has pages.',
  input: wire({
    userId: label.optional().describe('Only teams this user belongs to'),
    organizationId: label.optional().describe('Only teams of this organization'),
  }),
  output: z.array(answer(teamInfo)),
  access: 'admin',
  run: async ({ teams }: Needs, filter) => {
    const { teams: found } = await teams.list({
      ...filter,
      page: 1,
      size: 1_000,
      sortBy: 'team_alias',
      sortOrder: 'asc',
    });
    return (await teams.withMembers(found)).map(describeTeam);
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
    teamInfo: answer(teamInfo).describe('The team'),
    keys: z.array(answer(keyInfo)).describe('Its newest keys, at most 1,000'),
    teamMemberships: z.array(answer(membershipInfo)).describe('What its members have spent'),
  }),
  access: 'admin',
  cli: {
    ...shownTeam,
    args: ['team_id'],
    completes: { team_id: 'team' },
    result: 'team_info',
    examples: [['By its alias', 'gatewayctl team get platform']],
  },
  run: async ({ teams, keys, now }: Needs, { teamId }) => {
    const team = await teams.get(teamId);
    const [whole = { team, members: [] }] = await teams.withMembers([team]);
    return {
      teamId: team.id,
      teamInfo: describeTeam(whole),
      keys: (await keys.of({ teamId: team.id }, KEYS_AT_MOST)).map((key) => describeKey(key, now)),
      teamMemberships: whole.members.map(({ member }) => describeMembership(member)),
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
  access: 'admin',
  cli: {
    ...shownTeam,
    args: ['team_id'],
    completes: { team_id: 'team' },
    flags: { ...flags, team_id: false },
    result: 'data',
    done: (_, input) => `Team ${text(input['team_id'])} updated`,
    examples: [['More money', 'gatewayctl team update platform --max-budget 800']],
  },
  run: async ({ teams }: Needs, { teamId, ...changes }) => {
    const team = await teams.update(teamId, changes);
    return { teamId: team.id, data: await describeOne(teams, team) };
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
  access: 'admin',
  cli: {
    ...shownTeam,
    args: ['team_ids'],
    completes: { team_ids: 'team' },
    result: 'deleted_teams',
    confirm: 'severe',
    atStake: {
      look: 'team get',
      field: 'team_id',
      says: ({ keys, team_memberships: members }) =>
        `deletes ${amount(keys, 'key', 'keys')} and ${amount(members, 'membership', 'memberships')}; what was spent stays in the reports`,
    },
    done: ({ deleted_teams: teams, deleted_keys: keys }) =>
      `${Array.isArray(teams) ? teams.length : 0} deleted, with ${Array.isArray(keys) ? keys.length : 0} keys`,
    examples: [['In a script', 'gatewayctl team delete web --confirm web']],
  },
  run: async ({ teams, keys, models }: Needs, { teamIds }) => {
    const deletedTeams = [];
    const deletedKeys = [];
    for (const team of await teams.lockAll(teamIds)) {
      deletedTeams.push(await describeOne(teams, team));
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
    access: 'admin',
    cli: {
      ...shownTeam,
      args: ['team_id'],
      completes: { team_id: 'team' },
      done: (team) => `Team ${nameOf(team)} ${verb}ed`,
      examples: [['By its alias', `gatewayctl team ${verb} platform`]],
    },
    run: async ({ teams }: Needs, { teamId }) => describeOne(teams, await teams.setBlocked(teamId, verb === 'block')),
  });

export const blockTeam = blocking('block', 'Refuse all keys of a team for now');
export const unblockTeam = blocking('unblock', 'Let the keys of a blocked team work again');

export const teamOperations = [
  createTeam,
  listTeams,
  listAllTeams,
  getTeam,
  updateTeam,
  deleteTeams,
  blockTeam,
  unblockTeam,
] as const;
