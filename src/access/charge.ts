import { matchesModel } from './model-checks.ts';
import type { Payer } from './payers.ts';
import type { Charge, Held, Principal } from './principal.ts';

export interface ChargedCall {
  /** The model's names: the one the client used, and what it stands for. */
  readonly models: readonly string[];
  readonly payers: readonly Payer[];
  /** The principal's, and those of the request. */
  readonly tags: readonly string[];
}

/** Everything a call must fit into: what its key and owners are held to, and the customer and tags it names. */
export function chargeOf(principal: Principal, { models, payers, tags }: ChargedCall): Charge {
  const hasModels = principal.modelBudgets.length > 0 || principal.modelRates.length > 0;
  // Nearly every call: nothing is made for it.
  if (payers.length === 0 && !hasModels && tags === principal.tags) return principal;
  const holders: readonly Held[] = [principal, ...payers];
  const isMeant = ({ model = '' }: { readonly model?: string | undefined }) =>
    models.some((name) => matchesModel(model, name));
  return {
    budgets: holders.flatMap(({ budgets, modelBudgets }) => budgets.concat(modelBudgets.filter(isMeant))),
    rates: holders.flatMap(({ rates, modelRates }) => rates.concat(modelRates.filter(isMeant))),
    tags,
  };
}

/** The principal's tags first, so that a request that names many cannot push them out. */
export function joinTags({ tags }: Principal, requested: readonly string[]): readonly string[] {
  return requested.length === 0 ? tags : [...new Set([...tags, ...requested])];
}
