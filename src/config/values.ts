import { z } from 'zod';
import { durationText, parseDuration, type Duration } from '../kernel/duration.ts';
import { parseDollars, toNano } from '../kernel/money.ts';
import { Networks, parseNetwork } from '../kernel/networks.ts';

/**
 * The kinds of values settings have. Each reads a text, since that is what flags, variables and files hold, and its
 * description completes the sentence "must be …" in error messages and manual pages.
 */
export type Value<T> = z.ZodType<T, string>;

/** @param parse undefined refuses the text; a value is never undefined */
function value<T>(description: string, parse: (given: string) => T | undefined): Value<T> {
  return z
    .string()
    .transform((given, context) => {
      const parsed = parse(given);
      if (parsed !== undefined) return parsed;
      context.addIssue(`must be ${description}`);
      return z.NEVER;
    })
    .meta({ description });
}

const matching = (description: string, pattern: RegExp): Value<string> =>
  value(description, (given) => (pattern.test(given) ? given : undefined));

export const text = value('a text', (given) => given || undefined);

/** Several texts, none of them empty. */
export const list = value('a text, or several with commas between them', (given): readonly string[] | undefined => {
  const items = given.split(',').map((item) => item.trim());
  return items.includes('') ? undefined : items;
});

/** Some of a set of names. */
export const listOf = (names: readonly string[]): Value<readonly string[]> =>
  value(`one or several of ${names.join(', ')}, with commas between them`, (given) => {
    const items = given.split(',').map((item) => item.trim());
    return items.every((item) => names.includes(item)) ? items : undefined;
  });

export const path = matching('a path', /^[^\0]+$/);

export const host = matching('an address or a host name, without a port', /^[\w.:%-]+$/);

/** A whole number. */
export const count = (least: number, most: number): Value<number> =>
  value(`a whole number from ${least} to ${most}`, (given) => {
    const number = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
    return number >= least && number <= most ? number : undefined;
  });

export const port = count(0, 65_535);

const answers: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  '1': true,
  false: false,
  no: false,
  off: false,
  '0': false,
};

export const yesNo = value('true or false', (given) =>
  Object.hasOwn(answers, given.toLowerCase()) ? answers[given.toLowerCase()] : undefined,
);

export const choice = <const Name extends string>(
  names: readonly Name[],
  aliases: ReadonlyMap<string, Name> = new Map(),
): Value<Name> =>
  value(`one of ${names.join(', ')}`, (given) => {
    const lower = given.toLowerCase();
    return names.find((name) => name === lower) ?? aliases.get(lower);
  });

/** An HTTP status that LiteLLM's clients may want in place of ours. */
export const status = <const Status extends number>(statuses: readonly Status[]): Value<Status> =>
  value(statuses.join(' or '), (given) => statuses.find((each) => String(each) === given));

export const time: Value<Duration> = value('a length of time such as 30s, 15m, 12h or 90d', parseDuration);

/** A length of time of which there may be none. */
export const timeOrNone: Value<Duration> = value('a length of time such as 30s, or 0 for none', (given) =>
  parseDuration(given === '0' ? '0s' : given),
);

/** How long a budget is for, as it was given. */
export const period: Value<string> = value(
  'a length of time such as 1d, 7d, 30d or 1mo',
  (given) => durationText.safeParse(given).data,
);

/** US dollars, as nano-dollars. */
export const dollars: Value<bigint> = value('an amount in US dollars such as 250 or 99.50', (given) => {
  const amount = parseDollars(given);
  return amount === undefined ? undefined : toNano(amount);
});

/** How long to keep something; null is for ever. */
export const retention: Value<Duration | null> = value(
  'a length of time such as 90d, or none to keep everything',
  (given) => (given === 'none' || given === '-1' ? null : parseDuration(given)),
);

const bytesIn: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Bytes. */
export const size = (most: number): Value<number> =>
  value(`a size such as 64KiB or 10MiB, at most ${most / 1024 ** 2}MiB`, (given) => {
    const [, number, unit = 'B'] = /^(\d{1,12})\s*(B|KiB|MiB|GiB)?$/.exec(given) ?? [];
    const bytes = Number(number) * (bytesIn[unit] ?? Number.NaN);
    return bytes > 0 && bytes <= most ? bytes : undefined;
  });

export const url = (...schemes: readonly string[]): Value<string> =>
  value(`a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`, (given) =>
    schemes.some((scheme) => given.startsWith(`${scheme}://`)) && URL.canParse(given) ? given : undefined,
  );

export const headerName = value('the name of an HTTP header', (given) =>
  /^[!#$%&'*+.^_`|~\w-]+$/.test(given) ? given.toLowerCase() : undefined,
);

/** 32 bytes. */
export const key256 = value(
  '32 random bytes in base64 or hex, as `openssl rand -base64 32` prints them',
  (given): Buffer | undefined => {
    if (/^[0-9a-f]{64}$/i.test(given)) return Buffer.from(given, 'hex');
    return /^[A-Za-z0-9+/_-]{43}=?$/.test(given) ? Buffer.from(given, 'base64') : undefined;
  },
);

/** Addresses and networks, in a list or with commas between them. */
export const networks: Value<Networks> = value(
  'addresses and networks such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32, with commas between them',
  (given) => {
    const texts = given.split(',').map((each) => each.trim());
    return texts.every(parseNetwork) ? new Networks(texts) : undefined;
  },
);

/** The same, of which there may be none: nobody then. */
export const networksOrNone: Value<Networks> = value(
  'addresses and networks such as 192.0.2.7 or 10.0.0.0/8 with commas between them, or none',
  (given) => (given === 'none' ? new Networks([]) : networks.safeParse(given).data),
);

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Where to listen. */
export const endpoint: Value<Endpoint> = value(
  'an address and a port such as 127.0.0.1:4001 or [::1]:4001',
  (given) => {
    const [, bracketed, plain, digits] = /^(?:\[([\w:.%-]+)\]|([\w.-]+)):(\d{1,5})$/.exec(given) ?? [];
    const listening = bracketed ?? plain;
    const number = Number(digits);
    return listening !== undefined && number <= 65_535 ? { host: listening, port: number } : undefined;
  },
);
