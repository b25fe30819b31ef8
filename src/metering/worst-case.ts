import { GatewayError } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';
import type { Price } from './price.ts';
import { type Band, highestCostOf } from './rates.ts';
import { clampUnits, type Units } from './units.ts';
import { clampTokens } from './usage.ts';

/** Reserved for a call whose length neither the request nor the model limits. It may overshoot, by that one call. */
export const defaultMaxCompletionTokens = 4_096;

/**
 * The longest answer that models of today write. It is what a call that nothing limits is taken for as long as its budgets
 * have room for that.
 */
export const longestCompletionTokens = 131_072;

/** What is known beforehand of how long a call can get. */
export interface Size {
  readonly promptTokens: number;
  /** Of one answer; undefined when the request sets no limit, and then the model's `max_output_tokens` is taken. */
  readonly maxCompletionTokens: number | undefined;
  readonly answers?: number | undefined;
  /** Present for calls that may be paid for by something else than tokens. */
  readonly units?: Units | undefined;
  /** Of tools that the provider runs, at most. */
  readonly toolUses?: Units | undefined;
}

/** The most tokens an answer of a deployment can have, where its operator says so. */
export function ceilingOf({ info }: Pick<Deployment, 'info'>): number | undefined {
  const most = info['max_output_tokens'] ?? info['max_tokens'];
  return typeof most === 'number' && most > 0 ? most : undefined;
}

/** Whether neither the request nor the model says how long an answer can get: then the worst case is a guess. */
export const isOpenEnded = (
  deployment: Deployment,
  { maxCompletionTokens }: Pick<Size, 'maxCompletionTokens'>,
): boolean => maxCompletionTokens === undefined && ceilingOf(deployment) === undefined;

/** What to reserve for a call, in nano-dollars. */
export function worstCase(
  bands: readonly Band[],
  deployment: Deployment,
  { promptTokens, maxCompletionTokens, answers = 1, units, toolUses }: Size,
): bigint {
  const most = ceilingOf(deployment);
  const each = Math.min(maxCompletionTokens ?? most ?? defaultMaxCompletionTokens, most ?? Number.POSITIVE_INFINITY);
  return highestCostOf(bands, {
    promptTokens: clampTokens(promptTokens),
    completionTokens: clampTokens(answers * each),
    units: units && clampUnits(units),
    toolUses: toolUses && clampUnits(toolUses),
  });
}

/** A request that names none is served as the operator's project with the provider says, and so is one that says `auto`. */
const isOpen = (tier: string | undefined): boolean => tier === undefined || tier === 'auto';

/**
 * What a call is admitted at, and reserved by: the price of the tier it asks for. One that leaves the tier to the provider
 * may be served in any, so the dearest is reserved.
 *
 * @throws GatewayError when a model that has a price has none for that tier: it would be served below what it costs
 */
export function priceOfTier(price: Price, model: string, tier: string | undefined): Price {
  if (price.source === 'unpriced' || isOpen(tier) || tier === 'default') return price;
  const own = tier === undefined ? undefined : price.tiers?.get(tier);
  if (own) return own;
  throw new GatewayError(
    'invalid',
    'unsupported_service_tier',
    `Model ${model} has no price for service_tier ${tier}`,
    {
      param: 'service_tier',
      hint: 'Leave service_tier out. An operator allows a tier by its prices, such as input_cost_per_token_priority and output_cost_per_token_priority.',
    },
  );
}

/** The most a call can cost in whichever tier it may be served, in nano-dollars. */
export function worstCaseOfTiers(
  { price, tier }: { readonly price: Price; readonly tier: string | undefined },
  deployment: Deployment,
  size: Size,
): bigint {
  let most = worstCase(price.bands, deployment, size);
  if (!price.tiers || !isOpen(tier)) return most;
  for (const { bands } of price.tiers.values()) {
    const amount = worstCase(bands, deployment, size);
    if (amount > most) most = amount;
  }
  return most;
}
