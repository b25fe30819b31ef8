import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { type Share, type SpendScope, withinScope } from './spend.scope.ts';

export interface SpendFilter {
  readonly requestId?: string | undefined;
  readonly keyId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly userId?: string | undefined;
  readonly model?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

/** A call as the ledger has it. Amounts and counts are text, as int8 comes. */
export interface SpendRow {
  readonly request_id: string;
  readonly started_at: Date;
  readonly created_at: Date;
  readonly key_id: string;
  /** What people call the key; null when it is gone. */
  readonly key_label: string | null;
  readonly api_key: string;
  readonly team_id: string | null;
  readonly user_id: string | null;
  readonly end_user: string | null;
  readonly model: string;
  readonly upstream_model: string;
  readonly model_id: string;
  readonly provider: string;
  readonly call_type: string;
  readonly stream: boolean;
  /** Null in rows of versions that made one only. */
  readonly attempts: number | null;
  readonly cache_hit: boolean | null;
  readonly status: string;
  readonly http_status: number;
  readonly error: string | null;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly usage_estimated: boolean;
  readonly spend: string;
  readonly price_source: string;
  readonly price_version: string | null;
  readonly service_tier: string | null;
}

const conditions = {
  requestId: 'request_id = ?',
  keyId: 'key_id = ?',
  teamId: 'team_id = ?',
  userId: 'user_id = ?',
  model: 'model = ?',
  since: 'created_at >= ?',
  until: 'created_at < ?',
} as const satisfies Record<keyof SpendFilter, string>;

/**
 * The newest calls first. Each condition has an index; the partitions outside the dates are not looked at. Of each
 * owner in the scope the newest are read by its index, and what several of them have in common is shown once.
 */
export async function spendRows(
  em: EntityManager,
  { filter, scope, limit }: { filter: SpendFilter; scope: SpendScope; limit: number },
): Promise<SpendRow[]> {
  if (scope?.length === 0) return [];
  const { parts, values } = conditionsOf(filter, conditions);
  const newest = (more: readonly string[]) =>
    `select * from ${SCHEMA}.spend_logs ${whereAll([...more, ...parts])} order by created_at desc, request_id desc limit ?`;
  const ofShare = ({ owner, teamId }: Share) => {
    const calls = newest([`${owner} = owners.id`, ...(teamId === undefined ? [] : ['team_id = ?'])]);
    return `select newest.* from unnest(?::text[]) as owners (id) cross join lateral (${calls}) as newest`;
  };
  const rows = scope === undefined ? newest([]) : scope.map(ofShare).join(' union ');
  const given =
    scope === undefined
      ? [...values, limit]
      : scope.flatMap(({ ids, teamId }) => [
          sqlArray(ids),
          ...(teamId === undefined ? [] : [teamId]),
          ...values,
          limit,
        ]);
  return em.execute<SpendRow[]>(
    `select logs.*, (select coalesce(k.alias, k.name) from ${SCHEMA}.keys k where k.id = logs.key_id) as key_label
     from (${rows}) logs order by created_at desc, request_id desc limit ?`,
    [...given, limit],
  );
}

/** What calls are added up by, and the column of `daily_spend` that says it. */
export const groupings = {
  key: 'key_id',
  team: 'team_id',
  user: 'user_id',
  organization: 'organization_id',
  model: 'model',
  provider: 'provider',
  day: 'date::text',
} as const;

export interface SpendSum {
  readonly group: string;
  readonly label: string | null;
  readonly requests: string;
  readonly failed_requests: string;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly spend: string;
}

const names: Partial<Record<keyof typeof groupings, string>> = {
  key: `(select coalesce(k.alias, k.name) from ${SCHEMA}.keys k where k.id = sums.group)`,
  team: `(select t.alias from ${SCHEMA}.teams t where t.id = sums.group)`,
  user: `(select u.email from ${SCHEMA}.users u where u.id = sums.group)`,
  organization: `(select o.alias from ${SCHEMA}.organizations o where o.id = sums.group)`,
};

const dailyConditions = { since: 'date >= ?::date', until: 'date < ?::date' } as const;

/** Sums over days, the dearest first: from the aggregates, so that they are quick however many calls there were. */
export async function spendSums(
  em: EntityManager,
  {
    by,
    dates,
    scope,
    limit,
  }: {
    by: keyof typeof groupings;
    dates: Pick<SpendFilter, 'since' | 'until'>;
    scope: SpendScope;
    limit: number;
  },
): Promise<SpendSum[]> {
  const { parts, values } = conditionsOf(dates, dailyConditions);
  const within = withinScope(scope);
  return em.execute<SpendSum[]>(
    `select sums.*, ${names[by] ?? 'null'} as label from (
       select ${groupings[by]} as "group", sum(requests)::bigint as requests, sum(failed_requests)::bigint as failed_requests,
              sum(prompt_tokens)::bigint as prompt_tokens, sum(completion_tokens)::bigint as completion_tokens,
              sum(spend)::bigint as spend
       from ${SCHEMA}.daily_spend ${whereAll([...parts, ...(within ? [within.text] : [])])}
       group by 1 order by ${by === 'day' ? '1 desc' : 'sum(spend) desc, 1'} limit ?
     ) sums`,
    [...values, ...(within?.values ?? []), limit],
  );
}

export const whereAll = (parts: readonly string[]): string => (parts.length > 0 ? `where ${parts.join(' and ')}` : '');

/** The conditions of what was given, and their values in the same order. */
export function conditionsOf<F extends object>(filter: F, texts: Readonly<Partial<Record<keyof F, string>>>) {
  const parts: string[] = [];
  const values: unknown[] = [];
  for (const [name, value] of Object.entries(filter)) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a filter holds no other names
    const text = texts[name as keyof F];
    if (text === undefined || value === undefined) continue;
    parts.push(text);
    values.push(value);
  }
  return { parts, values };
}
