import type { JwtSettings } from '../config/jwt-settings.ts';
import type { Role } from '../kernel/operation.ts';
import type { BearerRow } from './bearer.queries.ts';
import type { Wanted } from './identity.ts';
import { isOfNamedOrganization, TEAMS_AT_MOST } from './standings.ts';

/** What is to be made for a bearer that the settings want to be known. Nothing of it is there yet. */
export interface Provisioning {
  readonly issuer: string;
  readonly subject: string;
  readonly newUser?: {
    readonly userId: string;
    readonly userEmail: string | undefined;
    readonly role: Role | undefined;
  };
  readonly newTeams?: readonly string[];
  /** Of a user who is there. */
  readonly newRole?: { readonly userId: string; readonly role: Role };
  readonly membership?: {
    readonly userId: string;
    readonly join: readonly string[];
    readonly leave: readonly string[];
  };
  /** A virtual key of its own, and a mapping of the claim to it. */
  readonly newKey?: {
    readonly claim: string;
    readonly value: string;
    readonly userId: string | null;
    readonly teamId: string | null;
    readonly organizationId: string | null;
  };
}

/** What the settings want to be made or kept for this bearer; undefined when there is nothing to do. */
export function missingOf(wanted: Wanted, rows: readonly BearerRow[], settings: JwtSettings): Provisioning | undefined {
  const { identity, issuer, workload, isAdmin, userId, role } = wanted;
  const alone = rows.at(-1);
  // Whoever is refused at once is made nothing first.
  if (workload || isAdmin || !alone || alone.user_blocked || alone.organization_blocked) return undefined;
  const { users, teams } = settings;
  const named = rows.filter(({ wanted_team: id }) => id !== null);
  const unknown = named.flatMap((row) => (row.team_id === null ? (row.wanted_team ?? []) : []));
  const newTeams = teams.upsert ? unknown.slice(0, TEAMS_AT_MOST) : [];
  const isNew = alone.user_id === null && users.upsert && userId !== undefined;
  const user = isNew ? userId : alone.user_id;
  const idsOf = (some: readonly BearerRow[]) => some.flatMap(({ team_id: id }) => id ?? []).concat(newTeams);
  const join =
    user !== null && (teams.addsUsers || users.syncsRoleAndTeams)
      ? idsOf(named.filter(isOfNamedOrganization)).filter((id) => !alone.user_teams.includes(id))
      : [];
  const leave =
    users.syncsRoleAndTeams && wanted.hasOwnTeams ? alone.user_teams.filter((id) => !idsOf(named).includes(id)) : [];
  const isOthersAdmin = !issuer.mayGrantAdmin && alone.user_role?.startsWith('proxy_admin') === true;
  const hasNewRole =
    users.syncsRoleAndTeams &&
    !isOthersAdmin &&
    alone.user_id !== null &&
    role !== undefined &&
    role !== alone.user_role;
  if (newTeams.length === 0 && !isNew && join.length === 0 && leave.length === 0 && !hasNewRole) return undefined;
  return {
    issuer: issuer.issuer,
    subject: identity.subject,
    ...(isNew && { newUser: { userId, userEmail: wanted.userEmail, role } }),
    ...(newTeams.length > 0 && { newTeams }),
    ...(hasNewRole && alone.user_id !== null && { newRole: { userId: alone.user_id, role } }),
    ...(user !== null && join.length + leave.length > 0 && { membership: { userId: user, join, leave } }),
  };
}
