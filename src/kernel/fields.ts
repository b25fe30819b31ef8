import { z } from 'zod';
import { after, duration, parseDuration, durationHint } from './duration.ts';
import { GatewayError } from './errors.ts';
import { usd } from './money.ts';
import type { Flag } from './operation.ts';
import { isPassedPath } from './passed-paths.ts';
import { timestamp, wireName } from './wire.ts';

/** A name people choose. Control characters are refused: they would reach terminals and logs. */
export const label = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(255, 'must be at most 255 characters')
  .regex(/^\P{Cc}*$/u, 'must not hold control characters');

/** An id a caller may choose or refer to. */
export const id = label;

export const models = z.array(z.string().min(1)).max(1_000);

export const metadata = z.record(z.string(), z.unknown());

/** LiteLLM's places for callbacks. What is in them are secrets, and metadata is shown to whoever sees its object. */
const ofCallbacks = ['logging', 'callback_settings'];

/** Metadata as it is given. */
export const givenMetadata = metadata.refine(
  (given) => ofCallbacks.every((name) => isNothing(given[name])),
  'must not hold logging or callback_settings: what a key or a team has its calls reported to is set by gatewayctl key callback set, or gatewayctl team callback set',
);

const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

/** LiteLLM's `allowed_passthrough_routes`. */
export const passedPaths = z
  .array(
    z.string().refine(isPassedPath, {
      error: ({ input }) =>
        `"${String(input).slice(0, 80)}" is no pass-through route: write a path such as /openai or /vertex_ai/v1, without a slash or a * at its end; what is below it is meant too`,
    }),
  )
  .max(200)
  .nullable()
  .optional();

/** A field for which null says nothing, or that there is none: LiteLLM's clients send null for what they leave empty. */
export const orNone = <Schema extends z.ZodType, None>(schema: Schema, none: None) =>
  z.codec(schema.nullable(), z.custom<z.output<Schema> | None>(), {
    decode: (value) => value ?? none,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is not nothing is a value of the schema
    encode: (value) => (value ?? null) as z.output<Schema> | null,
  });

/** What a key, team or user may do, for input that creates: absent means no limit. */
export const grantFields = {
  models: orNone(models, [])
    .default([])
    .describe('Models that may be called, patterns such as openai/* included; none means all'),
  maxBudget: usd.nullable().optional().describe('US dollars that may be spent; null is no limit'),
  metadata: orNone(givenMetadata, {}).default({}).describe('Free JSON, kept as it is given'),
};

/** The same for input that changes: absent leaves, a value sets, null clears. */
export const grantChanges = {
  models: orNone(models, [])
    .optional()
    .describe('Models that may be called, in place of the present ones; an empty list means all'),
  maxBudget: usd.nullable().optional().describe('US dollars that may be spent; null removes the limit'),
  metadata: orNone(givenMetadata, {}).optional().describe('Free JSON, in place of what there is'),
};

/** What a holder of a budget has spent, in an answer: what counts against the budget, and all of it. */
export const spendInfo = {
  spend: usd.describe('US dollars spent in the present period of the budget; in all where the budget is for good'),
  totalSpend: usd.describe('US dollars spent in all'),
};

/** What there is to say of any object that has grants, in an answer. */
export const grantInfo = {
  models: z.array(z.string()).describe('Models that may be called; none means all'),
  maxBudget: usd.nullable().describe('US dollars that may be spent; null is no limit'),
  ...spendInfo,
  metadata: metadata.describe('Free JSON, as it was given'),
};

/** Who made and last changed a row, and when. */
export const stampInfo = {
  createdAt: timestamp.describe('When it was created'),
  createdBy: z.string().describe('Who created it'),
  updatedAt: timestamp.describe('When it was last changed'),
  updatedBy: z.string().describe('Who last changed it'),
};

const datePattern = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/;

/** A flag for a moment to come: how long from now, or a date; `none` clears it. */
export const untilFlag = (name: string, field: string): Flag => ({
  name,
  placeholder: 'when',
  parse: (text) => {
    if (text === 'none') return { [field]: null };
    const length = parseDuration(text);
    if (length) return { [field]: after(new Date(), length).toISOString() };
    if (datePattern.test(text) && !Number.isNaN(Date.parse(text))) return { [field]: new Date(text).toISOString() };
    throw new GatewayError('usage', 'invalid_flag', `--${name}: "${text}" ${durationHint}, a date, or none`, {
      param: field,
    });
  },
});

/** `--expires`: how long from now, a date, or never. */
export const expiresFlag: Flag = {
  name: 'expires',
  placeholder: 'when',
  description: 'When it stops working: 30d, 12h, 1mo, a date such as 2027-02-28, or never',
  parse: (text) => {
    if (text === 'never' || text === 'none') return { duration: null };
    if (parseDuration(text)) return { duration: text };
    const date = datePattern.test(text) ? new Date(text) : undefined;
    if (date && !Number.isNaN(date.getTime())) return { expires: date.toISOString() };
    throw new GatewayError('usage', 'invalid_flag', `--expires: "${text}" ${durationHint}, a date, or never`, {
      param: 'expires',
    });
  },
};

export const grace = duration
  .optional()
  .describe('How long the old secret goes on working, such as 24h; absent is not at all');

/** What an update leaves: what was not given. Refuses a change that changes nothing, which is mostly a mistyped command. */
export function requireChange(changes: object): void {
  if (Object.values(changes).some((value) => value !== undefined)) return;
  throw new GatewayError('invalid', 'nothing_to_change', 'Nothing to change was given', {
    hint: 'Name at least one field to change.',
  });
}

/** A member of an answer as part of a sentence. */
export const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A field the caller may not write, or not so; nothing of the change is done. */
export const fieldNotAllowed = (field: string, why: string) =>
  new GatewayError('forbidden', 'field_not_allowed', `${wireName(field)}: ${why}`, {
    param: wireName(field),
    hint: 'Leave the field out, or ask an administrator.',
  });
