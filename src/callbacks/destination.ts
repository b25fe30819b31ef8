import type { CallEvent } from './call-event.ts';

/** What became of a batch. */
export type Delivery =
  | { readonly outcome: 'delivered' }
  /** Some were refused for good; the others were taken. */
  | { readonly outcome: 'partly'; readonly refused: readonly CallEvent[]; readonly reason: string }
  /** All of it was refused for good: the same would be refused again. */
  | { readonly outcome: 'refused'; readonly reason: string }
  /** Nobody was there, or nobody had time. @property afterMs what was asked for */
  | { readonly outcome: 'failed'; readonly reason: string; readonly afterMs?: number | undefined };

/** Where calls are reported. */
export interface Destination {
  /** For the operator: `langfuse`, or `team 5b1e/langfuse`. */
  readonly name: string;
  /** Which of them are reported at all. */
  readonly wants: (event: CallEvent) => boolean;
  /** Whether it is told what was asked and answered, where that is switched on. */
  readonly hasBodies: boolean;
  /** Events in a batch at most; what is set where absent. */
  readonly batchSize?: number;
  /** Never rejects for what the other side does. */
  readonly deliver: (batch: readonly CallEvent[], signal: AbortSignal) => Promise<Delivery>;
  readonly close?: () => Promise<void> | void;
}

export interface QueueSettings {
  /** Events that wait at most for one destination; further ones are dead letters. */
  readonly queueSize: number;
  readonly batchSize: number;
  /** How long an event waits for others that go with it. */
  readonly flushIntervalMs: number;
  /** How long one delivery may take. */
  readonly timeoutMs: number;
  /** Deliveries of a batch that are tried. */
  readonly maxAttempts: number;
}
