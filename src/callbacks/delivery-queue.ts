import { setTimeout as sleep } from 'node:timers/promises';
import { type CallEvent, sizeOf } from './call-event.ts';
import type { DeadLetters, DeadReason } from './dead-letters.ts';
import type { Delivery, Destination, QueueSettings } from './destination.ts';
import type { Memory } from './memory.ts';

export interface QueueParts extends QueueSettings {
  readonly memory: Memory;
  readonly dead: DeadLetters;
}

/** Bytes of events in one batch: Langfuse takes 3.5 MB. */
const batchBytes = 2 * 1024 ** 2;
const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** Of a Retry-After: whoever asks for more is asked again before that. */
const longestAskedMs = 60_000;

/** Counts of one destination, since the daemon started. */
export interface QueueCounts {
  readonly name: string;
  /** What is under way included. */
  readonly queued: number;
  readonly delivered: number;
  readonly deadLetters: number;
}

/**
 * Events on their way to one destination: bounded in number and bytes, in batches, one of which is under way at a time.
 * What finds no room, is refused, or cannot be delivered after all attempts is a dead letter. Nobody ever waits for it.
 */
export class DeliveryQueue {
  readonly destination: Destination;
  readonly #parts: QueueParts;
  /** In the order they came; what is before `#head` has gone. */
  #events: CallEvent[] = [];
  #head = 0;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  /** Ends what is under way when the time to end is over. */
  readonly #abort = new AbortController();
  /** Wakes what pauses before its next attempt. */
  #hurry = new AbortController();
  #underWay = 0;
  #isClosing = false;
  #delivered = 0;
  #deadLetters = 0;

  constructor(destination: Destination, parts: QueueParts) {
    this.destination = destination;
    this.#parts = parts;
  }

  get counts(): QueueCounts {
    const { name } = this.destination;
    return { name, queued: this.#length + this.#underWay, delivered: this.#delivered, deadLetters: this.#deadLetters };
  }

  get #length(): number {
    return this.#events.length - this.#head;
  }

  add(event: CallEvent): void {
    const { queueSize, memory } = this.#parts;
    const hasRoom = !this.#isClosing && this.#length < queueSize && memory.take(sizeOf(event));
    if (!hasRoom) return this.#bury([event], 'queue_full');
    this.#events.push(event);
    if (!this.#round) this.#schedule();
  }

  #schedule(): void {
    if (this.#length >= this.#batchSize) void this.#start();
    else this.#timer ??= setTimeout(() => void this.#start(), this.#parts.flushIntervalMs).unref();
  }

  /** Delivers what waits, in the time there is; the rest are dead letters. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    this.#hurry.abort();
    const over = setTimeout(() => this.#abort.abort(), deadlineMs);
    if (this.#length > 0 || this.#round) await this.#start();
    clearTimeout(over);
    await this.destination.close?.();
  }

  get #batchSize(): number {
    return this.destination.batchSize ?? this.#parts.batchSize;
  }

  #start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#round ??= this.#drain().finally(() => {
      this.#round = undefined;
      if (this.#length > 0 && !this.#isClosing) this.#schedule();
    });
    return this.#round;
  }

  async #drain(): Promise<void> {
    while (this.#length > 0) {
      const batch = this.#take();
      this.#underWay = batch.length;
      const delivery = this.#abort.signal.aborted ? givenUp : await this.#deliver(batch);
      for (const event of batch) this.#parts.memory.giveBack(sizeOf(event));
      this.#underWay = 0;
      this.#settle(batch, delivery);
    }
  }

  #take(): CallEvent[] {
    const batch: CallEvent[] = [];
    let bytes = 0;
    while (batch.length < this.#batchSize && this.#head < this.#events.length) {
      const event = this.#events[this.#head];
      if (!event || (batch.length > 0 && (bytes += sizeOf(event)) > batchBytes)) break;
      batch.push(event);
      this.#head++;
    }
    // A shift for each event would move all that come after it.
    if (this.#head >= 1_024 || this.#head === this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }

  async #deliver(batch: readonly CallEvent[]): Promise<Delivery> {
    const { maxAttempts, timeoutMs } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const delivery = await this.#attempt(batch, timeoutMs);
      const isLast = attempt >= maxAttempts || this.#isClosing;
      if (delivery.outcome !== 'failed' || isLast) return delivery;
      await this.#pause(attempt, delivery.afterMs);
    }
  }

  async #attempt(batch: readonly CallEvent[], timeoutMs: number): Promise<Delivery> {
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#abort.signal]);
    const { promise, resolve } = Promise.withResolvers<Delivery>();
    const give = () => resolve({ outcome: 'failed', reason: reasonOf(signal.reason) });
    signal.addEventListener('abort', give, { once: true });
    // A disk or a database that hangs does not listen to signals.
    const delivery = this.destination.deliver(batch, signal).catch((thrown: unknown): Delivery => {
      return { outcome: 'failed', reason: reasonOf(thrown) };
    });
    try {
      return await Promise.race([delivery, promise]);
    } finally {
      signal.removeEventListener('abort', give);
    }
  }

  async #pause(attempt: number, askedMs: number | undefined): Promise<void> {
    const longest = Math.min(firstPauseMs * 2 ** (attempt - 1), longestPauseMs);
    // Full jitter: daemons that lost a destination together do not come back together.
    const pauseMs = askedMs === undefined ? longest * Math.random() : Math.min(askedMs, longestAskedMs);
    await sleep(pauseMs, undefined, { signal: this.#hurry.signal, ref: false }).catch(() => undefined);
  }

  #settle(batch: readonly CallEvent[], delivery: Delivery): void {
    const dead = delivery.outcome === 'delivered' ? [] : delivery.outcome === 'partly' ? delivery.refused : batch;
    this.#delivered += batch.length - dead.length;
    if (dead.length === 0 || delivery.outcome === 'delivered') return;
    this.#bury(dead, delivery.outcome === 'failed' ? 'undeliverable' : 'refused', delivery.reason);
  }

  #bury(events: readonly CallEvent[], reason: DeadReason, detail?: string): void {
    this.#deadLetters += events.length;
    this.#parts.dead.add({ destination: this.destination, events, reason, detail });
  }
}

const givenUp: Delivery = { outcome: 'failed', reason: 'The gateway stopped before it could be delivered' };

/** What went wrong, without the other side's words in it. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return thrown.name === 'TimeoutError' ? 'no answer in time' : thrown.message;
}
