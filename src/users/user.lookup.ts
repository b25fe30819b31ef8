import { LockMode } from '@mikro-orm/core';
import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { unknownUser, type UserAccess } from './user.access.ts';
import { User } from './user.entity.ts';
import { lowerEmail } from './user.list.ts';
import type { UserStanding } from './user.policy.ts';

type Maybe<T> = T | null | undefined;

/** A user as callers name one. */
export interface Person {
  userId?: Maybe<string>;
  userEmail?: Maybe<string>;
}

export function requirePerson({ userId, userEmail }: Person): string {
  const reference = userId ?? userEmail;
  if (reference) return reference;
  throw new GatewayError('invalid', 'invalid_request_error', 'Neither user_id nor user_email was given', {
    param: 'user_id',
  });
}

/** Finds users by whatever names they go, as far as the caller may know of them. */
export class UserLookup {
  readonly #work: Work;
  readonly #access: UserAccess;

  constructor(work: Work, access: UserAccess) {
    this.#work = work;
    this.#access = access;
  }

  /** By id or, when no user has that id, by address; whether or not the caller may know of it. */
  async find(reference: string): Promise<User | null> {
    const { em } = this.#work;
    const byId = await em.findOne(User, { id: reference });
    if (byId || !reference.includes('@')) return byId;
    return em.findOne(User, { [lowerEmail()]: reference.toLowerCase() });
  }

  /** The user by id or address, whoever asks: for those who may know by another reason. */
  async existing(person: Person): Promise<User> {
    const reference = requirePerson(person);
    const user = await this.find(reference);
    if (user) return user;
    throw unknownUser(reference);
  }

  /** By id or e-mail address. Who may not know of a user learns nothing from trying. */
  async get(reference: string): Promise<User> {
    const user = await this.find(reference);
    if (user && (await this.#access.mayRead(user))) return user;
    throw unknownUser(reference);
  }

  /** The row as it is now, kept so until the transaction ends, when the caller is at least this to the user. */
  async lock(reference: string, least: UserStanding): Promise<{ user: User; standing: UserStanding }> {
    const found = await this.find(reference);
    const user =
      found &&
      (await this.#work.em.findOne(User, { id: found.id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true }));
    if (!user) throw unknownUser(reference);
    return { user, standing: await this.#access.require(user, least, reference) };
  }

  /** Each once, however often and by whatever names; in one order, so that two deletions cannot lock each other out. */
  async lockAll(references: readonly string[]): Promise<User[]> {
    const ids = new Set<string>();
    for (const reference of references) ids.add((await this.get(reference)).id);
    const users: User[] = [];
    for (const id of [...ids].toSorted()) users.push((await this.lock(id, 'admin')).user);
    return users;
  }
}
