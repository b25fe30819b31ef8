import type pg from 'pg';
import { type HeldLimitsRow, heldLimits } from '../db/held-limits.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Region } from '../kernel/region.ts';

/** A customer or a tag. */
export interface PayerRow {
  readonly entity: 'customer' | 'tag';
  readonly id: string;
  readonly label: string;
  readonly blocked: boolean;
  readonly models: string[];
  /** Of a customer: where its calls may be worked on. */
  readonly region: Region | null;
  readonly limits: HeldLimitsRow;
}

const statement = `
  select 'customer' as entity, c.id, coalesce(c.alias, c.id) as label, c.blocked, '{}'::text[] as models, c.allowed_model_region as region,
         ${heldLimits({ own: 'c', id: 'c.id', shared: 'cb' })} as limits
    from ${SCHEMA}.customers c left join ${SCHEMA}.budgets cb on cb.id = c.budget_id where c.id = any ($1)
  union all
  select 'tag', t.name, t.name, false, t.models, null, ${heldLimits({ own: 't', id: 't.name', shared: 'tb' })}
    from ${SCHEMA}.tags t left join ${SCHEMA}.budgets tb on tb.id = t.budget_id where t.name = any ($2)`;

/** Those of the customers and tags there are. */
export async function findPayerRows(
  pool: pg.Pool,
  { customers, tags }: { readonly customers: readonly string[]; readonly tags: readonly string[] },
  deadlineMs: number,
): Promise<PayerRow[]> {
  const query = {
    name: 'payers',
    text: statement,
    values: [customers, tags],
    query_timeout: deadlineMs,
  };
  const { rows } = await pool.query<PayerRow>(query);
  return rows;
}
