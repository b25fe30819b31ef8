import { z } from 'zod';

const secondsIn = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;

type Unit = keyof typeof secondsIn | 'mo';

/** A length of time in LiteLLM's grammar. A month has no fixed length, so it stays a count and a unit. */
export interface Duration {
  readonly count: number;
  readonly unit: Unit;
}

const pattern = /^(\d{1,9})(mo|s|m|h|d|w)$/;

export const durationHint = 'must look like 30s, 15m, 12h, 7d, 1w or 1mo';

export function parseDuration(text: string): Duration | undefined {
  const [, count, unit] = pattern.exec(text) ?? [];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the pattern lists exactly the units
  return count && unit ? { count: Number(count), unit: unit as Unit } : undefined;
}

/** A length of time that is kept as it was given, such as that of a budget. */
export const durationText = z
  .string()
  .regex(pattern, durationHint)
  .refine((text) => Number.parseInt(text, 10) > 0, 'must be longer than nothing')
  .meta({ format: 'duration' });

/** `30m`, `90d`, `1mo` on the way; a Duration here. */
export const duration = z.codec(
  z.string().regex(pattern, durationHint).meta({ format: 'duration' }),
  z.custom<Duration>(),
  {
    decode: (text) => parseDuration(text) ?? z.NEVER,
    encode: ({ count, unit }) => `${count}${unit}`,
  },
);

/** A length of time that may have no end: LiteLLM spells that `-1` or null, and so does `null` here. */
export const lifetime = z.codec(
  z
    .string()
    .regex(/^(?:-1|\d{1,9}(?:mo|s|m|h|d|w))$/, `${durationHint}, or -1 for ever`)
    .nullable()
    .meta({ format: 'duration' }),
  z.custom<Duration | null>(),
  {
    decode: (text) => (text === null ? null : (parseDuration(text) ?? null)),
    encode: (value) => (value === null ? null : `${value.count}${value.unit}`),
  },
);

/** The moment that lies so far after another. Months follow the calendar in UTC; 31 January plus 1mo is the last of February. */
export function after(moment: Date, { count, unit }: Duration): Date {
  if (unit !== 'mo') return new Date(moment.getTime() + count * secondsIn[unit] * 1_000);
  const target = new Date(moment);
  target.setUTCDate(1);
  target.setUTCMonth(target.getUTCMonth() + count);
  const lastDay = new Date(Date.UTC(target.getUTCFullYear(), target.getUTCMonth() + 1, 0)).getUTCDate();
  target.setUTCDate(Math.min(moment.getUTCDate(), lastDay));
  return target;
}

/** Milliseconds of a duration of fixed length; a month counts as 30 days. */
export function toMilliseconds({ count, unit }: Duration): number {
  return count * (unit === 'mo' ? 30 * secondsIn.d : secondsIn[unit]) * 1_000;
}
