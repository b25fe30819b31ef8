import { matchesPattern } from '../kernel/grant.ts';
import { type AskedModel, type Check, type Denial, listed, type Rule } from './checks.ts';
import type { ModelScope } from './decide.ts';

/** LiteLLM's special names in a list of models. */
const TEAM_MODELS = 'all-team-models';
const ALL_MODELS = 'all-proxy-models';
const NO_MODELS = 'no-default-models';

/** Whose list of models it is. */
type Owner = 'key' | 'team' | 'user' | 'organization';

/** LiteLLM's words, in which an organization is an `org`. */
export const notListed = (rule: Rule, owner: string, models: readonly string[], model: string): Denial => ({
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
export function lists(models: readonly string[], model: string, { groups }: ModelScope): boolean {
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
