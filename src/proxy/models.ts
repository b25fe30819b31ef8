import { requireRoute, resolveAlias } from '../access/decide.ts';
import { type Principal, standingsOf } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Exchange } from './exchange.ts';
import { authenticate } from './pipeline.ts';
import type { Step } from './pipeline.ts';

/** LiteLLM's numbers, which its clients have got used to: nobody knows when a model was made, or by whom. */
const describe = (id: string) => ({ id, object: 'model', created: 1_677_610_602, owned_by: 'openai' });

export const listModels: readonly Step[] = [authenticate, admit, answerList];
export const showModel: readonly Step[] = [authenticate, admit, answerOne];

function admit({ principal, handler }: Exchange): void {
  requireRoute(principal, handler);
}

function answerList(exchange: Exchange): void {
  const { context, principal, request } = exchange;
  const { deployments } = context.deps;
  const query = new URLSearchParams(request.url?.split('?')[1]);
  const isAsked = (name: string): boolean => query.get(name)?.toLowerCase() === 'true';
  const teamId = teamAskedFor(query.get('team_id'), principal);
  const standings = standingsOf(principal);
  const allows = (name: string): boolean => standings.some((each) => context.deps.allows(each, name));
  const wildcards = isAsked('return_wildcard_routes') ? deployments.patterns(teamId) : [];
  const hasOnlyGroups = isAsked('only_model_access_groups');
  const aliases = [...Object.keys(principal.aliases), ...Object.keys(principal.teamAliases)];
  const named = aliases.filter((name) => deployments.has(resolveAlias(principal, name), principal.teamId));
  const teams = new Set([teamId, ...standings.slice(1).map(({ teamId: other }) => other)]);
  const all = [...teams].flatMap((each) => Array.from(deployments.names(each))).concat(wildcards, named);
  const names = hasOnlyGroups ? [] : all.filter(allows);
  const groups = hasOnlyGroups || isAsked('include_model_access_groups') ? groupsFor(exchange, teamId, allows) : [];
  exchange.answerJson(200, { object: 'list', data: [...new Set([...names, ...groups])].map(describe) });
}

/** A group is shown to whoever may call all that is in it: to others it would tell of models they do not have. */
function groupsFor(
  { context: { deps } }: Exchange,
  teamId: string | null,
  allows: (name: string) => boolean,
): readonly string[] {
  const { deployments } = deps;
  const members = new Map<string, boolean>();
  for (const name of [...deployments.names(teamId), ...deployments.patterns(teamId)]) {
    for (const group of deployments.scopeOf(name, teamId).groups) {
      members.set(group, (members.get(group) ?? true) && allows(name));
    }
  }
  return [...members].flatMap(([group, isWhole]) => (isWhole ? [group] : []));
}

/** Whose models are listed: those of the caller's own team or, for the master key, of any. */
function teamAskedFor(teamId: string | null, principal: Principal): string | null {
  if (teamId === null || teamId === '' || teamId === principal.teamId) return principal.teamId;
  if (principal.kind === 'master') return teamId;
  throw new GatewayError('forbidden', 'team_not_allowed', 'The key does not belong to that team', {
    param: 'team_id',
    hint: 'Leave team_id out, or use a key of the team.',
  });
}

/** A model somebody may not call is not found, so that nobody learns which others there are. */
function answerOne(exchange: Exchange): void {
  const { context, principal, handler } = exchange;
  const { parameter = '' } = handler;
  const { deps } = context;
  const isThere = standingsOf(principal).some(
    (each) => deps.deployments.has(resolveAlias(each, parameter), each.teamId) && deps.allows(each, parameter),
  );
  if (!isThere) {
    throw new GatewayError('notFound', 'model_not_found', `The model ${JSON.stringify(parameter)} does not exist`, {
      param: 'model',
    });
  }
  exchange.answerJson(200, describe(parameter));
}
