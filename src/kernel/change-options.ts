import { z } from 'zod';
import { type AnyOperation, isReading } from './operation.ts';
import { read } from './wire.ts';

/**
 * What may be said with a change beside the fields of its own. Schemas do not list these: the admin API, the command
 * line and the documents take them from here.
 */
export const changeOptions = {
  dry_run: z
    .boolean()
    .default(false)
    .describe('Change nothing, and answer with what would be changed; errors are those of the change itself'),
  if_not_exists: z
    .boolean()
    .default(false)
    .describe(
      'Succeed when it exists already with the values given here, and refuse with 409 when it has others; the answer says which in its member created',
    ),
};

export type ChangeOption = keyof typeof changeOptions;

/** The options an operation takes: every change can be rehearsed, and what has a name can be looked for. */
export function changeOptionsOf(operation: AnyOperation<never>): readonly ChangeOption[] {
  if (isReading(operation)) return [];
  return operation.existing ? ['dry_run', 'if_not_exists'] : ['dry_run'];
}

export interface Asked {
  /** The fields of the operation's own, as they travelled. */
  readonly fields: unknown;
  readonly isDryRun: boolean;
  readonly ifNotExists: boolean;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Takes what is said about the change apart from what is said about its object. */
export function readAsked(operation: AnyOperation<never>, given: unknown): Asked {
  if (!isObject(given)) return { fields: given, isDryRun: false, ifNotExists: false };
  const fields = { ...given };
  const said: Partial<Record<ChangeOption, unknown>> = {};
  for (const name of changeOptionsOf(operation)) {
    if (given[name] !== undefined && given[name] !== null) said[name] = given[name];
    delete fields[name];
  }
  const { dry_run: isDryRun, if_not_exists: ifNotExists } = read(options, said);
  return { fields, isDryRun, ifNotExists };
}

const options = z.strictObject(changeOptions);

/** The answer to a change that was only rehearsed. */
export const dryRunAnswer = z.object({
  dry_run: z.literal(true).describe('Nothing was changed'),
  changes: z
    .array(
      z.object({
        action: z.string().describe('What would be done'),
        object_type: z.string().describe('What kind of object it would be done to'),
        object_id: z.string().describe('Which object; one that would be made has another id when it is made'),
        before: z.unknown().describe('The object before, without secrets; null when it would be made'),
        after: z.unknown().describe('The object afterwards, without secrets; null when it would be deleted'),
      }),
    )
    .describe('Every object that would be changed and that the caller may look at, in order'),
  counts: z
    .array(
      z.object({
        action: z.string().describe('What would be done'),
        object_type: z.string().describe('To what kind of object'),
        count: z.int().describe('To how many'),
      }),
    )
    .describe('How many objects each action would reach, with those the caller may not look at'),
});

export type DryRunAnswer = z.output<typeof dryRunAnswer>;
