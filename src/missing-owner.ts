import { ForeignKeyConstraintViolationException } from '@mikro-orm/core';
import { GatewayError } from './kernel/errors.ts';

/** A row that names an owner who is not there. The database is asked, not the code before it, so that no race is lost. */
export function asMissingOwner(thrown: unknown): unknown {
  if (!(thrown instanceof ForeignKeyConstraintViolationException)) return thrown;
  const column = /constraint "[a-z]+_([a-z]+_id)_fkey"/.exec(thrown.message)?.[1];
  const owner = column?.replace('_id', '') ?? 'object';
  return /is still referenced/.test(thrown.message)
    ? new GatewayError('conflict', 'still_in_use', 'Something still refers to it', { cause: thrown })
    : new GatewayError('notFound', 'not_found_error', missing(owner, thrown), { param: column, cause: thrown });
}

/** With the name that was given, where PostgreSQL says it: so that what was meant can be guessed. */
function missing(owner: string, thrown: ForeignKeyConstraintViolationException): string {
  const detail = 'detail' in thrown && typeof thrown.detail === 'string' ? thrown.detail : '';
  const name = /^Key \(\w+\)=\((.*)\) is not present/s.exec(detail)?.[1];
  return name === undefined ? `No such ${owner}` : `No ${owner} "${name}"`;
}
