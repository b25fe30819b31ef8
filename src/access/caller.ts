import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Grant } from '../kernel/grant.ts';
import type { Actor, Role } from '../kernel/operation.ts';

export interface GrantRow {
  /** None of whoever has no such list: a user, an organization. */
  readonly allowed_passthrough_routes?: readonly string[];
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

/**
 * The key that was used, as it is now.
 *
 * @throws GatewayError 401 when it has ended or was blocked since it was authenticated
 */
export async function callerOf(em: EntityManager, actor: Extract<Actor, { type: 'key' }>): Promise<CallerRow> {
  const ends = actor.token ? actor.token.expiresAt / 1_000 : null;
  const [caller] = await em.execute<CallerRow[]>(
    `select k.id, k.team_id, k.organization_id, k.models, coalesce(k.max_budget, b.max_budget) as max_budget,
            coalesce(k.tpm_limit, b.tpm_limit) as tpm_limit, coalesce(k.rpm_limit, b.rpm_limit) as rpm_limit,
            coalesce(k.max_parallel_requests, b.max_parallel_requests) as max_parallel_requests,
            k.allowed_routes, k.allowed_passthrough_routes, k.allowed_ips, k.expires_at, u.id as user_id, u.role as user_role,
            not (k.blocked or coalesce(t.blocked, false) or coalesce(u.blocked, false) or coalesce(o.blocked, false))
              and (k.expires_at is null or k.expires_at > now())
              and (k.token = ? or exists (
                select 1 from ${SCHEMA}.retired_tokens r where r.key_id = k.id and r.token = ? and r.expires_at > now())
              ) and (?::float8 is null or now() < to_timestamp(?::float8)) as is_good
     from ${SCHEMA}.keys k left join ${SCHEMA}.users u on u.id = k.user_id
     left join ${SCHEMA}.teams t on t.id = k.team_id
     left join ${SCHEMA}.organizations o on o.id = coalesce(k.organization_id, t.organization_id, u.organization_id)
     left join ${SCHEMA}.budgets b on b.id = k.budget_id where k.id = ?`,
    [actor.hash, actor.hash, ends, ends, actor.keyId],
  );
  if (caller?.is_good) return caller;
  const what = caller ? 'is blocked, has expired or was replaced' : 'was deleted';
  throw new GatewayError('unauthenticated', 'auth_error', `Authentication Error, the key ${what}`);
}

export const isBound = ({ team_id: teamId, organization_id: organizationId }: CallerRow): boolean =>
  teamId !== null || organizationId !== null;

/** What is left of a role that counts everywhere, where a key reaches no further than one team or organization. */
export const withinBounds = (role: Role): Role => {
  if (role === 'proxy_admin') return 'internal_user';
  return role === 'proxy_admin_viewer' ? 'internal_user_viewer' : role;
};

const count = (text: string | null): number | null => (text === null ? null : Number(text));

export const grantOf = (row: GrantRow): Grant => ({
  models: row.models,
  maxBudget: row.max_budget === null ? null : BigInt(row.max_budget),
  tpmLimit: count(row.tpm_limit),
  rpmLimit: count(row.rpm_limit),
  maxParallelRequests: row.max_parallel_requests,
  allowedRoutes: [],
  allowedPassthroughRoutes: row.allowed_passthrough_routes ?? [],
  allowedIps: [],
  expiresAt: null,
});
