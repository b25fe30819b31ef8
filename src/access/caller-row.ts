import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Actor, Role } from '../kernel/operation.ts';
import { coversRoute } from '../kernel/route-groups.ts';

export interface GrantRow {
  readonly models: readonly string[];
  readonly max_budget: string | null;
  readonly tpm_limit: string | null;
  readonly rpm_limit: string | null;
  readonly max_parallel_requests: number | null;
}

/** Whoever asks, as the database has it at this moment. */
export interface CallerRow extends GrantRow {
  /** Of its key; null for whoever came with a token. */
  readonly id: string | null;
  readonly team_id: string | null;
  readonly organization_id: string | null;
  readonly allowed_routes: readonly string[];
  readonly allowed_ips: readonly string[];
  /** As text: so the ORM leaves moments in statements of our own. */
  readonly expires_at: string | null;
  readonly user_id: string | null;
  readonly user_role: Role | null;
  /** Whether it still is what it was when the request came: a body may take its time, and the key may be blocked meanwhile. */
  readonly is_good: boolean;
}

type ActorOf<Type extends Actor['type']> = Extract<Actor, { type: Type }>;

/** @throws GatewayError 401 when the caller's key has ended or was blocked since it was authenticated */
export async function readKeyCaller(em: EntityManager, actor: ActorOf<'key'>): Promise<CallerRow> {
  const [caller] = await em.execute<CallerRow[]>(
    `select k.id, k.team_id, k.organization_id, k.models, coalesce(k.max_budget, b.max_budget) as max_budget,
            coalesce(k.tpm_limit, b.tpm_limit) as tpm_limit, coalesce(k.rpm_limit, b.rpm_limit) as rpm_limit,
            coalesce(k.max_parallel_requests, b.max_parallel_requests) as max_parallel_requests,
            k.allowed_routes, k.allowed_ips, k.expires_at, u.id as user_id, u.role as user_role,
            not (k.blocked or coalesce(t.blocked, false) or coalesce(u.blocked, false) or coalesce(o.blocked, false))
              and (k.expires_at is null or k.expires_at > now())
              and (k.token = ? or exists (
                select 1 from ${SCHEMA}.retired_tokens r where r.key_id = k.id and r.token = ? and r.expires_at > now())
              ) as is_good
     from ${SCHEMA}.keys k left join ${SCHEMA}.users u on u.id = k.user_id
     left join ${SCHEMA}.teams t on t.id = k.team_id
     left join ${SCHEMA}.organizations o on o.id = coalesce(k.organization_id, t.organization_id, u.organization_id)
     left join ${SCHEMA}.budgets b on b.id = k.budget_id where k.id = ?`,
    [actor.hash, actor.hash, actor.keyId],
  );
  if (caller?.is_good) return caller;
  const what = caller ? 'is blocked, has expired or was replaced' : 'was deleted';
  throw new GatewayError('unauthenticated', 'auth_error', `Authentication Error, the key ${what}`);
}

/** @throws GatewayError 401 when the token has expired since, or its user, team or organization was blocked or deleted */
export async function readTokenCaller(em: EntityManager, actor: ActorOf<'jwt'>): Promise<CallerRow> {
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
