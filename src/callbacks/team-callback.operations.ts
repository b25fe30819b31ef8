import { z } from 'zod';
import { id, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { TeamCallbackService } from './team-callback.service.ts';
import { newTeamCallback, teamLoggingInfo } from './team-callback.wire.ts';

interface Needs {
  teamCallbacks: TeamCallbackService;
}

const reference = id.describe('The team, by id or alias');

/** LiteLLM's answer to all three. */
const output = answer({
  status: z.literal('success').describe('What went wrong is an error instead'),
  data: answer(teamLoggingInfo).describe('What the team wants of its calls'),
});
const success = 'success' as const;

const shown = {
  columns: ['team_id', 'success_callbacks', 'failure_callbacks', 'callback_vars', 'is_logging_disabled'],
  headings: {
    team_id: 'TEAM',
    success_callbacks: 'SUCCESS',
    failure_callbacks: 'FAILURE',
    callback_vars: 'VARIABLES',
    is_logging_disabled: 'DISABLED',
  },
  id: 'team_id',
  result: 'data',
  completes: { team_id: 'team' },
} satisfies Partial<CommandLine>;

export const setTeamCallback = operation({
  command: ['team', 'callback', 'set'],
  aliases: ['add'],
  route: ['POST', '/team/:team_id/callback'],
  summary: 'Have the calls of a team reported to a place of its own',
  description:
    'Beside what the operator has all calls reported to. In place of the team’s callback of that name, if it has one. ' +
    'Values are stored encrypted and never shown again.',
  input: wire({ teamId: reference, ...newTeamCallback }),
  output,
  access: 'admin',
  cli: {
    ...shown,
    args: ['team_id', 'callback_name'],
    flags: {
      callback_type: 'on',
      callback_vars: { name: 'vars', placeholder: '@file|-', isSecret: true },
    },
    values: 'callback_vars',
    done: (_, { callback_name: name, team_id: team }) =>
      `The calls of team ${text(team)} are reported to its ${text(name)}`,
    examples: [
      [
        'To a project of Langfuse',
        'gatewayctl team callback set platform langfuse --value-env langfuse_public_key=PUBLIC_KEY ' +
          '--value-env langfuse_secret_key=SECRET_KEY',
      ],
    ],
  },
  run: async ({ teamCallbacks }: Needs, { teamId, ...callback }) => ({
    status: success,
    data: await teamCallbacks.set(teamId, callback),
  }),
});

export const listTeamCallbacks = operation({
  command: ['team', 'callback', 'list'],
  aliases: ['ls', 'get'],
  route: ['GET', '/team/:team_id/callback'],
  summary: 'Show where the calls of a team are reported',
  input: wire({ teamId: reference }),
  output,
  access: 'admin',
  cli: {
    ...shown,
    args: ['team_id'],
    examples: [['Of one team', 'gatewayctl team callback list platform']],
  },
  run: async ({ teamCallbacks }: Needs, { teamId }) => ({ status: success, data: await teamCallbacks.get(teamId) }),
});

export const disableTeamLogging = operation({
  command: ['team', 'callback', 'disable'],
  route: ['POST', '/team/:team_id/disable_logging'],
  summary: 'Have the calls of a team reported to nobody',
  description:
    'Its own callbacks are deleted, the operator’s are told of none of its calls, and nothing of what is in them is kept. ' +
    'They are booked as before. To have them reported again, set a callback.',
  input: wire({ teamId: reference }),
  output,
  access: 'admin',
  cli: {
    ...shown,
    args: ['team_id'],
    confirm: 'moderate',
    done: (_, { team_id: team }) => `The calls of team ${text(team)} are reported to nobody`,
    examples: [['In a script', 'gatewayctl team callback disable platform --yes']],
  },
  run: async ({ teamCallbacks }: Needs, { teamId }) => ({ status: success, data: await teamCallbacks.disable(teamId) }),
});

export const teamCallbackOperations = [setTeamCallback, listTeamCallbacks, disableTeamLogging] as const;
