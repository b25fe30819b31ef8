import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import type { Workload } from '../kernel/operation.ts';
import type { CallerRow } from './caller.ts';

/** Teams or organizations one caller can be responsible for: the most a list of ids is made of. */
const IDS_AT_MOST = 10_000;

/** A list of ids as one parameter: MikroORM writes an array out as several, and an empty one as none at all. */
const idsIn = 'select jsonb_array_elements_text(?::jsonb)';

/** LiteLLM's role of whoever administers an organization. */
export type OrganizationRole = 'org_admin' | 'internal_user' | 'internal_user_viewer';

/** Which teams, organizations and users a caller has to do with, and as what; as far as the key or the token reaches. */
export abstract class Reach {
  protected readonly em: EntityManager;
  /** Undefined for operators and the master key, which reach everything. */
  protected readonly caller: CallerRow | undefined;
  /** Of a job of a CI system: what it administers, instead of what a user does. */
  protected readonly workload: Workload | undefined;

  protected constructor(em: EntityManager, caller: CallerRow | undefined, workload: Workload | undefined) {
    this.em = em;
    this.caller = caller;
    this.workload = workload;
  }

  abstract get isAdmin(): boolean;
  abstract get mayWrite(): boolean;

  get userId(): string | null {
    return this.caller?.user_id ?? null;
  }

  /** The team and the organization beyond which the key that was used does not reach, whatever its user may do there. */
  get scope(): { readonly teamId: string | null; readonly organizationId: string | null } {
    return { teamId: this.caller?.team_id ?? null, organizationId: this.caller?.organization_id ?? null };
  }

  /** Whether a user is the caller itself, as far as its key goes: one of a team stands for its user in the team alone. */
  isSelf(userId: string | null | undefined): boolean {
    return this.userId !== null && userId === this.userId && !this.#isTeamBound;
  }

  /** What the caller is in a team, as far as its key reaches: the organization's administrator counts as the team's. */
  async teamRole(teamId: string): Promise<'admin' | 'user' | undefined> {
    if (this.workload) return (await this.administeredTeamsAmong([teamId])).length > 0 ? 'admin' : undefined;
    if (!this.#reachesTeam(teamId)) return undefined;
    const [row] = await this.em.execute<{ role: 'admin' | 'user' | null; is_org_admin: boolean }[]>(
      `select m.role, (o.role is not null) as is_org_admin from ${SCHEMA}.teams t
       left join ${SCHEMA}.team_members m on m.team_id = t.id and m.user_id = ?
       left join ${SCHEMA}.organization_members o
         on o.organization_id = t.organization_id and o.user_id = ? and o.role = 'org_admin'
       where t.id = ? and (?::text is null or t.organization_id = ?)`,
      [this.userId, this.#isTeamBound ? null : this.userId, teamId, this.#boundOrganization, this.#boundOrganization],
    );
    return row?.is_org_admin ? 'admin' : (row?.role ?? undefined);
  }

  /** Of some teams those that a workload is to administer. */
  async administeredTeamsAmong(teamIds?: readonly string[]): Promise<string[]> {
    const { teamId = null, organizationId = null } = this.workload ?? {};
    const rows = await this.em.execute<{ id: string }[]>(
      `select id from ${SCHEMA}.teams where (id = ? or organization_id = ?)
         and (?::jsonb is null or id in (${idsIn})) limit ${IDS_AT_MOST}`,
      [teamId, organizationId, teamIds ? JSON.stringify(teamIds) : null, JSON.stringify(teamIds ?? [])],
    );
    return rows.map(({ id }) => id);
  }

  async administersTeam(teamId: string | null | undefined): Promise<boolean> {
    return this.isAdmin || (teamId !== null && teamId !== undefined && (await this.teamRole(teamId)) === 'admin');
  }

  /** Whether the team allows its plain members an operation of this route. */
  async isAllowedByTeam(teamId: string | null | undefined, route: string): Promise<boolean> {
    if (teamId === null || teamId === undefined || !this.#reachesTeam(teamId) || this.userId === null) return false;
    const rows = await this.em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.team_members m join ${SCHEMA}.teams t on t.id = m.team_id
       where m.team_id = ? and m.user_id = ? and ? = any (t.member_permissions)
         and (?::text is null or t.organization_id = ?)`,
      [teamId, this.userId, route, this.#boundOrganization, this.#boundOrganization],
    );
    return rows.length > 0;
  }

  async organizationRole(organizationId: string): Promise<OrganizationRole | undefined> {
    if (this.workload) return this.workload.organizationId === organizationId ? 'org_admin' : undefined;
    if (!this.#reachesOrganization(organizationId)) return undefined;
    const [row] = await this.em.execute<{ role: OrganizationRole }[]>(
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
    const rows = await this.em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.organization_members where user_id = ? and organization_id in (${idsIn}) limit 1`,
      [userId, JSON.stringify(ids)],
    );
    return rows.length > 0;
  }

  /** Ids of the teams the caller is responsible for; those of its organizations among them. For the scope of lists. */
  async administeredTeams(): Promise<string[]> {
    if (this.workload) return this.administeredTeamsAmong();
    const { userId } = this;
    if (userId === null || !this.mayWrite) return [];
    const rows = await this.em.execute<{ id: string }[]>(
      `select team_id as id from ${SCHEMA}.team_members where user_id = ? and role = 'admin'
       union select id from ${SCHEMA}.teams where organization_id in (${idsIn}) limit ${IDS_AT_MOST}`,
      [userId, JSON.stringify(await this.administeredOrganizations())],
    );
    return this.#reached(rows.map(({ id }) => id));
  }

  async administeredOrganizations(): Promise<string[]> {
    if (this.workload) return this.#ofWorkload();
    if (this.userId === null || this.#isTeamBound) return [];
    const rows = await this.em.execute<{ id: string }[]>(
      `select organization_id as id from ${SCHEMA}.organization_members
       where user_id = ? and role = 'org_admin' limit ${IDS_AT_MOST}`,
      [this.userId],
    );
    return rows.map(({ id }) => id).filter((id) => this.#reachesOrganization(id));
  }

  /** Ids of the organizations the caller belongs to, as far as its key reaches. */
  async memberOrganizations(): Promise<string[]> {
    if (this.workload) return this.#ofWorkload();
    if (this.userId === null || this.#isTeamBound) return [];
    const rows = await this.em.execute<{ id: string }[]>(
      `select organization_id as id from ${SCHEMA}.organization_members where user_id = ? limit ${IDS_AT_MOST}`,
      [this.userId],
    );
    return rows.map(({ id }) => id).filter((id) => this.#reachesOrganization(id));
  }

  /** Ids of the teams the caller belongs to, as far as its key reaches. */
  async memberTeams(): Promise<string[]> {
    if (this.workload) return this.administeredTeamsAmong();
    if (this.userId === null) return [];
    const rows = await this.em.execute<{ id: string }[]>(
      `select team_id as id from ${SCHEMA}.team_members where user_id = ? limit ${IDS_AT_MOST}`,
      [this.userId],
    );
    return this.#reached(rows.map(({ id }) => id));
  }

  #ofWorkload(): string[] {
    const { organizationId = null } = this.workload ?? {};
    return organizationId === null ? [] : [organizationId];
  }

  /** Whether it is a job of a CI system that asks, and administers where no user does. */
  get isWorkload(): boolean {
    return this.workload !== undefined;
  }

  /** Of some teams those the key reaches: its own, or those of its organization. */
  async #reached(teamIds: readonly string[]): Promise<string[]> {
    const organizationId = this.#boundOrganization;
    if (organizationId === null) return teamIds.filter((id) => this.#reachesTeam(id));
    const rows = await this.em.execute<{ id: string }[]>(
      `select id from ${SCHEMA}.teams where organization_id = ? and id in (${idsIn})`,
      [organizationId, JSON.stringify(teamIds)],
    );
    return rows.map(({ id }) => id);
  }

  get #isTeamBound(): boolean {
    return (this.caller?.team_id ?? null) !== null;
  }

  /** The organization of a key that is no team's: it reaches no team of another one. */
  get #boundOrganization(): string | null {
    return this.#isTeamBound ? null : (this.caller?.organization_id ?? null);
  }

  #reachesTeam(teamId: string): boolean {
    if (this.userId === null) return false;
    return !this.#isTeamBound || this.caller?.team_id === teamId;
  }

  #reachesOrganization(organizationId: string): boolean {
    if (this.userId === null || this.#isTeamBound) return false;
    const bound = this.caller?.organization_id ?? null;
    return bound === null || bound === organizationId;
  }
}
