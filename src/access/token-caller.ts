import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Role, TokenActor } from '../kernel/operation.ts';
import type { CallerRow } from './caller.ts';

/** @throws GatewayError 401 when the token has expired since, or its user, team or organization was blocked or deleted */
export async function tokenCallerOf(em: EntityManager, actor: TokenActor): Promise<CallerRow> {
  const { userId, expiresAt, workload } = actor;
  const teamId = workload ? workload.teamId : actor.teamId;
  const organizationId = workload ? workload.organizationId : actor.organizationId;
  const [row] = await em.execute<{ user_role: Role | null; is_good: boolean }[]>(
    `select u.role as user_role,
            not (coalesce(u.blocked, false) or coalesce(t.blocked, false) or coalesce(o.blocked, false))
              and (w.user_id is null or u.id is not null) and (w.team_id is null or t.id is not null)
              and (w.organization_id is null or o.id is not null) and now() < to_timestamp(?) as is_good
     from (select ?::text as user_id, ?::text as team_id, ?::text as organization_id) w
     left join ${SCHEMA}.users u on u.id = w.user_id
     left join ${SCHEMA}.teams t on t.id = w.team_id
     left join ${SCHEMA}.organizations o on o.id = coalesce(w.organization_id, t.organization_id, u.organization_id)`,
    [expiresAt / 1_000, userId, teamId, organizationId],
  );
  if (!row?.is_good) {
    const what = 'the JWT has expired, or its user, team or organization was blocked or deleted';
    throw new GatewayError('unauthenticated', 'auth_error', `Authentication Error, ${what}`);
  }
  return {
    id: null,
    team_id: teamId,
    organization_id: organizationId,
    user_id: userId,
    user_role: row.user_role,
    is_good: true,
    models: [],
    allowed_routes: [],
    allowed_ips: [],
    expires_at: null,
    max_budget: null,
    tpm_limit: null,
    rpm_limit: null,
    max_parallel_requests: null,
  };
}
