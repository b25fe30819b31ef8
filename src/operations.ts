import type { Services } from './app.ts';
import { alertOperations } from './alerts/alert.operations.ts';
import { auditOperations } from './audit/audit.operations.ts';
import { credentialOperations } from './credentials/credential.operations.ts';
import { bodyOperations } from './callbacks/body.operations.ts';
import { listCallbacks } from './callbacks/callback.operations.ts';
import { keyCallbackOperations, teamCallbackOperations } from './callbacks/owner-callback.operations.ts';
import { budgetOperations } from './budgets/budget.operations.ts';
import { customerOperations } from './customers/customer.operations.ts';
import { reloadDaemon } from './daemon/reload.operations.ts';
import { invitationOperations } from './invitations/invitation.operations.ts';
import { explain } from './explain/explain.operations.ts';
import { testToken } from './explain/token.operations.ts';
import type { AnyOperation } from './kernel/operation.ts';
import { liveOperations } from './live/live.operations.ts';
import { keyOperations } from './keys/key.operations.ts';
import { accessGroupOperations } from './models/access-group.operations.ts';
import { mappingOperations } from './mappings/mapping.operations.ts';
import { modelOperations } from './models/model.operations.ts';
import { activityOperations } from './spend/activity.operations.ts';
import { passThroughOperations } from './passthroughs/passthrough.operations.ts';
import { labelActivityOperations } from './spend/label-activity.operations.ts';
import { organizationMemberOperations } from './organizations/member.operations.ts';
import { organizationOperations } from './organizations/organization.operations.ts';
import { cacheOperations } from './response-cache/cache.operations.ts';
import { simulateBudget } from './spend/simulate.operations.ts';
import { spendOperations } from './spend/spend.operations.ts';
import { tagOperations } from './tags/tag.operations.ts';
import { memberOperations } from './teams/member.operations.ts';
import { teamListOperations } from './teams/team-list.operations.ts';
import { teamSettingsOperations } from './teams/team-settings.operations.ts';
import { teamOperations } from './teams/team.operations.ts';
import { updateUsers } from './users/user-bulk.operations.ts';
import { userListOperations } from './users/user-list.operations.ts';
import { userStateOperations } from './users/user-state.operations.ts';
import { userOperations } from './users/user.operations.ts';

/** Everything the gateway can be asked to do. A line here is a route, a command and a manual page. */
export const operations: readonly AnyOperation<Services>[] = [
  ...keyOperations,
  ...keyCallbackOperations,
  ...teamOperations,
  ...teamListOperations,
  ...teamSettingsOperations,
  ...memberOperations,
  ...teamCallbackOperations,
  ...userOperations,
  ...userListOperations,
  ...userStateOperations,
  updateUsers,
  ...organizationOperations,
  ...organizationMemberOperations,
  ...invitationOperations,
  ...customerOperations,
  ...budgetOperations,
  simulateBudget,
  ...alertOperations,
  ...tagOperations,
  ...mappingOperations,
  ...modelOperations,
  ...accessGroupOperations,
  ...credentialOperations,
  ...passThroughOperations,
  ...cacheOperations,
  listCallbacks,
  ...spendOperations,
  ...bodyOperations,
  ...activityOperations,
  ...labelActivityOperations,
  ...auditOperations,
  explain,
  testToken,
  reloadDaemon,
  ...liveOperations,
];
