import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { conditionsOf, whereAll } from './spend.queries.ts';
import { type SpendScope, withinScope } from './spend.scope.ts';

/** What calls are added up by, and the column that says it: the empty text where a call has none. */
const columns = {
  key: 'key_id',
  team: 'team_id',
  user: 'user_id',
  organization: 'organization_id',
  customer: 'customer_id',
  tag: 'tag',
  model: 'model',
  provider: 'provider',
  upstream_model: 'upstream_model',
  day: 'date::text',
  month: `to_char(date, 'YYYY-MM')`,
} as const;

export type Grouping = keyof typeof columns;
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal
export const groupings = Object.keys(columns) as [Grouping, ...Grouping[]];

/** How people call what an id names. */
const names: Partial<Record<Grouping, (id: string) => string>> = {
  key: (id) => `(select coalesce(k.alias, k.name) from ${SCHEMA}.keys k where k.id = ${id})`,
  team: (id) => `(select t.alias from ${SCHEMA}.teams t where t.id = ${id})`,
  user: (id) => `(select u.email from ${SCHEMA}.users u where u.id = ${id})`,
  organization: (id) => `(select o.alias from ${SCHEMA}.organizations o where o.id = ${id})`,
  customer: (id) => `(select c.alias from ${SCHEMA}.customers c where c.id = ${id})`,
};

export interface ReportFilter {
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly keyId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly userId?: string | undefined;
  readonly customerId?: string | undefined;
  readonly tag?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly model?: string | undefined;
  readonly provider?: string | undefined;
  /** Only calls that would have been refused. */
  readonly wouldRefuse?: boolean | undefined;
}

export interface Report {
  readonly by: readonly Grouping[];
  readonly filter: ReportFilter;
  readonly scope: SpendScope;
  readonly limit: number;
  /** Whether to add up what is not shown as well, in one more row. */
  readonly hasTotal: boolean;
}

/** Calls that have something in common, added up. Counts and nano-dollars are text, as int8 comes. */
export interface SpendSum {
  readonly isTotal: boolean;
  /** In the order of what was asked for; empty for the row of all. */
  readonly groups: readonly { readonly by: Grouping; readonly id: string; readonly label: string | null }[];
  readonly requests: string;
  readonly failed_requests: string;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly spend: string;
}

const conditions = {
  since: `date >= (?::timestamptz at time zone 'utc')::date`,
  // A day counts whole: up to noon is up to the end of the day.
  until: `date < ((?::timestamptz - interval '1 microsecond') at time zone 'utc')::date + 1`,
  keyId: 'key_id = ?',
  teamId: 'team_id = ?',
  userId: 'user_id = ?',
  customerId: 'customer_id = ?',
  tag: 'tag = ?',
  tags: 'tag = any (?::text[])',
  model: 'model = ?',
  provider: 'provider = ?',
} as const satisfies Record<Exclude<keyof ReportFilter, 'wouldRefuse'>, string>;

const sums = ['requests', 'failed_requests', 'prompt_tokens', 'completion_tokens', 'spend'] as const;

/** The calls themselves as if each were a day of its own: for what no aggregate keeps together. */
const calls = ({
  isOfTags,
  isOfCustomers,
  wouldRefuse,
}: Record<'isOfTags' | 'isOfCustomers' | 'wouldRefuse', boolean>): string => {
  const tags = isOfTags ? ' cross join lateral (select distinct unnest(logs.request_tags) as tag) as tags' : '';
  return `(select (created_at at time zone 'utc')::date as date, key_id, coalesce(team_id, '') as team_id,
      coalesce(user_id, '') as user_id, coalesce(organization_id, '') as organization_id, end_user as customer_id,
      ${tags === '' ? `''` : 'tags.tag'} as tag, model, provider, upstream_model, 1 as requests, (status = 'failure')::int as failed_requests,
      prompt_tokens, completion_tokens, spend
    from ${SCHEMA}.spend_logs logs${tags} where created_at >= ? and created_at < ?
      ${isOfCustomers ? 'and end_user is not null' : ''} ${wouldRefuse ? 'and would_refuse is not null' : ''}) as daily`;
};

interface Source {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** The aggregates wherever they know it all, which is nearly always. */
function sourceOf({
  by,
  filter: { since, until, teamId, customerId, tag, wouldRefuse = false },
  scope,
}: Report): Source {
  const isOfCustomers = by.includes('customer') || customerId !== undefined;
  const isOfTags = by.includes('tag') || tag !== undefined;
  const isKept = !by.includes('upstream_model') && !wouldRefuse;
  if (isKept && !isOfCustomers && !isOfTags) return { text: `${SCHEMA}.daily_spend as daily`, values: [] };
  const needsTeams = scope !== undefined || teamId !== undefined || by.includes('team') || by.includes('organization');
  if (isKept && !needsTeams && !(isOfCustomers && isOfTags)) {
    return { text: `${SCHEMA}.daily_${isOfTags ? 'tag' : 'customer'}_spend as daily`, values: [] };
  }
  // Whole days as in the aggregates; the conditions on `date` cut the rest off.
  const from = since ? startOfDay(since) : new Date(0);
  const to = until ? new Date(startOfDay(until).getTime() + DAY_MS) : new Date('9999-01-01T00:00:00Z');
  return { text: calls({ isOfTags, isOfCustomers, wouldRefuse }), values: [from, to] };
}

const DAY_MS = 86_400_000;
const startOfDay = (at: Date): Date => new Date(Math.floor(at.getTime() / DAY_MS) * DAY_MS);

type Row = Pick<SpendSum, (typeof sums)[number]> & { readonly total: boolean } & Readonly<
    Record<`id${number}`, string> & Record<`label${number}`, string | null>
  >;

/** Sums over whole days, the dearest first, and the newest first where days or months come first. */
export async function spendReport(em: EntityManager, report: Report): Promise<SpendSum[]> {
  const { by, filter, scope, limit, hasTotal } = report;
  const { parts, values } = conditionsOf({ ...filter, tags: filter.tags && sqlArray(filter.tags) }, conditions);
  const within = withinScope(scope);
  const source = sourceOf(report);
  const ids = by.map((_, index) => `id${index}`);
  const isByTime = by[0] === 'day' || by[0] === 'month';
  const labels = by.map((each, index) => `${names[each]?.(`sums.id${index}`) ?? 'null'} as label${index}`);
  const order = ['total desc', ...(isByTime ? ['id0 desc'] : []), 'spend desc', ...ids];
  const sets = hasTotal ? `grouping sets ((${ids.join(', ')}), ())` : ids.join(', ');
  const rows = await em.execute<Row[]>(
    `select sums.*, ${labels.join(', ')} from (
       select ${ids.join(', ')}, ${hasTotal ? 'grouping(id0) = 1' : 'false'} as total,
              ${sums.map((name) => `coalesce(sum(${name}), 0)::bigint as ${name}`).join(', ')}
         from (select ${by.map((each, index) => `${columns[each]} as id${index}`).join(', ')}, ${sums.join(', ')}
                 from ${source.text} ${whereAll([...parts, ...(within ? [within.text] : [])])}) as found
        group by ${sets} order by ${order.join(', ')} limit ?
     ) as sums order by ${order.join(', ')}`,
    [...source.values, ...values, ...(within?.values ?? []), limit + (hasTotal ? 1 : 0)],
  );
  return rows.map((row) => ({
    isTotal: row.total,
    groups: row.total
      ? []
      : by.map((each, index) => ({ by: each, id: row[`id${index}`] ?? '', label: row[`label${index}`] ?? null })),
    requests: row.requests,
    failed_requests: row.failed_requests,
    prompt_tokens: row.prompt_tokens,
    completion_tokens: row.completion_tokens,
    spend: row.spend,
  }));
}
