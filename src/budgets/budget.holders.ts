import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';

/** Whatever may name a budget as its own, by table. Each has an index of the rows that do. */
const tables = {
  keys: 'keys',
  users: 'users',
  organizations: 'organizations',
  organizationMembers: 'organization_members',
  teamMembers: 'team_members',
  customers: 'customers',
  tags: 'tags',
} as const;

type Kind = keyof typeof tables;

/** How many of each kind share a budget; a kind of which none does is left out. */
export type Holders = Partial<Record<Kind, number>>;

const words: Record<Kind, readonly [one: string, many: string]> = {
  keys: ['key', 'keys'],
  users: ['user', 'users'],
  organizations: ['organization', 'organizations'],
  organizationMembers: ['member of an organization', 'members of organizations'],
  teamMembers: ['member of a team', 'members of teams'],
  customers: ['customer', 'customers'],
  tags: ['tag', 'tags'],
};

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal
const kinds = Object.keys(tables) as Kind[];

/** `2 keys, 1 tag`; nothing for none. */
export const holdersInWords = (holders: Holders): string =>
  kinds
    .flatMap((kind) => {
      const count = holders[kind] ?? 0;
      return count === 0 ? [] : [`${count.toLocaleString('en-US')} ${words[kind][count === 1 ? 0 : 1]}`];
    })
    .join(', ');

/** Who shares each of some budgets: one statement, however many budgets. */
export async function holdersOf(em: EntityManager, ids: readonly string[]): Promise<Map<string, Holders>> {
  const holders = new Map<string, Holders>(ids.map((id) => [id, {}]));
  if (ids.length === 0) return holders;
  const statement = kinds
    .map(
      (kind) =>
        `select budget_id, '${kind}' as kind, count(*)::int as count from ${SCHEMA}.${tables[kind]}
         where budget_id in (select jsonb_array_elements_text(?::jsonb)) group by budget_id`,
    )
    .join(' union all ');
  const rows = await em.execute<{ budget_id: string; kind: Kind; count: number }[]>(
    statement,
    kinds.map(() => JSON.stringify(ids)),
  );
  for (const { budget_id: id, kind, count } of rows) {
    const found = holders.get(id);
    if (found) found[kind] = count;
  }
  return holders;
}
