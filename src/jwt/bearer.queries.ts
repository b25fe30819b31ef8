import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import { ownerBudgets, ownerColumns, type OwnerRow } from '../keys/key.queries.ts';

/** Whom a token names. */
export interface NamedOwners {
  readonly userId: string | undefined;
  /** Where no id is named. */
  readonly userEmail: string | undefined;
  readonly teamIds: readonly string[];
  readonly teamAlias: string | undefined;
  readonly organizationId: string | undefined;
  readonly organizationAlias: string | undefined;
}

/** One team in which the bearer of a token may act, or none, with all that limits it there. */
export interface BearerRow extends OwnerRow {
  /** As it was named; null for the bearer without a team. */
  readonly wanted_team: string | null;
  readonly is_member: boolean;
  readonly team_organization_id: string | null;
  readonly named_organization_id: string | null;
  /** All teams of the user. */
  readonly user_teams: string[];
}

const statement = `
  with named as (
    select id, place from unnest($3::text[]) with ordinality as listed (id, place)
    union all select id, 0 from ${SCHEMA}.teams where alias = $4::text
    union all select null, 1000000
  ), organization as (
    select coalesce($5::text, (select id from ${SCHEMA}.organizations where alias = $6::text)) as id
  )
  select n.id as wanted_team, m.user_id is not null as is_member, t.organization_id as team_organization_id,
         (select x.id from ${SCHEMA}.organizations x where x.id = wanted.id) as named_organization_id,
         coalesce((select array_agg(team_id) from ${SCHEMA}.team_members where user_id = u.id), '{}') as user_teams,
         ${ownerColumns},
         array_remove(array[ub.id, mb.id, ob.id, omb.id], null) as shared_budgets,
         (extract(epoch from now()) * 1000)::float8 as read_at
  from named n cross join organization wanted
  left join ${SCHEMA}.teams t on t.id = n.id
  left join ${SCHEMA}.users u on u.id = $1::text or ($1::text is null and lower(u.email) = lower($2::text))
  left join ${SCHEMA}.team_members m on m.team_id = t.id and m.user_id = u.id
  left join ${SCHEMA}.organizations o on o.id = coalesce(wanted.id, t.organization_id, u.organization_id)
  left join ${SCHEMA}.organization_members om on om.organization_id = o.id and om.user_id = u.id
  ${ownerBudgets}
  order by n.place`;

/** One statement for all that a token may stand for; a row for each team, in their order, and the last for no team. */
export async function findBearerRows(pool: pg.Pool, named: NamedOwners, deadlineMs: number): Promise<BearerRow[]> {
  const { userId, userEmail, teamIds, teamAlias, organizationId, organizationAlias } = named;
  const values = [userId, userEmail, teamIds, teamAlias, organizationId, organizationAlias].map(
    (value) => value ?? null,
  );
  const query = { name: 'bearer-by-claims', text: statement, values, query_timeout: deadlineMs };
  const { rows } = await pool.query<BearerRow>(query);
  return rows;
}

/** The secret's hash of the key that a claim is mapped to; the mapping of the issuer itself before one of any issuer. */
export async function findMappedToken(
  pool: pg.Pool,
  { issuer, claim, value }: { readonly issuer: string; readonly claim: string; readonly value: string },
  deadlineMs: number,
): Promise<{ readonly token: string; readonly is_active: boolean } | undefined> {
  const query = {
    name: 'key-by-claim',
    text: `select k.token, m.is_active from ${SCHEMA}.jwt_key_mappings m join ${SCHEMA}.keys k on k.id = m.key_id
           where m.claim_name = $1 and m.claim_value = $2 and (m.issuer is null or m.issuer = $3)
           order by m.issuer nulls last limit 1`,
    values: [claim, value, issuer],
    query_timeout: deadlineMs,
  };
  const { rows } = await pool.query<{ token: string; is_active: boolean }>(query);
  return rows[0];
}
