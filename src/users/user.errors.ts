import type { UniqueConstraintViolationException } from '@mikro-orm/core';
import { GatewayError } from '../kernel/errors.ts';
import type { User } from './user.entity.ts';

type UserName = 'user_email' | 'sso_user_id' | 'user_id';

export function nameIn({ message }: UniqueConstraintViolationException): UserName {
  if (/users_email/.test(message)) return 'user_email';
  return /users_sso_user_id/.test(message) ? 'sso_user_id' : 'user_id';
}

export function taken({ id, email, ssoUserId }: User, param: UserName, cause?: unknown): GatewayError {
  const value = { user_email: email, sso_user_id: ssoUserId, user_id: id }[param];
  return new GatewayError('conflict', 'bad_request_error', `User with ${param} ${value} already exists.`, {
    param,
    // LiteLLM's clients look for 400 where something exists already.
    status: 400,
    hint: `Change the user there is: gatewayctl user update ${value}`,
    cause,
  });
}
