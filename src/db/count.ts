import type { EntityManager } from '@mikro-orm/postgresql';
import { offsetOf, type Page } from '../kernel/page.ts';

/** What a list may count row by row: 100,000 entries of an index that vacuum keeps clean take 10 to 30 ms. */
const COUNTED_AT_MOST = 100_000;

/**
 * What is counted whatever it costs. An index does not say which of its rows are still there, so each that vacuum has
 * not seen is looked up in the table: of 500,000 keys, 50,000 of one team that lie scattered took 110 to 235 ms.
 */
const COUNTED_ALWAYS = 10_000;

/** Up to here, in the planner's units, a list is counted on to 100,000: twice what as many entries of a clean index cost. */
const CHEAP = 5_000;

interface Plan {
  readonly 'Node Type': string;
  readonly 'Plan Rows': number;
  readonly 'Total Cost': number;
  readonly Plans?: readonly Plan[];
}

export interface Matching {
  /** A select without `order by` and `limit`, such as `select 1 from gatewayctl.keys k where k.team_id = ?`. */
  readonly rows: string;
  readonly values: readonly unknown[];
}

export interface Count {
  readonly rows: number;
  readonly isExact: boolean;
}

/** How many rows a statement finds, as {@link countUpTo}, and whether that is known or estimated. */
export async function count(em: EntityManager, { rows, values }: Matching): Promise<Count> {
  const [explained] = await em.execute<{ 'QUERY PLAN': readonly [{ Plan: Plan }] }[]>(`explain (format json) ${rows}`, [
    ...values,
  ]);
  const plan = explained?.['QUERY PLAN'][0].Plan;
  const estimate = plan?.['Plan Rows'] ?? 0;
  const cost = (plan?.['Total Cost'] ?? 0) * Math.min(1, COUNTED_AT_MOST / Math.max(1, estimate));
  const most = cost <= CHEAP ? COUNTED_AT_MOST : COUNTED_ALWAYS;
  // With a limit the planner takes the table from its start, hoping to find enough soon: keys made late lie at its end.
  const isIndexed = most === COUNTED_ALWAYS && plan !== undefined && !readsTables(plan);
  if (isIndexed) await em.execute('set local enable_seqscan = off');
  const [counted] = await em.execute<{ count: string }[]>(
    `select count(*) from (${rows} limit ${most + 1}) as counted`,
    [...values],
  );
  if (isIndexed) await em.execute('set local enable_seqscan = on');
  const found = Number(counted?.count ?? 0);
  return found <= most ? { rows: found, isExact: true } : { rows: Math.max(found, estimate), isExact: false };
}

const readsTables = (plan: Plan): boolean => plan['Node Type'] === 'Seq Scan' || (plan.Plans ?? []).some(readsTables);

/**
 * How many rows a statement finds: exactly up to 10,000, up to 100,000 where PostgreSQL counts that many cheaply, and
 * its estimate beyond, so that the first page of a long list does not wait for all of it to be counted.
 */
export async function countUpTo(em: EntityManager, matching: Matching): Promise<number> {
  return (await count(em, matching)).rows;
}

/**
 * The total to show with a page on which there are `found` entries. Whoever reads page after page until there are as
 * many as the total must neither be stopped by an estimate that is too low, nor sent on by one that is too high.
 */
export function totalWith({ rows, isExact }: Count, page: Page, found: number): number {
  if (isExact || found === 0) return rows;
  const reached = offsetOf(page) + found;
  return found < page.size ? reached : Math.max(rows, reached + 1);
}
