import { z } from 'zod';
import { parseDuration, toMilliseconds } from './duration.ts';
import { GatewayError } from './errors.ts';
import type { Flag } from './operation.ts';

/** A date, or a moment, or LiteLLM's plain day. */
const moment = z.codec(
  z.union([z.iso.date(), z.iso.datetime({ offset: true })]).meta({ format: 'date-time' }),
  z.date(),
  {
    decode: (text) => new Date(text),
    encode: (date) => date.toISOString(),
  },
);

/** What was typed for a moment: how long ago, or a date. */
function momentOf(name: string, text: string): Date {
  const duration = parseDuration(text);
  if (duration) return new Date(Date.now() - toMilliseconds(duration));
  if (/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) && !Number.isNaN(Date.parse(text))) {
    return new Date(text);
  }
  throw new GatewayError('usage', 'invalid_flag', `--${name}: "${text}" is neither a duration such as 30d nor a date`);
}

/** `--since 30d` or `--since 2026-11-01`. */
const ago = (name: string, field: string): Flag => ({
  name,
  placeholder: 'when',
  description: `${name === 'since' ? 'From' : 'Up to'} then: 24h or 30d ago, or a date such as 2026-11-01`,
  parse: (text) => ({ [field]: momentOf(name, text).toISOString() }),
});

/** The two ends of a time, for lists and reports. */
export const dates = {
  startDate: moment.optional().describe('From this day or moment on'),
  endDate: moment.optional().describe('Before this day or moment'),
};

export const dateFlags = { start_date: ago('since', 'start_date'), end_date: ago('until', 'end_date') };

const DAY_MS = 86_400_000;

const day = z.iso.date('must be a day such as 2026-11-01');

/** The two ends of a time that is counted in whole days, as LiteLLM takes them. */
export const days = {
  startDate: day.optional().describe('From this day on; 30 days before the last one when absent'),
  endDate: day.optional().describe('Up to this day and with it; today when absent'),
};

const dayAgo = (name: string, field: string): Flag => ({
  ...ago(name, field),
  parse: (text) => ({ [field]: dayOf(momentOf(name, text)) }),
});

export const dayFlags = { start_date: dayAgo('since', 'start_date'), end_date: dayAgo('until', 'end_date') };

/** The day of a moment, in UTC. */
export const dayOf = (at: Date): string => at.toISOString().slice(0, 10);

const badPeriod = (message: string) =>
  new GatewayError('invalid', 'invalid_request_error', message, { param: 'start_date' });

/** @throws GatewayError when the first day is after the last, or there are more between them than `most` */
export function daysBetween(
  { startDate, endDate }: { readonly startDate?: string | undefined; readonly endDate?: string | undefined },
  { now, most }: { readonly now: Date; readonly most: number },
): { readonly since: string; readonly until: string } {
  const until = endDate ?? dayOf(now);
  const since = startDate ?? dayOf(new Date(Date.parse(until) - 30 * DAY_MS));
  if (since > until) throw badPeriod(`start_date: ${since} is after ${until}`);
  const length = (Date.parse(until) - Date.parse(since)) / DAY_MS + 1;
  if (length > most) throw badPeriod(`start_date: ${length} days are asked for, at most ${most} can be`);
  return { since, until };
}
