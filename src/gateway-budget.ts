import type { BudgetLimit } from './access/principal.ts';
import type { Settings } from './config/load.ts';

/** What all callers together may spend; undefined where nobody has said. */
export const gatewayBudget = ({
  maxBudget: max,
  maxBudgetDuration: duration,
}: Settings): Pick<BudgetLimit, 'max' | 'duration'> | undefined => (max === undefined ? undefined : { max, duration });
