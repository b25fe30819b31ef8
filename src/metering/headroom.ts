import type { Charge } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { batchPriceOf, worstOfBatch } from './batch.ts';
import type { CallStart } from './call.ts';
import type { BudgetRoom, Counters } from './counters.ts';
import type { Price } from './price.ts';
import type { Prices } from './prices.ts';
import { isOpenEnded, longestCompletionTokens, priceOfTier, worstCaseOfTiers } from './worst-case.ts';

import type { RateLimiter } from './rate-limiter.ts';
import type { RateRoom } from './rate-room.ts';

/** What a call is measured by before it is admitted. */
export interface Gauge {
  readonly prices: Prices;
  readonly counters: Counters;
  readonly limiter: RateLimiter;
  /** Whether calls that a budget applies to need a price. */
  readonly refusesUnpriced: boolean;
}

/** The part of a call that its worst case follows from. */
export type Sized = Pick<
  CallStart,
  | 'deployment'
  | 'model'
  | 'upstreamModel'
  | 'startedAt'
  | 'promptTokens'
  | 'maxCompletionTokens'
  | 'answers'
  | 'serviceTier'
  | 'batch'
  | 'callType'
  | 'units'
  | 'toolUses'
>;

/** Room for a call in everything that it is charged to. */
export interface Headroom {
  readonly budgets: readonly BudgetRoom[];
  readonly rates: readonly RateRoom[];
}

/** What a call is counted with until its tokens are known. An answer that nothing limits is counted when it is there. */
export const countedTokens = ({
  promptTokens,
  maxCompletionTokens = 0,
  answers = 1,
}: Pick<Sized, 'promptTokens' | 'maxCompletionTokens' | 'answers'>): number =>
  promptTokens + maxCompletionTokens * answers;

export interface PriceAndWorst {
  readonly standard: Price;
  /** Of the tier that is asked for. */
  readonly price: Price;
  /** Nano-dollars. */
  readonly amount: bigint;
  /** Present where the amount is a guess. */
  readonly most?: bigint;
}

/**
 * The price a call is admitted at, and the most it can cost; where nothing limits that, a guess, and what it would be with
 * the longest answer there is.
 *
 * @throws GatewayError `invalid_price`; `unsupported_service_tier`
 */
export function priceAndWorst({ prices }: Pick<Gauge, 'prices'>, sized: Sized): PriceAndWorst {
  const { deployment, serviceTier: tier, callType, startedAt: at, batch } = sized;
  const standard = prices.forCall(deployment, sized.upstreamModel, { at, callType });
  if (batch) {
    const ofBatch = batchPriceOf(standard);
    return { standard, price: ofBatch, amount: worstOfBatch(ofBatch.bands, deployment, batch) };
  }
  const price = priceOfTier(standard, sized.model, tier);
  const amount = worstCaseOfTiers({ price, tier }, deployment, sized);
  if (!isOpenEnded(deployment, sized)) return { standard, price, amount };
  const longest = { ...sized, maxCompletionTokens: longestCompletionTokens };
  const most = worstCaseOfTiers({ price, tier }, deployment, longest);
  // What is not paid by what is written has an end all the same.
  return { standard, price, amount, ...(most > amount && { most }) };
}

/**
 * Where the operator wants it, nobody spends what cannot be counted from a budget.
 *
 * @throws GatewayError `unpriced_model`
 */
export function requirePrice(
  { refusesUnpriced }: Pick<Gauge, 'refusesUnpriced'>,
  { source }: Pick<Price, 'source'>,
  { charge, model, callType }: Pick<CallStart, 'charge' | 'model' | 'callType'>,
): void {
  if (!refusesUnpriced || source !== 'unpriced' || !charge.budgets.some(({ max }) => max !== null)) return;
  throw new GatewayError('forbidden', 'unpriced_model', `No price is known for a call of ${model} (${callType})`, {
    param: 'model',
    hint: 'What it costs could not be taken from the budget. An operator gives the model a price, such as input_cost_per_token or output_cost_per_image, or sets unpriced_models to allow.',
  });
}

/** What admission would go by at this moment, without taking anything. @param amount nano-dollars the call can cost at most */
export async function headroom(
  { counters, limiter }: Gauge,
  charge: Charge,
  { amount, tokens, nowMs }: { readonly amount: bigint; readonly tokens: number; readonly nowMs: number },
): Promise<Headroom> {
  await counters.ensure(charge);
  return { budgets: counters.look(charge.budgets, amount), rates: limiter.look(charge.rates, tokens, nowMs) };
}
