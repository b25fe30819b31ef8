import { SCHEMA } from '../db/schema.ts';
import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { ifThere } from '../kernel/existing.ts';
import type { User } from '../users/user.entity.ts';
import type { UserService } from '../users/user.service.ts';
import { Team } from './team.entity.ts';
import type { TeamLookup } from './team.lookup.ts';
import type { TeamStanding } from './team.policy.ts';

/** A user as callers name one. */
export interface Person {
  readonly userId?: string | null | undefined;
  readonly userEmail?: string | null | undefined;
}

/** Who may come into a team: whom its administrators may add, and which teams are open to everybody. */
export class TeamJoin {
  readonly #work: Work;
  readonly #users: UserService;
  readonly #lookup: TeamLookup;
  readonly #available: readonly string[];

  constructor(
    work: Work,
    { users, lookup, available }: { users: UserService; lookup: TeamLookup; available: readonly string[] },
  ) {
    this.#work = work;
    this.#users = users;
    this.#lookup = lookup;
    this.#available = available;
  }

  /**
   * The user to be added. Only administrators may add whom they like: in a team of an organization everybody else finds the
   * people of that organization alone, and in any other team nobody of an organization they do not belong to, so that trying
   * names tells nothing of others. Above the team an unknown user is made.
   *
   * @throws GatewayError 400, the same for whoever is not there and whoever is not of the organization
   */
  async candidate(team: Team, standing: TeamStanding, person: Person): Promise<User> {
    if (standing === 'admin') return this.#users.named(person);
    const found = await ifThere(this.#users.existing(person));
    const { organizationId } = team;
    if (found && (await (organizationId ? this.#isIn(organizationId, found) : this.#isFree(found)))) return found;
    if (found || standing !== 'organization') throw notAdded(person, team);
    const made = await this.#users.named(person);
    await this.#users.joinOrganization(made, organizationId);
    return made;
  }

  /**
   * The team, locked, when everybody may join it and the caller joins it by itself; undefined for any other request.
   * A key of one team or of one organization joins nothing: its user does, with a key of its own.
   */
  async open(reference: string, people: readonly (Person & { readonly role?: string | undefined })[]) {
    const [person] = people;
    if (people.length !== 1 || !person || (person.role ?? 'user') !== 'user') return undefined;
    const { teamId, organizationId } = this.#work.authority.scope;
    if (teamId !== null || organizationId !== null || !(await this.#isCaller(person))) return undefined;
    const team = await this.#lookup.find(reference);
    return team && this.#isOpen(team) ? this.#lookup.lock(team.id) : undefined;
  }

  /** @throws GatewayError 400 when the configuration names no such teams */
  async available(): Promise<Team[]> {
    if (this.#available.length === 0) throw noneAvailable();
    const teams = await this.#work.em.find(
      Team,
      { $or: [{ id: { $in: [...this.#available] } }, { alias: { $in: [...this.#available] } }] },
      { orderBy: { alias: 'asc', id: 'asc' }, limit: 1_000 },
    );
    const { userId } = this.#work.authority;
    const joined =
      userId === null
        ? undefined
        : await this.#lookup.own(
            teams.map(({ id }) => id),
            userId,
          );
    return teams.filter((team) => this.#isOpen(team) && !joined?.has(team.id));
  }

  #isOpen({ id, alias, blocked }: Team): boolean {
    return !blocked && (this.#available.includes(id) || (!!alias && this.#available.includes(alias)));
  }

  async #isCaller({ userId, userEmail }: Person): Promise<boolean> {
    const { authority } = this.#work;
    if (authority.isAdmin || authority.userId === null) return false;
    const user = await this.#users.get(authority.userId);
    const named = userId ?? userEmail;
    return named === user.id || (!!user.email && named?.toLowerCase() === user.email.toLowerCase());
  }

  /**
   * Whether a team of no organization may have the user: nobody's, or of an organization of the caller's. The keys of another
   * organization's member would be paid for by that organization.
   */
  async #isFree(user: User): Promise<boolean> {
    const ids = await this.#users.organizationsOf(user.id);
    if (ids.length === 0) return true;
    const own = new Set(await this.#work.authority.memberOrganizations());
    return ids.some((id) => own.has(id));
  }

  async #isIn(organizationId: string, user: User): Promise<boolean> {
    const rows = await this.#work.em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.organization_members where organization_id = ? and user_id = ?`,
      [organizationId, user.id],
    );
    return rows.length > 0;
  }
}

const notAdded = ({ userId, userEmail }: Person, team: Team) =>
  new GatewayError('notFound', 'not_found_error', `No user "${userId ?? userEmail}" that could be in team ${team.id}`, {
    param: 'user_id',
    // LiteLLM answers 400 where a member is not to be found.
    status: 400,
    hint: team.organizationId
      ? 'Add the user to the organization of the team first, or ask an administrator to.'
      : 'Ask an administrator to create the user first.',
  });

const noneAvailable = () =>
  new GatewayError('invalid', 'bad_request_error', 'No available teams for user to join', {
    hint: 'An administrator names them in litellm_settings.default_internal_user_params.available_teams.',
  });
