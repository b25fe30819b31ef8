import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { GatewayError } from '../kernel/errors.ts';
import { type Grouping, type ReportFilter, spendReport, type SpendSum } from './report.queries.ts';
import { type Owner, type SpendScope, withinScope } from './spend.scope.ts';

/** What LiteLLM's older clients get of a time in one answer, without pages. */
const ROWS_AT_MOST = 10_000;

/** @throws GatewayError when it is more than one answer should hold: a part of it would pass for all */
export async function wholeReport(
  em: EntityManager,
  { by, filter, scope }: { by: readonly Grouping[]; filter: ReportFilter; scope: SpendScope },
): Promise<SpendSum[]> {
  const found = await spendReport(em, { by, filter, scope, limit: ROWS_AT_MOST + 1, hasTotal: false });
  if (found.length <= ROWS_AT_MOST) return found;
  throw new GatewayError('invalid', 'invalid_request_error', `The answer would have more than ${ROWS_AT_MOST} rows`, {
    param: 'start_date',
    hint: 'Ask for fewer days, or use /spend/report.',
  });
}

export interface KnownKey {
  readonly token: string;
  readonly name: string | null;
  readonly alias: string | null;
}

/** The keys of some ids, also those that were deleted. */
export async function keysNamed(em: EntityManager, ids: readonly string[]): Promise<ReadonlyMap<string, KnownKey>> {
  const rows = await em.execute<(KnownKey & { id: string })[]>(
    `select id, token, name, alias from ${SCHEMA}.keys where id = any (?::text[])
     union all select id, token, null, alias from ${SCHEMA}.deleted_keys where id = any (?::text[])`,
    [sqlArray(ids), sqlArray(ids)],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** All tags that calls have carried, in order. */
export async function tagNames(em: EntityManager, most: number): Promise<string[]> {
  const rows = await em.execute<{ tag: string }[]>(
    `with recursive named as (
       (select tag from ${SCHEMA}.daily_tag_spend order by tag limit 1)
       union all
       select (select next.tag from ${SCHEMA}.daily_tag_spend next where next.tag > named.tag order by next.tag limit 1)
         from named where named.tag is not null
     ) select tag from named where tag is not null limit ?`,
    [most],
  );
  return rows.map(({ tag }) => tag);
}

const spenders = {
  keys: {
    select: `token, name as key_name, alias as key_alias, spend, max_budget, models, team_id, user_id, organization_id, blocked, expires_at, created_at`,
    columns: { key_id: 'id', user_id: 'user_id', team_id: 'team_id', organization_id: 'organization_id' },
  },
  users: {
    select: `id as user_id, email as user_email, alias as user_alias, role as user_role, spend, max_budget, models, created_at`,
    columns: { user_id: 'id' },
  },
} as const;

export interface Spender extends Readonly<Record<string, unknown>> {
  readonly spend: string;
  readonly max_budget: string | null;
}

/** Keys or users, those that have spent most in all first. */
export async function topSpenders(
  em: EntityManager,
  table: keyof typeof spenders,
  { scope, id, limit }: { readonly scope: SpendScope; readonly id?: string | undefined; readonly limit: number },
): Promise<Spender[]> {
  const { select, columns } = spenders[table];
  const known: Partial<Record<Owner, string>> = columns;
  const shares = scope?.filter(({ owner }) => known[owner] !== undefined);
  const within = withinScope(shares, (owner) => known[owner] ?? owner);
  const parts = [...(within ? [within.text] : []), ...(id === undefined ? [] : ['id = ?'])];
  return em.execute<Spender[]>(
    `select ${select} from ${SCHEMA}.${table} ${parts.length > 0 ? `where ${parts.join(' and ')}` : ''}
      order by spend desc, id limit ?`,
    [...(within?.values ?? []), ...(id === undefined ? [] : [id]), limit],
  );
}
