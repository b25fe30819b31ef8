import { GatewayError } from '../kernel/errors.ts';

export const routeNotAllowed = (allowed: readonly string[], path: string) =>
  new GatewayError(
    'forbidden',
    'auth_error',
    `Virtual key is not allowed to call this route. Only allowed to call routes: [${allowed.join(', ')}]. Tried to call route: ${path}`,
    { hint: 'Use another key, or have an administrator change its allowed_routes.' },
  );

export const adminOnly = (path: string, role: string) =>
  new GatewayError(
    'forbidden',
    'auth_error',
    `Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route=${path}. Your role=${role}`,
    { hint: 'Use the master key, or the key of a user whose role is proxy_admin.' },
  );
