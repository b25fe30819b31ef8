import type { BudgetLimit } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { toDollars } from '../kernel/money.ts';

export interface BudgetState {
  readonly cost: bigint;
  readonly max: bigint;
  /** Held by calls in flight. */
  readonly reserved: bigint;
  /** What the refused call may cost at most. */
  readonly amount: bigint;
}

/** LiteLLM's three texts: its clients and its tests look for them. */
const texts = {
  key: (_: string, cost: number, max: number) => `Budget has been exceeded! Current cost: ${cost}, Max budget: ${max}`,
  team: (label: string, cost: number, max: number) =>
    `Budget has been exceeded! Team=${label} Current cost: ${cost}, Max budget: ${max}`,
  user: (label: string, cost: number, max: number) =>
    `ExceededBudget: User=${label} over budget. Spend=${cost}, Budget=${max}`,
} as const;

/** A budget that is used up, or has no room for the worst case of this call. Waiting a second does not help, and clients are told so. */
export function budgetExceeded(
  { entity, label }: BudgetLimit,
  { cost, max, reserved, amount }: BudgetState,
): GatewayError {
  const hint =
    cost >= max
      ? `The budget of ${entity} ${label} is used up.`
      : `The budget of ${entity} ${label} has no room for this call: it may cost up to ${toDollars(amount)}, ` +
        `and ${toDollars(reserved)} is held by calls in flight. A lower max_tokens may fit.`;
  return new GatewayError('limited', 'budget_exceeded', texts[entity](label, toDollars(cost), toDollars(max)), {
    hint,
    headers: { 'x-should-retry': 'false' },
  });
}
