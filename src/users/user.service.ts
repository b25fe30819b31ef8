import { randomUUID } from 'node:crypto';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import type { BudgetService } from '../budgets/budget.service.ts';
import type { UserSettings } from '../config/user-settings.ts';
import { announce } from '../db/notify.ts';
import { type Attempt, attempt } from '../db/savepoint.ts';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { windowSpend } from '../db/window-spend.ts';
import { actorName, createStamp, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { newLimits } from '../kernel/limits.ts';
import { unknownUser, UserAccess } from './user.access.ts';
import type { OrganizationMemberService } from '../organizations/member.service.ts';
import { columnsOf, type NewUser, untouched, type UserChanges, withDefaults } from './user.changes.ts';
import { User } from './user.entity.ts';
import { nameIn, taken } from './user.errors.ts';
import { type UserCounts, type UserFilter, UserList } from './user.list.ts';
import { type Person, requirePerson, UserLookup } from './user.lookup.ts';
import type { UserStanding } from './user.policy.ts';
import { describeUser, encodeUser } from './user.wire.ts';

type Maybe<T> = T | null | undefined;

interface Parts {
  readonly audit: AuditService;
  readonly budgets: BudgetService;
  readonly members: OrganizationMemberService;
  readonly defaults: UserSettings;
}

export class UserService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #list: UserList;
  readonly #lookup: UserLookup;
  readonly #budgets: BudgetService;
  readonly #defaults: UserSettings;
  readonly access: UserAccess;
  readonly #members: OrganizationMemberService;

  constructor(work: Work, { audit, budgets, members, defaults }: Parts) {
    this.#work = work;
    this.#audit = audit;
    this.#budgets = budgets;
    this.#defaults = defaults;
    this.access = new UserAccess(work);
    this.#list = new UserList(work);
    this.#lookup = new UserLookup(work, this.access);
    this.#members = members;
  }

  /** @throws GatewayError 400 when a name is taken, 403 when the caller may not make it so */
  async create({ userId, ...asked }: NewUser): Promise<User> {
    const fields = withDefaults(asked, this.#defaults);
    const user = this.#work.em.create(User, {
      ...untouched,
      ...newLimits(fields),
      ...columnsOf(fields),
      id: userId ?? randomUUID(),
      organizationId: fields.organizationId ?? null,
      spend: 0n,
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.access.requireNew(user);
    await this.#requireOwnNames(user);
    await this.#flush(user);
    await this.joinOrganization(user, user.organizationId);
    this.#record(user, 'created');
    return user;
  }

  /** LiteLLM lets a key name a user that nobody made; here that makes the user, so that its spend has a place. */
  async getOrCreate(id: string): Promise<User> {
    return (await this.#lookup.find(id)) ?? this.#make({ id, email: null });
  }

  /** The user a caller means by id or address; made when it is not there. */
  async named(person: Person): Promise<User> {
    const reference = requirePerson(person);
    const fields = reference.includes('@') ? { id: randomUUID(), email: reference } : { id: reference, email: null };
    return (await this.#lookup.find(reference)) ?? this.#make(fields);
  }

  /**
   * Two callers may name the same new user at once. Whoever comes second waits for the first and uses its row: an
   * exception would have ended a transaction in which nothing was wrong.
   */
  async #make({ id, email }: { id: string; email: string | null }): Promise<User> {
    const { em, now, actor } = this.#work;
    const by = actorName(actor);
    const { userRole = 'internal_user', maxBudget = null, budgetDuration = null, models = [] } = this.#defaults;
    const made: unknown[] = await em.execute(
      `insert into ${SCHEMA}.users
         (id, email, role, max_budget, budget_duration, models, created_at, created_by, updated_at, updated_by)
       values (?, ?, ?, ?, ?, ?::text[], ?, ?, ?, ?) on conflict do nothing returning id`,
      [id, email, userRole, maxBudget, budgetDuration, sqlArray(models), now, by, now, by],
    );
    const user = await this.#lookup.find(email ?? id);
    if (!user) throw unknownUser(email ?? id);
    if (made.length > 0) this.#record(user, 'created');
    return user;
  }

  /** @see UserLookup.existing */
  existing(person: Person): Promise<User> {
    return this.#lookup.existing(person);
  }

  /** By id or e-mail address. Who may not know of a user learns nothing from trying. */
  get(reference: string): Promise<User> {
    return this.#lookup.get(reference);
  }

  /** @see UserLookup.lock */
  lock(reference: string, least: UserStanding): Promise<{ user: User; standing: UserStanding }> {
    return this.#lookup.lock(reference, least);
  }

  /** @see UserLookup.lockAll */
  lockAll(references: readonly string[]): Promise<User[]> {
    return this.#lookup.lockAll(references);
  }

  async update(reference: string, changes: UserChanges): Promise<User> {
    requireChange(changes);
    const { user, standing } = await this.lock(reference, 'self');
    const before = this.#encode(user);
    this.#work.em.assign(user, { ...columnsOf(changes), gen: user.gen + 1n, ...updateStamp(this.#work) });
    await this.access.requireFields(user, { standing, changes });
    if (changes.userEmail) await this.#requireOwnNames(user);
    await this.#flush(user);
    await this.joinOrganization(user, changes.organizationId);
    const action = changes.blocked === undefined ? 'updated' : changes.blocked ? 'blocked' : 'unblocked';
    await announce(this.#work, { entity: 'user', id: user.id });
    this.#record(user, action, before);
    return user;
  }

  /** Without its membership an organization is nobody's home any more. */
  async leaveHome(user: User): Promise<void> {
    const before = this.#encode(user);
    this.#work.em.assign(user, { organizationId: null, gen: user.gen + 1n, ...updateStamp(this.#work) });
    await announce(this.#work, { entity: 'user', id: user.id });
    this.#record(user, 'updated', before);
    await this.#work.em.flush();
  }

  /** The same for everybody, in one order, so that two deletions cannot lock each other out. */
  async leaveHomes(organizationId: string): Promise<void> {
    const users = await this.#work.em.find(
      User,
      { organizationId },
      { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { id: 'asc' } },
    );
    for (const user of users) await this.leaveHome(user);
  }

  /** Each by itself: what cannot be done is undone, and the others stand. */
  async updateEach(updates: readonly NewUser[]): Promise<Attempt<User>[]> {
    const outcomes: Attempt<User>[] = [];
    for (const { userId, ...changes } of updates) {
      outcomes.push(await attempt(this.#work.em, () => this.updateNamed(userId, changes)));
    }
    return outcomes;
  }

  /** An address names the user where no id does, and is not changed then. */
  updateNamed(userId: Maybe<string>, { userEmail, ...changes }: UserChanges): Promise<User> {
    if (userId) return this.update(userId, { ...changes, userEmail });
    return this.update(requirePerson({ userEmail }), changes);
  }

  /** The caller has dealt with the user's keys; memberships go with the user. */
  async remove(user: User): Promise<void> {
    await announce(this.#work, { entity: 'user', id: user.id });
    const organizationIds = await this.organizationsOf(user.id);
    this.#audit.record({ action: 'deleted', object: 'user', id: user.id, before: this.#encode(user), organizationIds });
    this.#work.em.remove(user);
    await this.#work.em.flush();
  }

  /** Membership is what counts; a home without one is not possible. */
  async joinOrganization(user: User, organizationId: Maybe<string>): Promise<void> {
    if (organizationId) await this.#members.join(organizationId, user.id);
  }

  async organizationsOf(userId: string): Promise<string[]> {
    const rows = await this.#work.em.execute<{ id: string }[]>(
      `select organization_id as id from ${SCHEMA}.organization_members where user_id = ? order by 1 limit 1000`,
      [userId],
    );
    return rows.map(({ id }) => id);
  }

  /** Everybody, when they are not too many. */
  async all(most: number): Promise<User[]> {
    const users = await this.#work.em.find(User, {}, { orderBy: { id: 'asc' }, limit: most + 1 });
    if (users.length <= most) return users;
    throw new GatewayError('invalid', 'too_many_users', `There are more than ${most} users`, {
      param: 'all_users',
      hint: 'Name them, at most 500 at a time.',
    });
  }

  list(filter: UserFilter): Promise<{ users: User[]; total: number }> {
    return this.#list.list(filter);
  }

  counts(users: readonly User[]): Promise<ReadonlyMap<string, UserCounts>> {
    return this.#list.counts(users);
  }

  /**
   * Describes each of some users with the budget it shares and what it has spent in its present period: two statements,
   * however many users.
   */
  async describer(users: readonly User[]): Promise<(user: User) => ReturnType<typeof describeUser>> {
    const budgets = await this.#budgets.of(users.map(({ budgetId }) => budgetId));
    const { em, now } = this.#work;
    const spent = await windowSpend(em, 'user', { spenders: users, now });
    return (user) => describeUser(user, { budget: budgets.get(user.budgetId ?? ''), now, spent: spent.get(user.id) });
  }

  async describe(user: User): Promise<ReturnType<typeof describeUser>> {
    const describe = await this.describer([user]);
    return describe(user);
  }

  /** Users are found by id or address: an id like another's address would have that one's roles and teams given to this one. */
  async #requireOwnNames(user: User): Promise<void> {
    const { id, email } = user;
    const [other] = await this.#work.em.execute<{ id: string }[]>(
      `select id from ${SCHEMA}.users where id <> ? and (lower(email) = lower(?) or id = ?) limit 1`,
      [id, id, email ?? id],
    );
    if (other) throw taken(user, other.id === email ? 'user_email' : 'user_id');
  }

  #encode(user: User): unknown {
    return encodeUser(user, this.#work.now);
  }

  #record(user: User, action: AuditAction, before?: unknown): void {
    this.#audit.record({ action, object: 'user', id: user.id, before, after: this.#encode(user) });
  }

  async #flush(user: User): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      throw taken(user, nameIn(cause), cause);
    }
  }
}
