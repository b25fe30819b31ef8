import type { MikroORM } from '@mikro-orm/postgresql';
import { AuditEntry } from './audit/audit.entity.ts';
import { Credential } from './credentials/credential.entity.ts';
import { Budget } from './budgets/budget.entity.ts';
import { Customer } from './customers/customer.entity.ts';
import { DisabledLogging, OwnerCallback } from './callbacks/owner-callback.entity.ts';
import { openOrm } from './db/orm.ts';
import type { Reachability } from './db/reachability.ts';
import { Invitation } from './invitations/invitation.entity.ts';
import { DeletedKey, Key, RetiredToken } from './keys/key.entity.ts';
import { KeyMapping } from './mappings/mapping.entity.ts';
import { Model } from './models/model.entity.ts';
import { PassThrough } from './passthroughs/passthrough.entity.ts';
import { Organization, OrganizationMember } from './organizations/organization.entity.ts';
import { DeletedTeam, FormerMember, Team, TeamMember } from './teams/team.entity.ts';
import { Tag } from './tags/tag.entity.ts';
import { User } from './users/user.entity.ts';

export interface GatewayOrmOptions {
  readonly url: string;
  readonly poolSize: number;
  readonly applicationName: string;
  readonly reachability?: Reachability | undefined;
}

/** Opens the database with everything the gateway keeps in it. */
export function openGatewayOrm(options: GatewayOrmOptions): Promise<MikroORM> {
  const owners = [Budget, Customer, Tag, Organization, OrganizationMember, User, Invitation];
  const teams = [Team, TeamMember, FormerMember, DeletedTeam, Key, RetiredToken, DeletedKey];
  const logging = [OwnerCallback, DisabledLogging];
  const entities = [...owners, ...teams, ...logging, KeyMapping, Model, Credential, PassThrough, AuditEntry];
  return openOrm({ ...options, entities });
}
