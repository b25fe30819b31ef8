import { windowSpend } from '../db/window-spend.ts';
import { setWindowSpend } from '../db/window-change.ts';
import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { toDollars } from '../kernel/money.ts';
import type { Key } from './key.entity.ts';
import { budgetsOf } from './key.limits.ts';
import { describeKey } from './key.wire.ts';

/** What keys have spent: in the present period where their budget is for one, else for good. */
export class KeySpend {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  /** Keys as they travel. */
  async describe(keys: readonly Key[]): Promise<ReturnType<typeof describeKey>[]> {
    const { em, now } = this.#work;
    const spent = await windowSpend(em, 'key', { spenders: keys, now });
    return keys.map((key) => describeKey(key, now, spent.get(key.id)));
  }

  async describeOne(key: Key): Promise<ReturnType<typeof describeKey>> {
    const [described = describeKey(key, this.#work.now)] = await this.describe([key]);
    return described;
  }

  /**
   * Sets what counts against the budget of a key whose row is locked or new. What was spent in all is only raised with it
   * where the budget is for a period.
   *
   * @param total nano-dollars it had spent in all before
   */
  async set(key: Key, { to, total }: { readonly to: bigint; readonly total: bigint }): Promise<void> {
    const { em, now } = this.#work;
    const budgets = await budgetsOf(em, [key]);
    const duration = key.budgetDuration ?? budgets.get(key.budgetId ?? '')?.budgetDuration;
    key.spend = !duration || to > total ? to : total;
    if (duration) await setWindowSpend(em, { entity: 'key', id: key.id, duration, spend: to, now });
  }

  /**
   * Lowers what counts against the budget of a key whose row is locked.
   *
   * @param to nano-dollars, at most what counts against the budget and what the budget is
   * @returns what counted before
   */
  async lower(
    key: Key,
    { to, maxBudget }: { readonly to: bigint; readonly maxBudget: bigint | null },
  ): Promise<bigint> {
    const { spend: previous } = await this.describeOne(key);
    const most = maxBudget !== null && maxBudget < previous ? maxBudget : previous;
    if (to > most) {
      throw new GatewayError('invalid', 'bad_request_error', `reset_to must be at most ${toDollars(most)}`, {
        param: 'reset_to',
        hint: 'Spend can be lowered to what was spent and to the budget, and not be raised.',
      });
    }
    await this.set(key, { to, total: key.spend });
    return previous;
  }
}
