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

/** `--since 30d` or `--since 2026-11-01`. */
const ago = (name: string, field: string): Flag => ({
  name,
  placeholder: 'when',
  description: `${name === 'since' ? 'From' : 'Up to'} then: 24h or 30d ago, or a date such as 2026-11-01`,
  parse: (text) => {
    const duration = parseDuration(text);
    if (duration) return { [field]: new Date(Date.now() - toMilliseconds(duration)).toISOString() };
    if (/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) && !Number.isNaN(Date.parse(text))) {
      return { [field]: new Date(text).toISOString() };
    }
    throw new GatewayError(
      'usage',
      'invalid_flag',
      `--${name}: "${text}" is neither a duration such as 30d nor a date`,
    );
  },
});

/** The two ends of a time, for lists and reports. */
export const dates = {
  startDate: moment.optional().describe('From this day or moment on'),
  endDate: moment.optional().describe('Before this day or moment'),
};

export const dateFlags = { start_date: ago('since', 'start_date'), end_date: ago('until', 'end_date') };
