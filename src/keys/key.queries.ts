import type pg from 'pg';
import { type HeldLimitsRow, heldLimits, memberLacks, organizationMemberLacks } from '../db/held-limits.ts';
import { SCHEMA } from '../db/schema.ts';

/** The owners of a key, or of whoever else a call is charged to, with all that they limit. */
export interface OwnerRow {
  readonly team_id: string | null;
  readonly team_alias: string | null;
  readonly team_models: string[] | null;
  readonly team_aliases: Record<string, string> | null;
  readonly team_tags: string[] | null;
  readonly team_passthrough_routes: string[] | null;
  readonly team_blocked: boolean | null;
  readonly team_limits: HeldLimitsRow | null;
  readonly user_id: string | null;
  readonly user_role: string | null;
  readonly user_models: string[] | null;
  readonly user_blocked: boolean | null;
  readonly user_limits: HeldLimitsRow | null;
  readonly member_limits: HeldLimitsRow | null;
  readonly organization_id: string | null;
  readonly organization_alias: string | null;
  readonly organization_models: string[] | null;
  readonly organization_blocked: boolean | null;
  readonly organization_limits: HeldLimitsRow | null;
  readonly organization_member_limits: HeldLimitsRow | null;
  readonly shared_budgets: string[];
  /** When this was read, in milliseconds since 1970. */
  readonly read_at: number;
}

/** Everything a call is decided by, as one row. */
export interface KeyRow extends OwnerRow {
  /** What was looked for: the present secret's hash, or a retired one's. */
  readonly asked: string;
  readonly key_id: string;
  readonly token: string;
  readonly alias: string | null;
  readonly name: string;
  readonly models: string[];
  readonly aliases: Record<string, string>;
  readonly allowed_routes: string[];
  readonly allowed_passthrough_routes: string[];
  readonly allowed_ips: string[];
  readonly enforced_params: string[];
  readonly tags: string[];
  readonly blocked: boolean;
  /** Milliseconds since 1970. */
  readonly expires_at: number | null;
  readonly key_limits: HeldLimitsRow;
}

const memberLimits = heldLimits({
  own: 'm',
  id: 'm.user_id',
  shared: 'mb',
  without: memberLacks,
  otherwise: {
    max_budget: 't.member_max_budget',
    budget_duration: 't.member_budget_duration',
    tpm_limit: 't.member_tpm_limit',
    rpm_limit: 't.member_rpm_limit',
  },
});

const organizationMemberLimits = heldLimits({
  own: 'om',
  id: 'om.user_id',
  shared: 'omb',
  without: organizationMemberLacks,
});

/** Of the tables t, m, u, o and om, and of their shared budgets. */
export const ownerColumns = `
         t.id as team_id, t.alias as team_alias, t.models as team_models, t.aliases as team_aliases, t.tags as team_tags,
         t.allowed_passthrough_routes as team_passthrough_routes,
         t.blocked as team_blocked, ${heldLimits({ own: 't', id: 't.id', hasWindows: true })} as team_limits,
         u.id as user_id, u.role as user_role, u.models as user_models, u.blocked as user_blocked,
         ${heldLimits({ own: 'u', id: 'u.id', shared: 'ub' })} as user_limits,
         ${memberLimits} as member_limits,
         o.id as organization_id, o.alias as organization_alias, o.models as organization_models,
         o.blocked as organization_blocked, ${heldLimits({ own: 'o', id: 'o.id', shared: 'ob' })} as organization_limits,
         ${organizationMemberLimits} as organization_member_limits`;

export const ownerBudgets = `
  left join ${SCHEMA}.budgets ub on ub.id = u.budget_id
  left join ${SCHEMA}.budgets mb on mb.id = m.budget_id
  left join ${SCHEMA}.budgets ob on ob.id = o.budget_id
  left join ${SCHEMA}.budgets omb on omb.id = om.budget_id`;

/** A retired secret counts until its grace ends, and no longer than the key itself; one that is in use again counts as that. */
const statement = `
  with found as (
    select token, id, null::timestamptz as until from ${SCHEMA}.keys where token = any ($1)
    union all
    select token, key_id, expires_at from ${SCHEMA}.retired_tokens where token = any ($1) and expires_at > now()
  )
  select distinct on (f.token) f.token as asked, k.id as key_id, k.token, k.alias, k.name, k.models, k.aliases, k.allowed_routes,
         k.allowed_passthrough_routes, k.allowed_ips, k.enforced_params, k.tags,
         k.blocked, (extract(epoch from least(k.expires_at, f.until)) * 1000)::float8 as expires_at,
         ${heldLimits({ own: 'k', id: 'k.id', shared: 'kb', hasWindows: true, hasIncrease: true })} as key_limits,
         ${ownerColumns},
         array_remove(array[kb.id, ub.id, mb.id, ob.id, omb.id], null) as shared_budgets,
         (extract(epoch from now()) * 1000)::float8 as read_at
  from found f
  join ${SCHEMA}.keys k on k.id = f.id
  left join ${SCHEMA}.teams t on t.id = k.team_id
  left join ${SCHEMA}.users u on u.id = k.user_id
  left join ${SCHEMA}.team_members m on m.team_id = k.team_id and m.user_id = k.user_id
  left join ${SCHEMA}.organizations o on o.id = coalesce(k.organization_id, t.organization_id, u.organization_id)
  left join ${SCHEMA}.organization_members om on om.organization_id = o.id and om.user_id = k.user_id
  left join ${SCHEMA}.budgets kb on kb.id = k.budget_id
  ${ownerBudgets}
  order by f.token, f.until desc nulls first`;

/**
 * One statement for keys with all their owners and their limits: what authentication costs on a cold cache.
 *
 * @returns the rows there are, by the hashes that were asked for
 */
export async function findKeyRows(
  pool: pg.Pool,
  hashes: readonly string[],
  deadlineMs: number,
): Promise<ReadonlyMap<string, KeyRow>> {
  const query = { name: 'key-by-token', text: statement, values: [hashes], query_timeout: deadlineMs };
  const { rows } = await pool.query<KeyRow>(query);
  return new Map(rows.map((row) => [row.asked, row]));
}

/** Of a shared budget only the keys that name it: it is enough that no entry is left that nobody knows to be old. */
const ownedBy = {
  team: 'k.team_id = $1',
  user: 'k.user_id = $1',
  organization: `(k.organization_id = $1
    or k.team_id in (select id from ${SCHEMA}.teams where organization_id = $1)
    or k.user_id in (select id from ${SCHEMA}.users where organization_id = $1))`,
  budget: 'k.budget_id = $1',
} as const;

/** The hashes, present and retired, under which keys of an owner may be cached. */
export async function tokensOf(pool: pg.Pool, owner: keyof typeof ownedBy, id: string): Promise<string[]> {
  const { rows } = await pool.query<{ token: string }>(
    `select token from ${SCHEMA}.keys k where ${ownedBy[owner]}
     union all
     select r.token from ${SCHEMA}.retired_tokens r join ${SCHEMA}.keys k on k.id = r.key_id where ${ownedBy[owner]}`,
    [id],
  );
  return rows.map(({ token }) => token);
}

/** Waits for a change of the key that is under way. */
export async function findForRotation(
  pool: pg.Pool,
  id: string,
): Promise<{ id: string; token: string; alias: string | null } | undefined> {
  const { rows } = await pool.query<{ id: string; token: string; alias: string | null }>(
    `select id, token, alias from ${SCHEMA}.keys where id = $1 for share`,
    [id],
  );
  return rows[0];
}

/** In milliseconds since 1970: the ORM has taught the pool to leave moments as text. */
export async function nextRotationDue(pool: pg.Pool): Promise<number | undefined> {
  const { rows } = await pool.query<{ due: number | null }>(
    `select (extract(epoch from min(key_rotation_at)) * 1000)::float8 as due from ${SCHEMA}.keys
     where auto_rotate and not blocked and (expires_at is null or expires_at > now())`,
  );
  return rows[0]?.due ?? undefined;
}
