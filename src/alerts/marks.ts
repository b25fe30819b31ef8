import type { BudgetLimit } from '../access/principal.ts';
import type { AlertEvent } from '../kernel/alert.ts';
import type { Watched } from '../metering/budget-watch.ts';

/** Why an alert is given: what was spent, or that a call was refused, or would have been. */
export type AlertCause = 'spend' | 'refusal';

/** An amount of a budget that was reached. */
export interface Reached {
  readonly event: AlertEvent;
  /** Of a threshold; 0 of the others. */
  readonly percent: number;
  /** Nano-dollars. */
  readonly mark: bigint;
  readonly cause: AlertCause;
}

/** Names it among those of a counter, for as long as the budget is the same. */
export const markName = ({ event, percent, mark }: Reached): string => `${event} ${percent} ${mark}`;

/** What the spending of a budget has reached. A budget of nothing is reached with the first refusal and not before. */
export function reachedBySpend(
  { limit, max, spent }: Pick<Watched, 'limit' | 'max' | 'spent'>,
  thresholds: readonly number[],
): Reached[] {
  const marks: Reached[] = [];
  const cause = 'spend';
  const { soft } = limit satisfies BudgetLimit;
  if (soft !== undefined) marks.push({ event: 'soft_budget', percent: 0, mark: soft, cause });
  if (max !== null && max > 0n) {
    // Rounded up: half a nano-dollar cannot be spent.
    for (const percent of thresholds) {
      marks.push({ event: 'threshold', percent, mark: (max * BigInt(percent) + 99n) / 100n, cause });
    }
    marks.push({ event: 'crossed', percent: 0, mark: max, cause });
  }
  return marks.filter(({ mark }) => spent >= mark);
}

/** With a refusal all of a budget is taken, also where some of it is left: it is too small for what is asked. */
export const reachedByRefusal = ({ max, spent }: Pick<Watched, 'max' | 'spent'>): Reached[] =>
  max === null ? [] : [{ event: 'crossed', percent: 0, mark: max, cause: spent >= max ? 'spend' : 'refusal' }];
