import type { CallType } from './call.ts';
import type { Rates } from './rates.ts';

/** What is paid for by something else than tokens. A member is absent where a call has none of it. */
export interface Units {
  /** Images that are made. */
  readonly images?: number | undefined;
  /** Of all those images together. */
  readonly pixels?: number | undefined;
  /** Characters that are spoken: UTF-16 code units, as LiteLLM and OpenAI's limit count them. */
  readonly characters?: number | undefined;
  /** Of a recording that is read, to the millisecond. */
  readonly seconds?: number | undefined;
  /** Searches of a reranker: Cohere's search units. */
  readonly queries?: number | undefined;
  /** Searches of the web that a provider makes for a model. */
  readonly webSearches?: number | undefined;
  /** The same of files that it keeps. */
  readonly fileSearches?: number | undefined;
  /** Containers in which a provider runs a model's code. */
  readonly codeSessions?: number | undefined;
}

const rateOf = {
  images: 'image',
  pixels: 'pixel',
  characters: 'character',
  seconds: 'second',
  queries: 'query',
  webSearches: 'webSearch',
  fileSearches: 'fileSearch',
  codeSessions: 'codeSession',
} as const satisfies Record<keyof Units, keyof Rates>;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal are exactly its names
export const unitNames = Object.keys(rateOf) as (keyof Units)[];

/** A thousand images of 100 megapixels: no call has more of anything. */
const mostOfUnit = 1e11;

const clampUnit = (amount: number): number =>
  amount > 0 ? Math.min(Math.round(amount * 1_000) / 1_000, mostOfUnit) : 0;

/** Amounts that can be multiplied: not negative, not absurd, to the thousandth; the same object where they are that. */
export function clampUnits(units: Units): Units {
  const isSound = unitNames.every((name) => units[name] === undefined || units[name] === clampUnit(units[name]));
  if (isSound) return units;
  const clamped: Partial<Record<keyof Units, number>> = {};
  for (const name of unitNames) {
    const amount = units[name];
    if (amount !== undefined) clamped[name] = clampUnit(amount);
  }
  return clamped;
}

/** In atto-dollars, exactly: amounts are counted in thousandths. @param units sound (`clampUnits`) */
export function costOfUnits(rates: Rates, units: Units): bigint {
  let thousandths = 0n;
  for (const name of unitNames) {
    const amount = units[name];
    if (amount) thousandths += BigInt(Math.round(amount * 1_000)) * rates[rateOf[name]];
  }
  return (thousandths + 500n) / 1_000n;
}

const ofImages = ['image', 'pixel', 'input', 'output', 'imageInput', 'imageOutput', 'request'] as const;
const ofRecordings = ['second', 'input', 'output', 'audioInput', 'request'] as const;

/** What a price must have something of for a kind of call to be paid for; all else is paid by tokens, or by the request. */
const countedBy: Partial<Record<CallType, readonly (keyof Rates)[]>> = {
  image_generation: ofImages,
  image_edit: ofImages,
  image_variation: ofImages,
  speech: ['character', 'input', 'output', 'audioOutput', 'request'],
  transcription: ofRecordings,
  rerank: ['query', 'input', 'output', 'request'],
};
const byTokens: readonly (keyof Rates)[] = ['input', 'output', 'cacheRead', 'cacheWrite', 'reasoning', 'request'];

/** Whether a price that has these parts says what a call costs. One with none at all is the catalogue's of what is free. */
export const priced = (parts: ReadonlySet<keyof Rates>, callType: CallType): boolean =>
  parts.size === 0 || (countedBy[callType] ?? byTokens).some((name) => parts.has(name));
