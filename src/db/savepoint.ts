import { ForeignKeyConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { GatewayError } from '../kernel/errors.ts';

export type Attempt<T> = { readonly done: T } | { readonly failure: GatewayError };

/**
 * One of several things in a transaction, of which some may fail: what a failed one has done is undone, and the others
 * stand. A bug is no failure: it ends the transaction.
 */
export async function attempt<T>(em: EntityManager, act: () => Promise<T>): Promise<Attempt<T>> {
  await em.flush();
  await em.execute('savepoint one_of_many');
  try {
    const done = await act();
    await em.flush();
    await em.execute('release savepoint one_of_many');
    return { done };
  } catch (thrown) {
    await em.execute('rollback to savepoint one_of_many');
    // What it had changed in memory must not be written with the next.
    em.clear();
    const failure =
      thrown instanceof ForeignKeyConstraintViolationException
        ? new GatewayError('notFound', 'not_found_error', 'What it refers to is not there', { cause: thrown })
        : GatewayError.from(thrown);
    if (failure.kind === 'internal') throw thrown;
    return { failure };
  }
}
