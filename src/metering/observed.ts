import { GatewayError } from '../kernel/errors.ts';
import type { Log } from './ledger.ts';
import type { Admittance } from './rate-room.ts';
import { LimitNotHeld } from './rate-shortage.ts';

/**
 * Room in the limits of requests and tokens. Where they are only observed and there is none, the call takes none: as if it
 * had been refused, so that the next one is measured by what would have been let through.
 */
export function admittanceOf(
  find: () => Admittance | undefined,
  isObserved: boolean,
): { readonly admittance: Admittance | undefined; readonly observed: GatewayError | undefined } {
  try {
    return { admittance: find(), observed: undefined };
  } catch (thrown) {
    const isRefusal = thrown instanceof GatewayError && thrown.type === 'throttling_error';
    // That too little is held is no refusal yet: `cover` finds out.
    if (!isObserved || !isRefusal || thrown instanceof LimitNotHeld) throw thrown;
    return { admittance: undefined, observed: thrown };
  }
}

const tellEveryMs = 10_000;

/** Says that calls are let through which would have been refused: one line in a while, since each has it in its row. */
export class ObservedLog {
  readonly #log: Log;
  #calls = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(log: Log) {
    this.#log = log;
  }

  add({ type, message }: GatewayError): void {
    this.#calls++;
    const now = performance.now();
    if (now - this.#toldMs < tellEveryMs) return;
    this.#log('warn', `Let through, as enforce is observe: ${message}`, { type, calls: this.#calls });
    this.#calls = 0;
    this.#toldMs = now;
  }
}
