import { Readable } from 'node:stream';
import { GatewayError } from '../kernel/errors.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { callOf, lineOf } from './call-line.ts';
import type { LiveCall, Opened } from './calls.wire.ts';

/** Whom it is told: a person at a terminal or two, and a collector. */
const mostListeners = 16;
/** Lines that wait for one listener. One has up to 3 KB. */
const mostWaiting = 500;
/** Blank lines in between, so that nothing on the way takes a quiet connection for a dead one. */
const beatMs = 15_000;
/** How soon a listener that may no longer listen is shut out. */
const recheckMs = 10_000;

export interface ListenersOptions {
  readonly now: () => Date;
  readonly beatMs?: number;
  readonly recheckMs?: number;
}

/** Those who follow the calls of this daemon. While there are none, nothing is put together for them. */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #all = new Set<Listener>();
  #isClosed = false;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** Never waits for a listener: what one does not take is counted, and told when it takes something again. */
  tell(exchange: Exchange, thrown: unknown): void {
    if (this.#all.size === 0 || (!exchange.booked && thrown === undefined)) return;
    const call = callOf(exchange, thrown, this.#options.now());
    let line: string | undefined;
    for (const listener of this.#all) if (concerns(listener.asked, call)) listener.take((line ??= lineOf(call)));
  }

  /**
   * What a new listener reads: the first line, and then one for each call.
   *
   * @param first the answer to its question, as it travels
   * @param recheck asks the question again; rejects once the listener may no longer ask it
   * @throws GatewayError 503 when there are too many
   */
  open(asked: Opened, first: object, recheck: () => Promise<unknown>): Readable {
    if (this.#isClosed || this.#all.size >= mostListeners) throw this.#isClosed ? shuttingDown() : tooMany();
    const listener = new Listener(asked, () => this.#all.delete(listener));
    const { beatMs: beat = beatMs, recheckMs: again = recheckMs } = this.#options;
    listener.look({ beatMs: beat, recheckMs: again, recheck });
    this.#all.add(listener);
    listener.take(`${JSON.stringify(first)}\n`);
    return listener.stream;
  }

  /** Tells all of them that nothing more comes. */
  close(): void {
    this.#isClosed = true;
    for (const listener of this.#all) listener.end('shutting_down');
  }
}

const shuttingDown = (): GatewayError =>
  new GatewayError('unavailable', 'shutting_down', 'The gateway is shutting down', { headers: { 'retry-after': '5' } });

const tooMany = (): GatewayError =>
  new GatewayError(
    'unavailable',
    'too_many_listeners',
    `${mostListeners} listeners follow the calls of this daemon already`,
    {
      hint: 'End one of them first: gatewayctl tail somewhere else, or another program.',
      headers: { 'retry-after': '10' },
    },
  );

interface Looking {
  readonly beatMs: number;
  readonly recheckMs: number;
  readonly recheck: () => Promise<unknown>;
}

class Listener {
  readonly asked: Opened;
  readonly stream: Readable;
  #waiting: string[] = [];
  #skipped = 0;
  #wants = false;
  #hasEnded = false;
  #timers: NodeJS.Timeout[] = [];

  constructor(asked: Opened, onEnd: () => void) {
    this.asked = asked;
    this.stream = new Readable({
      encoding: 'utf8',
      highWaterMark: 16_384,
      read: () => this.#give(),
      destroy: (error, done) => {
        this.#hasEnded = true;
        this.#waiting = [];
        for (const timer of this.#timers) clearInterval(timer);
        onEnd();
        done(error);
      },
    });
  }

  look({ beatMs: beat, recheckMs: every, recheck }: Looking): void {
    const beats = setInterval(() => this.#wants && this.#waiting.length === 0 && this.take('\n'), beat);
    const looks = setInterval(() => {
      recheck().catch((thrown: unknown) => {
        const { kind, type } = GatewayError.from(thrown);
        // Whether it may is not known while the database is away: then it stays as it is.
        if (kind !== 'unavailable' && kind !== 'internal') this.end(type);
      });
    }, every);
    this.#timers = [beats.unref(), looks.unref()];
  }

  take(line: string): void {
    if (this.#hasEnded) return;
    if (this.#waiting.length >= mostWaiting) {
      this.#skipped++;
      return;
    }
    this.#waiting.push(line);
    if (this.#wants) this.#give();
  }

  end(reason: string): void {
    if (this.#hasEnded) return;
    this.#noteSkipped();
    this.#waiting.push(`${JSON.stringify({ type: 'closed', reason })}\n`);
    this.#hasEnded = true;
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#wants) this.#give();
  }

  /** All that waits at once: a line each would be a write each. */
  #give(): void {
    this.#wants = true;
    if (!this.#hasEnded) this.#noteSkipped();
    if (this.#waiting.length > 0) {
      const text = this.#waiting.join('');
      this.#waiting = [];
      // Until it is read again, which is when the one who reads has taken this.
      this.#wants = false;
      this.stream.push(text);
    }
    if (this.#hasEnded) this.stream.push(null);
  }

  #noteSkipped(): void {
    if (this.#skipped === 0) return;
    this.#waiting.push(`${JSON.stringify({ type: 'skipped', count: this.#skipped })}\n`);
    this.#skipped = 0;
  }
}

function concerns({ keyId, teamId, userId, model, status, errors }: Opened, call: LiveCall): boolean {
  if (errors && call.outcome === 'answered') return false;
  if (keyId !== null && call.keyId !== keyId) return false;
  if (teamId !== null && call.teamId !== teamId) return false;
  if (userId !== null && call.userId !== userId) return false;
  if (model !== null && call.model !== model) return false;
  return status === null || hasStatus(call.status, status);
}

/** `429`, or `5xx` for all of a hundred. */
const hasStatus = (status: number, wanted: string): boolean =>
  wanted.endsWith('xx') ? Math.floor(status / 100) === Number(wanted[0]) : status === Number(wanted);
