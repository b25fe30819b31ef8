import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import type { AlertEvent } from '../kernel/alert.ts';
import type { AlertCause } from './marks.ts';
import { type DeliveryState, deliveryStates } from './alert.states.ts';

interface Row {
  readonly id: string;
  readonly created_ms: number;
  readonly event: AlertEvent;
  readonly percent: number;
  readonly entity: string;
  readonly holder_id: string;
  readonly label: string;
  readonly model: string;
  readonly duration: string;
  readonly started_ms: number;
  readonly spend: string;
  readonly max_budget: string | null;
  readonly soft_budget: string | null;
  readonly cause: AlertCause;
  readonly is_enforced: boolean;
  readonly webhook: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly last_status: number | null;
  readonly last_error: string | null;
  readonly due_ms: number;
  readonly ended_ms: number | null;
}

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;
const amount = (text: string | null): bigint | null => (text === null ? null : BigInt(text));

export interface AlertQuestion {
  readonly state: DeliveryState | undefined;
  readonly page: number;
  readonly pageSize: number;
}

/** What was told of budgets. */
export class AlertService {
  readonly #em: EntityManager;

  constructor(em: EntityManager) {
    this.#em = em;
  }

  async list({ state, page, pageSize }: AlertQuestion) {
    const counts = await this.#counts();
    const all = deliveryStates.reduce((sum, each) => sum + counts[each], 0);
    return { alerts: await this.#rows({ state, page, pageSize }), totalCount: state ? counts[state] : all, ...counts };
  }

  async #counts(): Promise<Record<DeliveryState, number>> {
    const rows = await this.#em.execute<{ state: DeliveryState; count: string }[]>(
      `select state, count(*) as count from ${SCHEMA}.alert_deliveries group by state`,
    );
    const counts = { pending: 0, sent: 0, failed: 0 };
    for (const { state, count } of rows) counts[state] = Number(count);
    return counts;
  }

  async #rows({ state, page, pageSize }: AlertQuestion) {
    const rows = await this.#em.execute<Row[]>(
      `select a.id, ${ms('a.created_at')} as created_ms, a.event, a.percent, a.entity, a.holder_id, a.label, a.model,
              a.duration, ${ms('a.started_at')} as started_ms, a.spend, a.max_budget, a.soft_budget, a.cause, a.is_enforced,
              d.webhook, d.state, d.attempts, d.last_status, d.last_error, ${ms('d.due_at')} as due_ms, ${ms('d.ended_at')} as ended_ms
         from ${SCHEMA}.alerts a join ${SCHEMA}.alert_deliveries d on d.alert_id = a.id
        ${state ? 'where d.state = ?' : ''} order by a.created_at desc, a.id, d.webhook limit ? offset ?`,
      [...(state ? [state] : []), pageSize, (page - 1) * pageSize],
    );
    return rows.map((row) => ({
      id: row.id,
      createdAt: new Date(row.created_ms),
      event: row.event,
      thresholdPercent: row.event === 'threshold' ? row.percent : null,
      entity: row.entity,
      // A member's is its owner's and its user's, with a control character between them.
      holderId: row.holder_id.replace('\u001f', '/'),
      label: row.label,
      model: row.model === '' ? null : row.model,
      budgetDuration: row.duration === '' ? null : row.duration,
      windowStart: row.duration === '' ? null : new Date(row.started_ms),
      spend: BigInt(row.spend),
      maxBudget: amount(row.max_budget),
      softBudget: amount(row.soft_budget),
      cause: row.cause,
      enforced: row.is_enforced,
      webhook: row.webhook,
      state: row.state,
      attempts: row.attempts,
      lastStatus: row.last_status,
      lastError: row.last_error,
      nextAttemptAt: row.state === 'pending' ? new Date(row.due_ms) : null,
      endedAt: row.ended_ms === null ? null : new Date(row.ended_ms),
    }));
  }
}
