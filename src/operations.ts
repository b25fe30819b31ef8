import type { Services } from './app.ts';
import { auditOperations } from './audit/audit.operations.ts';
import { budgetOperations } from './budgets/budget.operations.ts';
import { customerOperations } from './customers/customer.operations.ts';
import { invitationOperations } from './invitations/invitation.operations.ts';
import type { AnyOperation } from './kernel/operation.ts';
import { keyOperations } from './keys/key.operations.ts';
import { modelOperations } from './models/model.operations.ts';
import { organizationMemberOperations } from './organizations/member.operations.ts';
import { organizationOperations } from './organizations/organization.operations.ts';
import { spendOperations } from './spend/spend.operations.ts';
import { tagOperations } from './tags/tag.operations.ts';
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
  ...invitationOperations,
  ...customerOperations,
  ...budgetOperations,
  ...tagOperations,
  ...modelOperations,
  ...spendOperations,
  ...auditOperations,
];
