import type { BudgetLimit } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Counter } from './counter.ts';

/** A wait ends after so long at the latest: whoever waits looks again, and gives up by itself. */
const waitMs = 500;

/**
 * A call of no known length must not be admitted beside another one of those: together they could pass a budget by more than one
 * request. Over in a moment: whoever can wait waits until the other has ended.
 */
export class OpenCallUnderWay extends GatewayError {
  readonly #counter: Counter;

  constructor(counter: Counter, { entity, label }: BudgetLimit) {
    super(
      'limited',
      'budget_busy',
      `A call of no known length is under way in the budget of ${entity} ${label}, which has no room for the longest answer of another`,
      {
        hint: 'Set max_tokens. An operator sets max_output_tokens in the model_info of the model.',
        headers: { 'retry-after': '1' },
      },
    );
    this.#counter = counter;
  }

  /** Until the other has ended, or may have. */
  async ended(): Promise<void> {
    const counter = this.#counter;
    const waiting = (counter.openEnded ??= Promise.withResolvers<void>());
    const timer = setTimeout(waiting.resolve, waitMs);
    await waiting.promise;
    clearTimeout(timer);
    // Whoever waits again would find it over at once, and so leave no turn of the event loop to anybody else.
    if (counter.openEnded === waiting) counter.openEnded = undefined;
  }
}

/** Of a call that may cost more than was reserved for it. */
export interface OpenPart {
  /** Those that have no room for the most it can cost: it is the only one of its kind there. */
  readonly tight: readonly Counter[];
  /** Those that have: what is missing to it is held there as well, so that others need not wait. */
  readonly ample: readonly Counter[];
  readonly missing: bigint;
}

export function beginOpen({ tight, ample, missing }: OpenPart): void {
  for (const counter of tight) counter.open++;
  for (const counter of ample) counter.reserved += missing;
}

export function endOpen({ tight, ample, missing }: OpenPart): void {
  for (const counter of tight) {
    counter.open--;
    counter.openEnded?.resolve();
    counter.openEnded = undefined;
  }
  for (const counter of ample) counter.reserved -= missing;
}
