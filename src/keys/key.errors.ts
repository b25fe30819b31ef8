import { GatewayError } from '../kernel/errors.ts';
import { keyReference } from '../kernel/secret.ts';
import type { Key } from './key.entity.ts';

export const aliasTaken = (alias: string, cause: unknown) =>
  new GatewayError(
    'conflict',
    'bad_request_error',
    `Key with alias '${alias}' already exists. Unique key aliases across all keys are required.`,
    {
      param: 'key_alias',
      // LiteLLM answers 400 here, and its clients' tests look for it.
      status: 400,
      hint: `Choose another alias, or get a new secret for that key: gatewayctl key rotate ${alias}`,
      cause,
    },
  );

export const secretTaken = (cause: unknown) =>
  new GatewayError('conflict', 'bad_request_error', 'That key is already in use', {
    param: 'key',
    status: 400,
    hint: 'Leave it out, and one is generated.',
    cause,
  });

export function teamKeysHeld(userId: string, keys: readonly Key[]): GatewayError {
  const names = keys.map(({ alias, name }) => alias ?? name).join(', ');
  return new GatewayError('conflict', 'user_holds_team_keys', `User ${userId} holds keys of a team: ${names}`, {
    param: 'user_ids',
    hint: 'Give the keys to somebody else (gatewayctl key update KEY --user OTHER), or delete them too with --cascade.',
  });
}

/** The reference may be a secret, and this message goes to logs and terminals: only an alias is repeated. */
export function unknownKey(reference: string): GatewayError {
  const named = keyReference(reference);
  if (!('name' in named)) {
    return new GatewayError('notFound', 'not_found_error', 'Key not found in database', { param: 'key' });
  }
  return new GatewayError('notFound', 'not_found_error', `No key "${named.name}"`, {
    param: 'key',
    hint: 'Which keys there are: gatewayctl key list',
  });
}
