import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import { teamSorts } from './team.fields.ts';
import type { TeamService } from './team.service.ts';
import { shownTeam } from './team.shown.ts';
import { describeTeam, teamInfo } from './team.wire.ts';

interface Needs {
  teams: TeamService;
  now: Date;
}

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
    sortBy: z.enum(teamSorts).default('created_at').describe('What the list is sorted by'),
    sortOrder: z.enum(['asc', 'desc']).default('desc').describe('In which direction it is sorted'),
  }),
  output: answer({
    teams: z.array(answer(teamInfo)).describe('The teams'),
    total: z.int().describe('How many teams there are on all pages'),
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
      organization_id: 'org',
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
      teams: (await teams.withMembers(found)).map((team) => describeTeam(team, now)),
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
  access: 'scoped',
  run: async ({ teams, now }: Needs, filter) => {
    const { teams: found } = await teams.list({
      ...filter,
      page: 1,
      size: 1_000,
      sortBy: 'team_alias',
      sortOrder: 'asc',
    });
    return (await teams.withMembers(found)).map((team) => describeTeam(team, now));
  },
});

export const teamListOperations = [listTeams, listAllTeams] as const;
