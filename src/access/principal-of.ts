import type { HeldLimitsRow } from '../db/held-limits.ts';
import type { Role } from '../kernel/operation.ts';
import type { KeyRow } from '../keys/key.queries.ts';
import { joinHeld, readHeld } from './held.ts';
import { type BudgetEntity, type Held, type Holder, memberId, type Principal } from './principal.ts';

/** Told what each holder has spent, as it was read. */
export type Seed = (entity: BudgetEntity, id: string, spent: bigint) => void;

/** Everything that a row says of a key, made ready, so that no call has to read it again. */
export function principalOf(row: KeyRow, seed: Seed): Principal {
  const { team_id: teamId, user_id: userId, organization_id: organizationId } = row;
  return Object.freeze({
    kind: 'key',
    keyId: row.key_id,
    hash: row.token,
    alias: row.alias,
    userId,
    teamId,
    organizationId,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the column only ever holds roles
    role: (row.user_role ?? 'internal_user') as Role,
    blocked: row.blocked,
    teamBlocked: row.team_blocked ?? false,
    userBlocked: row.user_blocked ?? false,
    organizationBlocked: row.organization_blocked ?? false,
    teamAlias: row.team_alias,
    expiresAt: row.expires_at,
    models: row.models,
    teamModels: row.team_models ?? [],
    ...(teamId === null && row.user_models?.length && { userModels: row.user_models }),
    organizationModels: row.organization_models ?? [],
    aliases: row.aliases,
    teamAliases: row.team_aliases ?? {},
    allowedRoutes: row.allowed_routes,
    allowedIps: row.allowed_ips,
    enforcedParams: row.enforced_params,
    tags: [...new Set([...row.tags, ...(row.team_tags ?? [])])],
    sharedBudgets: row.shared_budgets,
    ...limitsOf(row, seed),
  });
}

interface HolderRow extends Holder {
  readonly limits: HeldLimitsRow | null;
  readonly isCounted?: boolean;
}

/** Everybody whose limits a key is held to. */
function holdersOf(row: KeyRow): HolderRow[] {
  const { team_id: teamId, user_id: userId, organization_id: organizationId } = row;
  const key: HolderRow = { entity: 'key', id: row.key_id, label: row.alias ?? row.name, limits: row.key_limits };
  const holders: HolderRow[] = [{ ...key, isCounted: true }];
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
function userLimits({ team_id: teamId, user_limits: limits }: KeyRow): HeldLimitsRow | null {
  if (!limits || teamId === null) return limits;
  return { ...limits, max: null, soft: null, modelBudgets: null };
}

function limitsOf(row: KeyRow, seed: Seed): Held {
  return joinHeld(
    holdersOf(row).map(({ limits, isCounted = false, ...holder }) => {
      const { held, spent } = readHeld(holder, limits, { isCounted });
      if (held.budgets.some(({ duration }) => duration === undefined)) seed(holder.entity, holder.id, spent);
      return held;
    }),
  );
}
