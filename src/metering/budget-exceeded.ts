import type { BudgetEntity, BudgetLimit } from '../access/principal.ts';
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

const exceeded = (name: string) => (label: string, cost: number, max: number) =>
  `Budget has been exceeded! ${name === '' ? '' : `${name}=${label} `}Current cost: ${cost}, Max budget: ${max}`;

const overBudget = (name: string) => (label: string, cost: number, max: number) =>
  `ExceededBudget: ${name}=${label} over budget. Spend=${cost}, Budget=${max}`;

/** LiteLLM's texts: its clients and its tests look for them. */
const textOf: Readonly<Record<BudgetEntity, (label: string, cost: number, max: number) => string>> = {
  key: exceeded(''),
  team: exceeded('Team'),
  user: overBudget('User'),
  member: exceeded('User'),
  organization: exceeded('Organization'),
  organization_member: exceeded('User'),
  customer: overBudget('End User'),
  tag: exceeded('Tag'),
  gateway: exceeded(''),
};

const names: Readonly<Record<BudgetEntity, string>> = {
  key: 'key',
  team: 'team',
  user: 'user',
  member: 'user',
  organization: 'organization',
  organization_member: 'user',
  customer: 'customer',
  tag: 'tag',
  gateway: 'gateway',
};

/** A budget that is used up, or has no room for the worst case of this call. Waiting a second does not help, and clients are told so. */
export function budgetExceeded(limit: BudgetLimit, { cost, max, reserved, amount }: BudgetState): GatewayError {
  const { entity, label, model, duration } = limit;
  const whose = `${names[entity]} ${label}${model === undefined ? '' : ` for ${model}`}`;
  const which = duration === undefined ? `The budget of ${whose}` : `The budget of ${whose} for ${duration}`;
  const hint =
    cost >= max
      ? `${which} is used up.`
      : `${which} has no room for this call: it may cost up to ${toDollars(amount)}, ` +
        `and ${toDollars(reserved)} is held by calls in flight. A lower max_tokens may fit.`;
  const text =
    model === undefined
      ? textOf[entity](label, toDollars(cost), toDollars(max))
      : `Budget has been exceeded! ${names[entity]}=${label} exceeded budget for model=${model}. ` +
        `Current cost: ${toDollars(cost)}, Max budget: ${toDollars(max)}`;
  return new GatewayError('limited', 'budget_exceeded', text, { hint, headers: { 'x-should-retry': 'false' } });
}
