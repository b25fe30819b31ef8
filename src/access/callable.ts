import type { Actor } from '../kernel/operation.ts';
import type { Authority } from './authority.ts';
import type { ModelLists } from './checks.ts';
import { allows, type ModelScope } from './decide.ts';

/** Whether a caller may call a model; what lists of models show to whoever may not see everything. */
export type MayCall = (model: string, scope: ModelScope) => boolean;

/**
 * What the key of a caller may call, by the same rules that its calls are decided by.
 *
 * @returns undefined for whoever sees every model
 */
export async function callableBy(authority: Authority, actor: Actor): Promise<MayCall | undefined> {
  if (authority.seesAll || (actor.type !== 'key' && actor.type !== 'jwt')) return undefined;
  const { teamId, role } = actor;
  const { organizationId } = authority.scope;
  // A job lists models where that is one of its operations; its own limit is that it calls none.
  const permits = actor.type === 'key' ? actor.token?.permits : actor.workload ? undefined : actor.permits;
  const [team, user, organization] = await Promise.all([
    teamId === null ? undefined : authority.grantOf('team', teamId),
    authority.userId === null ? undefined : authority.grantOf('user', authority.userId),
    organizationId === null ? undefined : authority.grantOf('organization', organizationId),
  ]);
  const principal: ModelLists = {
    role,
    models: authority.ownGrant?.grant.models ?? [],
    teamId,
    teamModels: team?.grant.models ?? [],
    userModels: user?.grant.models ?? [],
    organizationModels: organization?.grant.models ?? [],
    aliases: {},
    teamAliases: {},
    ...(permits && { token: { permits, needsTeam: false } }),
  };
  return (model, scope) => allows(principal, { model }, () => scope);
}
