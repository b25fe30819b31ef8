import { z } from 'zod';
import { answer } from '../kernel/wire.ts';
import { callbackTypes } from './callback-settings.ts';
import type { TeamCallback } from './team-callback.entity.ts';
import { teamCallbackNames } from './team-callback.target.ts';

const variable = z.string().min(1, 'must not be empty').max(4_096, 'must be at most 4,096 characters');

export const newTeamCallback = {
  callbackName: z.enum(teamCallbackNames).describe('What is reported to'),
  callbackType: z
    .enum(callbackTypes)
    .nullable()
    .optional()
    .describe('Calls that are reported: those that succeed, those that fail, or both, which is usual'),
  callbackVars: z
    .record(z.string().max(64), z.union([z.boolean(), variable], 'must be a text'))
    .default({})
    .describe('Where it is and what it takes, such as langfuse_secret_key; stored encrypted and never shown again'),
};

const callbackInfo = {
  callbackName: z.string().describe('What is reported to'),
  callbackType: z.enum(callbackTypes).describe('Calls that are reported'),
  callbackVars: z.record(z.string(), z.string()).describe('Which variables it has, each by its last four characters'),
  turnOffMessageLogging: z
    .boolean()
    .nullable()
    .describe('False reports what is in calls, true keeps it from everybody, null reports calls without it'),
};

/** What a team wants of its calls, in LiteLLM's shape and in ours. No value of a variable ever. */
export const teamLoggingInfo = {
  teamId: z.string().describe('The team'),
  successCallbacks: z.array(z.string()).describe('Names of what its successful calls are reported to'),
  failureCallbacks: z.array(z.string()).describe('Names of what its failed calls are reported to'),
  callbackVars: z.record(z.string(), z.string()).describe('The variables of all of them'),
  callbacks: z.array(answer(callbackInfo)).describe('Each of them'),
  isLoggingDisabled: z.boolean().describe('Whether nobody is told of its calls'),
};

const row = answer(teamLoggingInfo);
export type TeamLoggingInfo = z.output<typeof row>;

export const encodeTeamLogging = (info: TeamLoggingInfo) => row.encode(info);

export function describeTeamLogging(
  teamId: string,
  { callbacks, isDisabled }: { readonly callbacks: readonly TeamCallback[]; readonly isDisabled: boolean },
): TeamLoggingInfo {
  const described = callbacks.map(({ callbackName, callbackType, callbackVars, turnOffMessageLogging }) => ({
    callbackName,
    callbackType,
    callbackVars: Object.fromEntries(Object.entries(callbackVars).map(([name, { shown }]) => [name, shown])),
    turnOffMessageLogging: turnOffMessageLogging ?? null,
  }));
  const namesBut = (other: string) =>
    described.filter(({ callbackType }) => callbackType !== other).map(({ callbackName }) => callbackName);
  return {
    teamId,
    successCallbacks: namesBut('failure'),
    failureCallbacks: namesBut('success'),
    callbackVars: Object.assign({}, ...described.map(({ callbackVars }) => callbackVars)),
    callbacks: described,
    isLoggingDisabled: isDisabled,
  };
}
