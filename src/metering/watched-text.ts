import type { BudgetEntity, BudgetLimit } from '../access/principal.ts';
import { isWatched } from './budget-watch.ts';
import type { Counted, Counter } from './counter.ts';
import type { Reservation } from './counters.ts';

const texts = new WeakMap<Counter, { readonly limit: BudgetLimit; readonly text: string }>();

/**
 * The budgets of a call, as its row in the journal names them where somebody watches: what is booked after a crash reaches
 * them in a process that knows nothing of them. The database has no column for it.
 */
export function watchedText({ limits, counters }: Reservation): string {
  let list = '';
  for (const [index, limit] of limits.entries()) {
    const counter = counters[index];
    if (!counter || !isWatched(limit)) continue;
    let known = texts.get(counter);
    if (known?.limit !== limit) texts.set(counter, (known = { limit, text: textOf(counter, limit) }));
    list += `${list === '' ? '' : ','}${known.text}`;
  }
  return list === '' ? '' : `[${list}]`;
}

interface Written extends Omit<Counted, 'startMs'> {
  readonly start_ms: number;
  readonly label: string;
  readonly max?: string;
  readonly soft?: string;
  readonly increase?: { readonly amount: string; readonly until_ms: number };
}

function textOf(
  { entity, id, model, duration, startMs }: Counter,
  { label, max, soft, increase }: BudgetLimit,
): string {
  return JSON.stringify({
    entity,
    id,
    model,
    duration,
    start_ms: startMs,
    label,
    ...(max !== null && { max: String(max) }),
    ...(soft !== undefined && { soft: String(soft) }),
    ...(increase && { increase: { amount: String(increase.amount), until_ms: increase.untilMs } }),
  } satisfies Written);
}

export function readWatched({ text }: Record<string, unknown>): {
  readonly counted: Counted;
  readonly limit: BudgetLimit;
} {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- rows are written here and by nobody else
  const written = JSON.parse(String(text)) as Written;
  const { entity, id, model, duration, start_ms: startMs, label, max, soft, increase } = written;
  const holder: { entity: BudgetEntity; id: string; label: string } = { entity, id, label };
  return {
    counted: { entity, id, model, duration, startMs },
    limit: {
      ...holder,
      max: max === undefined ? null : BigInt(max),
      ...(soft !== undefined && { soft: BigInt(soft) }),
      ...(increase && { increase: { amount: BigInt(increase.amount), untilMs: increase.until_ms } }),
      ...(model !== '' && { model }),
      ...(duration !== '' && { duration }),
    },
  };
}
