import type { ErrorKind } from '../kernel/errors.ts';
import { matchesPattern } from '../kernel/grant.ts';
import { letsRoute } from '../kernel/route-groups.ts';
import type { AskedCall, ModelScope } from './decide.ts';
import type { Principal } from './principal.ts';

/** LiteLLM's special names in a list of models. */
const TEAM_MODELS = 'all-team-models';
const ALL_MODELS = 'all-proxy-models';
const NO_MODELS = 'no-default-models';

/** The part of a principal that models are decided by. */
export type ModelLists = Pick<
  Principal,
  'role' | 'models' | 'teamId' | 'teamModels' | 'userModels' | 'organizationModels' | 'aliases' | 'teamAliases'
>;

/** The checks of a caller and a call, by the names that a trace gives them. */
export type Rule =
  | 'key.blocked'
  | 'team.blocked'
  | 'user.blocked'
  | 'organization.blocked'
  | 'key.expiry'
  | 'key.routes'
  | 'user.role'
  | 'key.models'
  | 'team.models'
  | 'user.models'
  | 'organization.models'
  | 'tag.models'
  | 'customer.blocked'
  | 'key.params';

/** Why a call is not allowed: the rule that stands in the way, and what the client is told. */
export interface Denial {
  readonly rule: Rule;
  readonly kind: ErrorKind;
  readonly type: string;
  readonly param?: string;
  /** Made when it is needed: a list of models asks about each of them. */
  readonly message: () => string;
}

/** A rule, and what it says of whoever is looked at. */
export interface Check<Subject> {
  readonly rule: Rule;
  readonly deny: (subject: Subject) => Denial | undefined;
  /** What the rule goes by, for a trace; undefined where it has nothing to look at. */
  readonly basis: (subject: Subject) => string | undefined;
}

/** Whoever calls, and when. */
export interface Caller {
  readonly principal: Principal;
  readonly now: Date;
}

/** A call, and the model it is really for. */
export interface Asked {
  readonly principal: Principal;
  readonly call: AskedCall;
  readonly model: string;
  readonly scope: ModelScope;
}

export interface AskedModel {
  readonly principal: ModelLists;
  readonly model: string;
  readonly scope: ModelScope;
}

const refused = (rule: Rule, type: string, message: () => string): Denial => ({
  rule,
  kind: 'unauthenticated',
  type,
  message: () => `Authentication Error, ${message()}`,
});

/** LiteLLM's words; it says 401 of all of them. */
const blocked = (
  owner: 'key' | 'team' | 'user' | 'organization',
  isBlocked: (principal: Principal) => boolean,
  { id, says }: { id: (principal: Principal) => string | null; says: (id: string | null) => string },
): Check<Caller> => ({
  rule: `${owner}.blocked`,
  deny: ({ principal }) =>
    isBlocked(principal) ? refused(`${owner}.blocked`, `${owner}_blocked`, () => says(id(principal))) : undefined,
  basis: ({ principal }) => id(principal) ?? undefined,
});

/**
 * What is looked at before a request's body is read. A caller who is not let in learns no more of a call than that.
 */
export const callerChecks: readonly Check<Caller>[] = [
  blocked('key', (principal) => principal.blocked, {
    id: ({ keyId }) => keyId,
    says: () => "Key is blocked. Update via `/key/unblock` if you're an admin.",
  }),
  blocked('team', ({ teamBlocked }) => teamBlocked, {
    id: ({ teamId }) => teamId,
    says: (id) => `Team=${id} is blocked. Update via \`/team/unblock\` if you're an admin.`,
  }),
  blocked('user', ({ userBlocked }) => userBlocked, {
    id: ({ userId }) => userId,
    says: (id) => `User=${id} is blocked. Update via \`/user/unblock\` if you're an admin.`,
  }),
  blocked('organization', ({ organizationBlocked }) => organizationBlocked, {
    id: ({ organizationId }) => organizationId,
    says: (id) => `Organization=${id} is blocked.`,
  }),
  {
    rule: 'key.expiry',
    deny: ({ principal: { expiresAt }, now }) =>
      expiresAt !== null && expiresAt <= now.getTime() ? expired(expiresAt, now) : undefined,
    basis: ({ principal: { expiresAt } }) =>
      expiresAt === null ? 'never expires' : `expires ${new Date(expiresAt).toISOString()}`,
  },
];

const expired = (expiresAt: number, now: Date): Denial => ({
  rule: 'key.expiry',
  kind: 'unauthenticated',
  type: 'expired_key',
  message: () =>
    `Authentication Error - Expired Key. Key Expiry time ${new Date(expiresAt).toISOString()} and current time ${now.toISOString()}`,
});

/** Whether the caller may come this way at all. */
export const routeCheck: Check<Pick<Asked, 'principal'> & { readonly call: Pick<AskedCall, 'route' | 'path'> }> = {
  rule: 'key.routes',
  deny: ({ principal: { allowedRoutes }, call: { route, path } }) =>
    letsRoute(allowedRoutes, route)
      ? undefined
      : {
          rule: 'key.routes',
          kind: 'forbidden',
          type: 'route_not_allowed',
          message: () =>
            `Virtual key is not allowed to call this route. Only allowed to call routes: [${allowedRoutes.join(', ')}]. ` +
            `Tried to call route: ${path}`,
        },
  basis: ({ principal: { allowedRoutes }, call: { path } }) => `${path}, of ${listed(allowedRoutes)}`,
};

const listed = (names: readonly string[]): string => (names.length === 0 ? 'all' : names.join(', '));

/** Whose list of models it is. */
type Owner = 'key' | 'team' | 'user' | 'organization';

/** LiteLLM's words, in which an organization is an `org`. */
const notListed = (rule: Rule, owner: string, models: readonly string[], model: string): Denial => ({
  rule,
  kind: 'forbidden',
  type: `${owner}_model_access_denied`,
  param: 'model',
  message: () =>
    `${owner} not allowed to access model. This ${owner} can only access models=[${models.join(', ')}]. Tried to access ${model}`,
});

/** @param models the owner's list; undefined where there is no such owner, or its list does not count */
const listCheck = (owner: Owner, models: (asked: AskedModel) => readonly string[] | undefined): Check<AskedModel> => {
  const rule: Rule = `${owner}.models`;
  return {
    rule,
    deny: (asked) => {
      const names = models(asked);
      if (names === undefined || lists(names, asked.model, asked.scope)) return undefined;
      return notListed(rule, owner === 'organization' ? 'org' : owner, names, asked.model);
    },
    basis: (asked) => {
      const names = models(asked);
      return names && `${asked.model}, of ${listed(names)}`;
    },
  };
};

/**
 * Which rule stands between somebody and a model, if any. Whoever only views calls none. Of the lists the key's own comes
 * first, then its team's or, as in LiteLLM for a key without a team, its user's, then its organization's: all must let
 * the model through.
 */
export const modelChecks: readonly Check<AskedModel>[] = [
  {
    rule: 'user.role',
    deny: ({ principal: { role } }) =>
      role === 'internal_user_viewer' || role === 'proxy_admin_viewer' ? viewer(role) : undefined,
    basis: ({ principal: { role } }) => role,
  },
  listCheck('key', ({ principal: { models, teamId } }) =>
    teamId !== null && models.includes(TEAM_MODELS) ? undefined : models,
  ),
  listCheck('team', ({ principal: { teamId, teamModels }, scope }) =>
    teamId === null || scope.isOfTeam ? undefined : teamModels,
  ),
  listCheck('user', ({ principal: { teamId, userModels } }) => (teamId === null ? userModels : undefined)),
  listCheck('organization', ({ principal: { organizationModels } }) => organizationModels),
];

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
  rule: 'user.role',
  kind: 'forbidden',
  type: 'role_not_allowed',
  message: () => `Users with the role ${role} may look at things, and not call models`,
});

/** What a call names besides its model: its tags, its customer, and what its key wants to be told. */
export const callChecks: readonly Check<Asked>[] = [
  {
    rule: 'tag.models',
    deny: ({ call: { payers }, model, scope }) => {
      const tag = payers.find(({ entity, models }) => entity === 'tag' && !lists(models, model, scope));
      return tag && notListed('tag.models', 'tag', tag.models, model);
    },
    basis: ({ call: { payers } }) => namesOf(payers, 'tag'),
  },
  {
    rule: 'customer.blocked',
    deny: ({ call: { payers } }) => {
      const customer = payers.find(({ blocked: isBlocked }) => isBlocked);
      return customer && customerBlocked(customer.id);
    },
    basis: ({ call: { payers } }) => namesOf(payers, 'customer'),
  },
  {
    rule: 'key.params',
    deny: ({ principal: { enforcedParams }, call: { fields } }) => {
      const missing = enforcedParams.find((name) => !hasParam(fields, name.split('.')));
      return missing === undefined ? undefined : missingParam(missing);
    },
    basis: ({ principal: { enforcedParams } }) =>
      enforcedParams.length === 0 ? undefined : `needs ${enforcedParams.join(', ')}`,
  },
];

const namesOf = (payers: AskedCall['payers'], entity: 'customer' | 'tag'): string | undefined =>
  payers
    .filter((payer) => payer.entity === entity)
    .map(({ label }) => label)
    .join(', ') || undefined;

/** Of a blocked customer LiteLLM says the same, as a 400. */
const customerBlocked = (id: string): Denial => ({
  rule: 'customer.blocked',
  kind: 'forbidden',
  type: 'customer_blocked',
  param: 'user',
  message: () => `User blocked from making LLM API Calls. User=${id}`,
});

const missingParam = (name: string): Denial => ({
  rule: 'key.params',
  kind: 'invalid',
  type: 'missing_parameter',
  param: name,
  message: () => `BadRequest please pass param=${name} in request body. This is a required param`,
});

/** A parameter may be one of an object's: `metadata.project`. */
function hasParam(fields: unknown, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return fields !== null && fields !== undefined;
  if (typeof fields !== 'object' || fields === null || !Object.hasOwn(fields, name)) return false;
  return hasParam(Reflect.get(fields, name), rest);
}

/** The first rule that denies. */
export function firstDenial<Subject>(checks: readonly Check<Subject>[], subject: Subject): Denial | undefined {
  for (const { deny } of checks) {
    const denial = deny(subject);
    if (denial) return denial;
  }
  return undefined;
}
