import { GatewayError } from '../kernel/errors.ts';
import type { Actor } from '../kernel/operation.ts';
import { refusing } from '../kernel/permits.ts';
import { type Principal, standingsOf } from './principal.ts';

/** Who asks for an operation. @param path of the operation, as it is registered */
export function actorOf(principal: Principal, path: string): Actor {
  const { kind, token } = principal;
  if (kind === 'master') return { type: 'master' };
  if (kind === 'jwt' && token) return bearerOf(principal, path);
  const { keyId, hash, userId, teamId, role, expiresAt } = principal;
  const mapped = token && { mayBeAdmin: token.mayBeAdmin, permits: token.permits, expiresAt: expiresAt ?? 0 };
  return { type: 'key', keyId, hash, userId, teamId, role, ...(mapped && { token: mapped }) };
}

/** Of several teams of a token, it is in the first with which it may come this way. */
function bearerOf(principal: Principal, path: string): Actor {
  const standings = standingsOf(principal);
  const chosen = standings.find(({ token }) => token && !refusing(token.permits, { route: path })) ?? principal;
  const { userId, teamId, role, token, expiresAt } = chosen;
  if (!token) throw new GatewayError('internal', 'internal_error', 'A bearer without a token');
  const { issuer, subject, isAdmin, mayBeAdmin, workload, permits, organizationId } = token;
  return {
    type: 'jwt',
    issuer,
    subject,
    isAdmin,
    mayBeAdmin,
    workload,
    permits,
    organizationId,
    userId,
    teamId,
    role,
    expiresAt: expiresAt ?? 0,
  };
}
