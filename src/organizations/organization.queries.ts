import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { windowSpend } from '../db/window-spend.ts';

/** A list of ids as one parameter: MikroORM writes an array out as several, and an empty one as none at all. */
const idsIn = 'select jsonb_array_elements_text(?::jsonb)';

export interface Size {
  readonly teamCount: number;
  readonly memberCount: number;
}

/** How many teams and members each of some organizations has: one statement, however many. One with neither is left out. */
export async function sizesOf(em: EntityManager, ids: readonly string[]): Promise<Map<string, Size>> {
  if (ids.length === 0) return new Map();
  const named = JSON.stringify(ids);
  const rows = await em.execute<{ id: string; teams: number; members: number }[]>(
    `select id, sum(teams)::int as teams, sum(members)::int as members from (
       select organization_id as id, count(*) as teams, 0 as members from ${SCHEMA}.teams
       where organization_id in (${idsIn}) group by organization_id
       union all
       select organization_id, 0, count(*) from ${SCHEMA}.organization_members
       where organization_id in (${idsIn}) group by organization_id
     ) as counted group by id`,
    [named, named],
  );
  return new Map(rows.map(({ id, teams, members }) => [id, { teamCount: teams, memberCount: members }]));
}

interface TeamRow {
  readonly id: string;
  readonly alias: string | null;
  readonly models: string[];
  readonly max_budget: string | null;
  readonly spend: string;
  readonly budget_duration: string | null;
  readonly blocked: boolean;
}

/**
 * The teams of an organization, by id.
 *
 * @param among only those of them; undefined is all
 */
export async function teamsOf(
  em: EntityManager,
  organizationId: string,
  { among, now, limit }: { readonly among: readonly string[] | undefined; readonly now: Date; readonly limit: number },
) {
  const rows = await em.execute<TeamRow[]>(
    `select id, alias, models, max_budget, spend, budget_duration, blocked from ${SCHEMA}.teams
     where organization_id = ? ${among ? `and id in (${idsIn})` : ''} order by id limit ${limit}`,
    among ? [organizationId, JSON.stringify(among)] : [organizationId],
  );
  const spenders = rows.map(({ id, budget_duration: budgetDuration }) => ({ id, budgetDuration }));
  const spent = await windowSpend(em, 'team', { spenders, now });
  return rows.map((row) => ({
    teamId: row.id,
    teamAlias: row.alias,
    models: row.models,
    maxBudget: row.max_budget === null ? null : BigInt(row.max_budget),
    spend: spent.get(row.id) ?? BigInt(row.spend),
    totalSpend: BigInt(row.spend),
    blocked: row.blocked,
  }));
}

export async function teamIdsOf(em: EntityManager, organizationId: string): Promise<string[]> {
  const rows = await em.execute<{ id: string }[]>(
    `select id from ${SCHEMA}.teams where organization_id = ? order by id`,
    [organizationId],
  );
  return rows.map(({ id }) => id);
}

/** What would be without an owner: teams, keys of the organization itself, and members. */
export async function holdingsOf(
  em: EntityManager,
  organizationId: string,
): Promise<{ teams: number; keys: number; members: number }> {
  const [row] = await em.execute<{ teams: number; keys: number; members: number }[]>(
    `select (select count(*)::int from ${SCHEMA}.teams where organization_id = ?) as teams,
            (select count(*)::int from ${SCHEMA}.keys where organization_id = ?) as keys,
            (select count(*)::int from ${SCHEMA}.organization_members where organization_id = ?) as members`,
    [organizationId, organizationId, organizationId],
  );
  return row ?? { teams: 0, keys: 0, members: 0 };
}

export async function emailsOf(em: EntityManager, userIds: readonly string[]): Promise<Map<string, string | null>> {
  if (userIds.length === 0) return new Map();
  const rows = await em.execute<{ id: string; email: string | null }[]>(
    `select id, email from ${SCHEMA}.users where id in (${idsIn})`,
    [JSON.stringify(userIds)],
  );
  return new Map(rows.map(({ id, email }) => [id, email]));
}
