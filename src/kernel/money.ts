import { z } from 'zod';

/** One US dollar in nano-dollars, the unit of every amount inside the gateway. */
export const NANO = 1_000_000_000n;

const largest = 1e9;

/** Nano-dollars as the JSON number of dollars that travels. Exact up to nine million dollars, a double's 2^53 nano-dollars. */
export function toDollars(nano: bigint): number {
  return Number(nano) / 1e9;
}

/** Dollars as nano-dollars, rounded half away from zero. */
export function toNano(dollars: number): bigint {
  const whole = Math.trunc(dollars);
  return BigInt(whole) * NANO + BigInt(Math.round((dollars - whole) * 1e9));
}

/** An amount of US dollars: nano-dollars here, a JSON number on the way. Never negative. */
export const usd = z.codec(
  z
    .number()
    .nonnegative('must not be negative')
    .max(largest, 'must be at most a billion US dollars')
    .meta({ format: 'usd' }),
  z.bigint(),
  { decode: toNano, encode: toDollars },
);

/** Reads an amount as people type it: `25`, `25.50`. Nothing else, so that `25,50` and `1e9` cannot slip through. */
export function parseDollars(text: string): number | undefined {
  return /^\d{1,10}(\.\d{1,9})?$/.test(text) ? Number(text) : undefined;
}
