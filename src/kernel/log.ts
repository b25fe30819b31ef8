import { fstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { inspect } from 'node:util';
import type * as Pino from 'pino';
import { maskSecret, redactLooks } from './mask.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ['auto', 'json', 'text'] as const;
export type LogFormat = (typeof logFormats)[number];

/** What everything that logs takes. A test gives a function of its own. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

export interface Logger {
  readonly log: Log;
  /** For what is costly to put together. `log` itself looks first and does nothing below the level. */
  readonly isOn: (level: LogLevel) => boolean;
  readonly setLevel: (level: LogLevel) => void;
  /** Blots out a value wherever it turns up in a line from now on. */
  readonly redact: (secret: string) => void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Instead of standard error. */
  readonly stream?: { write(line: string): unknown };
  /** Set by systemd when a service's output goes to the journal: the `device:inode` of that stream. */
  readonly journalStream?: string | undefined;
}

const stderr = 2;
const rank = { debug: 20, info: 30, warn: 40, error: 50 } as const satisfies Record<LogLevel, number>;
/** syslog(3): what `journalctl -p` filters by. */
const priority = { debug: 7, info: 6, warn: 4, error: 3 } as const satisfies Record<LogLevel, number>;

/** pino costs 10-40 ms to load, which only a process that logs should pay: the command line prints, it does not log. */
const loadPino = (): typeof Pino => createRequire(import.meta.url)('pino');

/**
 * A logger that writes each line before it returns: to standard error, or to a stream.
 *
 * `auto` is text on a terminal and under journald, and JSON otherwise. Under journald a line has no time of its own,
 * for the journal stamps it, but begins with its priority.
 */
export function createLogger({ level, format, stream, journalStream }: LoggerOptions): Logger {
  const { pino, stdTimeFunctions } = loadPino();
  const journal = isJournal(stderr, journalStream);
  const text = format === 'text' || (format === 'auto' && (journal || (!stream && isatty(stderr))));
  const redactor = createRedactor();
  const out = stream ?? standardError(pino.destination);
  let lowest: number = rank[level];
  // pino cannot hand the level to its destination without parsing the line again, and this logger is synchronous.
  let current: LogLevel = level;

  const lines = pino(
    {
      level: 'debug',
      base: null,
      timestamp: text || journal ? false : stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line: string) {
        const shown = redactor.apply(text ? toText(line) : line);
        out.write(journal ? `<${priority[current]}>${shown}` : shown);
      },
    },
  );

  return {
    log(of, message, fields) {
      if (rank[of] < lowest) return;
      current = of;
      lines[of](fields ? withErrors(fields) : {}, message);
    },
    isOn: (of) => rank[of] >= lowest,
    setLevel(to) {
      lowest = rank[to];
    },
    redact: (secret) => redactor.add(secret),
  };
}

/** A log that nobody reads must not take the daemon down: a closed pipe or a full disk is passed over. */
function standardError(destination: typeof Pino.destination) {
  return destination({ fd: stderr, sync: true }).on('error', () => {});
}

/** Whether a descriptor is the very stream systemd named, and not a file or pipe it was redirected to since. */
function isJournal(fd: number, journalStream: string | undefined): boolean {
  if (!journalStream) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return journalStream === `${dev}:${ino}`;
  } catch {
    return false; // closed
  }
}

/** `warn the message key=value key="two words"`. */
function toText(line: string): string {
  const { level, msg, ...fields }: Record<string, unknown> = JSON.parse(line);
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${inText(value)}`);
  return `${escapeControls(`${String(level).padEnd(5)} ${String(msg)}${rest.join('')}`)}\n`;
}

function inText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=\\]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}

const names: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** No text of a caller may begin a line of its own or move the terminal's cursor. */
function escapeControls(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    return names[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** JSON shows an Error as `{}`. */
function withErrors(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const name in fields) shown[name] = fields[name] instanceof Error ? plainError(fields[name], 0) : fields[name];
  return shown;
}

const deepestCause = 5;

function plainError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const type = 'type' in error && typeof error.type === 'string' ? { type: error.type } : {};
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const shown = { name, ...type, ...code, message, stack };
  if (cause === undefined) return shown;
  if (depth >= deepestCause) return { ...shown, cause: '…' };
  return { ...shown, cause: cause instanceof Error ? plainError(cause, depth + 1) : inspect(cause, { depth: 2 }) };
}

const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** Shorter values are ordinary words, and blotting those out would spoil every line. */
const shortestSecret = 6;

/** Longest first, or a secret that begins with another would leave its end behind. */
function anyOf(secrets: ReadonlySet<string>): RegExp {
  const longestFirst = [...secrets].toSorted((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map(escapeRegExp).join('|'), 'g');
}

export interface Redactor {
  add(secret: string): void;
  apply(text: string): string;
}

/** Blots out registered values, in the spelling they have in JSON too, and then whatever looks like a credential. */
export function createRedactor(): Redactor {
  const secrets = new Set<string>();
  let registered: RegExp | undefined;

  return {
    add(secret) {
      if (secret.length < shortestSecret) return;
      if (secrets.has(secret)) return;
      secrets.add(secret).add(JSON.stringify(secret).slice(1, -1));
      registered = undefined;
    },
    apply(text) {
      if (secrets.size === 0) return redactLooks(text);
      // Made when it is needed: with each of a thousand credentials it would take 0.6 s.
      return redactLooks(text.replace((registered ??= anyOf(secrets)), maskSecret));
    },
  };
}
