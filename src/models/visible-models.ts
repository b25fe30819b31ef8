import type { MayCall } from '../access/callable.ts';
import { accessGroupsOf, type Deployment, publicNameOf, teamOf } from './deployment.ts';

export interface Viewer {
  readonly mayCall: MayCall;
  /** The team of the key that was used. */
  readonly teamId: string | null;
  /** Teams whose models the caller looks after. */
  readonly administered: readonly string[];
}

/**
 * The deployments a caller may know of: those of everybody's and of its own team that it may call, and all of the teams
 * it administers. What is decided on is the name, as for a call.
 */
export function visibleTo({ mayCall, teamId, administered }: Viewer, deployments: readonly Deployment[]): Deployment[] {
  const groups = Map.groupBy(deployments, (each) => JSON.stringify([teamOf(each) ?? null, publicNameOf(each)]));
  return [...groups.values()]
    .filter(([first, ...others]) => {
      const team = first && teamOf(first);
      if (!first || (team !== undefined && administered.includes(team))) return first !== undefined;
      if (team !== undefined && team !== teamId) return false;
      const scope = { groups: new Set([first, ...others].flatMap(accessGroupsOf)), isOfTeam: team !== undefined };
      return mayCall(publicNameOf(first), scope);
    })
    .flat();
}
