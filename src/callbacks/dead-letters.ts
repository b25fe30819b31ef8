import type { Log } from '../kernel/log.ts';
import type { CallEvent } from './call-event.ts';
import type { Destination } from './destination.ts';
import type { LineFile } from './line-file.ts';
import { payloadOf } from './payload.ts';

/** Why an event did not arrive: there was no room to wait, it was refused, or all attempts failed. */
export type DeadReason = 'queue_full' | 'refused' | 'undeliverable';

export interface DeadLetter {
  readonly destination: Destination;
  readonly events: readonly CallEvent[];
  readonly reason: DeadReason;
  readonly detail?: string | undefined;
}

/** A destination that is away is told of this often. */
const quietMs = 60_000;

/** Where events end that nobody took: told of now and then, and kept in a file where there is one. */
export class DeadLetters {
  readonly #log: Log;
  readonly #file: LineFile | undefined;
  readonly #told = new Map<string, { atMs: number; untold: number }>();

  /** @param file bodies are not written to it */
  constructor(log: Log, file: LineFile | undefined) {
    this.#log = log;
    this.#file = file;
  }

  add({ destination: { name }, events, reason, detail }: DeadLetter): void {
    this.#tell(`${name} ${reason}`, events.length, { callback: name, reason, ...(detail !== undefined && { detail }) });
    for (const event of events) {
      this.#file?.write(JSON.stringify({ callback: name, reason, event: payloadOf(event, { hasBodies: false }) }));
    }
  }

  #tell(key: string, count: number, fields: Record<string, unknown>): void {
    const nowMs = performance.now();
    const told = this.#told.get(key) ?? { atMs: -quietMs, untold: 0 };
    this.#told.set(key, told);
    told.untold += count;
    if (nowMs - told.atMs < quietMs) return;
    this.#log('warn', 'Calls could not be reported to a callback', { ...fields, events: told.untold });
    told.atMs = nowMs;
    told.untold = 0;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
