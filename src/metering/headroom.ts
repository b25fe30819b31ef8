import type { Charge } from '../access/principal.ts';
import type { CallStart } from './call.ts';
import type { BudgetRoom, Counters } from './counters.ts';
import { priceOfTier, type Prices, worstCaseOfTiers } from './prices.ts';
import type { RateLimiter, RateRoom } from './rate-limiter.ts';

/** What a call is measured by before it is admitted. */
export interface Gauge {
  readonly prices: Prices;
  readonly counters: Counters;
  readonly limiter: RateLimiter;
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

/**
 * The price a call is admitted at, and the most it can cost.
 *
 * @throws GatewayError `invalid_price`; `unsupported_service_tier`
 */
export function priceAndWorst({ prices }: Pick<Gauge, 'prices'>, sized: Sized) {
  const { deployment, serviceTier: tier } = sized;
  const standard = prices.of(deployment, sized.upstreamModel, sized.startedAt);
  const price = priceOfTier(standard, sized.model, tier);
  return { standard, price, amount: worstCaseOfTiers({ price, tier }, deployment, sized) };
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
