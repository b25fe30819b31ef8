import type { Deployment } from '../models/deployment.ts';
import { isRecord } from '../kernel/record.ts';
import type { Price } from './price.ts';
import { type Band, costOf, free, highestCostOf } from './rates.ts';
import type { Usage } from './usage.ts';
import { ceilingOf, defaultMaxCompletionTokens } from './worst-case.ts';

/** What the calls in a batch can use at most, all of them together. */
export interface BatchSize {
  readonly lines: number;
  /** Input tokens, guessed high. */
  readonly promptTokens: number;
  /** Output tokens of the calls that set a limit. */
  readonly completionTokens: number;
  /** Answers that nothing in their calls limits. */
  readonly openAnswers: number;
}

/** Of a file that nobody here has looked into. */
export const unknownSize: BatchSize = { lines: 0, promptTokens: 0, completionTokens: 0, openAnswers: 0 };

export function readBatchSize(value: unknown): BatchSize | undefined {
  if (!isRecord(value)) return undefined;
  const { lines, promptTokens, completionTokens, openAnswers } = value;
  const isWhole = [lines, promptTokens, completionTokens, openAnswers].every((each) => typeof each === 'number');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each is a number
  return isWhole ? ({ lines, promptTokens, completionTokens, openAnswers } as unknown as BatchSize) : undefined;
}

/** Whether it is known how much it can cost at most at a deployment. */
export const isBounded = ({ openAnswers }: BatchSize, deployment: Deployment): boolean =>
  openAnswers === 0 || ceilingOf(deployment) !== undefined;

/** What calls in a batch are booked by. */
export const batchPriceOf = (price: Price): Price => price.batch ?? price;

/** What to reserve for a batch, in nano-dollars: each call of it in the dearest band. */
export function worstOfBatch(bands: readonly Band[], deployment: Deployment, size: BatchSize): bigint {
  const { lines, promptTokens, completionTokens, openAnswers } = size;
  const most = {
    promptTokens,
    completionTokens: completionTokens + openAnswers * (ceilingOf(deployment) ?? defaultMaxCompletionTokens),
  };
  const amounts = bands.map(({ rates }) => {
    const ofRequests = (BigInt(Math.max(0, lines - 1)) * rates.request) / 1_000_000_000n;
    return highestCostOf([{ above: 0, rates }], most) + ofRequests;
  });
  return amounts.reduce((one, other) => (one > other ? one : other), 0n);
}

/** A price that is one amount, whatever is used: what a call is booked at that a crash cuts. */
export const lumpSum = (amount: bigint): readonly Band[] => [
  { above: 0, rates: { ...free, request: amount * 1_000_000_000n } },
];

const counted = [
  'promptTokens',
  'completionTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'reasoningTokens',
  'audioInputTokens',
  'audioOutputTokens',
] as const satisfies readonly (keyof Usage)[];

/** The bill of a batch that is over, added up call by call. */
export class BatchBill {
  readonly tokens: Record<(typeof counted)[number], number> = {
    promptTokens: 0,
    completionTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    audioInputTokens: 0,
    audioOutputTokens: 0,
  };
  /** Calls that were answered and say nothing of what they used. */
  uncounted = 0;
  #cost = 0n;
  readonly #bands: readonly Band[];

  constructor(bands: readonly Band[]) {
    this.#bands = bands;
  }

  /** @param usage undefined where an answer reports none */
  add(usage: Usage | undefined): void {
    if (!usage) {
      this.uncounted++;
      return;
    }
    for (const name of counted) this.tokens[name] += usage[name];
    this.#cost += costOf(this.#bands, usage);
  }

  /**
   * Nano-dollars.
   *
   * @param worst what the batch was reserved at; calls that say nothing cost their share of it
   * @param lines calls that it had
   */
  total({ worst, lines }: { readonly worst: bigint; readonly lines: number }): bigint {
    if (this.uncounted === 0) return this.#cost;
    const share = lines > 0 ? (worst * BigInt(this.uncounted)) / BigInt(lines) : worst;
    return this.#cost + (share < worst ? share : worst);
  }
}
