import { type FilterQuery, LockMode } from '@mikro-orm/core';
import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { keyReference } from '../kernel/secret.ts';
import type { KeyAccess } from './key.access.ts';
import { DeletedKey, Key, RetiredToken } from './key.entity.ts';
import { deletedKey, unknownKey } from './key.errors.ts';

/** Finds keys by whatever names they go, as far as the caller may know of them. */
export class KeyLookup {
  readonly #work: Work;
  readonly #access: KeyAccess;

  constructor(work: Work, access: KeyAccess) {
    this.#work = work;
    this.#access = access;
  }

  /** The key itself, its hash, the first eight or more digits of its hash, its lasting id or its alias. */
  async get(reference: string): Promise<Key> {
    const key = await this.#find(reference, {});
    // Who may not see a key learns nothing from trying: the answer is that of a key that is not there.
    if (key && (await this.#access.mayRead(key))) return key;
    throw (!key && (await this.#gone(reference))) || unknownKey(reference);
  }

  /** Those of several that are there and may be seen; the others are passed over. */
  async some(references: readonly string[]): Promise<Key[]> {
    const found: Key[] = [];
    for (const reference of references) {
      const key = await this.#find(reference, {});
      if (key && (await this.#access.mayRead(key))) found.push(key);
    }
    return found;
  }

  /** The key the caller came with. */
  async own(): Promise<Key> {
    const { actor } = this.#work;
    if (actor.type === 'key') return this.get(actor.hash);
    throw new GatewayError('invalid', 'invalid_request_error', 'Which key? You did not come with a virtual key', {
      param: 'key',
      hint: 'Name a key by its alias or id.',
    });
  }

  /** The row as it is now, kept so until the end of the transaction. Whether the caller may know of it is still to be asked. */
  async lock(reference: string): Promise<Key> {
    const key = await this.#find(reference, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
    if (key) return key;
    throw (await this.#gone(reference)) ?? unknownKey(reference);
  }

  /**
   * Each once, however often and by whatever names, in the order they were named; locked in one order, so that two
   * deletions cannot lock each other out.
   */
  async lockAll(references: readonly string[]): Promise<{ key: Key; reference: string }[]> {
    const named = new Map<string, string>();
    for (const reference of references) {
      const key = await this.#find(reference, {});
      if (!key) throw (await this.#gone(reference)) ?? unknownKey(reference);
      named.set(key.id, named.get(key.id) ?? reference);
    }
    const keys = await this.#work.em.find(
      Key,
      { id: { $in: [...named.keys()] } },
      { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true, orderBy: { id: 'asc' } },
    );
    const locked = new Map(keys.map((key) => [key.id, key]));
    return [...named].map(([id, reference]) => {
      const key = locked.get(id);
      if (!key) throw unknownKey(reference);
      return { key, reference };
    });
  }

  async #find(reference: string, lock: { lockMode?: LockMode.PESSIMISTIC_WRITE; refresh?: true }): Promise<Key | null> {
    const { em } = this.#work;
    const named = keyReference(reference);
    if ('hash' in named) {
      const found = await em.findOne(Key, { token: named.hash }, lock);
      if (found) return found;
      const retired = await em.findOne(RetiredToken, { token: named.hash });
      return retired && em.findOne(Key, { id: retired.keyId }, lock);
    }
    const { name } = named;
    const exact = await em.find(Key, { $or: [{ id: name }, { alias: name }] }, lock);
    // An id first: nobody may take over a key's name by calling another key like its id.
    const byId = exact.find(({ id }) => id === name);
    if (byId || !/^[0-9a-f]{8,63}$/.test(name)) return byId ?? exact[0] ?? null;
    const begun = await em.find(Key, { token: { $like: `${name}%` } }, { ...lock, limit: 2 });
    // Nor by calling it like the first digits of another's hash: whoever blocks a key must not block that one in its place.
    const [first, second] = new Set([...exact, ...begun]);
    if (second) {
      throw new GatewayError('invalid', 'ambiguous_key', 'More than one key is called like that, or begins so', {
        param: 'key',
        hint: 'Name the key by its id, or by its whole hash.',
      });
    }
    return first ?? null;
  }

  /** What to say of a key that was deleted, to those who might have seen it. */
  async #gone(reference: string): Promise<GatewayError | undefined> {
    const { authority, em } = this.#work;
    if (!authority.seesAll && authority.userId === null) return undefined;
    const named = keyReference(reference);
    const isNamed: FilterQuery<DeletedKey> =
      'hash' in named ? { token: named.hash } : { $or: [{ id: named.name }, { alias: named.name }] };
    const { teamId } = authority.scope;
    const mine: FilterQuery<DeletedKey> = authority.seesAll
      ? {}
      : { userId: authority.userId, ...(teamId !== null && { teamId }) };
    const [deleted] = await em.find(
      DeletedKey,
      { $and: [isNamed, mine] },
      { orderBy: { deletedAt: 'desc' }, limit: 1 },
    );
    return deleted && deletedKey(deleted);
  }
}
