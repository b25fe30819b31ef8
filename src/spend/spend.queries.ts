import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import type { Cursor } from './cursor.ts';
import { type Share, type SpendScope, withinScope } from './spend.scope.ts';

export interface SpendFilter {
  readonly requestId?: string | undefined;
  readonly keyId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly userId?: string | undefined;
  readonly model?: string | undefined;
  readonly endUser?: string | undefined;
  readonly status?: string | undefined;
  readonly wouldRefuse?: boolean | undefined;
  /** Nano-dollars. */
  readonly minSpend?: bigint | undefined;
  readonly maxSpend?: bigint | undefined;
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
  readonly would_refuse: string | null;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly usage_estimated: boolean;
  readonly spend: string;
  readonly price_source: string;
  readonly price_version: string | null;
  readonly service_tier: string | null;
  readonly organization_id: string | null;
  readonly cache_read_tokens: string;
  readonly cache_write_tokens: string;
  readonly reasoning_tokens: string;
  readonly request_tags: readonly string[];
  readonly requester_ip: string | null;
  readonly first_byte_at: Date | null;
}

const conditions = {
  requestId: 'request_id = ?',
  keyId: 'key_id = ?',
  teamId: 'team_id = ?',
  userId: 'user_id = ?',
  model: 'model = ?',
  endUser: 'end_user = ?',
  status: 'status = ?',
  wouldRefuse: '(would_refuse is not null) = ?',
  minSpend: 'spend >= ?',
  maxSpend: 'spend <= ?',
  since: 'created_at >= ?',
  until: 'created_at < ?',
} as const satisfies Record<keyof SpendFilter, string>;

/** Which calls, and whose. */
export interface Calls {
  readonly filter: SpendFilter;
  readonly scope: SpendScope;
}

/** Which of them: so many, behind the one that a page before ended with, or behind so many. */
export interface Part {
  readonly limit: number;
  readonly after?: Cursor | undefined;
  readonly offset?: number | undefined;
}

/** The first condition is for the indexes, which know nothing of the ids of requests. */
const behind = ['created_at <= ?', '(created_at, request_id) < (?, ?)'];
const valuesOf = ({ createdAt, requestId }: Cursor) => [createdAt, createdAt, requestId];

/**
 * The newest calls first. Each condition has an index; the partitions outside the dates are not looked at. Of each
 * owner in the scope the newest are read by its index, and what several of them have in common is shown once.
 */
export async function spendRows(em: EntityManager, { filter, scope, limit, after, offset = 0 }: Calls & Part) {
  if (scope?.length === 0) return [];
  const given = conditionsOf(filter, conditions);
  const parts = after ? [...given.parts, ...behind] : given.parts;
  const values = after ? [...given.values, ...valuesOf(after)] : given.values;
  const newest = (more: readonly string[]) =>
    `select * from ${SCHEMA}.spend_logs ${whereAll([...more, ...parts])} order by created_at desc, request_id desc limit ?`;
  const ofShare = ({ owner, teamId }: Share) => {
    const calls = newest([`${owner} = owners.id`, ...(teamId === undefined ? [] : ['team_id = ?'])]);
    return `select newest.* from unnest(?::text[]) as owners (id) cross join lateral (${calls}) as newest`;
  };
  const rows = scope === undefined ? newest([]) : scope.map(ofShare).join(' union ');
  const most = limit + offset;
  const named =
    scope === undefined
      ? [...values, most]
      : scope.flatMap(({ ids, teamId }) => [sqlArray(ids), ...(teamId === undefined ? [] : [teamId]), ...values, most]);
  return em.execute<SpendRow[]>(
    `select logs.*, (select coalesce(k.alias, k.name) from ${SCHEMA}.keys k where k.id = logs.key_id) as key_label
     from (select * from (${rows}) found order by created_at desc, request_id desc limit ? offset ?) logs
     order by created_at desc, request_id desc`,
    [...named, limit, offset],
  );
}

/** How many calls there are, counted up to a bound: nobody reads on beyond it page by page. */
export async function countCalls(em: EntityManager, { filter, scope, most }: Calls & { readonly most: number }) {
  const { parts, values } = conditionsOf(filter, conditions);
  const within = withinScope(scope);
  const [counted] = await em.execute<{ count: string }[]>(
    `select count(*) from (select 1 from ${SCHEMA}.spend_logs ${whereAll([...parts, ...(within ? [within.text] : [])])} limit ?) as found`,
    [...values, ...(within?.values ?? []), most],
  );
  return Number(counted?.count ?? 0);
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
