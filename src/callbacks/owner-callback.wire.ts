import { z } from 'zod';
import { answer } from '../kernel/wire.ts';
import { callbackTypes } from './callback-settings.ts';
import type { OwnerCallback } from './owner-callback.entity.ts';
import { ownerCallbackNames } from './owner-callback.target.ts';

const variable = z.string().min(1, 'must not be empty').max(4_096, 'must be at most 4,096 characters');

export const newOwnerCallback = {
  callbackName: z.enum(ownerCallbackNames).describe('What is reported to'),
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

/** What a team, or a key, has said of its calls, in LiteLLM's shape and in ours. No value of a variable ever. */
export const ownerLoggingInfo = {
  teamId: z.string().nullable().describe('The team; null where it is a key'),
  keyId: z.string().nullable().describe('The key; null where it is a team'),
  successCallbacks: z.array(z.string()).describe('Names of what successful calls are reported to'),
  failureCallbacks: z.array(z.string()).describe('Names of what failed calls are reported to'),
  callbackVars: z.record(z.string(), z.string()).describe('The variables of all of them'),
  callbacks: z.array(answer(callbackInfo)).describe('Each of them'),
  isLoggingDisabled: z.boolean().describe('Whether nobody is told of its calls'),
};

const row = answer(ownerLoggingInfo);
export type OwnerLoggingInfo = z.output<typeof row>;

export const encodeOwnerLogging = (info: OwnerLoggingInfo) => row.encode(info);

export function describeOwnerLogging(
  { teamId, keyId }: { readonly teamId: string | null; readonly keyId: string | null },
  { callbacks, isDisabled }: { readonly callbacks: readonly OwnerCallback[]; readonly isDisabled: boolean },
): OwnerLoggingInfo {
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
    keyId,
    successCallbacks: namesBut('failure'),
    failureCallbacks: namesBut('success'),
    callbackVars: Object.assign({}, ...described.map(({ callbackVars }) => callbackVars)),
    callbacks: described,
    isLoggingDisabled: isDisabled,
  };
}
