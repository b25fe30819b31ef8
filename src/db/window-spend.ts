import type { EntityManager } from '@mikro-orm/postgresql';
import { parseDuration } from '../kernel/duration.ts';
import { windowOf } from '../kernel/window.ts';
import { SCHEMA } from './schema.ts';
import { sqlArray } from './sql-array.ts';

/** Whose spend is asked for, and where it stands how long its budget is for: with itself, else with its shared budget. */
export interface Spender {
  /** A member's is that of `memberId`. */
  readonly id: string;
  readonly budgetDuration?: string | null | undefined;
  readonly budgetId?: string | null | undefined;
  /** How long it is where neither says anything. */
  readonly otherwise?: string | null | undefined;
}

const listOf = (values: readonly (string | null | undefined)[]): string => sqlArray(values.map((value) => value ?? ''));

/**
 * What each of some holders of a budget has spent in its present window, in nano-dollars: LiteLLM's `spend`. One
 * statement, and none where no budget is for a time. Those whose budget is for good are not in the answer; what they
 * have spent is in their own row.
 *
 * @param entity in the words of `BudgetEntity`
 */
export async function windowSpend(
  em: EntityManager,
  entity: string,
  { spenders, now }: { readonly spenders: readonly Spender[]; readonly now: Date },
): Promise<ReadonlyMap<string, bigint>> {
  const some = spenders.filter(
    ({ budgetDuration, budgetId, otherwise }) => budgetDuration ?? budgetId ?? otherwise ?? false,
  );
  if (some.length === 0) return new Map();
  const rows = await em.execute<{ id: string; duration: string; started_ms: number | null; spend: string | null }[]>(
    `select o.id, o.duration, w.spend, (extract(epoch from w.started_at) * 1000)::float8 as started_ms
       from (
         select n.id, coalesce(nullif(n.own, ''), b.budget_duration, nullif(n.otherwise, '')) as duration
           from unnest(?::text[], ?::text[], ?::text[], ?::text[]) as n (id, own, budget_id, otherwise)
           left join ${SCHEMA}.budgets b on b.id = n.budget_id
       ) as o
       left join ${SCHEMA}.budget_windows w
         on w.entity = ? and w.id = o.id and w.model = '' and w.duration = o.duration
      where o.duration is not null`,
    [
      sqlArray(some.map(({ id }) => id)),
      listOf(some.map(({ budgetDuration }) => budgetDuration)),
      listOf(some.map(({ budgetId }) => budgetId)),
      listOf(some.map(({ otherwise }) => otherwise)),
      entity,
    ],
  );
  return new Map(
    rows.map(({ id, duration: text, started_ms: startedMs, spend }) => {
      const duration = parseDuration(text);
      const isPresent = duration && startedMs === windowOf(duration, now).start.getTime();
      return [id, isPresent ? BigInt(spend ?? 0) : 0n];
    }),
  );
}
