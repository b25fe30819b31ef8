import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Actor, Role } from '../kernel/operation.ts';
import { coversRoute } from '../kernel/route-groups.ts';
import type { CallerRow } from './caller.ts';

/** @throws GatewayError 401 when the token has expired since, or its user, team or organization was blocked or deleted */
export async function tokenCallerOf(em: EntityManager, actor: Extract<Actor, { type: 'jwt' }>): Promise<CallerRow> {
  const { userId, permits, expiresAt, workload } = actor;
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
  const limits = workload ? [] : permits.map(({ anyOf }) => anyOf);
  return {
    id: null,
    team_id: teamId,
    organization_id: organizationId,
    user_id: userId,
    user_role: row.user_role,
    is_good: true,
    models: narrowest(limits.map((anyOf) => anyOf.map(({ models }) => models))) ?? [],
    allowed_routes:
      narrowest(
        limits.map((anyOf) => anyOf.map(({ routes }) => routes)),
        coversRoute,
      ) ?? [],
    allowed_ips: [],
    expires_at: null,
    max_budget: null,
    tpm_limit: null,
    rpm_limit: null,
    max_parallel_requests: null,
  };
}

/**
 * A list that stands for no more than each of the limits does: what all of them name. A limit of which one part is open
 * limits nothing; a list that would be empty names what is nothing, since an empty one is everything.
 */
function narrowest(
  limits: readonly (readonly (readonly string[] | undefined)[])[],
  covers = (held: readonly string[], wanted: string) => held.includes(wanted),
): readonly string[] | undefined {
  let least: readonly string[] | undefined;
  for (const parts of limits) {
    if (parts.some((part) => part === undefined)) continue;
    const names = parts.flatMap((part) => part ?? []);
    least = least
      ? [...least.filter((name) => covers(names, name)), ...names.filter((name) => covers(least ?? [], name))]
      : names;
  }
  return least?.length === 0 ? ['no-default-models'] : least;
}
