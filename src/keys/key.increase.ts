import { GatewayError } from '../kernel/errors.ts';
import { toDollars } from '../kernel/money.ts';
import type { KeyFields } from './key.changes.ts';
import type { Key } from './key.entity.ts';

/** What is added to the budget of a key as of a moment, in nano-dollars. */
export const increaseOf = ({ tempBudgetIncrease, tempBudgetExpiry }: Key, now: Date): bigint =>
  tempBudgetIncrease && tempBudgetExpiry && tempBudgetExpiry > now ? tempBudgetIncrease : 0n;

/** As an update sets it: null for either of the two is the end of both. */
export function increaseColumns({ tempBudgetIncrease, tempBudgetExpiry }: KeyFields) {
  if (tempBudgetIncrease !== null && tempBudgetExpiry !== null) return { tempBudgetIncrease, tempBudgetExpiry };
  if (tempBudgetIncrease ?? tempBudgetExpiry)
    throw halfGiven(tempBudgetIncrease === null ? 'temp_budget_increase' : 'temp_budget_expiry');
  return { tempBudgetIncrease: null, tempBudgetExpiry: null };
}

interface Measure {
  /** Nano-dollars the key may spend without it, by its own limit or its shared budget's. */
  readonly maxBudget: bigint | null;
  /** The largest budget that the configuration lets a key have. */
  readonly bound: bigint | undefined;
  /** What it ended at before the change. */
  readonly before: Date | null | undefined;
  readonly now: Date;
}

/** What must hold of an increase that was changed. @throws GatewayError 400 for one that would have no effect, or no end */
export function requireIncrease(key: Key, { maxBudget, bound, before, now }: Measure): void {
  const { tempBudgetIncrease: increase, tempBudgetExpiry: expiry } = key;
  const hasIncrease = increase !== null && increase !== undefined;
  if (!hasIncrease && !expiry) return;
  if (!hasIncrease || !expiry) throw halfGiven(hasIncrease ? 'temp_budget_expiry' : 'temp_budget_increase');
  if (maxBudget === null) {
    throw invalid('temp_budget_increase', 'the key has no budget that could be raised', 'Give it a max_budget first.');
  }
  // Clients send back what they read, and by then it may be over.
  if (expiry <= now && expiry.getTime() !== before?.getTime()) {
    throw invalid('temp_budget_expiry', `${expiry.toISOString()} is over already`, 'Give a moment to come.');
  }
  if (bound !== undefined && expiry > now && maxBudget + increase > bound) {
    const sum = toDollars(maxBudget + increase);
    throw invalid(
      'temp_budget_increase',
      `with it the budget is over max limit set in config - user_value=${sum}; max_value=${toDollars(bound)}`,
    );
  }
}

const halfGiven = (missing: string) =>
  invalid(
    missing,
    'temp_budget_increase and temp_budget_expiry must be set together',
    'Give both, or null to end both.',
  );

const invalid = (param: string, message: string, hint?: string) =>
  new GatewayError('invalid', 'bad_request_error', `${param}: ${message}`, { param, hint });
