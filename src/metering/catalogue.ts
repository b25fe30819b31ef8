import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import type { ConditionalPrice, ModelPrice, PriceCalculationResult, Provider } from '@pydantic/genai-prices';
import type { Deployment } from '../models/deployment.ts';
import { toolComponents } from './own-price.ts';
import { type Price, toPrice } from './price.ts';
import { catalogueFields, catalogueRate, withRate } from './price-fields.ts';
import type { Components } from './rates.ts';

type Calculate = (
  usage: Record<string, number>,
  model: string,
  options: { providerId: string; timestamp: Date },
) => PriceCalculationResult;

type FindProvider = (options: { providerId: string }) => Provider | undefined;

/** Where the catalogue's name is not, and does not contain, LiteLLM's. */
const catalogueProviders: Readonly<Record<string, string>> = {
  azure_ai: 'azure',
  azure_text: 'azure',
  bedrock: 'aws',
  fireworks_ai: 'fireworks',
  gemini: 'google',
  together_ai: 'together',
  novita_ai: 'novita',
  vertex_ai: 'google',
  zai_org: 'zai',
};

const minuteMs = 60_000;

/** A model as the catalogue has it at one moment. */
export interface Listed {
  readonly id: string;
  readonly contextWindow: number | undefined;
  readonly price: Price;
  /** Milliseconds since 1970; infinity where the price holds for ever. Some hold until a date, or at some hours. */
  readonly untilMs: number;
}

/** The prices that come with a package (`@pydantic/genai-prices`). They are never updated over the network. */
export class Catalogue {
  readonly #calculate: Calculate;
  readonly #findProvider: FindProvider;
  readonly version: string;

  private constructor(calculate: Calculate, findProvider: FindProvider, version: string) {
    this.#calculate = calculate;
    this.#findProvider = findProvider;
    this.version = version;
  }

  /** Some 50 ms, once. */
  static async load(): Promise<Catalogue> {
    const { calcPrice, findProvider } = await import('@pydantic/genai-prices');
    return new Catalogue(calcPrice, findProvider, `genai-prices ${installedVersion()}`);
  }

  find(deployment: Deployment, upstreamModel: string, at: Date): Listed | undefined {
    const found = this.#lookUp(deployment, upstreamModel, at);
    if (!found) return undefined;
    const prices: ConditionalPrice[] | ModelPrice = found.model.prices;
    const { source, version } = { source: 'catalogue', version: this.version } as const;
    return {
      id: found.model.id,
      contextWindow: found.model.context_window,
      price: toPrice({ source, version }, { ...componentsOf(found.model_price), ...toolComponents(deployment) }),
      untilMs: Array.isArray(prices) ? at.getTime() + minuteMs : Number.POSITIVE_INFINITY,
    };
  }

  /** Names of the models that it has of a provider. */
  modelsOf(provider: string): readonly string[] {
    const found = this.#findProvider({ providerId: catalogueProviders[provider] ?? provider });
    return found?.models.map(({ id }) => id) ?? [];
  }

  #lookUp({ provider, info, params }: Deployment, upstreamModel: string, at: Date): PriceCalculationResult {
    const base = info['base_model'] ?? params['base_model'];
    const model = typeof base === 'string' && base ? base : upstreamModel;
    const found = this.#priceAt(provider, model, at);
    // LiteLLM writes base models with their provider: azure/gpt-4o.
    const slash = model.indexOf('/');
    if (found || model === upstreamModel || slash < 0) return found;
    return this.#priceAt(model.slice(0, slash), model.slice(slash + 1), at);
  }

  #priceAt(provider: string, model: string, timestamp: Date): PriceCalculationResult {
    return this.#calculate({ input_tokens: 0 }, model, {
      providerId: catalogueProviders[provider] ?? provider,
      timestamp,
    });
  }
}

/** The package does not say by itself. */
function installedVersion(): string {
  const entry = createRequire(import.meta.url).resolve('@pydantic/genai-prices');
  const text = readFileSync(`${entry.slice(0, entry.lastIndexOf('/dist/'))}/package.json`, 'utf8');
  return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? 'unknown';
}

function componentsOf(prices: ModelPrice): Components {
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
