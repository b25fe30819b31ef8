import type { Services } from './app.ts';
import { auditOperations } from './audit/audit.operations.ts';
import { budgetOperations } from './budgets/budget.operations.ts';
import type { AnyOperation } from './kernel/operation.ts';
import { keyOperations } from './keys/key.operations.ts';
import { modelOperations } from './models/model.operations.ts';
import { organizationMemberOperations } from './organizations/member.operations.ts';
import { organizationOperations } from './organizations/organization.operations.ts';
import { spendOperations } from './spend/spend.operations.ts';
import { memberOperations } from './teams/member.operations.ts';
import { teamOperations } from './teams/team.operations.ts';
import { userOperations } from './users/user.operations.ts';

/** Everything the gateway can be asked to do. A line here is a route, a command and a manual page. */
export const operations: readonly AnyOperation<Services>[] = [
  ...keyOperations,
  ...teamOperations,
  ...memberOperations,
  ...userOperations,
  ...organizationOperations,
  ...organizationMemberOperations,
  ...budgetOperations,
  ...modelOperations,
  ...spendOperations,
  ...auditOperations,
];
