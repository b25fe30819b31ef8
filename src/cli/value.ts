import { durationHint, parseDuration } from '../kernel/duration.ts';
import { parseDollars } from '../kernel/money.ts';
import { suggest } from '../kernel/suggest.ts';
import type { describeField } from '../kernel/wire.ts';
import { usage } from './usage.ts';

/** What a flag or an argument takes. */
export type Shape = ReturnType<typeof describeField>;

/** What a text on the command line stands for, as it travels. Throws, naming the flag, when it stands for nothing. */
export function parseValue(flag: string, text: string, shape: Shape): unknown {
  if (text === '') throw emptyValue(flag);
  if (shape.nullable && text === 'none') return null;
  if (shape.enum) return choice(flag, text, shape.enum);
  if (shape.format === 'usd') return dollars(flag, text, shape);
  if (shape.format === 'duration') return duration(flag, text, shape);
  if (shape.format === 'date-time') return moment(flag, text);
  if (shape.type === 'integer') return within(flag, integer(flag, text), shape);
  if (shape.type === 'number') return within(flag, decimal(flag, text), shape);
  if (shape.type === 'object') return json(flag, text);
  return text;
}

/** A variable that was never set arrives as this, and `key delete "$KEY"` must not reach the gateway. */
export const emptyValue = (flag: string) =>
  usage('empty_value', `${flag}: the value is empty. Is a variable not set?`, 'To clear a setting say none.');

const invalid = (flag: string, text: string, rest: string) => usage('invalid_value', `${flag}: "${text}" ${rest}`);

function dollars(flag: string, text: string, { nullable }: Shape): number {
  const amount = parseDollars(text);
  if (amount !== undefined) return amount;
  const mended = text.replace(/^\$/, '').replace(',', '.');
  const example = parseDollars(mended) === undefined ? '25.50' : mended;
  const what = flag.split('-').at(-1) ?? 'limit';
  const none = nullable ? `, or none to remove the ${what}` : '';
  throw invalid(flag, text, `is not an amount in US dollars. Write ${example}${none}.`);
}

function duration(flag: string, text: string, { nullable }: Shape): string | null {
  if (nullable && (text === 'never' || text === '-1')) return null;
  if (parseDuration(text)) return text;
  throw invalid(flag, text, `is not a length of time: it ${durationHint}${nullable ? ', or never' : ''}.`);
}

/** A date alone is its first moment in UTC: what a machine prints must not depend on where it stands. */
function moment(flag: string, text: string): string {
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isMoment = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const date = isDate || isMoment ? new Date(text) : undefined;
  if (!date || Number.isNaN(date.getTime()) || (isDate && date.toISOString().slice(0, 10) !== text)) {
    throw invalid(flag, text, 'is not a date. Write 2027-02-28 or 2027-02-28T09:00:00Z.');
  }
  return isDate ? date.toISOString() : text;
}

function integer(flag: string, text: string): number {
  const number = Number(text);
  if (/^-?\d{1,16}$/.test(text) && Number.isSafeInteger(number)) return number;
  throw invalid(flag, text, 'is not a whole number. Write it in digits, such as 600.');
}

function decimal(flag: string, text: string): number {
  if (/^-?\d{1,15}(\.\d{1,15})?$/.test(text)) return Number(text);
  throw invalid(flag, text, 'is not a number. Write it as 2 or 0.5.');
}

/** What the gateway would refuse is refused here, before anything is sent and in words about the flag. */
function within(flag: string, number: number, { minimum, maximum }: Shape): number {
  if (number >= (minimum ?? -Infinity) && number <= (maximum ?? Infinity)) return number;
  // zod says of every integer that it is a safe one; nobody needs to be told.
  const [from, to] = [minimum, maximum].map((bound) =>
    Math.abs(bound ?? Infinity) < Number.MAX_SAFE_INTEGER ? bound : undefined,
  );
  const range = from === undefined ? `at most ${to}` : to === undefined ? `at least ${from}` : `from ${from} to ${to}`;
  throw usage('invalid_value', `${flag}: must be ${range}.`);
}

function choice(flag: string, text: string, choices: readonly string[]): string {
  if (choices.includes(text)) return text;
  const near = suggest(text, choices);
  throw invalid(flag, text, `is none of ${choices.join(', ')}.${near ? ` Did you mean ${near}?` : ''}`);
}

function json(flag: string, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null) return value;
  throw usage(
    'invalid_value',
    `${flag}: that is not a JSON object. Write '{"name": "value"}', or @file to read it from one, or - for standard input.`,
  );
}
