import { type ErrorKind, GatewayError } from '../kernel/errors.ts';
import { matchesPattern } from '../kernel/grant.ts';
import { letsRoute } from '../kernel/route-groups.ts';
import type { Payer } from './payers.ts';
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

/** What is known of a model that is asked for by name. */
export type ScopeOf = (model: string) => ModelScope;

/** The part of a principal that models are decided by. */
export type ModelLists = Pick<
  Principal,
  'kind' | 'role' | 'models' | 'teamId' | 'teamModels' | 'userModels' | 'organizationModels' | 'aliases' | 'teamAliases'
>;

/** A call as somebody asks for it. */
export interface AskedCall {
  /** As the client names it. */
  readonly model: string;
  /** The path as it was registered, such as `/models/:model`, and as it was called. */
  readonly route: string;
  readonly path: string;
  /** The request's body. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The customer and the tags it names, its key's tags included. */
  readonly payers: readonly Payer[];
}

/** Whose list of models it is. */
type ModelRule = 'key' | 'team' | 'user' | 'org' | 'tag';

/** Why a call is not allowed: the rule that stands in the way, and what the client is told. */
export interface Denial {
  readonly rule: 'role' | 'route' | ModelRule | 'customer' | 'params';
  readonly kind: ErrorKind;
  readonly type: string;
  readonly param?: string;
  /** Made when it is needed: a list of models asks about each of them. */
  readonly message: () => string;
}

export interface Decision {
  /** The model that is called: what an alias stands for. */
  readonly model: string;
  readonly denial?: Denial | undefined;
}

/**
 * Whether somebody may make a call. The one place that says so: what lists show and what calls do is the same.
 *
 * Aliases come first, and what they stand for is what must be allowed: a name somebody may use cannot lead to a model
 * they may not.
 */
export function decide(principal: Principal, call: AskedCall, scopeOf: ScopeOf): Decision {
  const model = resolveAlias(principal, call.model);
  const scope = scopeOf(model);
  const denial =
    (principal.kind === 'master' ? undefined : deniedByKey(principal, call, { model, scope })) ??
    deniedByPayers(call.payers, model, scope);
  return { model, denial };
}

const deniedByKey = (
  principal: Principal,
  call: AskedCall,
  { model, scope }: { model: string; scope: ModelScope },
): Denial | undefined =>
  deniedByRoute(principal, call) ?? deniedByModel(principal, model, scope) ?? deniedByParams(principal, call.fields);

/** The key's alias, then its team's of what that stands for; no further, so there are no circles. */
export function resolveAlias(
  { aliases, teamAliases }: Pick<Principal, 'aliases' | 'teamAliases'>,
  model: string,
): string {
  const named = aliased(aliases, model);
  return aliased(teamAliases, named);
}

const aliased = (aliases: Readonly<Record<string, string>>, model: string): string =>
  Object.hasOwn(aliases, model) ? (aliases[model] ?? model) : model;

/** Whether the caller may call a model, by any of its names: what a list of models shows is exactly that. */
export function allows(caller: ModelLists, named: string, scopeOf: ScopeOf): boolean {
  const model = resolveAlias(caller, named);
  return caller.kind === 'master' || deniedByModel(caller, model, scopeOf(model)) === undefined;
}

/**
 * The model to call, where the call is allowed.
 *
 * @param status of a model that is not: 403, or 401 as LiteLLM answered until April 2026
 * @throws GatewayError 403, or 400 for a parameter that is missing
 */
export function requireCall(
  principal: Principal,
  call: AskedCall,
  { status, scopeOf }: { readonly status: number; readonly scopeOf: ScopeOf },
): string {
  const { model, denial } = decide(principal, call, scopeOf);
  if (denial) throw asError(denial, status);
  return model;
}

/** For routes that call no model. */
export function requireRoute(principal: Principal, call: Pick<AskedCall, 'route' | 'path'>): void {
  const denial = principal.kind === 'master' ? undefined : deniedByRoute(principal, call);
  if (denial) throw asError(denial, 403);
}

function asError({ rule, kind, type, param, message }: Denial, modelStatus: number): GatewayError {
  const isModel = type === `${rule}_model_access_denied`;
  return new GatewayError(kind, type, message(), { param, ...(isModel && { status: modelStatus }) });
}

function deniedByRoute(
  { allowedRoutes }: Principal,
  { route, path }: Pick<AskedCall, 'route' | 'path'>,
): Denial | undefined {
  if (letsRoute(allowedRoutes, route)) return undefined;
  return {
    rule: 'route',
    kind: 'forbidden',
    type: 'route_not_allowed',
    message: () =>
      `Virtual key is not allowed to call this route. Only allowed to call routes: [${allowedRoutes.join(', ')}]. ` +
      `Tried to call route: ${path}`,
  };
}

/**
 * Which rule stands between somebody and a model, if any. Whoever only views calls none. Of the lists the key's own comes
 * first, then its team's or, as in LiteLLM for a key without a team, its user's, then its organization's: all must let
 * the model through.
 */
function deniedByModel(principal: ModelLists, model: string, scope: ModelScope): Denial | undefined {
  const { role, models, teamId, teamModels, userModels = [], organizationModels } = principal;
  if (role === 'internal_user_viewer' || role === 'proxy_admin_viewer') return viewer(role);
  const followsTeam = teamId !== null && models.includes(TEAM_MODELS);
  if (!followsTeam && !lists(models, model, scope)) return notListed('key', models, model);
  if (teamId !== null && !scope.isOfTeam && !lists(teamModels, model, scope))
    return notListed('team', teamModels, model);
  if (teamId === null && !lists(userModels, model, scope)) return notListed('user', userModels, model);
  return lists(organizationModels, model, scope) ? undefined : notListed('org', organizationModels, model);
}

/**
 * Whether a list lets a model through: its name, a group it is in, a pattern such as `openai/*` or `*`, or everything when
 * the list is empty.
 */
function lists(models: readonly string[], model: string, { groups }: ModelScope): boolean {
  if (models.length === 0) return true;
  if (models.includes(NO_MODELS)) return false;
  return models.some((entry) => entry === ALL_MODELS || groups.has(entry) || matchesModel(entry, model));
}

/** Whether an entry, of a list or of limits by model, means a model. */
export const matchesModel = (entry: string, model: string): boolean =>
  entry === model || (entry.includes('*') && matchesPattern(entry, model));

const viewer = (role: string): Denial => ({
  rule: 'role',
  kind: 'forbidden',
  type: 'role_not_allowed',
  message: () => `Users with the role ${role} may look at things, and not call models`,
});

/** LiteLLM's words. */
const notListed = (rule: ModelRule, models: readonly string[], model: string): Denial => ({
  rule,
  kind: 'forbidden',
  type: `${rule}_model_access_denied`,
  param: 'model',
  message: () =>
    `${rule} not allowed to access model. This ${rule} can only access models=[${models.join(', ')}]. Tried to access ${model}`,
});

/** A tag with models is for these. Of a blocked customer LiteLLM says the same, as a 400. */
function deniedByPayers(payers: readonly Payer[], model: string, scope: ModelScope): Denial | undefined {
  for (const { entity, id, blocked, models } of payers) {
    if (entity === 'tag' && !lists(models, model, scope)) return notListed('tag', models, model);
    if (!blocked) continue;
    return {
      rule: 'customer',
      kind: 'forbidden',
      type: 'customer_blocked',
      param: 'user',
      message: () => `User blocked from making LLM API Calls. User=${id}`,
    };
  }
  return undefined;
}

/** A parameter may be one of an object's: `metadata.project`. */
function deniedByParams({ enforcedParams }: Principal, fields: Readonly<Record<string, unknown>>): Denial | undefined {
  const missing = enforcedParams.find((name) => !hasParam(fields, name.split('.')));
  if (missing === undefined) return undefined;
  return {
    rule: 'params',
    kind: 'invalid',
    type: 'missing_parameter',
    param: missing,
    message: () => `BadRequest please pass param=${missing} in request body. This is a required param`,
  };
}

function hasParam(fields: unknown, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return fields !== null && fields !== undefined;
  if (typeof fields !== 'object' || fields === null || !Object.hasOwn(fields, name)) return false;
  return hasParam(Reflect.get(fields, name), rest);
}
