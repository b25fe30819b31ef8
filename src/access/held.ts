import { HeldLimits, type HeldLimitsRow } from '../db/held-limits.ts';
import { toNano } from '../kernel/money.ts';
import type { BudgetLimit, Held, Holder, RateLimit } from './principal.ts';

const nothing: Held = { budgets: [], rates: [], modelBudgets: [], modelRates: [] };

export interface ReadHeld {
  readonly held: Held;
  /** Nano-dollars, for good. */
  readonly spent: bigint;
}

/**
 * The limits of a holder, read once, so that no call has to.
 *
 * @param isCounted whether what it spends is counted although nothing limits it
 * @throws ZodError when what is stored makes no sense: a limit that cannot be read must not be taken for none
 */
export function readHeld(holder: Holder, row: HeldLimitsRow | null, { isCounted = false } = {}): ReadHeld {
  if (!row) return { held: nothing, spent: 0n };
  const limits = HeldLimits.parse(row);
  return {
    spent: limits.spend,
    held: {
      budgets: budgetsOf(holder, limits, isCounted),
      rates: ratesOf(holder, limits),
      modelBudgets: modelBudgetsOf(holder, limits),
      modelRates: modelRatesOf(holder, limits),
    },
  };
}

/** One budget for each length of time: two that say different things of the same one would count its calls twice. */
function budgetsOf(
  holder: Holder,
  { max, soft, duration, windows, increase }: HeldLimits,
  isCounted: boolean,
): BudgetLimit[] {
  const budgets = new Map<string | undefined, BudgetLimit>();
  if (isCounted) budgets.set(undefined, { ...holder, max: null });
  // One that is for a time is counted without a limit too: answers say what was spent in it.
  if (max !== null || soft !== null || duration !== null) {
    budgets.set(duration ?? undefined, {
      ...holder,
      max,
      ...(max !== null && increase && { increase: { amount: increase.amount, untilMs: increase.until_ms } }),
      ...(soft !== null && { soft }),
      ...(duration !== null && { duration }),
    });
  }
  for (const { budget_duration: each, max_budget: dollars } of windows ?? []) {
    const most = toNano(dollars);
    const other = budgets.get(each);
    budgets.set(each, { ...holder, duration: each, ...smallerOf(other, most) });
  }
  return [...budgets.values()];
}

/** Of a budget and another for the same time the smaller one holds, also while the first is larger for a time. */
function smallerOf(budget: BudgetLimit | undefined, most: bigint): Partial<BudgetLimit> & Pick<BudgetLimit, 'max'> {
  if (!budget) return { max: most };
  const { increase, ...plain } = budget;
  if (plain.max === null || plain.max >= most) return { ...plain, max: most };
  const room = most - plain.max;
  if (!increase || increase.amount <= room) return budget;
  return { ...plain, increase: { ...increase, amount: room } };
}

function ratesOf(holder: Holder, { rpm, tpm, parallel }: HeldLimits): RateLimit[] {
  if (rpm === null && tpm === null && parallel === null) return [];
  return [{ ...holder, requests: rpm, tokens: tpm, parallel }];
}

function modelBudgetsOf(holder: Holder, { modelBudgets }: HeldLimits): BudgetLimit[] {
  const budgets: BudgetLimit[] = [];
  for (const [model, { budget_limit: most, time_period: duration }] of Object.entries(modelBudgets ?? {})) {
    budgets.push({ ...holder, model, duration, max: toNano(most) });
  }
  return budgets;
}

function modelRatesOf(holder: Holder, { modelRpm, modelTpm }: HeldLimits): RateLimit[] {
  const rates: RateLimit[] = [];
  for (const model of new Set([...Object.keys(modelRpm ?? {}), ...Object.keys(modelTpm ?? {})])) {
    rates.push({
      ...holder,
      model,
      requests: modelRpm?.[model] ?? null,
      tokens: modelTpm?.[model] ?? null,
      parallel: null,
    });
  }
  return rates;
}

/** As if they were one holder's. */
export const joinHeld = (all: readonly Held[]): Held => ({
  budgets: all.flatMap(({ budgets }) => budgets),
  rates: all.flatMap(({ rates }) => rates),
  modelBudgets: all.flatMap(({ modelBudgets }) => modelBudgets),
  modelRates: all.flatMap(({ modelRates }) => modelRates),
});
