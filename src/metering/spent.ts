import type pg from 'pg';
import type { BudgetEntity } from '../access/principal.ts';
import { asDatabaseTrouble } from '../db/errors.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Counted } from './counter.ts';
import { within } from './deadline.ts';

const loadDeadlineMs = 2_000;

/** Who has a row of its own, where what it has spent for good stands. The gateway has none, and a window without an end. */
export type Spender = Exclude<BudgetEntity, 'gateway'>;

/** In whose rows the totals for good stand, and by which columns; two are a member's. */
export const spenders = {
  key: { table: 'keys', id: ['id'] },
  team: { table: 'teams', id: ['id'] },
  user: { table: 'users', id: ['id'] },
  organization: { table: 'organizations', id: ['id'] },
  member: { table: 'team_members', id: ['team_id', 'user_id'] },
  organization_member: { table: 'organization_members', id: ['organization_id', 'user_id'] },
  customer: { table: 'customers', id: ['id'] },
  tag: { table: 'tags', id: ['name'] },
} as const satisfies Record<Spender, { readonly table: string; readonly id: readonly string[] }>;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal
export const spenderNames = Object.keys(spenders) as Spender[];

/** A condition that a row is the one a text names. */
export function isNamed(entity: Spender, row: string, text: string): string {
  const { id } = spenders[entity];
  if (id.length === 1) return `${row}.${id[0]} = ${text}`;
  return id.map((column, index) => `${row}.${column} = split_part(${text}, chr(31), ${index + 1})`).join(' and ');
}

const forGood = spenderNames.map(
  (entity) => `
  select w.position, s.spend from wanted w join ${SCHEMA}.${spenders[entity].table} s on ${isNamed(entity, 's', 'w.id')}
   where w.entity = '${entity}' and w.duration = ''`,
);

const sql = `
  with wanted as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
      with ordinality as w (entity, id, model, duration, started_at, position)
  ) ${forGood.join(' union all ')}
  union all
  select w.position, b.spend from wanted w join ${SCHEMA}.budget_windows b using (entity, id, model, duration, started_at)
   where w.duration <> '' or w.entity = 'gateway'`;

/** What each of some counters has by the database, in nano-dollars, in one statement. Undefined for those it does not know. */
export async function loadSpent(pool: pg.Pool, wanted: readonly Counted[]): Promise<(bigint | undefined)[]> {
  const values = [
    wanted.map(({ entity }) => entity),
    wanted.map(({ id }) => id),
    wanted.map(({ model }) => model),
    wanted.map(({ duration }) => duration),
    wanted.map(({ startMs }) => new Date(startMs)),
  ];
  try {
    const { rows } = await within(
      loadDeadlineMs,
      pool.query<{ position: string; spend: string }>({ name: 'gatewayctl-spent', text: sql, values }),
    );
    const totals: (bigint | undefined)[] = wanted.map(() => undefined);
    for (const { position, spend } of rows) totals[Number(position) - 1] = BigInt(spend);
    return totals;
  } catch (cause) {
    throw asDatabaseTrouble(cause);
  }
}
