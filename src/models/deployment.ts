import { providers } from './providers.ts';

/** One upstream behind a model name. */
export interface Deployment {
  /** Sent back as `x-litellm-model-id`. */
  readonly id: string;
  /** The public name clients ask for; may be a pattern such as `openai/*` or `*`. */
  readonly name: string;
  readonly provider: string;
  /** The name the upstream knows it by. For a pattern it holds a `*` of its own, or is `*`. */
  readonly upstreamModel: string;
  /** Base URL without a slash at its end; the builtin mock has none. */
  readonly apiBase: string | undefined;
  readonly apiKey: string | undefined;
  readonly source: 'config' | 'database' | 'builtin';
  /** Prices and capabilities as the operator gave them, in LiteLLM's spelling. */
  readonly info: Readonly<Record<string, unknown>>;
  /** Further parameters, in LiteLLM's spelling: timeouts, and what the mock provider reads. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Credentials of providers that have more than a key, in LiteLLM's spelling; never shown. */
  readonly secrets?: Readonly<Partial<Record<SecretParam, string>>>;
  /** What else its calls go out with that nobody else is to have. */
  readonly otherSecrets?: readonly string[];
}

/** Members of `litellm_params` that are kept as keys are. */
export const secretParams = [
  'aws_access_key_id',
  'aws_secret_access_key',
  'aws_session_token',
  'vertex_credentials',
] as const;
export type SecretParam = (typeof secretParams)[number];

/** Members that say where a provider is that has no address of its own. */
export const placeParams = ['aws_region_name', 'vertex_project', 'vertex_location'] as const;

export { type KnownProvider, knownProvider, knownProviders, providers } from './providers.ts';

/**
 * `<provider>/<model>` in two, LiteLLM's way: a name without a provider is OpenAI's. Undefined when the provider is not
 * served.
 */
export function splitModel(model: string): { readonly provider: string; readonly upstreamModel: string } | undefined {
  const slash = model.indexOf('/');
  if (slash === -1) return { provider: 'openai', upstreamModel: model };
  const provider = providers.find((name) => name === model.slice(0, slash));
  return provider === undefined ? undefined : { provider, upstreamModel: model.slice(slash + 1) };
}

/** The model with its provider in front, where that was given beside it; see `splitModel`. */
export const withProvider = (model: string, provider: string | null | undefined): string =>
  !provider || model.startsWith(`${provider}/`) ? model : `${provider}/${model}`;

/**
 * Whether its upstream may be at an address that is not public: when the deployment says so or, where it says nothing,
 * when the operator's own file says where it is. What comes in over the network has to say so.
 *
 * @param isOwn whether the address is the operator's choice, and not the provider's own
 */
export const mayBePrivate = ({ source, params }: Pick<Deployment, 'source' | 'params'>, isOwn: boolean): boolean => {
  const said = params['allow_private_network'];
  return typeof said === 'boolean' ? said : source === 'config' && isOwn;
};

/** Whether its answers are read to their end when the client has gone, so that what they cost is the upstream's own count. */
export const drainsOnDisconnect = ({ params }: Pick<Deployment, 'params'>): boolean =>
  params['drain_on_disconnect'] === true;

const textIn = (info: Deployment['info'], name: string): string | undefined => {
  const value = info[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** The team whose keys alone may call it. */
export const teamOf = ({ info }: Pick<Deployment, 'info'>): string | undefined => textIn(info, 'team_id');

/** The name clients ask for: a model of a team may have one that others have too. */
export const publicNameOf = (deployment: Pick<Deployment, 'name' | 'info'>): string =>
  (teamOf(deployment) === undefined ? undefined : textIn(deployment.info, 'team_public_model_name')) ?? deployment.name;

/** Names that stand for this model, among others, in a list of models. */
export function accessGroupsOf({ info }: Pick<Deployment, 'info'>): readonly string[] {
  const groups = info['access_groups'];
  return Array.isArray(groups)
    ? groups.filter((group): group is string => typeof group === 'string' && group !== '')
    : [];
}

/** Members of `litellm_params` that are numbers and say how calls find their way to a deployment. */
export const routingNumbers = [
  'weight',
  'order',
  'rpm',
  'tpm',
  'max_parallel_requests',
  'num_retries',
  'max_retries',
  'cooldown_time',
] as const;

/** What LiteLLM does with these members of model_info is not done here, so no value of them is taken. */
export const unservedInfo = [
  'access_windows',
  'member_auto_router',
  'blocked',
  'discoverable',
  'health_check_model',
  'health_check_timeout',
  'health_check_max_tokens',
  'disable_background_health_check',
  'tier',
  'ptu_count',
  'cost_per_ptu_per_hour',
  'ptu_effective_from',
  'ptu_effective_to',
  'allow_fail_open',
  'enable_tag_filtering',
  'internal_router_model',
  'team_model_rpm_limit',
  'team_model_tpm_limit',
] as const;

/** The variable a setting names instead of a value: `os.environ/OPENAI_API_KEY`. */
export function environmentName(value: string): string | undefined {
  return /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/.exec(value)?.[1];
}
