import { keylessPrincipal, type Seed } from '../access/principal-of.ts';
import type { Principal } from '../access/principal.ts';
import type { JwtSettings } from '../config/jwt-settings.ts';
import type { Role } from '../kernel/operation.ts';
import type { BearerRow } from './bearer.queries.ts';
import { refused, type Wanted } from './identity.ts';

/** Teams of one token that are looked at: each is a principal of its own. */
export const TEAMS_AT_MOST = 100;

/**
 * Before anybody is made, since a token that is refused leaves nothing behind, and when everybody was.
 *
 * @param isMade whether a user or a team that is not there is yet to be made
 * @throws GatewayError 403 when somebody the token names is not there, and is not to be made
 */
export function requireKnown(
  { identity, workload, isAdmin, userId, userEmail, teamId, teamAlias }: Wanted,
  rows: readonly BearerRow[],
  isMade: { readonly user: boolean; readonly team: boolean },
): void {
  const alone = rows.at(-1);
  if (workload || isAdmin || !alone) return;
  const isNamed = userId !== undefined || userEmail !== undefined;
  const isUserMade = isMade.user && userId !== undefined;
  if (isNamed && alone.user_id === null && !isUserMade) throw refused('its user is not known here');
  if (namesOrganization(identity) && alone.named_organization_id === null) {
    throw refused('its organization is not known here');
  }
  const isTeamMade = isMade.team && rows.some(({ wanted_team: id, team_id: found }) => id === teamId && found === null);
  const needsOne = teamId !== undefined || teamAlias !== undefined;
  if (needsOne && !isTeamMade && !rows.some(isTeam)) throw refused('its team is not known here');
}

/** As whom the bearer can act, in order. @throws GatewayError 403 when that is nobody */
export function standingRows(
  wanted: Wanted,
  rows: readonly BearerRow[],
  { teams, publicAllowedRoutes }: JwtSettings,
): BearerRow[] {
  const { identity, workload, isAdmin } = wanted;
  const alone = rows.at(-1);
  if (!alone) throw nobodyKnown();
  if (workload) return [workloadRow(workload, rows)];
  // An administrator needs to be nobody; but one who is somebody, and blocked, is blocked.
  if (isAdmin) return [alone];
  const known = rows.filter(isTeam).slice(0, TEAMS_AT_MOST);
  const needsOne = wanted.teamId !== undefined || wanted.teamAlias !== undefined;
  const isSomebody = alone.user_id !== null || namesOrganization(identity);
  const open = known.filter((row) => !row.team_blocked && !row.organization_blocked);
  const mayStandAlone = !needsOne && isSomebody && !(teams.enforcesModelAccess && known.length > 0);
  const standings = [...(open.length > 0 ? open : known), ...(mayStandAlone ? [alone] : [])];
  if (standings.length > 0) return standings;
  if (publicAllowedRoutes.some((entry) => entry !== 'public_routes' && entry !== 'mcp_routes')) return [alone];
  throw nobodyKnown();
}

/** What a token names and cannot act as, because it is not there or is blocked: when that changes, the token can do more. */
export const passedOver = (rows: readonly BearerRow[], standings: readonly BearerRow[]) =>
  rows.flatMap((row) =>
    row.wanted_team === null || standings.includes(row)
      ? []
      : [{ teamId: row.wanted_team, organizationId: row.organization_id }],
  );

const namesOrganization = ({ organizationId, organizationAlias }: Wanted['identity']): boolean =>
  organizationId !== undefined || organizationAlias !== undefined;

/** A team that is there, and is not passed over as one of another organization. */
const isTeam = (row: BearerRow): boolean => row.team_id !== null && isOfNamedOrganization(row);

/** A team of another organization than the token names is not what it means. */
export const isOfNamedOrganization = ({ team_organization_id: of, named_organization_id: named }: BearerRow): boolean =>
  named === null || of === null || of === named;

function workloadRow(
  { name, teamId, organizationId }: NonNullable<Wanted['workload']>,
  rows: readonly BearerRow[],
): BearerRow {
  const row = teamId === null ? rows.at(-1) : rows.find(({ team_id: id }) => id === teamId);
  if (!row || (organizationId !== null && row.named_organization_id === null)) {
    throw refused(`the team or organization of the role ${name} is not there`);
  }
  return row;
}

interface Standing {
  readonly wanted: Wanted;
  readonly expiresAt: number;
  readonly settings: JwtSettings;
  readonly seed: Seed;
}

export function standingOf(row: BearerRow, { wanted, expiresAt, settings, seed }: Standing): Principal {
  const { issuer, identity, workload, isAdmin } = wanted;
  const { teams, publicAllowedRoutes } = settings;
  const owned = keylessPrincipal(row, seed);
  const isNobody = owned.userId === null && owned.teamId === null && owned.organizationId === null;
  const places = [
    ...(row.team_id !== null && !workload
      ? [{ name: 'team_allowed_routes', anyOf: [{ routes: teams.allowedRoutes }] }]
      : []),
    ...(isNobody && !isAdmin && !workload
      ? [{ name: 'public_allowed_routes', anyOf: [{ routes: publicAllowedRoutes }] }]
      : []),
  ];
  return {
    ...owned,
    role: roleOf(owned.role, wanted),
    expiresAt,
    token: {
      issuer: issuer.issuer,
      subject: identity.subject,
      isAdmin,
      mayBeAdmin: issuer.mayGrantAdmin,
      workload,
      permits: [...wanted.permits, ...places],
      organizationId: row.named_organization_id,
      customer: identity.customer,
      needsTeam: teams.enforcesModelAccess && !isAdmin,
      others: [],
      passedOver: [],
    },
  };
}

/** An issuer that may make no administrators makes none by naming one either. */
export function roleOf(role: Role, { isAdmin, issuer: { mayGrantAdmin } }: Wanted): Role {
  if (isAdmin) return 'proxy_admin';
  if (mayGrantAdmin) return role;
  if (role === 'proxy_admin') return 'internal_user';
  return role === 'proxy_admin_viewer' ? 'internal_user_viewer' : role;
}

export const nobodyKnown = () => refused('nothing in this gateway is mapped to it');
