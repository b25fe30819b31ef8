import type { EntityManager } from '@mikro-orm/postgresql';
import { parseDuration } from '../kernel/duration.ts';
import { windowOf } from '../kernel/window.ts';
import { SCHEMA } from './schema.ts';

/** Whose budgets may be for a length of time, and where that stands: their own, else their shared budget's. */
const holders = {
  key: { table: 'keys', id: 'o.id', duration: 'coalesce(o.budget_duration, b.budget_duration)' },
  team: { table: 'teams', id: 'o.id', duration: 'o.budget_duration' },
  user: { table: 'users', id: 'o.id', duration: 'coalesce(o.budget_duration, b.budget_duration)' },
  organization: { table: 'organizations', id: 'o.id', duration: 'coalesce(o.budget_duration, b.budget_duration)' },
  customer: { table: 'customers', id: 'o.id', duration: 'coalesce(o.budget_duration, b.budget_duration)' },
  tag: { table: 'tags', id: 'o.name', duration: 'coalesce(o.budget_duration, b.budget_duration)' },
} as const;

/**
 * What each of some holders has spent in the present window of its budget, in nano-dollars: LiteLLM's `spend`. Those whose
 * budget is for good are not in the answer; what they have spent is in their own row.
 */
export async function windowSpend(
  em: EntityManager,
  entity: keyof typeof holders,
  { ids, now }: { readonly ids: readonly string[]; readonly now: Date },
): Promise<Map<string, bigint>> {
  if (ids.length === 0) return new Map();
  const { table, id, duration } = holders[entity];
  const shared = entity === 'team' ? '' : `left join ${SCHEMA}.budgets b on b.id = o.budget_id`;
  const rows = await em.execute<{ id: string; duration: string; started_ms: number | null; spend: string | null }[]>(
    `select ${id} as id, ${duration} as duration, w.spend, (extract(epoch from w.started_at) * 1000)::float8 as started_ms
       from ${SCHEMA}.${table} o ${shared}
       left join ${SCHEMA}.budget_windows w
         on w.entity = ? and w.id = ${id} and w.model = '' and w.duration = ${duration}
      where ${id} in (${ids.map(() => '?').join(', ')}) and ${duration} is not null`,
    [entity, ...ids],
  );
  return new Map(
    rows.map(({ id: each, duration: text, started_ms: startedMs, spend }) => {
      const parsed = parseDuration(text);
      const isPresent = parsed && startedMs === windowOf(parsed, now).start.getTime();
      return [each, isPresent ? BigInt(spend ?? 0) : 0n];
    }),
  );
}
