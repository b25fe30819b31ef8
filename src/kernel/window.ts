import { type Duration, parseDuration } from './duration.ts';

/** The stretch of time a budget is for: from its start, to the moment before its end. */
export interface Window {
  readonly start: Date;
  readonly end: Date;
}

const dayMs = 86_400_000;
/** 1970-01-05, the first Monday of the clock: weeks are counted from it. */
const firstMondayMs = 4 * dayMs;

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: dayMs, w: 7 * dayMs } as const;

/**
 * The window of a budget that a moment falls into, from the clock alone: nothing has to be reset, so nothing can be
 * reset late or twice. LiteLLM's standard windows: a day begins at midnight, 7d and 1w on Monday, 30d and 1mo on the
 * first of the month; other lengths are counted from the beginning of 1970, so that all daemons agree. In UTC.
 */
export function windowOf({ count, unit }: Duration, moment: Date): Window {
  const isMonth = unit === 'mo' || (unit === 'd' && count === 30);
  if (isMonth) return monthsOf(unit === 'mo' ? Math.max(1, count) : 1, moment);
  const length = Math.max(1, count) * unitMs[unit];
  const origin = length % (7 * dayMs) === 0 ? firstMondayMs : 0;
  const start = Math.floor((moment.getTime() - origin) / length) * length + origin;
  return { start: new Date(start), end: new Date(start + length) };
}

function monthsOf(count: number, moment: Date): Window {
  const month = (moment.getUTCFullYear() - 1970) * 12 + moment.getUTCMonth();
  const first = Math.floor(month / count) * count;
  return { start: new Date(Date.UTC(1970, first)), end: new Date(Date.UTC(1970, first + count)) };
}

/** When a budget of this duration begins anew; null for one that never does. */
export function resetAt(duration: string | null | undefined, moment: Date): Date | null {
  const parsed = duration ? parseDuration(duration) : undefined;
  return parsed ? windowOf(parsed, moment).end : null;
}
