/** Two sums that should be one. Nano-dollars and counts are text, as int8 comes. */
export interface Difference {
  /** What was compared: `calls` with the sums of days, sums of days with the `total` of an owner, calls with a `window`. */
  readonly check: 'calls' | 'total' | 'window';
  readonly entity: string;
  readonly id: string;
  /** The day, or the window's length. */
  readonly period: string;
  readonly found: string;
  readonly expected: string;
  readonly requests: string;
  readonly expectedRequests: string;
  /** An administrator has set this total: it is not one of calls. */
  readonly isSet: boolean;
}

/** Of a kind, of a day: who has more of them has another trouble than reading each. */
export const DIFFERENCES_AT_MOST = 100;
