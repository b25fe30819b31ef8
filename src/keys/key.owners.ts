import { SCHEMA } from '../db/schema.ts';
import type { Work } from '../db/work.ts';
import type { Team } from '../teams/team.entity.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';
import type { KeyAccess } from './key.access.ts';
import type { KeyFields } from './key.changes.ts';
import type { Key } from './key.entity.ts';
import { fieldNotAllowed, notInTeam, unknownTeam } from './key.errors.ts';
import type { Standing } from './key.policy.ts';
import type { KeyRules } from './key.rules.ts';

/** The route by which a team allows its members to make keys. */
export type MakingRoute = '/key/generate' | '/key/service-account/generate';

interface Parts {
  readonly teams: TeamService;
  readonly users: UserService;
  readonly rules: KeyRules;
  readonly access: KeyAccess;
}

/** Whose a key is, and who may say so. */
export class KeyOwners {
  readonly #work: Work;
  readonly #teams: TeamService;
  readonly #users: UserService;
  readonly #rules: KeyRules;
  readonly #access: KeyAccess;

  constructor(work: Work, { teams, users, rules, access }: Parts) {
    this.#work = work;
    this.#teams = teams;
    this.#users = users;
    this.#rules = rules;
    this.#access = access;
  }

  /** What a team says of keys that its members make, where the maker says nothing. */
  async completed(fields: KeyFields): Promise<KeyFields> {
    const { teamId, duration, expires } = fields;
    if (!teamId || this.#work.authority.isAdmin || duration !== undefined || expires !== undefined) return fields;
    return { ...fields, duration: await this.#teams.keyDuration(await this.#teams.get(teamId)) };
  }

  /** Whose a new key is, by whatever names they go, and what its maker is to it. */
  async ofNew(fields: KeyFields, route: MakingRoute) {
    const { authority } = this.#work;
    const team = fields.teamId ? await this.#held(fields.teamId) : undefined;
    if (team && !(await this.#access.knowsTeam(team.id))) throw unknownTeam(fields.teamId ?? '');
    if (team && fields.organizationId) this.#requireSameOrganization(team, fields.organizationId, 'organizationId');
    const teamId = team?.id ?? null;
    await this.#rules.requireMaker(authority, teamId);
    const organizationId = fields.organizationId ?? (team ? null : authority.scope.organizationId);
    const { standing, userId: named } = await this.#access.requireCreation(
      { teamId, organizationId, userId: fields.userId ?? null, isUserGiven: fields.userId !== undefined },
      route,
    );
    const isServiceAccount = route === '/key/service-account/generate';
    const userId = isServiceAccount || named === null ? null : await this.#userId(named, standing, teamId);
    return { owners: { teamId, userId, organizationId }, standing };
  }

  /** Only an administrator makes a user by naming one; of a team's key it must be a member. */
  async #userId(named: string, standing: Standing, teamId: string | null): Promise<string> {
    const { authority } = this.#work;
    const id = standing === 'admin' ? (await this.#users.getOrCreate(named)).id : named;
    const isCallersOwn = id === authority.userId && teamId === null;
    if (teamId !== null && !isCallersOwn && !(await this.#teams.isMember(teamId, id))) throw notInTeam(id, teamId);
    return id;
  }

  /** Gives a key that is there another team or user. */
  async move(key: Key, { teamId, userId }: KeyFields, standing: Standing): Promise<void> {
    if (teamId === undefined && userId === undefined) return;
    if (teamId !== undefined) {
      const team = teamId === null ? null : await this.#held(teamId);
      if (standing !== 'admin') await this.#requireOwnTeam(team?.id ?? null, teamId);
      if (team && key.organizationId) this.#requireSameOrganization(team, key.organizationId, 'teamId');
      key.teamId = team?.id ?? null;
    }
    if (userId !== undefined) {
      if (standing !== 'admin' && userId !== null) await this.#access.requireOwner(userId, key.teamId ?? null);
      key.userId = userId === null || standing !== 'admin' ? userId : (await this.#users.getOrCreate(userId)).id;
    }
    if (!key.teamId || !key.userId || (await this.#teams.isMember(key.teamId, key.userId))) return;
    throw notInTeam(key.userId, key.teamId, 403);
  }

  /**
   * The team, which keeps its members until the transaction ends: whoever takes one out, with the keys there are, waits
   * for the key that is being made, or comes first and is seen by the questions that follow.
   */
  async #held(reference: string): Promise<Team> {
    const team = await this.#teams.get(reference);
    const held = await this.#work.em.execute<unknown[]>(`select 1 from ${SCHEMA}.teams where id = ? for key share`, [
      team.id,
    ]);
    if (held.length === 0) throw unknownTeam(reference);
    return team;
  }

  /** The organization a key names goes before its team's: another one would pay for the team, and the team's would not count. */
  #requireSameOrganization(team: Team, organizationId: string, field: 'organizationId' | 'teamId'): void {
    if (this.#work.authority.isAdmin || (team.organizationId ?? null) === organizationId) return;
    throw fieldNotAllowed(field, 'a key of a team belongs to the organization of the team');
  }

  /** A key stays within the teams of whoever moves it. */
  async #requireOwnTeam(teamId: string | null, named: string | null): Promise<void> {
    if (teamId !== null && !(await this.#access.knowsTeam(teamId))) throw unknownTeam(named ?? '');
    if (teamId !== null && (await this.#work.authority.administersTeam(teamId))) return;
    throw fieldNotAllowed('teamId', 'a key stays within the teams you administer');
  }
}
