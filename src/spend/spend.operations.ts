import { calculateSpend } from './calculate.operations.ts';
import { globalSpendOperations } from './global.operations.ts';
import { globalSpendReport } from './global-report.operations.ts';
import { logOperations } from './logs.operations.ts';
import { reportSpend } from './report.operations.ts';
import { spenderListOperations } from './spender-list.operations.ts';
import { repriceSpend } from './reprice.operations.ts';
import { verifyLedger } from './verify.operations.ts';

/** What can be asked of the ledger. */
export const spendOperations = [
  ...logOperations,
  reportSpend,
  calculateSpend,
  verifyLedger,
  repriceSpend,
  ...spenderListOperations,
  ...globalSpendOperations,
  globalSpendReport,
] as const;
