import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import type { HeldGrant } from '../kernel/grant.ts';
import { type Actor, type AnyOperation, isReading, type Role } from '../kernel/operation.ts';
import { letsRoute } from '../kernel/route-groups.ts';
import { adminOnly, routeNotAllowed } from './authority.errors.ts';
import { callerOf, type CallerRow, type GrantRow, grantOf, isBound, withinBounds } from './caller.ts';

/** Teams or organizations one caller can be responsible for: the most a list of ids is made of. */
const IDS_AT_MOST = 10_000;

/** A list of ids as one parameter: MikroORM writes an array out as several, and an empty one as none at all. */
const idsIn = 'select jsonb_array_elements_text(?::jsonb)';

/** LiteLLM's role of whoever administers an organization. */
export type OrganizationRole = 'org_admin' | 'internal_user' | 'internal_user_viewer';

interface Asking {
  readonly actor: Actor;
  readonly groups: readonly string[];
}

/**
 * What a caller may do, read in the transaction in which it is then done, so that a role taken away a moment ago counts.
 *
 * The key that was used bounds its user: a key of one team touches nothing of another, whatever its user administers
 * there; a key without a user administers nothing. Whoever administers a team makes keys for its members and holds their
 * secrets: so with a key of a team nobody is an administrator of everything, even when its user becomes one, and nobody
 * gets at what the user has outside of the team.
 */
export class Authority {
  readonly #em: EntityManager;
  readonly #caller: CallerRow | undefined;
  #route = '';
  readonly isAdmin: boolean;
  readonly #configuredGroups: readonly string[];

  private constructor(em: EntityManager, { actor, groups }: Asking, caller: CallerRow | undefined) {
    this.#configuredGroups = groups;
    this.#em = em;
    this.#caller = caller;
    this.isAdmin = actor.type !== 'key' || (caller?.user_role === 'proxy_admin' && !isBound(caller));
  }

  /**
   * @param groups the access groups of the configuration; those of the database are read when they are asked for
   * @throws GatewayError 401 when the caller's key has ended or was blocked since it was authenticated
   */
  static async of(em: EntityManager, { actor, groups }: Asking): Promise<Authority> {
    return new Authority(em, { actor, groups }, actor.type === 'key' ? await callerOf(em, actor) : undefined);
  }

  /** Undefined for the master key and for operators. */
  get keyId(): string | undefined {
    return this.#caller?.id;
  }

  get userId(): string | null {
    return this.#caller?.user_id ?? null;
  }

  /** The route that was asked for, as it is registered: LiteLLM names it where it refuses. */
  get route(): string {
    return this.#route;
  }

  /** The team and the organization beyond which the key that was used does not reach, whatever its user may do there. */
  get scope(): { readonly teamId: string | null; readonly organizationId: string | null } {
    return { teamId: this.#caller?.team_id ?? null, organizationId: this.#caller?.organization_id ?? null };
  }

  /** A key without a user is a service's: it works, and administers nothing. */
  get role(): Role | 'service' {
    if (!this.#caller) return 'proxy_admin';
    const { user_role: role } = this.#caller;
    if (role === null) return 'service';
    return isBound(this.#caller) ? withinBounds(role) : role;
  }

  /** Whether a user is the caller itself, as far as its key goes: one of a team stands for its user in the team alone. */
  isSelf(userId: string | null | undefined): boolean {
    return this.userId !== null && userId === this.userId && !this.#isTeamBound;
  }

  /** Administrators, and whoever may look at everything. */
  get seesAll(): boolean {
    return this.isAdmin || this.role === 'proxy_admin_viewer';
  }

  /** Whether the caller may change anything at all. */
  get mayWrite(): boolean {
    return this.isAdmin || this.role === 'internal_user';
  }

  /** @throws GatewayError 403 when the caller may not ask for the operation, whatever the object */
  requireOperation(operation: Pick<AnyOperation<never>, 'access' | 'route' | 'alsoAt' | 'isRead'>): void {
    const paths = [operation.route, ...(operation.alsoAt ?? [])].map(([, path]) => path);
    this.#route = paths[0] ?? '';
    const allowed = this.#caller?.allowed_routes ?? [];
    if (!paths.some((path) => letsRoute(allowed, path))) throw routeNotAllowed(allowed, paths[0] ?? '');
    if (this.isAdmin) return;
    if (isReading(operation) ? operation.access === 'scoped' || this.seesAll : this.#mayAsk(operation)) return;
    throw adminOnly(paths[0] ?? '', this.role);
  }

  #mayAsk({ access }: Pick<AnyOperation<never>, 'access'>): boolean {
    return access === 'scoped' && this.mayWrite;
  }

  /** What the caller is in a team, as far as its key reaches: the organization's administrator counts as the team's. */
  async teamRole(teamId: string): Promise<'admin' | 'user' | undefined> {
    if (!this.#reachesTeam(teamId)) return undefined;
    const [row] = await this.#em.execute<{ role: 'admin' | 'user' | null; is_org_admin: boolean }[]>(
      `select m.role, (o.role is not null) as is_org_admin from ${SCHEMA}.teams t
       left join ${SCHEMA}.team_members m on m.team_id = t.id and m.user_id = ?
       left join ${SCHEMA}.organization_members o
         on o.organization_id = t.organization_id and o.user_id = ? and o.role = 'org_admin'
       where t.id = ? and (?::text is null or t.organization_id = ?)`,
      [this.userId, this.#isTeamBound ? null : this.userId, teamId, this.#boundOrganization, this.#boundOrganization],
    );
    return row?.is_org_admin ? 'admin' : (row?.role ?? undefined);
  }

  async administersTeam(teamId: string | null | undefined): Promise<boolean> {
    return this.isAdmin || (teamId !== null && teamId !== undefined && (await this.teamRole(teamId)) === 'admin');
  }

  /** Whether the team allows its plain members an operation of this route. */
  async isAllowedByTeam(teamId: string | null | undefined, route: string): Promise<boolean> {
    if (teamId === null || teamId === undefined || !this.#reachesTeam(teamId) || this.userId === null) return false;
    const rows = await this.#em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.team_members m join ${SCHEMA}.teams t on t.id = m.team_id
       where m.team_id = ? and m.user_id = ? and ? = any (t.member_permissions)
         and (?::text is null or t.organization_id = ?)`,
      [teamId, this.userId, route, this.#boundOrganization, this.#boundOrganization],
    );
    return rows.length > 0;
  }

  async organizationRole(organizationId: string): Promise<OrganizationRole | undefined> {
    if (!this.#reachesOrganization(organizationId)) return undefined;
    const [row] = await this.#em.execute<{ role: OrganizationRole }[]>(
      `select role from ${SCHEMA}.organization_members where organization_id = ? and user_id = ?`,
      [organizationId, this.userId],
    );
    return row?.role;
  }

  async administersOrganization(organizationId: string | null | undefined): Promise<boolean> {
    if (this.isAdmin) return true;
    if (organizationId === null || organizationId === undefined) return false;
    return (await this.organizationRole(organizationId)) === 'org_admin';
  }

  /** Whether the user is in an organization that the caller administers. */
  async administersUser(userId: string): Promise<boolean> {
    if (this.isAdmin) return true;
    const ids = await this.administeredOrganizations();
    if (ids.length === 0) return false;
    const rows = await this.#em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.organization_members where user_id = ? and organization_id in (${idsIn}) limit 1`,
      [userId, JSON.stringify(ids)],
    );
    return rows.length > 0;
  }

  /** Ids of the teams the caller is responsible for; those of its organizations among them. For the scope of lists. */
  async administeredTeams(): Promise<string[]> {
    const { userId } = this;
    if (userId === null || !this.mayWrite) return [];
    const rows = await this.#em.execute<{ id: string }[]>(
      `select team_id as id from ${SCHEMA}.team_members where user_id = ? and role = 'admin'
       union select id from ${SCHEMA}.teams where organization_id in (${idsIn}) limit ${IDS_AT_MOST}`,
      [userId, JSON.stringify(await this.administeredOrganizations())],
    );
    return this.#reached(rows.map(({ id }) => id));
  }

  async administeredOrganizations(): Promise<string[]> {
    if (this.userId === null || this.#isTeamBound) return [];
    const rows = await this.#em.execute<{ id: string }[]>(
      `select organization_id as id from ${SCHEMA}.organization_members
       where user_id = ? and role = 'org_admin' limit ${IDS_AT_MOST}`,
      [this.userId],
    );
    return rows.map(({ id }) => id).filter((id) => this.#reachesOrganization(id));
  }

  /** Ids of the organizations the caller belongs to, as far as its key reaches. */
  async memberOrganizations(): Promise<string[]> {
    if (this.userId === null || this.#isTeamBound) return [];
    const rows = await this.#em.execute<{ id: string }[]>(
      `select organization_id as id from ${SCHEMA}.organization_members where user_id = ? limit ${IDS_AT_MOST}`,
      [this.userId],
    );
    return rows.map(({ id }) => id).filter((id) => this.#reachesOrganization(id));
  }

  /** Ids of the teams the caller belongs to, as far as its key reaches. */
  async memberTeams(): Promise<string[]> {
    if (this.userId === null) return [];
    const rows = await this.#em.execute<{ id: string }[]>(
      `select team_id as id from ${SCHEMA}.team_members where user_id = ? limit ${IDS_AT_MOST}`,
      [this.userId],
    );
    return this.#reached(rows.map(({ id }) => id));
  }

  /** Of some teams those the key reaches: its own, or those of its organization. */
  async #reached(teamIds: readonly string[]): Promise<string[]> {
    const organizationId = this.#boundOrganization;
    if (organizationId === null) return teamIds.filter((id) => this.#reachesTeam(id));
    const rows = await this.#em.execute<{ id: string }[]>(
      `select id from ${SCHEMA}.teams where organization_id = ? and id in (${idsIn})`,
      [organizationId, JSON.stringify(teamIds)],
    );
    return rows.map(({ id }) => id);
  }

  /** What the key that was used may do itself: nobody is given more with it. Undefined for administrators. */
  get ownGrant(): HeldGrant | undefined {
    if (this.isAdmin || !this.#caller) return undefined;
    const { allowed_routes: allowedRoutes, allowed_ips: allowedIps, expires_at: expires } = this.#caller;
    const expiresAt = expires === null ? null : new Date(expires);
    return { grant: { ...grantOf(this.#caller), allowedRoutes, allowedIps, expiresAt }, isInherited: false };
  }

  /** What an owner holds, read as it is now. Limits an owner has are looked at with every call of its keys. */
  async grantOf(owner: 'team' | 'user' | 'organization', id: string): Promise<HeldGrant | undefined> {
    const [row] = await this.#em.execute<GrantRow[]>(
      `select models, max_budget, tpm_limit, rpm_limit, max_parallel_requests from ${SCHEMA}.${owner}s where id = ?`,
      [id],
    );
    return row && { grant: grantOf(row), isInherited: true };
  }

  /** The names of access groups, wherever a deployment names one. */
  async accessGroups(): Promise<ReadonlySet<string>> {
    const rows = await this.#em.execute<{ name: string }[]>(
      `select distinct jsonb_array_elements_text(info -> 'access_groups') as name from ${SCHEMA}.models
       where jsonb_typeof(info -> 'access_groups') = 'array'`,
    );
    return new Set([...this.#configuredGroups, ...rows.map(({ name }) => name)]);
  }

  get #isTeamBound(): boolean {
    return (this.#caller?.team_id ?? null) !== null;
  }

  /** The organization of a key that is no team's: it reaches no team of another one. */
  get #boundOrganization(): string | null {
    return this.#isTeamBound ? null : (this.#caller?.organization_id ?? null);
  }

  #reachesTeam(teamId: string): boolean {
    if (this.userId === null) return false;
    return !this.#isTeamBound || this.#caller?.team_id === teamId;
  }

  #reachesOrganization(organizationId: string): boolean {
    if (this.userId === null || this.#isTeamBound) return false;
    const bound = this.#caller?.organization_id ?? null;
    return bound === null || bound === organizationId;
  }
}
