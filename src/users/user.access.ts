import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { fieldNotAllowed } from '../kernel/fields.ts';
import { excessOf, type Grant } from '../kernel/grant.ts';
import type { User } from './user.entity.ts';
import { mayChange, rolesBelow, type userPolicy, userStandings, type UserStanding } from './user.policy.ts';

export const unknownUser = (reference: string) =>
  new GatewayError('notFound', 'not_found_error', `No user "${reference}"`, {
    param: 'user_id',
    hint: 'Which users there are: gatewayctl user list',
  });

const userGrant = (user: User): Grant => ({
  models: user.models,
  maxBudget: user.maxBudget ?? null,
  tpmLimit: user.tpmLimit ?? null,
  rpmLimit: user.rpmLimit ?? null,
  maxParallelRequests: user.maxParallelRequests ?? null,
  allowedRoutes: [],
  allowedPassthroughRoutes: [],
  allowedIps: [],
  expiresAt: null,
});

const isAdministrator = ({ role }: User): boolean => role === 'proxy_admin' || role === 'proxy_admin_viewer';

/** What the caller is to a user, and what follows from it. Asked in the transaction of the change, on the locked row. */
export class UserAccess {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  async standing(user: User): Promise<UserStanding | undefined> {
    const { authority } = this.#work;
    if (authority.isAdmin) return 'admin';
    if (authority.isSelf(user.id)) return 'self';
    // The key of a team tells whose it is; whoever administers the team may hold its secret, and is not its user.
    if (user.id === authority.userId) return 'onlooker';
    if (isAdministrator(user)) return undefined;
    if (await authority.administersOrganization(user.organizationId)) return 'organization';
    return (await authority.administersUser(user.id)) ? 'onlooker' : undefined;
  }

  async mayRead(user: User): Promise<boolean> {
    return this.#work.authority.seesAll || (await this.standing(user)) !== undefined;
  }

  /** @throws GatewayError 404 when the caller may not know of the user, 403 when it may but not do this */
  async require(user: User, least: UserStanding, reference: string): Promise<UserStanding> {
    const standing = await this.standing(user);
    if (!standing) throw this.#work.authority.seesAll ? notTheirs(user) : unknownUser(reference);
    if (userStandings.indexOf(standing) < userStandings.indexOf(least)) throw notTheirs(user);
    return standing;
  }

  /** @throws GatewayError 403 naming the first field the caller may not change so. @param next the user as it would be */
  async requireFields(next: User, { standing, changes }: { standing: UserStanding; changes: object }): Promise<void> {
    if (standing === 'admin') return;
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) continue;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- changes are made of the fields of the policy
      if (!mayChange(name as keyof typeof userPolicy, standing))
        throw fieldNotAllowed(name, `${standing} may not change it`);
    }
    if (!rolesBelow.some((role) => role === next.role)) {
      throw fieldNotAllowed('userRole', `only ${rolesBelow.join(' and ')} can be given`);
    }
    await this.#requireWithin(next, Object.keys(changes));
  }

  /** A new user made from below an administrator stands in one of the caller's organizations, and below the caller. */
  async requireNew(user: User): Promise<void> {
    const { authority } = this.#work;
    if (authority.isAdmin) return;
    if (!(await authority.administersOrganization(user.organizationId))) {
      throw fieldNotAllowed('organizationId', 'name an organization that you administer');
    }
    await this.requireFields(user, { standing: 'organization', changes: {} });
    for (const field of ['ssoUserId', 'budgetId'] as const) {
      if ((user[field] ?? null) !== null) throw fieldNotAllowed(field, 'only administrators set it');
    }
    await this.#requireWithin(user, Object.keys(userGrant(user)));
  }

  async #requireWithin(next: User, fields: readonly string[]): Promise<void> {
    const { authority } = this.#work;
    const grant = userGrant(next);
    const wanted: Partial<Grant> = Object.fromEntries(Object.entries(grant).filter(([name]) => fields.includes(name)));
    const above = next.organizationId ? await authority.grantOf('organization', next.organizationId) : undefined;
    const held = [above, authority.ownGrant, ...authority.tokenGrants].filter((each) => each !== undefined);
    const excess = excessOf(wanted, held, await authority.accessGroups());
    if (excess) throw fieldNotAllowed(excess, 'it would be more than you may give');
  }
}

const notTheirs = (user: User) =>
  new GatewayError('forbidden', 'auth_error', `You may not change user ${user.id} so`, {
    param: 'user_id',
    hint: 'Ask an administrator.',
  });
