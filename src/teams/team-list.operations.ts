import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyList } from '../keys/key.list.ts';
import type { KeyService } from '../keys/key.service.ts';
import { keyInfo } from '../keys/key.wire.ts';
import type { MemberService } from './member.service.ts';
import { membersShown, teamSorts } from './team.fields.ts';
import type { TeamJoin } from './team.join.ts';
import type { TeamService } from './team.service.ts';
import { shownTeam } from './team.shown.ts';
import { describeTeam, membershipInfo, teamInfo } from './team.wire.ts';

interface Needs {
  teams: TeamService;
  members: MemberService;
  keys: KeyService;
  keyList: KeyList;
  joining: TeamJoin;
  now: Date;
}

/**
 * Keys shown with each team of the list without pages; `key list` shows all. Ten of each of 1,000 teams were 10 MB, and
 * seconds in which no other call was answered.
 */
const keysOfEach = (teams: number): number => Math.max(1, Math.min(10, Math.floor(1_000 / Math.max(1, teams))));

const organization = label.optional().describe('Only teams of this organization; default_organization is none');

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
    organizationId: organization,
    userId: label.optional().describe('Only teams this user belongs to'),
    sortBy: z.enum(teamSorts).default('created_at').describe('What the list is sorted by'),
    sortOrder: z.enum(['asc', 'desc']).default('desc').describe('In which direction it is sorted'),
  }),
  output: answer({
    teams: z.array(answer(teamInfo)).describe('The teams'),
    total: z
      .int()
      .describe('How many teams there are on all pages; an estimate above 10,000 where counting takes long'),
    page: z.int().describe('Which page this is'),
    pageSize: z.int().describe('Teams on a page'),
    totalPages: z.int().describe('How many pages there are'),
  }),
  access: 'scoped',
  cli: {
    ...shownTeam,
    result: 'teams',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    completes: { team_alias: 'team', team_id: 'team' },
    flags: {
      team_alias: 'alias',
      team_id: 'id',
      organization_id: { name: 'org', placeholder: 'org', completes: 'org' },
      page_size: 'limit',
      sort_by: 'sort',
      sort_order: 'order',
      user_id: { name: 'user', placeholder: 'user', completes: 'user' },
    },
    examples: [['The teams of a user', 'gatewayctl team list --user anna']],
  },
  run: async ({ teams, now }: Needs, { pageSize: size, ...filter }) => {
    const { teams: found, total } = await teams.list({ size, ...filter });
    return {
      teams: (await teams.shown(found)).map((team) => describeTeam(team, now)),
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
  description:
    'The first 1,000 teams by alias, each with its first ten members and its newest keys, ten at most and 1,000 in all; /v2/team/list has pages.',
  input: wire({
    userId: label.optional().describe('Only teams this user belongs to'),
    organizationId: organization,
  }),
  output: z.array(
    answer({
      ...teamInfo,
      teamMemberships: z.array(answer(membershipInfo)).describe('What its members have spent'),
      keys: z.array(answer(keyInfo)).describe('Its newest keys'),
    }),
  ),
  access: 'scoped',
  run: async ({ teams, members, keys, keyList, now }: Needs, filter) => {
    const { teams: found } = await teams.list({
      ...filter,
      page: 1,
      size: 1_000,
      sortBy: 'team_alias',
      sortOrder: 'asc',
    });
    const wholes = await teams.shown(found, membersShown.inWholeList);
    const memberships = await members.describeEach(wholes);
    const newest = await keyList.newestOf(
      found.map(({ id }) => id),
      keysOfEach(found.length),
    );
    const byTeam = Map.groupBy(await keys.describe(newest), ({ teamId }) => teamId);
    return wholes.map((whole, index) =>
      Object.assign(describeTeam(whole, now), {
        teamMemberships: memberships[index] ?? [],
        keys: byTeam.get(whole.team.id) ?? [],
      }),
    );
  },
});

export const listAvailableTeams = operation({
  command: ['team', 'available'],
  route: ['GET', '/team/available'],
  summary: 'List the teams that everybody may join',
  description:
    'The configuration names them: litellm_settings.default_internal_user_params.available_teams. To join one, a user adds itself to it.',
  input: wire({}),
  output: z.array(
    answer({
      teamId: z.string().describe('Names the team'),
      teamAlias: z.string().nullable().describe('What the team is called'),
      organizationId: z.string().nullable().describe('The organization the team belongs to'),
      models: z.array(z.string()).describe('Models that may be called; none means all'),
    }),
  ),
  access: 'scoped',
  cli: {
    columns: ['team_alias', 'team_id', 'organization_id', 'models'],
    headings: { team_alias: 'ALIAS', team_id: 'ID', organization_id: 'ORG' },
    id: 'team_id',
    examples: [['Those the caller is not in yet', 'gatewayctl team available']],
  },
  run: async ({ joining }: Needs) =>
    (await joining.available()).map(({ id: teamId, alias, organizationId, models }) => ({
      teamId,
      teamAlias: alias ?? null,
      organizationId: organizationId ?? null,
      models,
    })),
});

export const teamListOperations = [listTeams, listAllTeams, listAvailableTeams] as const;
