import type { EntityManager } from '@mikro-orm/postgresql';
import type { Authority } from '../access/authority.ts';
import { GatewayError } from '../kernel/errors.ts';
import { keyReference } from '../kernel/secret.ts';
import { Key, RetiredToken } from './key.entity.ts';

/** The key itself, its hash, the first eight or more digits of its hash, its lasting id or its alias. */
export async function findKey(em: EntityManager, reference: string): Promise<Key | null> {
  const named = keyReference(reference);
  if ('hash' in named) {
    const found = await em.findOne(Key, { token: named.hash });
    if (found) return found;
    const retired = await em.findOne(RetiredToken, { token: named.hash });
    return retired && em.findOne(Key, { id: retired.keyId });
  }
  // An id first: nobody may take over a key's name by calling another key like its id.
  const exact = (await em.findOne(Key, { id: named.name })) ?? (await em.findOne(Key, { alias: named.name }));
  if (exact || !/^[0-9a-f]{8,63}$/.test(named.name)) return exact;
  const [first, second] = await em.find(Key, { token: { $like: `${named.name}%` } }, { limit: 2 });
  if (second)
    throw new GatewayError('invalid', 'ambiguous_key', 'More than one key begins like that', { param: 'key' });
  return first ?? null;
}

/** Whoever sees everything sees every key; anybody else their own, and those of the same user. */
export const maySee = (authority: Authority, key: Key): boolean =>
  authority.seesAll || key.id === authority.keyId || (key.userId !== null && key.userId === authority.userId);
