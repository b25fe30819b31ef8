import type { EntityManager } from '@mikro-orm/postgresql';
import { parseDuration } from '../kernel/duration.ts';
import { windowOf } from '../kernel/window.ts';
import { SCHEMA } from './schema.ts';

interface WindowChange {
  readonly entity: string;
  readonly id: string;
  /** How long the budget is for. */
  readonly duration: string;
  /** Nano-dollars. */
  readonly spend: bigint;
  readonly now: Date;
}

/**
 * Sets what was spent in the present window of a budget. Its holder's other windows are lowered with it, and not raised.
 * The holder's row must be locked: calls are booked under that lock.
 */
export async function setWindowSpend(
  em: EntityManager,
  { entity, id, duration, spend, now }: WindowChange,
): Promise<void> {
  const parsed = parseDuration(duration);
  if (!parsed) throw new Error('The duration of a budget cannot be read');
  await em.execute(
    `update ${SCHEMA}.budget_windows set spend = ? where entity = ? and id = ? and model = '' and spend > ?`,
    [spend, entity, id, spend],
  );
  await em.execute(
    `insert into ${SCHEMA}.budget_windows (entity, id, model, duration, started_at, spend) values (?, ?, '', ?, ?, ?)
     on conflict (entity, id, model, duration) do update set started_at = excluded.started_at, spend = excluded.spend`,
    [entity, id, duration, windowOf(parsed, now).start, spend],
  );
}
