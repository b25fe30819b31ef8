import type { InternalRole, IssuerSettings, JwtSettings, WorkloadRole } from '../config/jwt-settings.ts';
import { GatewayError } from '../kernel/errors.ts';
import { matchesPattern } from '../kernel/grant.ts';
import type { Role } from '../kernel/operation.ts';
import type { Permits } from '../kernel/permits.ts';
import { type Identity, readIdentity, valueAt } from './claims.ts';

/** Who a token's bearer is to be, before the database was asked whether there is any such person, team or organization. */
export interface Wanted {
  readonly issuer: IssuerSettings;
  readonly identity: Identity;
  /** A job of a CI system: then nothing else counts. */
  readonly workload: WorkloadRole | undefined;
  readonly isAdmin: boolean;
  readonly userId: string | undefined;
  readonly userEmail: string | undefined;
  /** Of a new user, and of one that is kept as the token says. */
  readonly role: Role | undefined;
  /** One that has to be there. */
  readonly teamId: string | undefined;
  readonly teamAlias: string | undefined;
  /** Those among them that are there. */
  readonly teamIds: readonly string[];
  /** Whether it was the token that named a team. */
  readonly hasOwnTeams: boolean;
  readonly permits: readonly Permits[];
}

type Rules = Omit<JwtSettings, 'issuers'>;

/** @throws GatewayError 403 when the rules of the configuration refuse whoever the token says it is */
export function wantedOf(claims: Readonly<Record<string, unknown>>, issuer: IssuerSettings, rules: Rules): Wanted {
  const identity = readIdentity(claims, issuer.claims);
  const workload = issuer.roles.find((role) => matchesRole(role, claims));
  if (workload) return { ...nobody, issuer, identity, workload, permits: [noCalls(workload)] };
  const mapped = mappedRole(identity, issuer, rules);
  const userId = identity.userId ?? (mapped === 'internal_user' ? identity.objectId : undefined);
  const userEmail = identity.userEmail;
  const isAdmin = issuer.mayGrantAdmin && (identity.scopes.includes(rules.admin.scope) || mapped === 'proxy_admin');
  const base = { issuer, identity, workload, isAdmin, userId, userEmail, role: userRole(identity, issuer, rules) };
  if (isAdmin) {
    const permits = [{ name: 'admin_allowed_routes', anyOf: [{ routes: rules.admin.allowedRoutes }] }];
    return { ...nobody, ...base, permits };
  }
  // Somebody whom nothing but the address names is nobody without it, and not the team alone.
  if (userId === undefined && identity.hasUnconfirmedEmail) throw refused('the address of its user is not confirmed');
  if (userId !== undefined || userEmail !== undefined) requireAllowedUser(identity, rules);
  const teams = teamsOf(identity, mapped, rules);
  const standing = rbacRole({ mapped, hasTeam: teams.hasOwnTeams, hasUser: userId !== undefined });
  return { ...base, ...teams, permits: [...rbacPermits(standing, rules), ...scopePermits(identity, rules)] };
}

const nobody = {
  isAdmin: false,
  userId: undefined,
  userEmail: undefined,
  role: undefined,
  teamId: undefined,
  teamAlias: undefined,
  teamIds: [],
  hasOwnTeams: false,
} as const;

/** A workload administers; it calls no models. */
const noCalls = ({ name }: WorkloadRole): Permits => ({ name: `the role ${name}`, anyOf: [] });

function matchesRole({ match }: WorkloadRole, claims: Readonly<Record<string, unknown>>): boolean {
  return match.every(({ claim, patterns }) => {
    const value = valueAt(claims, claim);
    const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
    return texts.some((text) => isScalar(text) && patterns.some((pattern) => matchesPattern(pattern, String(text))));
  });
}

const isScalar = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

/** The first mapping that one of the token's roles has. An issuer that may make no administrators has no such role. */
const mappedRole = (
  { roles }: Identity,
  { mayGrantAdmin }: IssuerSettings,
  { roleMappings }: Rules,
): InternalRole | undefined =>
  roleMappings.find(
    ({ role, internalRole }) => roles.includes(role) && (mayGrantAdmin || internalRole !== 'proxy_admin'),
  )?.internalRole;

const userRole = ({ roles }: Identity, { mayGrantAdmin }: IssuerSettings, { roleMap }: Rules): Role | undefined =>
  roleMap.find(
    ({ jwtRole, role }) =>
      (mayGrantAdmin || !role.startsWith('proxy_admin')) && roles.some((each) => matchesPattern(jwtRole, each)),
  )?.role;

function requireAllowedUser({ userEmail, userRoles = [] }: Identity, { users }: Rules): void {
  const { allowedEmailDomain: domain, allowedRoles } = users;
  if (domain !== undefined && !userEmail?.toLowerCase().endsWith(`@${domain}`)) {
    throw refused(`its user has no confirmed address of ${domain}`);
  }
  if (allowedRoles && !userRoles.some((role) => allowedRoles.includes(role))) {
    throw refused('its user has none of user_allowed_roles');
  }
}

/** As in LiteLLM a single team comes before a list, and the default where the token names none. */
function teamsOf(
  { teamId, teamIds, teamAlias, objectId }: Identity,
  mapped: InternalRole | undefined,
  { teams }: Rules,
): Pick<Wanted, 'teamId' | 'teamAlias' | 'teamIds' | 'hasOwnTeams'> {
  const single = teamId ?? (mapped === 'team' ? objectId : undefined);
  if (single !== undefined) return { teamId: single, teamAlias: undefined, teamIds: [], hasOwnTeams: true };
  if (teamAlias !== undefined) return { teamId: undefined, teamAlias, teamIds: [], hasOwnTeams: true };
  if (teamIds && teamIds.length > 0) return { teamId: undefined, teamAlias: undefined, teamIds, hasOwnTeams: true };
  return { teamId: teams.defaultId, teamAlias: undefined, teamIds: [], hasOwnTeams: false };
}

const rbacRole = (of: {
  readonly mapped: InternalRole | undefined;
  readonly hasTeam: boolean;
  readonly hasUser: boolean;
}): InternalRole | undefined => (of.hasTeam ? 'team' : of.hasUser ? 'internal_user' : of.mapped);

/** A role that nothing is said of is limited by nothing more than its user and team are. */
function rbacPermits(role: InternalRole | undefined, { enforcesRbac, rolePermissions }: Rules): Permits[] {
  if (!enforcesRbac) return [];
  if (role === undefined) throw refused('it has no role (enforce_rbac)');
  const anyOf = rolePermissions.filter((permission) => permission.role === role);
  return anyOf.length === 0 ? [] : [{ name: `role_permissions of ${role}`, anyOf }];
}

/** A token without any of the scopes may do nothing. */
function scopePermits({ scopes }: Identity, { enforcesScopes, scopeMappings }: Rules): Permits[] {
  if (!enforcesScopes) return [];
  return [{ name: 'scope_mappings', anyOf: scopeMappings.filter(({ scope }) => scopes.includes(scope)) }];
}

/** Of a token that is good and still lets nobody in: its bearer may know why, since the signature says who that is. */
export const refused = (why: string): GatewayError =>
  new GatewayError('forbidden', 'auth_error', `Authentication Error, no mapping: the JWT is valid, but ${why}`, {
    reason: `no mapping: ${why}`,
  });
