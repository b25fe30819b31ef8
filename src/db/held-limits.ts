import { z } from 'zod';
import { durationText } from '../kernel/duration.ts';

const amount = z.string().transform(BigInt).nullable();
const count = z.number().nullable();
const perModel = z.record(z.string(), z.number()).nullish();

/** The limits of one holder as `heldLimits` selects them: its own, else those of its shared budget. Amounts are nano-dollars. */
export const HeldLimits = z.object({
  max: amount,
  soft: amount,
  duration: durationText.nullable(),
  rpm: count,
  tpm: count,
  parallel: count,
  spend: z.string().transform(BigInt),
  modelBudgets: z.record(z.string(), z.object({ budget_limit: z.number(), time_period: durationText })).nullish(),
  modelRpm: perModel,
  modelTpm: perModel,
  increase: z.object({ amount: z.string().transform(BigInt), until_ms: z.number() }).nullish(),
  windows: z.array(z.object({ budget_duration: durationText, max_budget: z.number() })).nullish(),
});
export type HeldLimits = z.output<typeof HeldLimits>;

/** As it comes from the database. */
export type HeldLimitsRow = z.input<typeof HeldLimits>;

interface Columns {
  /** The alias of the holder's table. */
  readonly own: string;
  /** A column that is null when there is no such holder. */
  readonly id: string;
  /** The alias of its shared budget; absent when it cannot have one. */
  readonly shared?: string;
  /** Columns that stand in where neither says anything. */
  readonly otherwise?: Readonly<Record<string, string>>;
  /** Columns this holder's table does not have. */
  readonly without?: readonly string[];
  readonly hasWindows?: boolean;
  /** Whether its budget may be larger for a time. */
  readonly hasIncrease?: boolean;
}

const increase = (own: string): string =>
  `case when ${own}.temp_budget_expiry > now() then json_build_object(
     'amount', ${own}.temp_budget_increase::text, 'until_ms', (extract(epoch from ${own}.temp_budget_expiry) * 1000)::float8) end`;

/**
 * The limits of a holder as one JSON column. Amounts are text, since a JSON number would be rounded.
 */
export function heldLimits({
  own,
  id,
  shared,
  otherwise = {},
  without = [],
  hasWindows = false,
  hasIncrease = false,
}: Columns): string {
  const one = (column: string): string => {
    const places = [
      ...(without.includes(column) ? [] : [`${own}.${column}`]),
      ...(shared === undefined ? [] : [`${shared}.${column}`]),
      ...(otherwise[column] === undefined ? [] : [otherwise[column]]),
    ];
    return `coalesce(${places.join(', ')}, null)`;
  };
  const all = without.includes('model_max_budget') ? `'{}'::jsonb` : `${own}.model_max_budget`;
  return `case when ${id} is not null then json_build_object(
    'max', ${one('max_budget')}::text, 'soft', ${one('soft_budget')}::text, 'duration', ${one('budget_duration')},
    'rpm', ${one('rpm_limit')}, 'tpm', ${one('tpm_limit')}, 'parallel', ${one('max_parallel_requests')},
    'spend', ${own}.spend::text,
    'modelBudgets', ${shared === undefined ? all : `coalesce(${shared}.model_max_budget, '{}') || ${all}`},
    'modelRpm', ${without.includes('model_rpm_limit') ? 'null' : `${own}.model_rpm_limit`},
    'modelTpm', ${without.includes('model_tpm_limit') ? 'null' : `${own}.model_tpm_limit`},
    'increase', ${hasIncrease ? increase(own) : 'null'},
    'windows', ${hasWindows ? `${own}.budget_limits` : 'null'}
  ) end`;
}

const noModels = ['model_max_budget', 'model_rpm_limit', 'model_tpm_limit'];

/** What the rows of memberships do not have of the columns of other holders. */
export const memberLacks: readonly string[] = ['soft_budget', ...noModels];
export const organizationMemberLacks: readonly string[] = [
  ...memberLacks,
  'rpm_limit',
  'tpm_limit',
  'max_parallel_requests',
];
