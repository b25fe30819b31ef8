import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import type { CallType } from './call.ts';
import type { Price } from './price.ts';
import type { Resolved } from './prices.ts';
import { costOf } from './rates.ts';
import { priced, unitNames, type Units } from './units.ts';
import type { Usage } from './usage.ts';
import { ownTierNames } from './own-price.ts';
import type { Deployment } from '../models/deployment.ts';

/** A booked call with what its cost follows from. Counts are text, as int8 comes. */
export interface BookedRow {
  readonly request_id: string;
  readonly created_at: Date;
  readonly started_at: Date;
  readonly call_type: string;
  readonly model: string;
  readonly upstream_model: string;
  readonly model_id: string;
  readonly provider: string;
  readonly cache_hit: boolean | null;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly cache_read_tokens: string;
  readonly cache_write_tokens: string;
  readonly reasoning_tokens: string;
  readonly usage_estimated: boolean;
  readonly usage_details: unknown;
  readonly service_tier: string | null;
  readonly spend: string;
  readonly price_source: string;
  readonly price_version: string | null;
}

/** Why a row keeps its cost. */
export const skipReasons = {
  cached: 'The answer came from the response cache and cost nothing',
  estimated: 'It was booked at what was reserved or guessed, because nobody reported its usage',
  unused: 'Nothing was used: no tokens, nothing else that is counted',
  per_request: 'It was passed through at the price that the configuration gives a request',
  no_deployment: 'The deployment whose own price it was booked at is gone',
  batch: 'A batch whose requests have prices of their own, which the sum of them does not tell',
  unpriced: 'Nothing has a price for such a call today',
  invalid_price: 'The price of its model is none',
} as const;
export type SkipReason = keyof typeof skipReasons;

/** What a call costs by the prices of today, or why that is not known. */
export type Repriced = { readonly cost: bigint; readonly price: Price } | { readonly skipped: SkipReason };

interface PriceSource {
  ofPast(deployment: Deployment, upstreamModel: string, at: Date): Resolved;
}

/** Prices of booked calls, by the deployments there are today. */
export class Repricer {
  readonly #prices: PriceSource;
  readonly #byId = new Map<string, Deployment>();
  readonly #byUpstream: ReadonlyMap<string, readonly Deployment[]>;
  readonly #deployments = new Map<string, Deployment>();
  readonly #forGood = new Map<string, Price>();

  constructor(prices: PriceSource, deployments: readonly Deployment[]) {
    this.#prices = prices;
    for (const each of deployments) this.#byId.set(each.id, each);
    this.#byUpstream = Map.groupBy(deployments, ({ provider, upstreamModel }) => `${provider}/${upstreamModel}`);
  }

  reprice(row: BookedRow): Repriced {
    const usage = usageOf(row);
    const skipped = skippedFor(row, usage);
    if (skipped) return { skipped };
    const deployment = this.#deploymentOf(row);
    if (!deployment) return { skipped: row.call_type === 'pass_through_endpoint' ? 'per_request' : 'no_deployment' };
    try {
      return costAt(row, usage, this.#priceOf(row, deployment));
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.type === 'invalid_price') return { skipped: 'invalid_price' };
      throw thrown;
    }
  }

  /** A deployment of the configuration has another id when its price is another: then it is known by what it is for. */
  #deploymentOf(row: BookedRow): Deployment | undefined {
    const own = this.#byId.get(row.model_id);
    if (own) return own;
    const upstream = `${row.provider}/${row.upstream_model}`;
    const alike = this.#byUpstream.get(upstream) ?? [];
    const found = alike.find(({ name }) => name === row.model) ?? (alike.length === 1 ? alike[0] : undefined);
    if (found || row.price_source === 'model_info') return found;
    let plain = this.#deployments.get(upstream);
    if (!plain) this.#deployments.set(upstream, (plain = plainDeployment(row)));
    return plain;
  }

  #priceOf({ upstream_model: model, started_at: at }: BookedRow, deployment: Deployment): Price {
    const name = `${deployment.id} ${deployment.provider} ${model}`;
    const known = this.#forGood.get(name);
    if (known) return known;
    const { price, untilMs } = this.#prices.ofPast(deployment, model, new Date(at));
    if (untilMs === Number.POSITIVE_INFINITY) this.#forGood.set(name, price);
    return price;
  }
}

/** What no deployment is left of is priced by the price file and the catalogue. */
const plainDeployment = ({ provider, upstream_model: upstreamModel }: BookedRow): Deployment => ({
  id: '',
  name: `${provider}/${upstreamModel}`,
  provider,
  upstreamModel,
  apiBase: undefined,
  apiKey: undefined,
  source: 'config',
  info: {},
  params: {},
});

function skippedFor(row: BookedRow, usage: Usage): SkipReason | undefined {
  if (row.cache_hit) return 'cached';
  if (row.usage_estimated) return 'estimated';
  if (row.call_type === 'pass_through_endpoint' && row.price_source === 'model_info') return 'per_request';
  const isUnused = usage.promptTokens + usage.completionTokens === 0 && !isRecord(row.usage_details);
  return isUnused && row.spend === '0' ? 'unused' : undefined;
}

function costAt(row: BookedRow, usage: Usage, standard: Price): Repriced {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the ledger writes no other
  const callType = row.call_type as CallType;
  const price = tierOf(standard, row);
  if (!price || price.source === 'unpriced' || (price.parts && !priced(price.parts, callType))) {
    return { skipped: 'unpriced' };
  }
  if (callType === 'create_batch' && (price.bands.length > 1 || price.bands[0]?.rates.request !== 0n)) {
    return { skipped: 'batch' };
  }
  const cost = costOf(price.bands, usage);
  const isUncounted = cost === 0n && unitNames.some((name) => (usage.units?.[name] ?? 0) > 0);
  return isUncounted ? { skipped: 'unpriced' } : { cost, price };
}

/** A tier with prices of its own has one, or the call has none; any other is the provider's name for its usual price. */
function tierOf(standard: Price, { call_type: callType, service_tier: tier }: BookedRow): Price | undefined {
  if (callType === 'create_batch') return standard.batch ?? standard;
  if (tier === null) return standard;
  return standard.tiers?.get(tier) ?? (ownTierNames.has(tier) ? undefined : standard);
}

const count = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** As `spend-row.ts` has written it. */
function usageOf(row: BookedRow): Usage {
  const details = isRecord(row.usage_details) ? row.usage_details : {};
  const units = isRecord(details['units']) ? details['units'] : undefined;
  const hour = count(details['cache_write_1h_tokens']);
  return {
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    cacheReadTokens: Number(row.cache_read_tokens),
    cacheWriteTokens: Number(row.cache_write_tokens),
    ...(hour !== undefined && { cacheWriteHourTokens: hour }),
    reasoningTokens: Number(row.reasoning_tokens),
    audioInputTokens: count(details['audio_input_tokens']) ?? 0,
    audioOutputTokens: count(details['audio_output_tokens']) ?? 0,
    imageInputTokens: count(details['image_input_tokens']),
    imageOutputTokens: count(details['image_output_tokens']),
    units: units && unitsIn(units),
    estimated: false,
  };
}

const unitsIn = (units: Readonly<Record<string, unknown>>): Units =>
  Object.fromEntries(unitNames.map((name) => [name, count(units[name])]));
