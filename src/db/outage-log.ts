import type { Log } from '../kernel/log.ts';
import { asDatabaseTrouble, databaseAway } from './errors.ts';

/** Lines about announcements that cannot be read come at most so often: anybody who may connect can send them. */
const UNREADABLE_MS = 1_000;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error));

/**
 * One line when the database is lost and one when it is back. Between the two each failed call, flush and look-up would
 * say the same again, several times in a second and with a stack.
 */
export class OutageLog {
  readonly #log: Log;
  #sinceMs: number | undefined;
  #leftOut = 0;
  #unreadable = 0;
  #toldMs = -UNREADABLE_MS;

  constructor(log: Log) {
    this.#log = log;
  }

  /** For everything that works with the database: lines that only say that it is away are left out while it is. */
  readonly log: Log = (level, message, fields) => {
    if (this.#sinceMs !== undefined && isAway(fields)) this.#leftOut++;
    else this.#log(level, message, fields);
  };

  begin(cause: unknown): void {
    if (this.#sinceMs !== undefined) return;
    this.#sinceMs = performance.now();
    this.#leftOut = 0;
    this.#log('warn', 'Changes cannot be heard of; every key is looked up until they can', { cause: messageOf(cause) });
  }

  over(): void {
    if (this.#sinceMs === undefined) return;
    const afterMs = Math.round(performance.now() - this.#sinceMs);
    this.#sinceMs = undefined;
    this.#log('info', 'Changes are heard of again', { after_ms: afterMs, left_out: this.#leftOut });
  }

  unreadable(cause: unknown): void {
    this.#unreadable++;
    if (performance.now() - this.#toldMs < UNREADABLE_MS) return;
    this.#toldMs = performance.now();
    this.#log('warn', 'Something has changed and nobody knows what; every key is looked up anew', {
      cause: messageOf(cause),
      times: this.#unreadable,
    });
  }
}

const away = databaseAway(undefined).type;

function isAway(fields: Readonly<Record<string, unknown>> | undefined): boolean {
  if (fields?.['type'] === away) return true;
  const trouble = asDatabaseTrouble(fields?.['error']);
  return typeof trouble === 'object' && trouble !== null && 'type' in trouble && trouble.type === away;
}
