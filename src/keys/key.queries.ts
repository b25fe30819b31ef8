import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';

/** Everything a call is decided by, as one row. Amounts are text: int8 as pg gives it. */
export interface KeyRow {
  readonly key_id: string;
  readonly token: string;
  readonly alias: string | null;
  readonly name: string;
  readonly models: string[];
  readonly blocked: boolean;
  /** Milliseconds since 1970. */
  readonly expires_at: number | null;
  readonly max_budget: string | null;
  readonly spend: string;
  readonly team_id: string | null;
  readonly team_alias: string | null;
  readonly team_models: string[] | null;
  readonly team_blocked: boolean | null;
  readonly team_max_budget: string | null;
  readonly team_spend: string | null;
  readonly user_id: string | null;
  readonly user_role: string | null;
  readonly user_models: string[] | null;
  readonly user_max_budget: string | null;
  readonly user_spend: string | null;
  readonly organization_id: string | null;
  /** When this was read, in milliseconds since 1970. */
  readonly read_at: number;
}

/** A retired secret counts until its grace ends, and no longer than the key itself; one that is in use again counts as that. */
const statement = `
  with found as (
    select id, null::timestamptz as until from ${SCHEMA}.keys where token = $1
    union all
    select key_id, expires_at from ${SCHEMA}.retired_tokens where token = $1 and expires_at > now()
  )
  select k.id as key_id, k.token, k.alias, k.name, k.models, k.blocked,
         (extract(epoch from least(k.expires_at, f.until)) * 1000)::float8 as expires_at, k.max_budget, k.spend,
         t.id as team_id, t.alias as team_alias, t.models as team_models, t.blocked as team_blocked,
         t.max_budget as team_max_budget, t.spend as team_spend,
         u.id as user_id, u.role as user_role, u.models as user_models, u.max_budget as user_max_budget, u.spend as user_spend,
         coalesce(k.organization_id, t.organization_id, u.organization_id) as organization_id,
         (extract(epoch from now()) * 1000)::float8 as read_at
  from found f
  join ${SCHEMA}.keys k on k.id = f.id
  left join ${SCHEMA}.teams t on t.id = k.team_id
  left join ${SCHEMA}.users u on u.id = k.user_id
  order by f.until desc nulls first limit 1`;

/** One statement for a key with its team and user: what authentication costs on a cold cache. */
export async function findKeyRow(pool: pg.Pool, hash: string, deadlineMs: number): Promise<KeyRow | undefined> {
  const query = { name: 'key-by-token', text: statement, values: [hash], query_timeout: deadlineMs };
  const { rows } = await pool.query<KeyRow>(query);
  return rows[0];
}

/** The hashes, present and retired, under which keys of a team or a user may be cached. */
export async function tokensOf(pool: pg.Pool, owner: 'team' | 'user' | 'organization', id: string): Promise<string[]> {
  const column = { team: 'team_id', user: 'user_id', organization: 'organization_id' }[owner];
  const { rows } = await pool.query<{ token: string }>(
    `select token from ${SCHEMA}.keys where ${column} = $1
     union all
     select r.token from ${SCHEMA}.retired_tokens r join ${SCHEMA}.keys k on k.id = r.key_id where k.${column} = $1`,
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
