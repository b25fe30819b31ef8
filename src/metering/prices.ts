import type { ConditionalPrice, ModelPrice, PriceCalculationResult } from '@pydantic/genai-prices';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import type { Deployment } from '../models/deployment.ts';
import type { KnownModel } from '../models/model.wire.ts';
import type { CallType, Settlement } from './call.ts';
import {
  catalogueFields,
  catalogueRate,
  invalidPrice,
  ownFields,
  partsOf,
  toolFields,
  withRate,
} from './price-fields.ts';
import {
  ATTO_DIGITS,
  type Band,
  type Components,
  free,
  highestCostOf,
  parseRate,
  type Rates,
  toBands,
} from './rates.ts';
import { clampUnits, costOfUnits, priced, type Units } from './units.ts';
import { clampTokens } from './usage.ts';

/** What a deployment costs, resolved: from here on it is integer arithmetic (`rates.ts`). */
export interface Price {
  readonly source: Settlement['priceSource'];
  readonly bands: readonly Band[];
  /** The price as text, so that a call cut by a crash is booked at the price it was admitted at. */
  readonly text: string;
  /** What it has a price for; absent where it was read back from its text. */
  readonly parts?: ReadonlySet<keyof Rates>;
  /** What the service tiers cost that have a price of their own. */
  readonly tiers?: ReadonlyMap<string, Price>;
}

/** Reserved for a call whose length neither the request nor the model limits. It may overshoot, by that one call. */
export const defaultMaxCompletionTokens = 4_096;

const minuteMs = 60_000;
/** Clients choose the upstream model of a wildcard deployment; more names than this are looked up again. */
const mostNames = 1_000;

/** Where the catalogue's name is not, and does not contain, LiteLLM's. */
const catalogueProviders: Readonly<Record<string, string>> = {
  azure_ai: 'azure',
  azure_text: 'azure',
  fireworks_ai: 'fireworks',
  together_ai: 'together',
  novita_ai: 'novita',
  zai_org: 'zai',
};

/** Service tiers with fields of their own: `input_cost_per_token_priority`. */
const tierNames = ['priority', 'flex'] as const;

type Calculate = (
  usage: Record<string, number>,
  model: string,
  options: { providerId: string; timestamp: Date },
) => PriceCalculationResult;

interface Resolved {
  readonly price: Price;
  /** The catalogue has prices by date and by time of day; everything else holds for ever. */
  readonly untilMs: number;
}

/** Prices of deployments: the operator's own, else the catalogue's, else none. Each is resolved once. */
export class Prices {
  readonly #calculate: Calculate;
  readonly #onUnpriced: (provider: string, model: string) => void;
  /** Kinds of calls that the operator was told have no price. */
  readonly #told = new WeakMap<Price, Set<CallType>>();
  readonly #resolved = new WeakMap<Deployment, Map<string, Resolved>>();

  private constructor(calculate: Calculate, onUnpriced: (provider: string, model: string) => void) {
    this.#calculate = calculate;
    this.#onUnpriced = onUnpriced;
  }

  /** Loads the catalogue that comes with the package (some 50 ms, once). It is never updated over the network. */
  static async load(onUnpriced: (provider: string, model: string) => void = () => undefined): Promise<Prices> {
    const { calcPrice } = await import('@pydantic/genai-prices');
    return new Prices(calcPrice, onUnpriced);
  }

  /** @throws GatewayError `invalid_price` when the operator's price is none: such a model must not be served for nothing */
  of(deployment: Deployment, upstreamModel: string, at: Date): Price {
    let names = this.#resolved.get(deployment);
    if (!names) this.#resolved.set(deployment, (names = new Map()));
    const known = names.get(upstreamModel);
    if (known && at.getTime() < known.untilMs) return known.price;

    if (names.size >= mostNames) names.clear();
    const resolved = this.#resolve(deployment, upstreamModel, at);
    names.set(upstreamModel, resolved);
    if (!known && resolved.price.source === 'unpriced') this.#onUnpriced(deployment.provider, upstreamModel);
    return resolved.price;
  }

  /** The same for one kind of call: a price by the image says nothing of what a chat costs. */
  forCall(deployment: Deployment, upstreamModel: string, { at, callType }: { at: Date; callType: CallType }): Price {
    const price = this.of(deployment, upstreamModel, at);
    if (price.source === 'unpriced' || !price.parts || priced(price.parts, callType)) return price;
    const told = this.#told.get(price) ?? new Set();
    if (!told.has(callType)) this.#onUnpriced(deployment.provider, upstreamModel);
    this.#told.set(price, told.add(callType));
    return nothingKnown;
  }

  /** What can be told of a deployment to people: its price as calls are booked, and what the catalogue knows of the model. */
  known(deployment: Deployment, at: Date): KnownModel {
    const listed = this.#lookUp(deployment, deployment.upstreamModel, at);
    const rates = this.#ratesOf(deployment, at);
    return {
      key: listed?.model.id ?? null,
      maxInputTokens: listed?.model.context_window ?? null,
      inputCostPerToken: rates && dollars(rates.input),
      outputCostPerToken: rates && dollars(rates.output),
    };
  }

  #ratesOf(deployment: Deployment, at: Date): Rates | null {
    try {
      const { source, bands } = this.of(deployment, deployment.upstreamModel, at);
      return source === 'unpriced' ? null : (bands[0]?.rates ?? null);
    } catch (thrown) {
      // A price that is none refuses calls, with its reason; a list of models is shown all the same.
      if (thrown instanceof GatewayError && thrown.type === 'invalid_price') return null;
      throw thrown;
    }
  }

  #resolve(deployment: Deployment, upstreamModel: string, at: Date): Resolved {
    const tools = toolComponents(deployment);
    const own = ownComponents(deployment);
    if (own) return { price: withTiers({ ...own, ...tools }, deployment), untilMs: Number.POSITIVE_INFINITY };

    const listed = this.#lookUp(deployment, upstreamModel, at);
    if (!listed) return { price: toPrice('unpriced', {}), untilMs: Number.POSITIVE_INFINITY };
    const prices: ConditionalPrice[] | ModelPrice = listed.model.prices;
    return {
      price: toPrice('catalogue', { ...catalogueComponents(listed.model_price), ...tools }),
      untilMs: Array.isArray(prices) ? at.getTime() + minuteMs : Number.POSITIVE_INFINITY,
    };
  }

  #lookUp({ provider, info, params }: Deployment, upstreamModel: string, at: Date): PriceCalculationResult {
    const base = info['base_model'] ?? params['base_model'];
    const model = typeof base === 'string' && base ? base : upstreamModel;
    const found = this.#calculate({ input_tokens: 0 }, model, {
      providerId: catalogueProviders[provider] ?? provider,
      timestamp: at,
    });
    // LiteLLM writes base models with their provider: azure/gpt-4o.
    const slash = model.indexOf('/');
    if (found || model === upstreamModel || slash < 0) return found;
    const named = model.slice(0, slash);
    return this.#calculate({ input_tokens: 0 }, model.slice(slash + 1), {
      providerId: catalogueProviders[named] ?? named,
      timestamp: at,
    });
  }
}

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

/** What to reserve for a call, in nano-dollars. */
export function worstCase(
  bands: readonly Band[],
  { info }: Deployment,
  { promptTokens, maxCompletionTokens, answers = 1, units, toolUses }: Size,
): bigint {
  const ofModel = info['max_output_tokens'] ?? info['max_tokens'];
  const most = typeof ofModel === 'number' && ofModel > 0 ? ofModel : undefined;
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

/** Atto-dollars as the decimal number they are. */
const dollars = (rate: bigint): number => Number(`${rate}e-${ATTO_DIGITS}`);

function toPrice(source: Price['source'], components: Components): Price {
  const bands = toBands(components);
  const text = textOf(source, bands);
  return { source, bands, text, parts: partsOf(components) };
}

/** Of a model whose price says nothing of what a kind of call is paid by. */
const nothingKnown = toPrice('unpriced', {});

/**
 * The price's text for one call, in which the units that it asks for are part of what a request costs: the journal keeps
 * counts of tokens alone, and a call that a crash cuts is to be booked with its units all the same.
 */
export function textFor({ source, bands, text }: Price, units: Units | undefined): string {
  if (!units) return text;
  const whole = clampUnits(units);
  return textOf(
    source,
    bands.map(({ above, rates }) => ({
      above,
      rates: { ...rates, request: rates.request + costOfUnits(rates, whole) },
    })),
  );
}

function textOf(source: Price['source'], bands: readonly Band[]): string {
  return JSON.stringify({ source, bands }, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

const revive = (name: string, value: unknown) =>
  typeof value === 'string' && name !== 'source' ? BigInt(value) : value;

/** The price back from its text. Only the journal keeps such texts, so the text is ours. */
export function parsePrice(text: string): Price {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by toPrice above
  const { source, bands } = JSON.parse(text, revive) as Pick<Price, 'source' | 'bands'>;
  // A row of a version that knew fewer kinds of rates has none for the others.
  return { source, bands: bands.map(({ above, rates }) => ({ above, rates: { ...free, ...rates } })), text };
}

/**
 * The operator's own prices; LiteLLM lets them stand in `model_info` or in `litellm_params`. Undefined when there are none.
 *
 * @param tier a service tier, whose fields end in its name
 */
function ownComponents({ name, info, params }: Deployment, tier?: string): Components | undefined {
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
function toolComponents({ name, info, params }: Deployment): Components {
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

/** A tier is priced when its input and its output are; what else it does not price costs what it costs otherwise. */
function withTiers(own: Components, deployment: Deployment): Price {
  const tiers = new Map<string, Price>();
  for (const tier of tierNames) {
    const found = ownComponents(deployment, tier);
    if (found?.input?.base === undefined || found.output?.base === undefined) continue;
    tiers.set(tier, toPrice('model_info', { ...own, ...found }));
  }
  const price = toPrice('model_info', own);
  return tiers.size > 0 ? { ...price, tiers } : price;
}

const withoutNulls = (info: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(info).filter(([, value]) => value !== null && value !== undefined));

function catalogueComponents(prices: ModelPrice): Components {
  const components: Components = {};
  for (const [field, value] of Object.entries(prices)) {
    const found = catalogueFields[field];
    if (!found || value === undefined) continue;
    const rate = (amount: number) => catalogueRate(found, amount);
    components[found.bucket] =
      typeof value === 'number'
        ? withRate(components[found.bucket], rate(value))
        : { base: rate(value.base), tiers: new Map(value.tiers.map(({ start, price }) => [start, rate(price)])) };
  }
  return components;
}
