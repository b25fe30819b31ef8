import { GatewayError } from '../kernel/errors.ts';
import { keyReference } from '../kernel/secret.ts';
import { wireName } from '../kernel/wire.ts';
import type { DeletedKey, Key } from './key.entity.ts';

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

/** In use, or once used: whoever still holds a secret that was replaced must not be let in again. */
export const secretTaken = (cause?: unknown) =>
  new GatewayError('conflict', 'bad_request_error', 'That key is in use, or was', {
    param: 'key',
    status: 400,
    hint: 'Leave it out, and one is generated.',
    cause,
  });

export function teamKeysHeld(userId: string, keys: readonly Key[], readable: ReadonlySet<Key>): GatewayError {
  const names = keys.filter((key) => readable.has(key)).map(({ alias, name }) => alias ?? name);
  const said = names.length === 0 ? '' : `: ${names.join(', ')}`;
  return new GatewayError('conflict', 'user_holds_team_keys', `User ${userId} holds keys of a team${said}`, {
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

/** What a key that is gone is told of to those who might have seen it. */
export function deletedKey({ id, token, alias, deletedAt, deletedBy }: DeletedKey): GatewayError {
  const named = alias ? `"${alias}" (${id})` : id;
  return new GatewayError(
    'notFound',
    'not_found_error',
    `Key ${named} was deleted on ${deletedAt.toISOString()} by ${deletedBy}`,
    { param: 'key', hint: `What it was: gatewayctl key list --status deleted --id ${token} -o yaml` },
  );
}

export const fieldNotAllowed = (field: string, reason: string) =>
  new GatewayError('forbidden', 'field_not_allowed', `${wireName(field)}: ${reason}`, { param: wireName(field) });

/** Nobody gives a key more than they hold themselves, or than its owner has. */
export const tooWide = (field: string) =>
  fieldNotAllowed(
    field,
    'the key would be able to do more than you may give: stay within your own key, its team and its organization',
  );

export const notYourKey = (what: string) =>
  new GatewayError('forbidden', 'forbidden', `You may see this key but not ${what} it`, {
    param: 'key',
    hint: 'Ask an administrator of its team.',
  });

/** @param owner such as `team red` */
export const outOfScope = (owner: string) =>
  new GatewayError('forbidden', 'forbidden', `Your own key belongs to ${owner} and does not reach beyond it`, {
    param: 'team_id',
    hint: 'Use a key of yours that belongs to nobody else.',
  });

/** LiteLLM's text and status, which its clients' tests look for. */
export const onlyForThemselves = (wanted: string, own: string | null) =>
  new GatewayError(
    'forbidden',
    'forbidden',
    `User can only create keys for themselves. Got user_id=${wanted}, Your ID=${own ?? 'None'}`,
    { param: 'user_id' },
  );

/** LiteLLM's type and status: 401, although the credential is good. */
export const notPermittedByTeam = (route: string, teamId: string) =>
  new GatewayError(
    'forbidden',
    'team_member_permission_error',
    `Team member does not have permissions for endpoint: ${route}. Team=${teamId}`,
    {
      param: route,
      status: 401,
      hint: `Ask an administrator of the team: gatewayctl team permission list ${teamId}`,
    },
  );

export const notInTeam = (userId: string, teamId: string, status?: number) =>
  new GatewayError('invalid', 'bad_request_error', `User=${userId} not assigned to team=${teamId}`, {
    param: 'user_id',
    status,
    hint: `Add the user first: gatewayctl team member add ${teamId} ${userId}`,
  });

/** The answer to whoever may not know of a team is that of one that is not there. */
export const unknownTeam = (reference: string) =>
  new GatewayError('notFound', 'not_found_error', `Team not found, passed team_id=${reference}`, {
    param: 'team_id',
    hint: 'Which teams there are: gatewayctl team list',
  });

/** LiteLLM's status and type. */
export const notYourKeys = (userId: string, own: string) =>
  new GatewayError(
    'forbidden',
    'bad_request_error',
    `You are not authorized to check another user's keys. Got user_id=${userId}, Your ID=${own}`,
    { param: 'user_id' },
  );
