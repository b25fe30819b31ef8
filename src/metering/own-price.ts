import { isRecord } from '../kernel/record.ts';
import type { Deployment } from '../models/deployment.ts';
import { type Origin, type Price, toPrice } from './price.ts';
import { invalidPrice, ownFields, toolFields, withRate } from './price-fields.ts';
import { ATTO_DIGITS, type Components, parseRate } from './rates.ts';

/** Service tiers with fields of their own: `input_cost_per_token_priority`. */
const tierNames = ['priority', 'flex'] as const;
export const ownTierNames: ReadonlySet<string> = new Set(tierNames);

/** How fields of what a batch costs end: `input_cost_per_token_batches`. */
const ofBatches = 'batches';

/** A model by name, and fields of which some are prices in LiteLLM's spelling; `info` goes before `params`. */
export type Pricing = Pick<Deployment, 'name' | 'info' | 'params'>;

/**
 * The price that an operator has given: a deployment's own, or what the price file says. Undefined when there is none.
 *
 * A tier is priced when its input and its output are; what else it does not price costs what it costs otherwise. So are
 * batches, whose price stands apart: no call can ask for it.
 *
 * @param beside what somebody else says of further parts
 * @throws GatewayError `invalid_price`
 */
export function ownPrice(pricing: Pricing, origin: Origin, beside: Components = {}): Price | undefined {
  const components = componentsOf(pricing);
  if (!components) return undefined;
  const own = { ...components, ...toolComponents(pricing), ...beside };
  const ofTier = (tier: string): Price | undefined => {
    const found = componentsOf(pricing, tier);
    // What embeds text has no output to be paid.
    const hasOutput = found?.output?.base !== undefined || !own.output?.base;
    return found?.input?.base === undefined || !hasOutput ? undefined : toPrice(origin, { ...own, ...found });
  };
  const tiers = new Map<string, Price>();
  for (const tier of tierNames) {
    const found = ofTier(tier);
    if (found) tiers.set(tier, found);
  }
  const batch = ofTier(ofBatches);
  return { ...toPrice(origin, own), ...(tiers.size > 0 && { tiers }), ...(batch && { batch }) };
}

/** @param tier a service tier, whose fields end in its name */
function componentsOf({ name, info, params }: Pricing, tier?: string): Components | undefined {
  const components: Components = {};
  for (const [given, value] of Object.entries({ ...params, ...withoutNulls(info) })) {
    if (tier !== undefined && !given.endsWith(`_${tier}`)) continue;
    const field = tier === undefined ? given : given.slice(0, -tier.length - 1);
    const [, plain = field, thousands] = /^(.+)_above_(\d{1,6})k_tokens$/.exec(field) ?? [];
    const bucket = Object.hasOwn(ownFields, plain) ? ownFields[plain] : undefined;
    if (!bucket || value === null || value === undefined) continue;
    const rate = parseRate(value);
    if (rate === undefined) throw invalidPrice(name, given);
    components[bucket] = withRate(components[bucket], rate, thousands);
  }
  return Object.values(components).some(({ base }) => base !== undefined) ? components : undefined;
}

/** What an operator says of tools that the provider runs. It stands beside the price of tokens, whoever that is from. */
export function toolComponents({ name, info, params }: Pricing): Components {
  const components: Components = {};
  for (const [field, value] of Object.entries({ ...params, ...withoutNulls(info) })) {
    const found = Object.hasOwn(toolFields, field) ? toolFields[field] : undefined;
    if (!found || value === null || value === undefined) continue;
    for (const amount of isRecord(value) ? Object.values(value) : [value]) {
      const rate = parseRate(amount, ATTO_DIGITS - found.powerOfTen);
      if (rate === undefined) throw invalidPrice(name, field);
      components[found.bucket] = withRate(components[found.bucket], rate);
    }
  }
  return components;
}

const withoutNulls = (info: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(info).filter(([, value]) => value !== null && value !== undefined));
