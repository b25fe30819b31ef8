import { z } from 'zod';
import { answer, wireName } from './kernel/wire.ts';
import type { Catalogue } from './metering/catalogue.ts';
import { ownPrice } from './metering/own-price.ts';
import type { Price } from './metering/price.ts';
import { entryOf, type PriceFile } from './metering/price-file.ts';
import { ATTO_DIGITS, type Rates } from './metering/rates.ts';
import { type Deployment, knownProviders } from './models/deployment.ts';

/** A rate as people compare them: US dollars for a million tokens. */
const perMillion = z.number().nullable().meta({ format: 'usd' });

export const priceRow = answer({
  model: z.string().describe('The model, after its provider'),
  source: z.string().describe('Who says what it costs: price_file or catalogue'),
  version: z.string().nullable().describe('Which edition'),
  input: perMillion.describe('Input tokens, US dollars for a million'),
  output: perMillion.describe('Output tokens, US dollars for a million'),
  cacheRead: perMillion.describe('Input tokens read from a cache, US dollars for a million'),
  cacheWrite: perMillion.describe('Input tokens written to a cache, US dollars for a million'),
  other: z.string().nullable().describe('What else is paid for, US dollars for one'),
  above: z.string().nullable().describe('Numbers of input tokens above which other rates hold'),
});
export type PriceRow = z.output<typeof priceRow>;

const inTokens = ['input', 'output', 'cacheRead', 'cacheWrite'] as const satisfies readonly (keyof Rates)[];

/** Exact: a rate is a decimal number of attodollars, and the shift is in the text. */
const dollars = (rate: bigint, digits = ATTO_DIGITS): number => Number(`${rate}e-${digits}`);

export function rowOf(model: string, { source, version, bands, parts }: Price): PriceRow {
  const rates = bands[0]?.rates;
  const has = (name: keyof Rates): boolean => parts?.has(name) === true && rates !== undefined;
  const million = (name: (typeof inTokens)[number]) =>
    has(name) && rates ? dollars(rates[name], ATTO_DIGITS - 6) : null;
  const others = [...(parts ?? [])].filter((name) => !inTokens.some((each) => each === name));
  const above = bands.flatMap((band) => (band.above > 0 ? [String(band.above)] : []));
  return {
    model,
    source,
    version,
    input: million('input'),
    output: million('output'),
    cacheRead: million('cacheRead'),
    cacheWrite: million('cacheWrite'),
    other:
      others.length > 0 && rates ? others.map((name) => `${wireName(name)} ${dollars(rates[name])}`).join(' ') : null,
    above: above.length > 0 ? above.join(' ') : null,
  };
}

/** A model of a provider as a deployment of it would be priced. */
export const asDeployment = (provider: string, model: string): Deployment => ({
  id: '',
  name: `${provider}/${model}`,
  provider,
  upstreamModel: model,
  apiBase: undefined,
  apiKey: undefined,
  source: 'config',
  info: {},
  params: {},
});

/** What a price file says of each of its models. */
export const filePrices = ({ entries, version }: PriceFile): ReadonlyMap<string, Price> =>
  new Map(
    [...entries].flatMap(([name, info]) => {
      const price = ownPrice({ name, info, params: {} }, { source: 'price_file', version });
      return price ? [[name, price] as const] : [];
    }),
  );

/** What the catalogue says of each model of the providers there are, but for those that the file says. */
export function* cataloguePrices(catalogue: Catalogue, file: PriceFile | undefined, at: Date): Generator<PriceRow> {
  for (const provider of Object.keys(knownProviders)) {
    for (const model of catalogue.modelsOf(provider)) {
      if (file && entryOf(file, provider, model)) continue;
      const found = catalogue.find(asDeployment(provider, model), model, at);
      if (found) yield rowOf(`${provider}/${model}`, found.price);
    }
  }
}
