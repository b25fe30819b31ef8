import { hash } from 'node:crypto';
import type { Settlement } from './call.ts';
import { partsOf } from './price-fields.ts';
import { type Band, type Components, free, type Rates, toBands } from './rates.ts';
import { clampUnits, costOfUnits, type Units } from './units.ts';

/** What a deployment costs, resolved: from here on it is integer arithmetic (`rates.ts`). */
export interface Price {
  readonly source: Settlement['priceSource'];
  /** Which edition of the source it is from, so that a row says what it was priced by; null where nothing was. */
  readonly version: string | null;
  readonly bands: readonly Band[];
  /** The price as text, so that a call cut by a crash is booked at the price it was admitted at. */
  readonly text: string;
  /** What it has a price for; absent where it was read back from its text. */
  readonly parts?: ReadonlySet<keyof Rates>;
  /** What the service tiers cost that have a price of their own. */
  readonly tiers?: ReadonlyMap<string, Price>;
  /** What calls in a batch cost, where that is something else. */
  readonly batch?: Price;
}

/** Where a price is from. The version of one that stands with its model is that of its text. */
export interface Origin {
  readonly source: Price['source'];
  readonly version?: string;
}

export function toPrice({ source, version }: Origin, components: Components): Price {
  const bands = toBands(components);
  const whole = { source, version: version ?? versionOf(source, bands), bands };
  return { ...whole, text: textOf(whole), parts: partsOf(components) };
}

const versionOf = (source: Price['source'], bands: readonly Band[]): string | null =>
  source === 'unpriced' ? null : `model ${hash('sha256', textOf({ source, version: null, bands })).slice(0, 12)}`;

/** Of a model whose price says nothing of what a kind of call is paid by. */
export const nothingKnown = toPrice({ source: 'unpriced' }, {});

/**
 * The price's text for one call, in which the units that it asks for are part of what a request costs: the journal keeps
 * counts of tokens alone, and a call that a crash cuts is to be booked with its units all the same.
 */
export function textFor({ bands, text, ...origin }: Price, units: Units | undefined): string {
  if (!units) return text;
  const whole = clampUnits(units);
  const all = bands.map(({ above, rates }) => ({
    above,
    rates: { ...rates, request: rates.request + costOfUnits(rates, whole) },
  }));
  return textOf({ ...origin, bands: all });
}

/** The same of other bands. */
export const textWith = ({ source, version }: Price, bands: readonly Band[]): string =>
  textOf({ source, version, bands });

type Whole = Pick<Price, 'source' | 'version' | 'bands'>;

function textOf({ source, version, bands }: Whole): string {
  const value = { source, version, bands };
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each));
}

const revive = (name: string, value: unknown) =>
  typeof value === 'string' && name !== 'source' && name !== 'version' ? BigInt(value) : value;

/** The price back from its text. Only the journal keeps such texts, so the text is ours. */
export function parsePrice(text: string): Price {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by toPrice above
  const { source, version = null, bands } = JSON.parse(text, revive) as Omit<Whole, 'version'> & Partial<Whole>;
  // A row of a version that knew fewer kinds of rates has none for the others.
  return { source, version, bands: bands.map(({ above, rates }) => ({ above, rates: { ...free, ...rates } })), text };
}
