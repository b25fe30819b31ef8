import { GatewayError } from '../kernel/errors.ts';
import { environmentName } from './deployment.ts';
import type { Model } from './model.entity.ts';
import type { LitellmParams, ModelInfo } from './model.wire.ts';

/**
 * What whoever administers a team, and is no administrator of the gateway, may set of the team's models. Not where they
 * are (`api_base`), not a credential of the gateway's, and nothing that calls are priced by: their budgets would be theirs.
 */
export const teamModelFields: Readonly<Record<'litellm_params' | 'model_info', readonly string[]>> = {
  litellm_params: ['model', 'api_key', 'timeout', 'stream_timeout'],
  model_info: ['id', 'team_id', 'team_public_model_name', 'access_groups', 'mode'],
};

/** @throws GatewayError 403 that names the first field only administrators may set */
export function requireTeamFields(params: LitellmParams, info: ModelInfo): void {
  const given = { litellm_params: params, model_info: info };
  for (const section of ['litellm_params', 'model_info'] as const) {
    const field = Object.entries(given[section]).find(
      ([name, value]) => value !== undefined && !teamModelFields[section].includes(name),
    )?.[0];
    if (field) throw adminField(`${section}.${field}`);
  }
  // It names a variable of the daemon, whatever that holds.
  if (params.api_key && environmentName(params.api_key)) throw adminField('litellm_params.api_key');
}

/**
 * Where administrators have set up how a model is reached or what it costs, they have done so for the upstream model they
 * named: another one would be called with the gateway's credential, at the price of the first.
 *
 * @throws GatewayError 403
 */
export function requireOwnUpstream(model: Model, { model: upstream }: LitellmParams): void {
  if (upstream === undefined || upstream === model.params['model']) return;
  const hasCredential = Boolean(model.credentialName) || environmentName(model.apiKey ?? '') !== undefined;
  const isBound = [...Object.keys(model.params), ...Object.keys(model.info)].some((name) =>
    /^(?:api_base|base_model)$|cost/.test(name),
  );
  if (hasCredential || isBound) throw adminField('litellm_params.model');
}

const adminField = (param: string) =>
  new GatewayError('forbidden', 'field_not_allowed', `${param} may be set by administrators only`, {
    param,
    hint: `A team's administrator sets ${teamModelFields.litellm_params.join(', ')} and an api_key of the team's own.`,
  });
