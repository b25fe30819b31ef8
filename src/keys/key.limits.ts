import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { excessOf, type Grant } from '../kernel/grant.ts';
import type { ModelBudgets } from '../kernel/limits.ts';
import type { Key } from './key.entity.ts';

/** A shared budget as a key carries it along; the noun itself is elsewhere. Amounts are nano-dollars. */
export interface SharedBudget {
  readonly id: string;
  readonly maxBudget: bigint | null;
  readonly softBudget: bigint | null;
  readonly budgetDuration: string | null;
  readonly tpmLimit: number | null;
  readonly rpmLimit: number | null;
  readonly maxParallelRequests: number | null;
  readonly modelMaxBudget: ModelBudgets;
}

interface BudgetRow {
  readonly id: string;
  readonly max_budget: string | null;
  readonly soft_budget: string | null;
  readonly budget_duration: string | null;
  readonly tpm_limit: string | null;
  readonly rpm_limit: string | null;
  readonly max_parallel_requests: number | null;
  readonly model_max_budget: ModelBudgets;
}

const amount = (text: string | null): bigint | null => (text === null ? null : BigInt(text));
const count = (text: string | null): number | null => (text === null ? null : Number(text));

/** The shared budgets of keys, by id: one statement, and none where no key has one. */
export async function budgetsOf(em: EntityManager, keys: readonly Key[]): Promise<ReadonlyMap<string, SharedBudget>> {
  const ids = [...new Set(keys.flatMap(({ budgetId }) => budgetId ?? []))];
  if (ids.length === 0) return new Map();
  const rows = await em.execute<BudgetRow[]>(
    `select id, max_budget, soft_budget, budget_duration, tpm_limit, rpm_limit, max_parallel_requests, model_max_budget
     from ${SCHEMA}.budgets where id = any (?::text[])`,
    [sqlArray(ids)],
  );
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        maxBudget: amount(row.max_budget),
        softBudget: amount(row.soft_budget),
        budgetDuration: row.budget_duration,
        tpmLimit: count(row.tpm_limit),
        rpmLimit: count(row.rpm_limit),
        maxParallelRequests: row.max_parallel_requests,
        modelMaxBudget: row.model_max_budget,
      },
    ]),
  );
}

/** All that limits a key by itself, its shared budget included; its owners' limits come on top when it is used. */
export interface KeyLimits extends Grant {
  readonly softBudget: bigint | null;
  readonly budgetDuration: string | null;
  readonly budgetLimits: Readonly<Record<string, number>>;
  readonly modelMaxBudget: ModelBudgets;
  readonly modelRpmLimit: Readonly<Record<string, number>>;
  readonly modelTpmLimit: Readonly<Record<string, number>>;
  readonly aliases: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly enforcedParams: readonly string[];
  readonly permissions: Readonly<Record<string, boolean>>;
}

export function limitsOf(key: Key, budget?: SharedBudget): KeyLimits {
  return {
    models: key.models,
    maxBudget: key.maxBudget ?? budget?.maxBudget ?? null,
    softBudget: key.softBudget ?? budget?.softBudget ?? null,
    budgetDuration: key.budgetDuration ?? budget?.budgetDuration ?? null,
    tpmLimit: key.tpmLimit ?? budget?.tpmLimit ?? null,
    rpmLimit: key.rpmLimit ?? budget?.rpmLimit ?? null,
    maxParallelRequests: key.maxParallelRequests ?? budget?.maxParallelRequests ?? null,
    allowedRoutes: key.allowedRoutes,
    allowedPassthroughRoutes: key.allowedPassthroughRoutes,
    allowedIps: key.allowedIps,
    expiresAt: key.expiresAt ?? null,
    budgetLimits: Object.fromEntries(
      key.budgetLimits.map(({ budget_duration: duration, max_budget: most }) => [duration, most]),
    ),
    modelMaxBudget: { ...budget?.modelMaxBudget, ...key.modelMaxBudget },
    modelRpmLimit: key.modelRpmLimit,
    modelTpmLimit: key.modelTpmLimit,
    aliases: key.aliases,
    tags: key.tags,
    enforcedParams: key.enforcedParams,
    permissions: key.permissions,
  };
}

const isWithin = (next: Readonly<Record<string, number>>, held: Readonly<Record<string, number>>): boolean =>
  Object.entries(held).every(([name, most]) => (next[name] ?? Infinity) <= most);

const isWithinBudgets = (next: ModelBudgets, held: ModelBudgets): boolean =>
  Object.entries(held).every(([model, { budget_limit: most, time_period: period }]) => {
    const own = next[model];
    return own !== undefined && own.budget_limit <= most && own.time_period === period;
  });

const holdsAll = (next: readonly string[], held: readonly string[]): boolean =>
  held.every((each) => next.includes(each));

/**
 * The first of its own limits in which a key could do more than another one, or undefined.
 *
 * @param groups as for `excessOf`
 */
export function wideningOf(next: KeyLimits, held: KeyLimits, groups: ReadonlySet<string>): keyof KeyLimits | undefined {
  const excess = excessOf(next, [{ grant: held, isInherited: false }], groups);
  if (excess) return excess;
  // The same amount every day is more than once and for all.
  if (held.maxBudget !== null && next.budgetDuration !== held.budgetDuration) return 'budgetDuration';
  if (held.softBudget !== null && (next.softBudget === null || next.softBudget > held.softBudget)) return 'softBudget';
  if (!isWithin(next.budgetLimits, held.budgetLimits)) return 'budgetLimits';
  if (!isWithinBudgets(next.modelMaxBudget, held.modelMaxBudget)) return 'modelMaxBudget';
  if (!isWithin(next.modelRpmLimit, held.modelRpmLimit)) return 'modelRpmLimit';
  if (!isWithin(next.modelTpmLimit, held.modelTpmLimit)) return 'modelTpmLimit';
  // An alias may lead from an expensive model to a cheap one.
  if (Object.entries(held.aliases).some(([name, model]) => next.aliases[name] !== model)) return 'aliases';
  if (!holdsAll(next.tags, held.tags)) return 'tags';
  if (!holdsAll(next.enforcedParams, held.enforcedParams)) return 'enforcedParams';
  const isAllowed = ([name, value]: [string, boolean]) => !value || held.permissions[name] === true;
  return Object.entries(next.permissions).every(isAllowed) ? undefined : 'permissions';
}
