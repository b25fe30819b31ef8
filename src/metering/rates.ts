import { costOfUnits, type Units } from './units.ts';
import { clampUsage, type Usage } from './usage.ts';

/** One dollar in atto-dollars (10^-18), the unit of a price per token: 3.75e-8 is 37,500,000,000 of them, exactly. */
export const ATTO_DIGITS = 18;

const ATTO_PER_NANO = 1_000_000_000n;

/** No token and no request costs more than a thousand dollars; a price above that is a unit mixed up (per million for per token). */
const highestRate = 1_000n * 10n ** BigInt(ATTO_DIGITS);

/** A call that comes out above a million dollars is a mistake in the usage or in the price, and is booked at that. */
const highestCost = 1_000_000n * 1_000_000_000n;

/** What one token of each bucket, one request and one of each unit costs in atto-dollars. */
export interface Rates {
  readonly input: bigint;
  readonly cacheRead: bigint;
  readonly cacheWrite: bigint;
  /** Written to be kept for an hour. */
  readonly cacheWriteHour: bigint;
  readonly audioInput: bigint;
  readonly output: bigint;
  readonly reasoning: bigint;
  readonly audioOutput: bigint;
  readonly request: bigint;
  readonly imageInput: bigint;
  readonly imageOutput: bigint;
  readonly image: bigint;
  readonly pixel: bigint;
  readonly character: bigint;
  readonly second: bigint;
  readonly query: bigint;
  readonly webSearch: bigint;
  readonly fileSearch: bigint;
  readonly codeSession: bigint;
}

/** Rates that hold for the whole call once its input is longer than so many tokens: how Anthropic, Google and LiteLLM tier. */
export interface Band {
  readonly above: number;
  readonly rates: Rates;
}

/** The rates known of one bucket: the plain one, and those above a number of input tokens. */
export interface Component {
  readonly base?: bigint;
  readonly tiers?: ReadonlyMap<number, bigint>;
}

export type Components = Partial<Record<keyof Rates, Component>>;

/**
 * A price times ten to a power, exact: taken from the decimal text, because the double nearest to 3.75e-8 is not it.
 * What lies beyond the last digit is rounded half up. Undefined for what is no price: negative, NaN, absurd, not a number.
 */
export function parseRate(value: unknown, digits = ATTO_DIGITS): bigint | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined;
  const match = /^(\d{1,40})(?:\.(\d{0,40}))?(?:e([+-]?\d{1,3}))?$/i.exec(String(value).trim());
  if (!match) return undefined;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const shift = digits + Number(exponent) - fraction.length;
  const unscaled = BigInt(whole + fraction);
  const rate = shift >= 0 ? unscaled * 10n ** BigInt(shift) : divideHalfUp(unscaled, 10n ** BigInt(-shift));
  return rate <= highestRate ? rate : undefined;
}

const divideHalfUp = (amount: bigint, by: bigint): bigint => (amount + by / 2n) / by;

/** Buckets without a price of their own cost what the bucket they are part of costs. */
export function toBands(components: Components): Band[] {
  const thresholds = new Set([0]);
  for (const component of Object.values(components)) {
    for (const above of component.tiers?.keys() ?? []) thresholds.add(above);
  }
  return [...thresholds]
    .toSorted((one, other) => one - other)
    .map((above) => ({ above, rates: ratesAt(components, above) }));
}

function ratesAt(components: Components, above: number): Rates {
  const at = (name: keyof Rates, fallback = 0n): bigint => {
    const { base = fallback, tiers = new Map<number, bigint>() } = components[name] ?? {};
    const reached = [...tiers.keys()].filter((threshold) => threshold <= above);
    return reached.length > 0 ? (tiers.get(Math.max(...reached)) ?? base) : base;
  };
  const input = at('input');
  const output = at('output');
  const cacheWrite = at('cacheWrite', input);
  return {
    input,
    cacheRead: at('cacheRead', input),
    cacheWrite,
    cacheWriteHour: at('cacheWriteHour', cacheWrite),
    audioInput: at('audioInput', input),
    output,
    reasoning: at('reasoning', output),
    audioOutput: at('audioOutput', output),
    request: at('request'),
    imageInput: at('imageInput', input),
    imageOutput: at('imageOutput', output),
    image: at('image'),
    pixel: at('pixel'),
    character: at('character'),
    second: at('second'),
    query: at('query'),
    webSearch: at('webSearch'),
    fileSearch: at('fileSearch'),
    codeSession: at('codeSession'),
  };
}

export const free: Rates = toBands({})[0]?.rates ?? ratesAt({}, 0);

function ratesFor(bands: readonly Band[], promptTokens: number): Rates {
  for (let index = bands.length - 1; index > 0; index--) {
    const band = bands[index];
    if (band && promptTokens > band.above) return band.rates;
  }
  return bands[0]?.rates ?? free;
}

function toNanoDollars(atto: bigint): bigint {
  const nano = divideHalfUp(atto, ATTO_PER_NANO);
  return nano < highestCost ? nano : highestCost;
}

/** What a call costs, in nano-dollars: summed exactly and rounded once, half up. Nonsense in the usage is clamped first. */
export function costOf(bands: readonly Band[], given: Usage): bigint {
  const usage = clampUsage(given);
  const rates = ratesFor(bands, usage.promptTokens);
  const { imageInputTokens = 0, imageOutputTokens = 0, units } = usage;
  const plainInput =
    usage.promptTokens - usage.cacheReadTokens - usage.cacheWriteTokens - usage.audioInputTokens - imageInputTokens;
  const plainOutput = usage.completionTokens - usage.reasoningTokens - usage.audioOutputTokens - imageOutputTokens;

  let atto = rates.request + BigInt(plainInput) * rates.input + BigInt(plainOutput) * rates.output;
  if (usage.cacheReadTokens > 0) atto += BigInt(usage.cacheReadTokens) * rates.cacheRead;
  if (usage.cacheWriteTokens > 0) atto += BigInt(usage.cacheWriteTokens) * rates.cacheWrite;
  if (usage.cacheWriteHourTokens) {
    atto += BigInt(usage.cacheWriteHourTokens) * (rates.cacheWriteHour - rates.cacheWrite);
  }
  if (usage.audioInputTokens > 0) atto += BigInt(usage.audioInputTokens) * rates.audioInput;
  if (usage.reasoningTokens > 0) atto += BigInt(usage.reasoningTokens) * rates.reasoning;
  if (usage.audioOutputTokens > 0) atto += BigInt(usage.audioOutputTokens) * rates.audioOutput;
  if (imageInputTokens > 0) atto += BigInt(imageInputTokens) * rates.imageInput;
  if (imageOutputTokens > 0) atto += BigInt(imageOutputTokens) * rates.imageOutput;
  if (units) atto += costOfUnits(rates, units);
  return toNanoDollars(atto);
}

/** How much of a call's tokens and units there can be. */
export interface Most {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Present for calls that are about images or sound. */
  readonly units?: Units | undefined;
  /** Of tools that the provider runs. */
  readonly toolUses?: Units | undefined;
}

/**
 * The most a call can cost, in nano-dollars: every token in the dearest bucket it may fall into. Of calls of a chat, sound
 * and images are left out: few carry any, and reserving for them would refuse text calls their budget has room for.
 */
export function highestCostOf(
  bands: readonly Band[],
  { promptTokens, completionTokens, units, toolUses }: Most,
): bigint {
  const rates = ratesFor(bands, promptTokens);
  let input = dearer(dearer(rates.cacheWrite, rates.cacheWriteHour), rates.input);
  let output = dearer(rates.reasoning, rates.output);
  let atto = rates.request;
  if (units) {
    input = dearer(input, dearer(rates.imageInput, rates.audioInput));
    output = dearer(output, dearer(rates.imageOutput, rates.audioOutput));
    atto += costOfUnits(rates, units);
  }
  if (toolUses) atto += costOfUnits(rates, toolUses);
  return toNanoDollars(atto + BigInt(promptTokens) * input + BigInt(completionTokens) * output);
}

const dearer = (one: bigint, other: bigint): bigint => (one > other ? one : other);
