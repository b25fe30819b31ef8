import type pg from 'pg';
import { keylessPrincipal, principalOf, type Seed } from '../access/principal-of.ts';
import type { Principal, TokenBounds } from '../access/principal.ts';
import type { JwtSettings } from '../config/jwt-settings.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Role } from '../kernel/operation.ts';
import { findKeyRow } from '../keys/key.queries.ts';
import { type BearerRow, findBearerRows, findMappedToken } from './bearer.queries.ts';
import { refused, type Wanted, wantedOf } from './identity.ts';
import type { VerifiedToken } from './verify.ts';

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

export interface BearersOptions {
  readonly pool: pg.Pool;
  readonly settings: JwtSettings;
  readonly seed: Seed;
  /** In one transaction, with its rows of the audit log. */
  readonly provision: (wanted: Provisioning) => Promise<void>;
}

export interface Borne {
  readonly principal: Principal;
  /** Milliseconds for which it may be remembered. */
  readonly ttl: number;
}

/** A refusal costs the look-ups of a token that is let in, so it is remembered, for less than anybody waits to be let in. */
const REFUSED_MS = 1_000;

/** Teams of one token that are looked at: each is a principal of its own. */
const TEAMS_AT_MOST = 100;

/** Finds out whom a token that was verified stands for. */
export class Bearers {
  readonly #options: BearersOptions;
  /** By the tokens themselves, which their verifier remembers, and forgets. */
  readonly #refused = new WeakMap<VerifiedToken, { readonly error: GatewayError; readonly untilMs: number }>();

  constructor(options: BearersOptions) {
    this.#options = options;
  }

  /**
   * @throws GatewayError 403 when it stands for nobody here, or for somebody whom the rules refuse
   */
  async find(token: VerifiedToken, deadlineMs: number): Promise<Borne> {
    const before = this.#refused.get(token);
    if (before && before.untilMs > performance.now()) throw before.error;
    try {
      return await this.#find(token, deadlineMs);
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.kind === 'forbidden') {
        this.#refused.set(token, { error: thrown, untilMs: performance.now() + REFUSED_MS });
      }
      throw thrown;
    }
  }

  async #find({ claims, issuer, expiresAt }: VerifiedToken, deadlineMs: number): Promise<Borne> {
    const { settings, provision } = this.#options;
    const wanted = wantedOf(claims, issuer, settings);
    const { virtualKey } = wanted.identity;
    if (wanted.workload || wanted.isAdmin || !issuer.claims.virtualKey)
      return this.#bear(wanted, expiresAt, deadlineMs);
    const mapped = virtualKey && (await this.#mapped(wanted, virtualKey, { expiresAt, deadlineMs }));
    if (mapped) return mapped;
    const { unregistered } = settings.virtualKeys;
    if (unregistered === 'reject') throw refused('no virtual key is mapped to its claim');
    const borne = await this.#bear(wanted, expiresAt, deadlineMs);
    if (unregistered === 'fallback_team_mapping' || !virtualKey) return borne;
    const { userId, teamId, organizationId } = borne.principal;
    const { issuer: issuerName, subject } = { issuer: issuer.issuer, subject: wanted.identity.subject };
    if (userId === null && teamId === null && organizationId === null) throw nobodyKnown();
    await provision({
      issuer: issuerName,
      subject,
      newKey: { ...virtualKey, userId, teamId, organizationId: teamId === null ? organizationId : null },
    });
    const registered = await this.#mapped(wanted, virtualKey, { expiresAt, deadlineMs });
    if (!registered) throw refused('the virtual key of its claim has gone again');
    return registered;
  }

  /** The key decides, as if it had been presented itself. */
  async #mapped(
    { issuer, identity }: Wanted,
    virtualKey: { readonly claim: string; readonly value: string },
    { expiresAt, deadlineMs }: { expiresAt: number; deadlineMs: number },
  ): Promise<Borne | undefined> {
    const { pool, seed, settings } = this.#options;
    const found = await findMappedToken(pool, { issuer: issuer.issuer, ...virtualKey }, deadlineMs);
    if (!found) return undefined;
    if (!found.is_active) throw refused('the mapping of its claim to a virtual key is not active');
    const row = await findKeyRow(pool, found.token, deadlineMs);
    if (!row) return undefined;
    const key = principalOf(row, seed);
    const token: TokenBounds = {
      issuer: issuer.issuer,
      subject: identity.subject,
      isAdmin: false,
      mayBeAdmin: issuer.mayGrantAdmin,
      permits: [],
      organizationId: null,
      customer: identity.customer,
      needsTeam: false,
      others: [],
    };
    const principal = Object.freeze({ ...key, expiresAt: Math.min(key.expiresAt ?? expiresAt, expiresAt), token });
    return { principal, ttl: settings.virtualKeys.mappingTtlMs };
  }

  async #bear(wanted: Wanted, expiresAt: number, deadlineMs: number): Promise<Borne> {
    const { settings, provision, seed } = this.#options;
    let rows = await this.#rows(wanted, deadlineMs);
    const missing = missingOf(wanted, rows, settings);
    if (missing) {
      await provision(missing);
      rows = await this.#rows(wanted, deadlineMs);
    }
    const standings = standingRows(wanted, rows, settings);
    const principals = standings.map((row) => standingOf(row, { wanted, expiresAt, settings, seed }));
    const [first, ...others] = principals;
    if (!first?.token) throw nobodyKnown();
    return { principal: Object.freeze({ ...first, token: { ...first.token, others } }), ttl: Number.POSITIVE_INFINITY };
  }

  #rows({ workload, userId, userEmail, teamId, teamAlias, teamIds, identity }: Wanted, deadlineMs: number) {
    const ofWorkload = workload && {
      userId: undefined,
      userEmail: undefined,
      teamIds: workload.teamId === null ? [] : [workload.teamId],
      teamAlias: undefined,
      organizationId: workload.organizationId ?? undefined,
      organizationAlias: undefined,
    };
    const named = ofWorkload ?? {
      userId,
      userEmail,
      teamIds: (teamId === undefined ? teamIds : [teamId]).slice(0, TEAMS_AT_MOST * 10),
      teamAlias,
      organizationId: identity.organizationId,
      organizationAlias: identity.organizationAlias,
    };
    return findBearerRows(this.#options.pool, named, deadlineMs);
  }
}

/** What the settings want to be made or kept for this bearer; undefined when there is nothing to do. */
function missingOf(wanted: Wanted, rows: readonly BearerRow[], settings: JwtSettings): Provisioning | undefined {
  const { identity, issuer, workload, isAdmin, userId, role } = wanted;
  const alone = rows.at(-1);
  if (workload || isAdmin || !alone) return undefined;
  const { users, teams } = settings;
  const named = rows.filter(({ wanted_team: id }) => id !== null);
  const newTeams = teams.upsert ? named.flatMap((row) => (row.team_id === null ? (row.wanted_team ?? []) : [])) : [];
  const isNew = alone.user_id === null && users.upsert && userId !== undefined;
  const user = isNew ? userId : alone.user_id;
  const known = named.flatMap(({ team_id: id, wanted_team: asked }) => id ?? (teams.upsert ? (asked ?? []) : []));
  const join =
    user !== null && (teams.addsUsers || users.syncsRoleAndTeams)
      ? known.filter((id) => !alone.user_teams.includes(id))
      : [];
  const leave =
    users.syncsRoleAndTeams && wanted.hasOwnTeams ? alone.user_teams.filter((id) => !known.includes(id)) : [];
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
    ...(newTeams.length > 0 && { newTeams: newTeams.slice(0, TEAMS_AT_MOST) }),
    ...(hasNewRole && alone.user_id !== null && { newRole: { userId: alone.user_id, role } }),
    ...(user !== null && join.length + leave.length > 0 && { membership: { userId: user, join, leave } }),
  };
}

/** As whom the bearer can act, in order. @throws GatewayError 403 when somebody the token names is not there */
function standingRows(
  wanted: Wanted,
  rows: readonly BearerRow[],
  { teams, publicAllowedRoutes }: JwtSettings,
): BearerRow[] {
  const { identity, workload, isAdmin, userId, userEmail } = wanted;
  const alone = rows.at(-1);
  if (!alone) throw nobodyKnown();
  if (workload) return [workloadRow(workload, rows)];
  const isNamed = userId !== undefined || userEmail !== undefined;
  // An administrator needs to be nobody; but one who is somebody, and blocked, is blocked.
  if (isAdmin) return [alone];
  if (isNamed && alone.user_id === null) throw refused('its user is not known here');
  const namesOrganization = identity.organizationId !== undefined || identity.organizationAlias !== undefined;
  if (namesOrganization && alone.named_organization_id === null) throw refused('its organization is not known here');
  const known = rows.filter((row) => row.team_id !== null && isOfNamedOrganization(row)).slice(0, TEAMS_AT_MOST);
  const needsOne = wanted.teamId !== undefined || wanted.teamAlias !== undefined;
  if (needsOne && known.length === 0) throw refused('its team is not known here');
  const isSomebody = alone.user_id !== null || namesOrganization;
  const open = known.filter(({ team_blocked: isBlocked }) => !isBlocked);
  const mayStandAlone = !needsOne && isSomebody && !(teams.enforcesModelAccess && known.length > 0);
  const standings = [...(open.length > 0 ? open : known), ...(mayStandAlone ? [alone] : [])];
  if (standings.length > 0) return standings;
  if (publicAllowedRoutes.some((entry) => entry !== 'public_routes' && entry !== 'mcp_routes')) return [alone];
  throw nobodyKnown();
}

/** A team of another organization than the token names is not what it means. */
const isOfNamedOrganization = ({ team_organization_id: of, named_organization_id: named }: BearerRow): boolean =>
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

function standingOf(row: BearerRow, { wanted, expiresAt, settings, seed }: Standing): Principal {
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
    },
  };
}

/** An issuer that may make no administrators makes none by naming one either. */
function roleOf(role: Role, { isAdmin, issuer: { mayGrantAdmin } }: Wanted): Role {
  if (isAdmin) return 'proxy_admin';
  if (mayGrantAdmin) return role;
  if (role === 'proxy_admin') return 'internal_user';
  return role === 'proxy_admin_viewer' ? 'internal_user_viewer' : role;
}

const nobodyKnown = () => refused('nothing in this gateway is mapped to it');
