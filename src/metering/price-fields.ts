import { GatewayError } from '../kernel/errors.ts';
import { ATTO_DIGITS, type Component, type Components, parseRate, type Rates } from './rates.ts';

/**
 * An operator's prices, in LiteLLM's spelling. Where two fields price one thing, because LiteLLM has used either of them
 * for it, the dearer counts.
 */
export const ownFields: Readonly<Record<string, keyof Rates>> = {
  input_cost_per_token: 'input',
  output_cost_per_token: 'output',
  cache_read_input_token_cost: 'cacheRead',
  cache_creation_input_token_cost: 'cacheWrite',
  cache_creation_input_token_cost_above_1hr: 'cacheWriteHour',
  output_cost_per_reasoning_token: 'reasoning',
  input_cost_per_audio_token: 'audioInput',
  output_cost_per_audio_token: 'audioOutput',
  input_cost_per_image_token: 'imageInput',
  output_cost_per_image_token: 'imageOutput',
  input_cost_per_request: 'request',
  input_cost_per_image: 'image',
  output_cost_per_image: 'image',
  input_cost_per_pixel: 'pixel',
  output_cost_per_pixel: 'pixel',
  input_cost_per_character: 'character',
  output_cost_per_character: 'character',
  input_cost_per_second: 'second',
  output_cost_per_second: 'second',
  input_cost_per_query: 'query',
};

/**
 * Prices of tools that a provider runs, in LiteLLM's spelling. That of searches is by the size of what they may read
 * (`search_context_size_low`, `_medium`, `_high`); which one a search was made with no answer says, so the dearest counts.
 */
export const toolFields: Readonly<Record<string, Omit<CatalogueField, 'seconds'>>> = {
  search_context_cost_per_query: { bucket: 'webSearch', powerOfTen: 0 },
  file_search_cost_per_1k_calls: { bucket: 'fileSearch', powerOfTen: 3 },
  code_interpreter_cost_per_session: { bucket: 'codeSession', powerOfTen: 0 },
};

/** How many tokens, requests or units a price of the catalogue is for. */
interface CatalogueField {
  readonly bucket: keyof Rates;
  readonly powerOfTen: number;
  readonly seconds: bigint;
}

const million = (bucket: keyof Rates): CatalogueField => ({ bucket, powerOfTen: 6, seconds: 1n });
const thousand = (bucket: keyof Rates): CatalogueField => ({ bucket, powerOfTen: 3, seconds: 1n });
const hour = (bucket: keyof Rates): CatalogueField => ({ bucket, powerOfTen: 0, seconds: 3_600n });

export const catalogueFields: Readonly<Record<string, CatalogueField>> = {
  input_mtok: million('input'),
  output_mtok: million('output'),
  cache_read_mtok: million('cacheRead'),
  cache_write_mtok: million('cacheWrite'),
  cache_write_1h_mtok: million('cacheWriteHour'),
  output_reasoning_mtok: million('reasoning'),
  input_audio_mtok: million('audioInput'),
  output_audio_mtok: million('audioOutput'),
  input_image_mtok: million('imageInput'),
  output_image_mtok: million('imageOutput'),
  requests_kcount: thousand('request'),
  rerank_searches_kcount: thousand('query'),
  input_mchars: million('character'),
  audio_hours: hour('second'),
  input_audio_hours: hour('second'),
};

/** In atto-dollars for one. */
export const catalogueRate = ({ powerOfTen, seconds }: CatalogueField, amount: number): bigint =>
  ((parseRate(amount, ATTO_DIGITS - powerOfTen) ?? 0n) + seconds / 2n) / seconds;

/** A price added to those of its bucket. @param thousands of input tokens above which it holds */
export function withRate(component: Component = {}, rate: bigint, thousands?: string): Component {
  const { base, tiers } = component;
  if (thousands === undefined) return { ...component, base: base !== undefined && base > rate ? base : rate };
  return { ...component, tiers: new Map([...(tiers ?? []), [Number(thousands) * 1_000, rate]]) };
}

/** The parts of a price that somebody gave. */
export const partsOf = (components: Components): ReadonlySet<keyof Rates> =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of Components are those of Rates
  new Set(Object.keys(components) as (keyof Rates)[]);

export const invalidPrice = (model: string, field: string) =>
  new GatewayError('config', 'invalid_price', `${field} of model ${model} is not a price`, {
    param: field,
    hint: 'Prices are US dollars per token or unit: a number that is not negative, such as 1.5e-6.',
  });
