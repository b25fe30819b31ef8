import type { Authority } from '../access/authority.ts';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import type { Work } from '../db/work.ts';
import type { HeldGrant } from '../kernel/grant.ts';
import type { Key } from './key.entity.ts';
import { notPermittedByTeam, notYourKey, onlyForThemselves, outOfScope, unknownKey } from './key.errors.ts';
import type { Standing } from './key.policy.ts';

/** Whose key: of a team, a user, an organization, or of several of them. */
export interface Owners {
  readonly teamId: string | null;
  readonly userId: string | null;
  readonly organizationId: string | null;
}

const adminRoles = ['proxy_admin', 'proxy_admin_viewer'];

/** What the caller is to a key, and what follows from it. Asked in the transaction of the change, on the locked row. */
export class KeyAccess {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  get #authority(): Authority {
    return this.#work.authority;
  }

  async mayRead(key: Key): Promise<boolean> {
    if (this.#authority.seesAll || key.id === this.#authority.keyId || this.#isOwnInScope(key)) return true;
    if (await this.isAdministrators(key.userId ?? null)) return false;
    return (await this.#manages(key)) || this.#authority.isAllowedByTeam(key.teamId, '/key/info');
  }

  /** Which of some keys the caller may look at: asked once for all that are the same people's, however many there are. */
  async readable(keys: readonly Key[]): Promise<ReadonlySet<Key>> {
    if (this.#authority.seesAll) return new Set(keys);
    const answers = new Map<string, boolean>();
    const readable = new Set<Key>();
    for (const key of keys) {
      const { teamId = null, userId = null, organizationId = null } = key;
      const owners = key.id === this.#authority.keyId ? key.id : JSON.stringify([teamId, userId, organizationId]);
      const mayRead = answers.get(owners) ?? (await this.mayRead(key));
      answers.set(owners, mayRead);
      if (mayRead) readable.add(key);
    }
    return readable;
  }

  /**
   * @param asked how the key was named, and the route of what is done, as a team allows it to its members
   * @throws GatewayError 404 when the caller may not know of the key, 403 when it may but not do this
   */
  async requireChange(key: Key, { reference, route }: { reference: string; route: string }): Promise<Standing> {
    if (this.#authority.isAdmin) return 'admin';
    const isOwn = this.#isOwn(key);
    const isHidden = !isOwn && (await this.isAdministrators(key.userId ?? null));
    if (!isHidden && (await this.#manages(key))) return 'manager';
    const isPermitted = !isHidden && (await this.#isPermitted(key, route));
    if (!isOwn && !isPermitted) {
      throw (await this.mayRead(key)) ? notYourKey('change') : unknownKey(reference);
    }
    await this.#requireScope(key);
    if (!isPermitted && /\/(?:un)?block$/.test(route)) throw notYourKey('block or unblock');
    return 'holder';
  }

  /** What only those who administer the key's team, or everything, may do. */
  async requireManager(key: Key, { reference, what }: { reference: string; what: string }): Promise<void> {
    const standing = await this.requireChange(key, { reference, route: '' });
    if (standing === 'holder') throw notYourKey(what);
  }

  /**
   * A key without a team acts as its user everywhere, so nobody but its user gets its secret; and a member whom the team
   * lets rotate keys does not become its administrator that way.
   */
  async requireSecret(key: Key, standing: Standing): Promise<void> {
    if (standing === 'admin' || this.#isOwn(key) || !key.userId) return;
    if (!key.teamId) throw notYourKey('get the secret of');
    if (standing === 'holder' && (await this.#teamRoleOf(key.teamId, key.userId)) === 'admin') {
      throw notYourKey('get the secret of');
    }
  }

  /** Whose key a caller may make. Answers with whose it then is: without a user named, the caller's own. */
  async requireCreation(
    wanted: Owners & { readonly isUserGiven: boolean },
    route: string,
  ): Promise<{ standing: Standing; userId: string | null }> {
    const authority = this.#authority;
    if (authority.isAdmin) return { standing: 'admin', userId: wanted.userId };
    const { scope, userId: own } = authority;
    if (scope.teamId !== null && wanted.teamId !== scope.teamId) throw outOfScope(`team ${scope.teamId}`);
    if (await this.#managesOwners(wanted)) {
      const userId = await this.#userOfManaged(wanted);
      if (userId !== null && userId !== own) await this.requireOwner(userId, wanted.teamId);
      return { standing: 'manager', userId };
    }
    if (wanted.userId !== null && wanted.userId !== own) throw onlyForThemselves(wanted.userId, own);
    if (wanted.teamId !== null && !(await authority.isAllowedByTeam(wanted.teamId, route))) {
      throw notPermittedByTeam(route, wanted.teamId);
    }
    return { standing: 'holder', userId: own };
  }

  /** A key of a team is bound to it; one without a team would let its maker act as somebody else everywhere. */
  async requireOwner(userId: string, teamId: string | null): Promise<void> {
    const isRefused = teamId === null || (await this.isAdministrators(userId));
    if (isRefused) throw onlyForThemselves(userId, this.#authority.userId);
  }

  /** Whether a team may be known to the caller. */
  async knowsTeam(teamId: string): Promise<boolean> {
    return this.#authority.seesAll || (await this.#authority.teamRole(teamId)) !== undefined;
  }

  async isAdministrators(userId: string | null): Promise<boolean> {
    if (userId === null) return false;
    const rows = await this.#work.em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.users where id = ? and role = any (?::text[])`,
      [userId, sqlArray(adminRoles)],
    );
    return rows.length > 0;
  }

  /** What a key's owners hold, and what the caller's own key does. Nothing for administrators. */
  async grants({ teamId, userId, organizationId }: Owners): Promise<HeldGrant[]> {
    const authority = this.#authority;
    const held = [
      authority.ownGrant,
      teamId === null ? undefined : await authority.grantOf('team', teamId),
      userId === null ? undefined : await authority.grantOf('user', userId),
      organizationId === null ? undefined : await authority.grantOf('organization', organizationId),
    ];
    return held.filter((grant) => grant !== undefined);
  }

  /** The key that was used bounds what its user may do with keys of their own, too. */
  async #requireScope(key: Key): Promise<void> {
    const { teamId, organizationId } = this.#authority.scope;
    if (teamId !== null && key.teamId !== teamId) throw outOfScope(`team ${teamId}`);
    if (teamId !== null || organizationId === null) return;
    const isWithin = key.teamId ? await this.knowsTeam(key.teamId) : key.organizationId === organizationId;
    if (!isWithin) throw outOfScope(`organization ${organizationId}`);
  }

  #isOwn(key: Key): boolean {
    return Boolean(key.userId) && key.userId === this.#authority.userId;
  }

  /** Whoever made a key of a team for somebody must not look at that user's other keys with it. */
  #isOwnInScope(key: Key): boolean {
    const { teamId } = this.#authority.scope;
    return this.#isOwn(key) && (teamId === null || key.teamId === teamId);
  }

  #manages({ teamId, organizationId }: Key): Promise<boolean> {
    return this.#managesOwners({ teamId: teamId ?? null, organizationId: organizationId ?? null });
  }

  /** A key of a team is its administrators'; one of an organization, and of no team, that one's. */
  #managesOwners({ teamId, organizationId }: Pick<Owners, 'teamId' | 'organizationId'>): Promise<boolean> {
    return teamId === null
      ? this.#authority.administersOrganization(organizationId)
      : this.#authority.administersTeam(teamId);
  }

  async #userOfManaged({ userId, teamId, isUserGiven }: Owners & { isUserGiven: boolean }): Promise<string | null> {
    const { userId: own } = this.#authority;
    if (isUserGiven || own === null || teamId === null) return isUserGiven ? userId : own;
    // Whoever administers the organization need not be in the team.
    return (await this.#teamRoleOf(teamId, own)) === undefined ? null : own;
  }

  async #isPermitted(key: Key, route: string): Promise<boolean> {
    return route !== '' && this.#authority.isAllowedByTeam(key.teamId, route);
  }

  async #teamRoleOf(teamId: string, userId: string): Promise<string | undefined> {
    const [row] = await this.#work.em.execute<{ role: string }[]>(
      `select role from ${SCHEMA}.team_members where team_id = ? and user_id = ?`,
      [teamId, userId],
    );
    return row?.role;
  }
}
