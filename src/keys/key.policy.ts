import type { keyChanges, newKeyFields, rotationFields } from './key.fields.ts';

/**
 * What a caller is to a key. `manager`: administers its team or its organization. `holder`: its user, or a member of
 * its team whom the team allows the operation.
 */
export type Standing = 'admin' | 'manager' | 'holder';

type Field = keyof typeof newKeyFields | keyof typeof keyChanges | keyof typeof rotationFields;

export interface Rule {
  /** The least a caller must be to give the field to a new key. Whatever it is, nobody gives more than they hold. */
  readonly create: Standing;
  /** The least to change it. `narrower`: a holder may, as long as the key can do no more than before. */
  readonly change: Standing | 'narrower';
}

const free: Rule = { create: 'holder', change: 'holder' };
const narrowing: Rule = { create: 'holder', change: 'narrower' };
const setOnce: Rule = { create: 'holder', change: 'manager' };
const managed: Rule = { create: 'manager', change: 'manager' };
const administered: Rule = { create: 'admin', change: 'admin' };

/** Who may write which field of a key. A field that is not here cannot be written at all. */
export const keyPolicy: Readonly<Record<Field, Rule>> = {
  keyAlias: free,
  metadata: free,
  gracePeriod: free,

  models: narrowing,
  aliases: narrowing,
  maxBudget: narrowing,
  softBudget: narrowing,
  tpmLimit: narrowing,
  rpmLimit: narrowing,
  maxParallelRequests: narrowing,
  modelMaxBudget: narrowing,
  modelRpmLimit: narrowing,
  modelTpmLimit: narrowing,
  allowedRoutes: narrowing,
  allowedPassthroughRoutes: narrowing,
  allowedIps: narrowing,
  keyType: narrowing,
  duration: narrowing,
  expires: narrowing,
  tags: narrowing,

  // Whose key it is: for a new one the rules of `KeyAccess.requireCreation` come on top, for another those of a move.
  teamId: setOnce,
  userId: setOnce,
  // A budget per day is worth more than the same for good.
  budgetDuration: setOnce,
  budgetLimits: setOnce,
  rpmLimitType: setOnce,
  tpmLimitType: setOnce,
  enforcedParams: setOnce,
  blocked: setOnce,

  // More money, if only for a time.
  tempBudgetIncrease: managed,
  tempBudgetExpiry: managed,

  // Where the new secret goes is the operator's directory.
  autoRotate: managed,
  rotationInterval: managed,

  organizationId: { create: 'manager', change: 'admin' },
  spend: administered,
  permissions: administered,
  // Budgets are objects of administrators, and a key's own limits go before those of its budget.
  budgetId: administered,
  // A secret that a person thought of can be guessed.
  key: administered,
  newKey: administered,
};

const ranks: Readonly<Record<Standing, number>> = { holder: 0, manager: 1, admin: 2 };

/** Whether a caller of this standing may write a field. */
export function mayWrite(rule: Rule, kind: keyof Rule, standing: Standing): boolean {
  const least = rule[kind];
  return least === 'narrower' || ranks[standing] >= ranks[least];
}
