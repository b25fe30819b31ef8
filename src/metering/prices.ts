import { GatewayError } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';
import type { KnownModel } from '../models/model.wire.ts';
import type { CallType } from './call.ts';
import { Catalogue } from './catalogue.ts';
import { ownPrice, toolComponents } from './own-price.ts';
import { nothingKnown, type Price } from './price.ts';
import { entryOf, type PriceFile } from './price-file.ts';
import { ATTO_DIGITS } from './rates.ts';
import { priced } from './units.ts';

/** Clients choose the upstream model of a wildcard deployment; more names than this are looked up again. */
const mostNames = 1_000;

export interface Resolved {
  readonly price: Price;
  /** The catalogue has prices by date and by time of day; everything else holds for ever. */
  readonly untilMs: number;
}

/** Prices of deployments: their own, else the price file's, else the catalogue's, else none. Each is resolved once. */
export class Prices {
  readonly #catalogue: Catalogue;
  readonly #onUnpriced: (provider: string, model: string) => void;
  /** Kinds of calls that the operator was told have no price. */
  readonly #told = new WeakMap<Price, Set<CallType>>();
  #resolved = new WeakMap<Deployment, Map<string, Resolved>>();
  #file: PriceFile | undefined;

  private constructor(catalogue: Catalogue, onUnpriced: (provider: string, model: string) => void) {
    this.#catalogue = catalogue;
    this.#onUnpriced = onUnpriced;
  }

  static async load(onUnpriced: (provider: string, model: string) => void = () => undefined): Promise<Prices> {
    return new Prices(await Catalogue.load(), onUnpriced);
  }

  /** From now on calls are priced by this file, or by none. What is admitted already keeps its price. */
  use(file: PriceFile | undefined): void {
    this.#file = file;
    this.#resolved = new WeakMap();
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

  /** What calls of the past would be booked by today: prices that hold by date or hour are those of that moment. */
  ofPast(deployment: Deployment, upstreamModel: string, at: Date): Resolved {
    const known = this.#resolved.get(deployment)?.get(upstreamModel);
    return known?.untilMs === Number.POSITIVE_INFINITY ? known : this.#resolve(deployment, upstreamModel, at);
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
    const { upstreamModel } = deployment;
    const listed = unlessInvalid(() => this.#catalogue.find(deployment, upstreamModel, at));
    const price = unlessInvalid(() => this.of(deployment, upstreamModel, at));
    const rates = price?.source === 'unpriced' ? undefined : price?.bands[0]?.rates;
    return {
      key: listed?.id ?? null,
      maxInputTokens: listed?.contextWindow ?? null,
      inputCostPerToken: rates ? dollars(rates.input) : null,
      outputCostPerToken: rates ? dollars(rates.output) : null,
    };
  }

  #resolve(deployment: Deployment, upstreamModel: string, at: Date): Resolved {
    const own = ownPrice(deployment, { source: 'model_info' }) ?? this.#filed(deployment, upstreamModel);
    if (own) return { price: own, untilMs: Number.POSITIVE_INFINITY };
    return (
      this.#catalogue.find(deployment, upstreamModel, at) ?? {
        price: { ...nothingKnown },
        untilMs: Number.POSITIVE_INFINITY,
      }
    );
  }

  #filed(deployment: Deployment, upstreamModel: string): Price | undefined {
    if (!this.#file) return undefined;
    const { provider, info, params } = deployment;
    const base = info['base_model'] ?? params['base_model'];
    for (const name of [base, upstreamModel]) {
      const entry = typeof name === 'string' && name !== '' ? entryOf(this.#file, provider, name) : undefined;
      const origin = { source: 'price_file', version: this.#file.version } as const;
      const filed = entry && { name: String(name), info: entry, params: {} };
      const price = filed && ownPrice(filed, origin, toolComponents(deployment));
      if (price) return price;
    }
    return undefined;
  }
}

/** Atto-dollars as the decimal number they are. */
const dollars = (rate: bigint): number => Number(`${rate}e-${ATTO_DIGITS}`);

/** A price that is none refuses calls, with its reason; a list of models is shown all the same. */
function unlessInvalid<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.type === 'invalid_price') return undefined;
    throw thrown;
  }
}
