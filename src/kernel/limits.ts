import { z } from 'zod';
import { durationText } from './duration.ts';
import { usd } from './money.ts';
import { resetAt } from './window.ts';
import { timestamp } from './wire.ts';

/** Calls or tokens: a double holds every whole number up to 2^53, so no limit is rounded on its way. */
const count = z.int('must be a whole number').nonnegative('must not be negative').max(Number.MAX_SAFE_INTEGER);
const slots = z.int('must be a whole number').nonnegative('must not be negative').max(1_000_000);

const modelName = z.string().min(1).max(255);
const perModel = z.record(modelName, count);

/** LiteLLM's spelling inside, because it is kept and given back as it is. */
const modelBudget = z.strictObject({
  budget_limit: z.number().nonnegative('must not be negative').max(1e9),
  time_period: durationText,
});

export type ModelBudgets = Record<string, z.output<typeof modelBudget>>;

/** What any holder of a budget can be limited by, for input: absent leaves, a value sets, null clears. */
export const limitFields = {
  softBudget: usd.nullable().optional().describe('US dollars after which a warning is given; null is none'),
  budgetDuration: durationText
    .nullable()
    .optional()
    .describe(
      'How long a budget is for: 1d from midnight, 7d from Monday, 30d or 1mo from the first; null is for good',
    ),
  tpmLimit: count.nullable().optional().describe('Tokens per minute; null is no limit'),
  rpmLimit: count.nullable().optional().describe('Requests per minute; null is no limit'),
  maxParallelRequests: slots.nullable().optional().describe('Requests under way at once; null is no limit'),
  modelMaxBudget: z
    .record(modelName, modelBudget)
    .nullable()
    .optional()
    .describe('Budgets by model, such as {"gpt-4o": {"budget_limit": 5, "time_period": "1d"}}'),
  modelRpmLimit: perModel.nullable().optional().describe('Requests per minute by model, such as {"gpt-4o": 60}'),
  modelTpmLimit: perModel.nullable().optional().describe('Tokens per minute by model, such as {"gpt-4o": 90000}'),
};

export type LimitChanges = { [K in keyof typeof limitFields]?: z.output<(typeof limitFields)[K]> };

/** The same in answers. */
export const limitInfo = {
  softBudget: usd.nullable().describe('US dollars after which a warning is given'),
  budgetDuration: z.string().nullable().describe('How long the budget is for; null is for good'),
  budgetResetAt: timestamp.nullable().describe('When the budget begins anew; null is never'),
  tpmLimit: z.int().nullable().describe('Tokens per minute'),
  rpmLimit: z.int().nullable().describe('Requests per minute'),
  maxParallelRequests: z.int().nullable().describe('Requests under way at once'),
  modelMaxBudget: z.record(z.string(), z.unknown()).describe('Budgets by model'),
  modelRpmLimit: z.record(z.string(), z.int()).describe('Requests per minute by model'),
  modelTpmLimit: z.record(z.string(), z.int()).describe('Tokens per minute by model'),
};

/** The limits as an entity keeps them; see `db/limit-columns.ts`. */
export interface Limits {
  softBudget?: bigint | null | undefined;
  budgetDuration?: string | null | undefined;
  tpmLimit?: number | null | undefined;
  rpmLimit?: number | null | undefined;
  maxParallelRequests?: number | null | undefined;
  modelMaxBudget: ModelBudgets;
  modelRpmLimit: Record<string, number>;
  modelTpmLimit: Record<string, number>;
}

export const describeLimits = (limits: Limits, now: Date) => ({
  softBudget: limits.softBudget ?? null,
  budgetDuration: limits.budgetDuration ?? null,
  budgetResetAt: resetAt(limits.budgetDuration, now),
  tpmLimit: limits.tpmLimit ?? null,
  rpmLimit: limits.rpmLimit ?? null,
  maxParallelRequests: limits.maxParallelRequests ?? null,
  modelMaxBudget: limits.modelMaxBudget,
  modelRpmLimit: limits.modelRpmLimit,
  modelTpmLimit: limits.modelTpmLimit,
});

/** The limits of something new: what was not given is no limit. */
export const newLimits = ({ modelMaxBudget, modelRpmLimit, modelTpmLimit, ...plain }: LimitChanges): Limits => ({
  softBudget: plain.softBudget ?? null,
  budgetDuration: plain.budgetDuration ?? null,
  tpmLimit: plain.tpmLimit ?? null,
  rpmLimit: plain.rpmLimit ?? null,
  maxParallelRequests: plain.maxParallelRequests ?? null,
  modelMaxBudget: modelMaxBudget ?? {},
  modelRpmLimit: modelRpmLimit ?? {},
  modelTpmLimit: modelTpmLimit ?? {},
});

/** Changes as they are assigned to an entity: null clears, and clears limits by model to none. */
export function limitChanges(changes: LimitChanges): Partial<Limits> {
  const assigned: Partial<Record<keyof LimitChanges, unknown>> = {};
  for (const name of limitNames) {
    const value = changes[name];
    if (value !== undefined) assigned[name] = value ?? (name.startsWith('model') ? {} : null);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the names and what they hold are those of the fields
  return assigned as Partial<Limits>;
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal
export const limitNames = Object.keys(limitFields) as (keyof LimitChanges)[];

/** One of several budgets that count side by side, in LiteLLM's words, because it is kept and given back as it is. */
export interface BudgetWindow {
  readonly budget_duration: string;
  /** US dollars. */
  readonly max_budget: number;
}

const isResetAt = (duration: string, reset: string): boolean =>
  resetAt(duration, new Date())?.getTime() === Date.parse(reset);

export const budgetLimits = z
  .array(
    z
      .strictObject({
        budget_duration: durationText.describe('How long the budget is for'),
        max_budget: z
          .number()
          .nonnegative('must not be negative')
          .max(1e9)
          .describe('US dollars that may be spent in that time'),
        reset_at: z.iso
          .datetime({ offset: true })
          .nullable()
          .optional()
          .describe('Follows from the clock: leave it out, or send back what an answer said'),
      })
      // Whoever reads a key and writes it back sends what is so anyway; any other moment would have no effect.
      .refine(({ budget_duration: length, reset_at: reset }) => !reset || isResetAt(length, reset), {
        path: ['reset_at'],
        error: 'follows from the clock: leave it out',
      }),
  )
  .max(20)
  .nullable()
  .optional()
  .describe('Further budgets that count side by side, such as {"budget_duration": "1d", "max_budget": 5}');

export const budgetLimitsInfo = z
  .array(
    z.object({
      budget_duration: z.string().describe('How long the budget is for'),
      max_budget: z.number().describe('US dollars that may be spent in that time'),
      reset_at: z.string().nullable().describe('When it begins anew'),
    }),
  )
  .describe('Further budgets that count side by side');

export const describeBudgetLimits = (windows: readonly BudgetWindow[], now: Date) =>
  windows.map(({ budget_duration: duration, max_budget: most }) => ({
    budget_duration: duration,
    max_budget: most,
    reset_at: resetAt(duration, now)?.toISOString() ?? null,
  }));

/** Budgets as they are kept: without what follows from the clock. */
export const keptBudgetLimits = (windows: readonly BudgetWindow[]): BudgetWindow[] =>
  windows.map(({ budget_duration: duration, max_budget: most }) => ({ budget_duration: duration, max_budget: most }));

export const throughputTypes = ['guaranteed_throughput', 'best_effort_throughput'] as const;
export type ThroughputType = (typeof throughputTypes)[number];

export const throughputType = z.enum(throughputTypes, {
  error: ({ input }) => (input === 'dynamic' ? 'dynamic throughput is not served yet' : undefined),
});
