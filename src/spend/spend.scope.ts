import type { EntityManager } from '@mikro-orm/postgresql';
import type { Authority } from '../access/authority.ts';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { GatewayError } from '../kernel/errors.ts';

/** The columns of the ledger by which a call belongs to somebody. */
export type Owner = 'key_id' | 'user_id' | 'team_id' | 'organization_id';

export interface Share {
  readonly owner: Owner;
  readonly ids: readonly string[];
  /** Of their calls only those in this team. */
  readonly teamId?: string;
}

/** Whose calls a caller may read: those of any of the shares. Undefined is everybody's. */
export type SpendScope = readonly Share[] | undefined;

/**
 * A key without a user reads what it has spent itself, a user its own, whoever administers teams or organizations theirs
 * too. LiteLLM's permission `get_spend_routes`, which only administrators give, lets a key read everything here.
 */
export async function spendScope(em: EntityManager, authority: Authority): Promise<SpendScope> {
  const { keyId, userId, scope } = authority;
  if (authority.seesAll || (keyId !== undefined && (await readsAllSpend(em, keyId)))) return undefined;
  const shares: readonly Share[] = [
    userId === null
      ? { owner: 'key_id', ids: keyId === undefined ? [] : [keyId] }
      : // Whoever administers the team may hold the secret of its user's key there.
        { owner: 'user_id', ids: [userId], ...(scope.teamId !== null && { teamId: scope.teamId }) },
    { owner: 'team_id', ids: await authority.administeredTeams() },
    { owner: 'organization_id', ids: await authority.administeredOrganizations() },
  ];
  return shares.filter(({ ids }) => ids.length > 0);
}

async function readsAllSpend(em: EntityManager, keyId: string): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    `select 1 from ${SCHEMA}.keys where id = ? and permissions @> '{"get_spend_routes": true}'`,
    [keyId],
  );
  return rows.length > 0;
}

/**
 * Refuses the calls of a user that the caller may not know of: the answer is that of a user who is not there, so that
 * nobody learns which users there are.
 */
export async function requireSpender(em: EntityManager, scope: SpendScope, userId: string): Promise<void> {
  if (scope === undefined || (await isSpender(em, scope, userId))) return;
  throw new GatewayError('notFound', 'not_found_error', `No user "${userId}"`, {
    param: 'user_id',
    hint: 'Leave user_id out to see your own.',
  });
}

async function isSpender(em: EntityManager, scope: readonly Share[], userId: string): Promise<boolean> {
  const idsOf = (wanted: Owner) => scope.find(({ owner }) => owner === wanted)?.ids ?? [];
  if (idsOf('user_id').includes(userId)) return true;
  const rows = await em.execute<unknown[]>(
    `select 1 from ${SCHEMA}.team_members where user_id = ? and team_id = any (?::text[])
     union all select 1 from ${SCHEMA}.organization_members where user_id = ? and organization_id = any (?::text[]) limit 1`,
    [userId, sqlArray(idsOf('team_id')), userId, sqlArray(idsOf('organization_id'))],
  );
  return rows.length > 0;
}

/** The scope as a condition on rows of the ledger, or of a table that has its owners in other columns. */
export function withinScope(
  scope: SpendScope,
  columnOf: (owner: Owner) => string = (owner) => owner,
): { readonly text: string; readonly values: readonly string[] } | undefined {
  if (scope === undefined) return undefined;
  if (scope.length === 0) return { text: 'false', values: [] };
  return {
    text: `(${scope.map((share) => conditionOf(share, columnOf)).join(' or ')})`,
    values: scope.flatMap(({ ids, teamId }) => [sqlArray(ids), ...(teamId === undefined ? [] : [teamId])]),
  };
}

const conditionOf = ({ owner, teamId }: Share, columnOf: (owner: Owner) => string): string =>
  teamId === undefined
    ? `${columnOf(owner)} = any (?::text[])`
    : `(${columnOf(owner)} = any (?::text[]) and ${columnOf('team_id')} = ?)`;
