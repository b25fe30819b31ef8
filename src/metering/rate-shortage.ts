import type { RateLimit } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { RateLease } from './rate-lease.ts';

/** A limit of which this daemon holds too little for a call, although there may be enough of it left. */
export interface RateShortage {
  readonly lease: RateLease;
  readonly amount: number;
  readonly limit: RateLimit;
}

/** Over in a moment: whoever can wait takes it to `cover` and tries again. */
export class LimitNotHeld extends GatewayError {
  readonly shortages: readonly RateShortage[];

  constructor(shortages: readonly RateShortage[]) {
    const labels = shortages.map(({ limit: { entity, label } }) => `${entity} ${label}`).join(', ');
    super('limited', 'throttling_error', `What is left of the limits of ${labels} went to other calls`, {
      headers: { 'retry-after': '1' },
    });
    this.shortages = shortages;
  }
}
