import { z } from 'zod';
import { id, label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { OwnerCallbackService, OwnerReference } from './owner-callback.service.ts';
import { newOwnerCallback, ownerLoggingInfo } from './owner-callback.wire.ts';

interface Needs {
  ownerCallbacks: OwnerCallbackService;
}

/** LiteLLM's answer to all of them. */
const output = answer({
  status: z.literal('success').describe('What went wrong is an error instead'),
  data: answer(ownerLoggingInfo).describe('Where the calls are reported'),
});
const success = 'success' as const;

const shown = {
  columns: ['success_callbacks', 'failure_callbacks', 'callback_vars', 'is_logging_disabled'],
  wide: ['team_id', 'key_id'],
  headings: {
    success_callbacks: 'SUCCESS',
    failure_callbacks: 'FAILURE',
    callback_vars: 'VARIABLES',
    is_logging_disabled: 'DISABLED',
    team_id: 'TEAM',
    key_id: 'KEY',
  },
  result: 'data',
} satisfies Partial<CommandLine>;

/** The three operations there are for teams, which have LiteLLM's routes, and for keys, which have the same below their own. */
function operationsOf(noun: 'team' | 'key', example: string) {
  const field = noun === 'team' ? 'teamId' : 'key';
  const argument = noun === 'team' ? 'team_id' : 'key';
  const reference =
    noun === 'team' ? id.describe('The team, by id or alias') : label.describe('The key: alias, id or hash');
  const owner = { [field]: reference };
  const ownerOf = (input: Readonly<Record<string, unknown>>): OwnerReference =>
    noun === 'team' ? { team: String(input[field]) } : { key: String(input[field]) };
  const common = { ...shown, completes: { [argument]: noun } };

  const set = operation({
    command: [noun, 'callback', 'set'],
    aliases: ['add'],
    route: ['POST', `/${noun}/:${argument}/callback`],
    summary: `Have the calls of a ${noun} reported to a place of its own`,
    description:
      'Beside what the operator has all calls reported to, and in place of its callback of that name, if it has one. ' +
      'Values are stored encrypted and never shown again.',
    input: wire({ ...owner, ...newOwnerCallback }),
    output,
    access: 'admin',
    cli: {
      ...common,
      args: [argument, 'callback_name'],
      flags: { callback_type: 'on', callback_vars: { name: 'vars', placeholder: '@file|-', isSecret: true } },
      values: 'callback_vars',
      done: (_, input) =>
        `The calls of ${noun} ${text(input[argument])} are reported to its ${text(input['callback_name'])}`,
      examples: [
        [
          'To a project of Langfuse',
          `gatewayctl ${noun} callback set ${example} langfuse --value-env langfuse_public_key=PUBLIC_KEY ` +
            '--value-env langfuse_secret_key=SECRET_KEY',
        ],
      ],
    },
    run: async ({ ownerCallbacks }: Needs, input) => ({
      status: success,
      data: await ownerCallbacks.set(ownerOf(input), input),
    }),
  });

  const list = operation({
    command: [noun, 'callback', 'list'],
    aliases: ['ls', 'get'],
    route: ['GET', `/${noun}/:${argument}/callback`],
    summary: `Show where the calls of a ${noun} are reported`,
    input: wire(owner),
    output,
    access: 'admin',
    cli: { ...common, args: [argument], examples: [['By its alias', `gatewayctl ${noun} callback list ${example}`]] },
    run: async ({ ownerCallbacks }: Needs, input) => ({
      status: success,
      data: await ownerCallbacks.get(ownerOf(input)),
    }),
  });

  const disable = operation({
    command: [noun, 'callback', 'disable'],
    route: ['POST', `/${noun}/:${argument}/disable_logging`],
    summary: `Have the calls of a ${noun} reported to nobody`,
    description:
      'Its own callbacks are deleted, the operator’s are told of none of its calls, and nothing of what is in them is kept. ' +
      'They are booked as before. To have them reported again, set a callback.',
    input: wire(owner),
    output,
    access: 'admin',
    cli: {
      ...common,
      args: [argument],
      confirm: 'moderate',
      done: (_, input) => `The calls of ${noun} ${text(input[argument])} are reported to nobody`,
      examples: [['In a script', `gatewayctl ${noun} callback disable ${example} --yes`]],
    },
    run: async ({ ownerCallbacks }: Needs, input) => ({
      status: success,
      data: await ownerCallbacks.disable(ownerOf(input)),
    }),
  });
  return [set, list, disable] as const;
}

export const teamCallbackOperations = operationsOf('team', 'platform');
export const keyCallbackOperations = operationsOf('key', 'ci-runner');
