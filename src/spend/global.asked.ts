import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { days, daysBetween } from '../kernel/period.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { Grouping, ReportFilter, SpendSum } from './report.queries.ts';
import type { SpendReads } from './spend.reads.ts';

export interface GlobalNeeds {
  spend: SpendReads;
  em: EntityManager;
  keys: KeyService;
  now: Date;
}

export const period = {
  ...days,
  apiKey: label.optional().describe('Only calls with this key: alias, id or hash'),
};

export const most = z.int().min(1).max(1_000).default(100).describe('Rows at most, the dearest first');

const YEAR = 366;
const DAY_MS = 86_400_000;

export interface Period {
  readonly startDate?: string | undefined;
  readonly endDate?: string | undefined;
  readonly apiKey?: string | undefined;
}

/** What was asked for as the reports take it: whole days, the last one included, thirty of them where nothing is said. */
export async function filterOf({ keys, now }: Pick<GlobalNeeds, 'keys' | 'now'>, asked: Period): Promise<ReportFilter> {
  const { since, until } = daysBetween(asked, { now, most: YEAR });
  return {
    since: new Date(since),
    until: new Date(Date.parse(until) + DAY_MS),
    keyId: asked.apiKey === undefined ? undefined : (await keys.get(asked.apiKey)).id,
  };
}

/** The dearest of a kind. */
export async function dearest(
  needs: GlobalNeeds,
  by: Grouping,
  { limit, ...asked }: Period & { readonly limit: number },
): Promise<SpendSum[]> {
  const filter = await filterOf(needs, asked);
  return needs.spend.report(needs.em, { by: [by], filter, scope: undefined, limit, hasTotal: false });
}

/** Everything of a time by several things at once. */
export async function whole(needs: GlobalNeeds, by: readonly Grouping[], filter: ReportFilter): Promise<SpendSum[]> {
  return needs.spend.wholeReport(needs.em, { by, filter, scope: undefined });
}

export const nameAt = ({ groups }: SpendSum, index: number): string => groups[index]?.label ?? idAt({ groups }, index);
export const idAt = ({ groups }: Pick<SpendSum, 'groups'>, index: number): string => groups[index]?.id ?? '';

export const sumOf = (sums: readonly Pick<SpendSum, 'spend'>[]): bigint =>
  sums.reduce((sum, { spend }) => sum + BigInt(spend), 0n);
