import type { HeldLimitsRow } from '../db/held-limits.ts';
import type { Role } from '../kernel/operation.ts';
import type { KeyRow, OwnerRow } from '../keys/key.queries.ts';
import { joinHeld, readHeld } from './held.ts';
import { type BudgetEntity, type Held, type Holder, memberId, type Principal, unlimited } from './principal.ts';

/** Told what each holder has spent, as it was read. */
export type Seed = (entity: BudgetEntity, id: string, spent: bigint) => void;

/** Everything that a row says of a key, made ready, so that no call has to read it again. */
export function principalOf(row: KeyRow, seed: Seed): Principal {
  const key: HolderRow = { entity: 'key', id: row.key_id, label: row.alias ?? row.name, limits: row.key_limits };
  return Object.freeze({
    ...ownedBy(row, [{ ...key, isCounted: true }], seed),
    kind: 'key',
    keyId: row.key_id,
    hash: row.token,
    alias: row.alias,
    blocked: row.blocked,
    expiresAt: row.expires_at,
    models: row.models,
    aliases: row.aliases,
    allowedRoutes: row.allowed_routes,
    passedPaths: row.allowed_passthrough_routes,
    allowedIps: row.allowed_ips,
    enforcedParams: row.enforced_params,
    tags: [...new Set([...row.tags, ...(row.team_tags ?? [])])],
  });
}

/** The same of a caller without a key, whom its user, team and organization limit as they do their keys. */
export const keylessPrincipal = (row: OwnerRow, seed: Seed) => ({
  ...unlimited,
  ...ownedBy(row, [], seed),
  keyId: 'jwt',
  hash: 'jwt',
  alias: null,
  kind: 'jwt' as const,
  tags: row.team_tags ?? [],
});

/** What is said by the owners. @param first holders that come before them */
function ownedBy(row: OwnerRow, first: readonly HolderRow[], seed: Seed) {
  const { team_id: teamId, user_id: userId, organization_id: organizationId } = row;
  return {
    userId,
    teamId,
    organizationId,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the column only ever holds roles
    role: (row.user_role ?? 'internal_user') as Role,
    teamBlocked: row.team_blocked ?? false,
    userBlocked: row.user_blocked ?? false,
    organizationBlocked: row.organization_blocked ?? false,
    teamAlias: row.team_alias,
    teamModels: row.team_models ?? [],
    teamPassedPaths: row.team_passthrough_routes ?? [],
    ...(teamId === null && row.user_models?.length && { userModels: row.user_models }),
    organizationModels: row.organization_models ?? [],
    teamAliases: row.team_aliases ?? {},
    sharedBudgets: row.shared_budgets,
    ...limitsOf([...first, ...holdersOf(row)], seed),
  };
}

interface HolderRow extends Holder {
  readonly limits: HeldLimitsRow | null;
  readonly isCounted?: boolean;
}

/** Everybody else whose limits a key is held to. */
function holdersOf(row: OwnerRow): HolderRow[] {
  const { team_id: teamId, user_id: userId, organization_id: organizationId } = row;
  const holders: HolderRow[] = [];
  const team = row.team_alias ?? teamId ?? '';
  const organization = row.organization_alias ?? organizationId ?? '';
  if (teamId !== null) {
    holders.push({ entity: 'team', id: teamId, label: team, limits: row.team_limits, isCounted: true });
  }
  if (userId !== null) {
    holders.push({ entity: 'user', id: userId, label: userId, limits: userLimits(row), isCounted: true });
  }
  if (teamId !== null && userId !== null) {
    const label = `${userId} in Team=${team}`;
    holders.push({ entity: 'member', id: memberId(teamId, userId), label, limits: row.member_limits });
  }
  if (organizationId !== null) {
    holders.push({
      entity: 'organization',
      id: organizationId,
      label: organization,
      limits: row.organization_limits,
    });
  }
  if (organizationId !== null && userId !== null) {
    holders.push({
      entity: 'organization_member',
      id: memberId(organizationId, userId),
      label: `${userId} in Organization=${organization}`,
      limits: row.organization_member_limits,
    });
  }
  return holders;
}

/** As in LiteLLM a key of a team is held to the team's budget, not to its user's own; the user's spend is still counted. */
function userLimits({ team_id: teamId, user_limits: limits }: OwnerRow): HeldLimitsRow | null {
  if (!limits || teamId === null) return limits;
  return { ...limits, max: null, soft: null, modelBudgets: null };
}

function limitsOf(holders: readonly HolderRow[], seed: Seed): Held {
  return joinHeld(
    holders.map(({ limits, isCounted = false, ...holder }) => {
      const { held, spent } = readHeld(holder, limits, { isCounted });
      if (held.budgets.some(({ duration }) => duration === undefined)) seed(holder.entity, holder.id, spent);
      return held;
    }),
  );
}
