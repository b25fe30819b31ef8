import { z } from 'zod';
import { id, models, text } from '../kernel/fields.ts';
import { requireSome } from '../kernel/model-list.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import { memberPermissions, memberRoutes } from './team.fields.ts';
import type { TeamService } from './team.service.ts';
import { shownTeam } from './team.shown.ts';
import { teamInfo } from './team.wire.ts';

interface Needs {
  teams: TeamService;
}

const reference = id.describe('The team, by id or alias');

const editing = (verb: 'add' | 'delete', summary: string) =>
  operation({
    command: ['team', 'model', verb],
    ...(verb === 'delete' && { aliases: ['remove', 'rm'] }),
    route: ['POST', `/team/model/${verb}`],
    summary,
    description: 'A team whose list is empty may call every model, so the first entry of a list takes all others away.',
    input: wire({
      teamId: reference,
      models: models.min(1).describe('The models, patterns such as openai/* included'),
    }),
    output: answer(teamInfo),
    access: 'scoped',
    cli: {
      ...shownTeam,
      ...(verb === 'delete' && { confirm: 'moderate' }),
      args: ['team_id', 'models'],
      completes: { team_id: 'team', models: 'model' },
      done: ({ models: left }) =>
        `The team may call ${Array.isArray(left) && left.length > 0 ? left.join(', ') : 'every model'}`,
      examples: [[`By name`, `gatewayctl team model ${verb} platform gpt-4o${verb === 'delete' ? ' --yes' : ''}`]],
    },
    run: async ({ teams }: Needs, { teamId, models: named }) => {
      const { team } = await teams.lock(teamId, 'manager');
      const rest = team.models.filter((model) => !named.includes(model));
      if (verb === 'delete' && team.models.length > 0) {
        requireSome(rest, 'models', 'gatewayctl team update TEAM --models no-default-models');
      }
      return teams.describe(await teams.update(team.id, { models: verb === 'add' ? [...rest, ...named] : rest }));
    },
  });

export const addTeamModels = editing('add', 'Let a team call further models');
export const deleteTeamModels = editing('delete', 'Take models away from a team');

const permissions = {
  teamId: z.string().describe('The team'),
  teamMemberPermissions: z.array(z.string()).describe('Routes of keys that plain members may ask for'),
  allAvailablePermissions: z.array(z.string()).describe('Routes that can be given to plain members'),
};

export const listTeamPermissions = operation({
  command: ['team', 'permission', 'list'],
  aliases: ['ls'],
  route: ['GET', '/team/permissions_list'],
  summary: 'Show what plain members of a team may do with its keys',
  input: wire({ teamId: reference }),
  output: answer(permissions),
  access: 'scoped',
  cli: {
    args: ['team_id'],
    completes: { team_id: 'team' },
    examples: [['Of one team', 'gatewayctl team permission list platform']],
  },
  run: async ({ teams }: Needs, { teamId }) => {
    const team = await teams.get(teamId);
    await teams.access.requireRead(team, teamId);
    return {
      teamId: team.id,
      teamMemberPermissions: team.memberPermissions,
      allAvailablePermissions: [...memberRoutes],
    };
  },
});

export const updateTeamPermissions = operation({
  command: ['team', 'permission', 'set'],
  aliases: ['update'],
  route: ['POST', '/team/permissions_update'],
  summary: 'Say what plain members of a team may do with its keys',
  input: wire({
    teamId: reference,
    teamMemberPermissions: memberPermissions.describe('The routes, in place of the present ones'),
  }),
  output: answer(teamInfo),
  access: 'scoped',
  cli: {
    ...shownTeam,
    args: ['team_id', 'team_member_permissions'],
    completes: { team_id: 'team' },
    done: (_, { team_id: team }) => `The members’ permissions in team ${text(team)} were changed`,
    examples: [['Let members make keys', 'gatewayctl team permission set platform /key/generate /key/info']],
  },
  run: async ({ teams }: Needs, { teamId, teamMemberPermissions }) =>
    teams.describe(await teams.update(teamId, { teamMemberPermissions })),
});

export const teamSettingsOperations = [
  addTeamModels,
  deleteTeamModels,
  listTeamPermissions,
  updateTeamPermissions,
] as const;
