import { GatewayError } from '../kernel/errors.ts';
import type { Principal } from './principal.ts';

/** LiteLLM's special names in a list of models. */
const TEAM_MODELS = 'all-team-models';
const ALL_MODELS = 'all-proxy-models';
const NO_MODELS = 'no-default-models';

/** What is known of a model beside its name, as it is for the keys of one team. */
export interface ModelScope {
  /** Names that stand for it in a list of models: LiteLLM's access groups. */
  readonly groups: ReadonlySet<string>;
  /** A model of the caller's own team: it is the team's without standing in the team's list. */
  readonly isOfTeam: boolean;
}

export const plainScope: ModelScope = { groups: new Set(), isOfTeam: false };

/** The part of a principal that models are decided by. */
export type ModelLists = Pick<Principal, 'kind' | 'models' | 'teamId' | 'teamModels' | 'userModels'>;

/**
 * Whether a list lets a model through: its name, a group it is in, a pattern such as `openai/*` or `*`, or everything when
 * the list is empty.
 */
function lists(models: readonly string[], model: string, { groups }: ModelScope): boolean {
  if (models.length === 0) return true;
  return models.some(
    (entry) =>
      entry === model || entry === ALL_MODELS || groups.has(entry) || (entry.includes('*') && matches(entry, model)),
  );
}

/** `*` stands for any run of characters; nothing else is special, so a list cannot hold a slow regular expression. */
function matches(pattern: string, model: string): boolean {
  const parts = pattern.split('*');
  const first = parts.shift() ?? '';
  const last = parts.pop() ?? '';
  if (!model.startsWith(first) || !model.endsWith(last) || model.length < first.length + last.length) return false;
  let position = first.length;
  for (const part of parts) {
    const found = model.indexOf(part, position);
    if (found === -1) return false;
    position = found + part.length;
  }
  return position <= model.length - last.length;
}

type Denied = 'key' | 'team' | 'user' | undefined;

/**
 * Which list stands in the way, if any. The key's own first, then its team's or, as in LiteLLM for a key without a team,
 * its user's: both must let the model through.
 */
function deniedBy(
  { kind, models, teamId, teamModels, userModels = [] }: ModelLists,
  model: string,
  scope: ModelScope,
): Denied {
  if (kind === 'master') return undefined;
  const followsTeam = models.includes(TEAM_MODELS) && teamId !== null;
  if (!followsTeam && (models.includes(NO_MODELS) || !lists(models, model, scope))) return 'key';
  if (scope.isOfTeam) return undefined;
  const [owner, list] = teamId === null ? (['user', userModels] as const) : (['team', teamModels] as const);
  return list.includes(NO_MODELS) || !lists(list, model, scope) ? owner : undefined;
}

/** Whether the caller may call a model: what a list of models shows is exactly what would be allowed. */
export const allows = (principal: ModelLists, model: string, scope = plainScope): boolean =>
  deniedBy(principal, model, scope) === undefined;

/** @param status 403, or 401 as LiteLLM answered until April 2026 */
export function requireModel(
  principal: ModelLists,
  model: string,
  { status = 403, scope = plainScope }: { readonly status?: number; readonly scope?: ModelScope } = {},
): void {
  const denied = deniedBy(principal, model, scope);
  if (!denied) return;
  const list = { key: principal.models, team: principal.teamModels, user: principal.userModels ?? [] }[denied];
  throw new GatewayError(
    'forbidden',
    `${denied}_model_access_denied`,
    `${denied} not allowed to access model. This ${denied} can only access models=[${list.join(', ')}]. Tried to access ${model}`,
    { param: 'model', status },
  );
}
