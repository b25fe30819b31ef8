import type { BudgetLimit } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { budgetExceeded } from './budget-exceeded.ts';
import type { Counter } from './counter.ts';
import { isDenied, notToBeHad, type Shortage } from './coverage.ts';

/** A refusal rests on a total that is read again when it is older: a budget may have been reset by someone we did not hear. */
const trustRefusalMs = 1_000;

/** A call that is measured by a budget. Amounts are nano-dollars. */
export interface Asked {
  readonly spent: bigint;
  readonly max: bigint;
  readonly amount: bigint;
  readonly limit: BudgetLimit;
}

/** As `refusalOf`; what it rests on is read again where it is old. */
export function checkedRefusalOf(counter: Counter, asked: Asked): GatewayError | undefined {
  const refusal = refusalOf(counter, asked);
  if (refusal && Date.now() - counter.readAtMs > trustRefusalMs) counter.isStale = true;
  return refusal;
}

export const refusalOfDenied = (shortage: Shortage): GatewayError | undefined =>
  isDenied(shortage.counter, shortage.amount) ? notToBeHad(shortage) : undefined;

export function refusalOf(
  { unflushed, reserved }: Counter,
  { spent, max, amount, limit }: Asked,
): GatewayError | undefined {
  const cost = spent + unflushed;
  const taken = cost + reserved;
  if (taken < max && taken + amount <= max) return undefined;
  return budgetExceeded(limit, { cost, max, reserved, amount });
}

/** Only a caller that did not wait for `ensure` gets here. */
export const spendUnknown = ({ entity, label }: BudgetLimit) =>
  new GatewayError('unavailable', 'spend_unknown', `What ${entity} ${label} has spent is not known yet`, {
    headers: { 'retry-after': '1' },
  });
