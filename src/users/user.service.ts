import { randomUUID } from 'node:crypto';
import { type FilterQuery, LockMode, raw, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { actorName, createStamp, given, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import type { Role } from '../kernel/operation.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import type { OrganizationMemberService } from '../organizations/member.service.ts';
import { User } from './user.entity.ts';
import { describeUser, encodeUser } from './user.wire.ts';

export interface NewUser {
  userId?: string | null | undefined;
  userEmail?: string | null | undefined;
  userAlias?: string | null | undefined;
  userRole: Role;
  organizationId?: string | null | undefined;
  models: string[];
  metadata: Record<string, unknown>;
  maxBudget?: bigint | null | undefined;
}

export type UserChanges = { [K in keyof Omit<NewUser, 'userId'>]?: NewUser[K] | undefined };

export interface UserFilter extends Page {
  role?: Role | undefined;
  userIds?: string[] | undefined;
  userEmail?: string | undefined;
  organizationId?: string | undefined;
  sortBy: 'user_id' | 'created_at';
  sortOrder: 'asc' | 'desc';
}

/** A user as callers name one. */
interface Person {
  userId?: string | null | undefined;
  userEmail?: string | null | undefined;
}

function requirePerson({ userId, userEmail }: Person): string {
  const reference = userId ?? userEmail;
  if (reference) return reference;
  throw new GatewayError('invalid', 'invalid_request_error', 'Neither user_id nor user_email was given', {
    param: 'user_id',
  });
}

export class UserService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #members: OrganizationMemberService;

  constructor(work: Work, audit: AuditService, members: OrganizationMemberService) {
    this.#work = work;
    this.#audit = audit;
    this.#members = members;
  }

  async create({ userId, userEmail, userAlias, userRole, organizationId, ...grants }: NewUser): Promise<User> {
    const user = this.#work.em.create(User, {
      ...grants,
      id: userId ?? randomUUID(),
      alias: userAlias ?? null,
      email: userEmail ?? null,
      role: userRole,
      organizationId: organizationId ?? null,
      maxBudget: grants.maxBudget ?? null,
      spend: 0n,
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.#flush(user);
    this.#created(user);
    if (user.organizationId) await this.#members.join(user.organizationId, user.id);
    return user;
  }

  /** LiteLLM lets a key name a user that nobody made; here that makes the user, so that its spend has a place. */
  async getOrCreate(id: string): Promise<User> {
    return (await this.#find(id)) ?? this.#make({ id, email: null });
  }

  /** The user a caller means by id or address; made when it is not there. */
  async named({ userId, userEmail }: Person): Promise<User> {
    const reference = requirePerson({ userId, userEmail });
    const fields = reference.includes('@') ? { id: randomUUID(), email: reference } : { id: reference, email: null };
    return (await this.#find(reference)) ?? this.#make(fields);
  }

  /**
   * Two callers may name the same new user at once. Whoever comes second waits for the first and uses its row: an
   * exception would have ended a transaction in which nothing was wrong.
   */
  async #make({ id, email }: { id: string; email: string | null }): Promise<User> {
    const { em, now, actor } = this.#work;
    const by = actorName(actor);
    const made: unknown[] = await em.execute(
      `insert into ${SCHEMA}.users (id, email, created_at, created_by, updated_at, updated_by)
       values (?, ?, ?, ?, ?, ?) on conflict do nothing returning id`,
      [id, email, now, by, now, by],
    );
    const user = await this.get(email ?? id);
    if (made.length > 0) this.#created(user);
    return user;
  }

  #created(user: User): void {
    this.#audit.record({ action: 'created', object: 'user', id: user.id, after: encodeUser(describeUser(user)) });
  }

  async existing(person: Person): Promise<User> {
    return this.get(requirePerson(person));
  }

  /** By id or e-mail address. */
  async get(reference: string): Promise<User> {
    const user = await this.#find(reference);
    if (user) return user;
    throw new GatewayError('notFound', 'not_found_error', `No user "${reference}"`, {
      param: 'user_id',
      hint: 'Which users there are: gatewayctl user list',
    });
  }

  async lock(reference: string): Promise<User> {
    const { id } = await this.get(reference);
    return this.#work.em.findOneOrFail(User, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
  }

  /** Each once, however often and by whatever names it was named; in one order, so that two deletions cannot lock each other out. */
  async lockAll(references: readonly string[]): Promise<User[]> {
    const ids = new Set<string>();
    for (const reference of references) ids.add((await this.get(reference)).id);
    const users: User[] = [];
    for (const id of [...ids].toSorted()) users.push(await this.lock(id));
    return users;
  }

  async update(reference: string, { userEmail, userAlias, userRole, ...rest }: UserChanges): Promise<User> {
    const changes = { email: userEmail, alias: userAlias, role: userRole, ...rest };
    requireChange(changes);
    const user = await this.lock(reference);
    const before = encodeUser(describeUser(user));
    this.#work.em.assign(user, { ...given(changes), gen: user.gen + 1n, ...updateStamp(this.#work) });
    await this.#flush(user);
    await announce(this.#work, { entity: 'user', id: user.id });
    this.#audit.record({
      action: 'updated',
      object: 'user',
      id: user.id,
      before,
      after: encodeUser(describeUser(user)),
    });
    if (rest.organizationId) await this.#members.join(rest.organizationId, user.id);
    return user;
  }

  /** Without its membership an organization is nobody's home any more. */
  async leaveHome(user: User): Promise<void> {
    const before = encodeUser(describeUser(user));
    this.#work.em.assign(user, { organizationId: null, gen: user.gen + 1n, ...updateStamp(this.#work) });
    await announce(this.#work, { entity: 'user', id: user.id });
    this.#audit.record({
      action: 'updated',
      object: 'user',
      id: user.id,
      before,
      after: encodeUser(describeUser(user)),
    });
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

  /** The caller has dealt with the user's keys; memberships go with the user. */
  async remove(user: User): Promise<void> {
    await announce(this.#work, { entity: 'user', id: user.id });
    this.#audit.record({ action: 'deleted', object: 'user', id: user.id, before: encodeUser(describeUser(user)) });
    this.#work.em.remove(user);
    await this.#work.em.flush();
  }

  async list({ page, size, sortBy, sortOrder, ...filter }: UserFilter): Promise<{ users: User[]; total: number }> {
    const where: FilterQuery<User> = {
      ...given({
        role: filter.role,
        organizationId: filter.organizationId,
        id: filter.userIds && { $in: filter.userIds },
      }),
      ...(filter.userEmail && { [lowerEmail()]: { $like: `%${escapeLike(filter.userEmail.toLowerCase())}%` } }),
    };
    const [users, total] = await this.#work.em.findAndCount(User, where, {
      orderBy: sortBy === 'user_id' ? { id: sortOrder } : { createdAt: sortOrder, id: 'asc' },
      limit: size,
      offset: offsetOf({ page, size }),
    });
    return { users, total };
  }

  async #find(reference: string): Promise<User | null> {
    const { em } = this.#work;
    const byId = await em.findOne(User, { id: reference });
    if (byId || !reference.includes('@')) return byId;
    return em.findOne(User, { [lowerEmail()]: reference.toLowerCase() });
  }

  async #flush(user: User): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      const [param, value] = /users_email/.test(cause.message) ? ['user_email', user.email] : ['user_id', user.id];
      throw new GatewayError('conflict', 'bad_request_error', `User with ${param} ${value} already exists.`, {
        param,
        // LiteLLM's clients look for 400 where something exists already.
        status: 400,
        hint: `Change the user there is: gatewayctl user update ${value}`,
        cause,
      });
    }
  }
}

/** Addresses are one whatever their case; both indexes are on this expression. */
const lowerEmail = () => raw((alias) => `lower(${alias}.email)`);

/** `%`, `_` and `\` are themselves: a search for `%%%%` must not become a scan that never ends (CVE-2026-25591). */
export const escapeLike = (text: string): string => text.replace(/[\\%_]/g, '\\$&');
