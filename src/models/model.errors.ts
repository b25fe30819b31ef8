import { GatewayError } from '../kernel/errors.ts';
import { reachOfHost } from '../kernel/reach.ts';

export const idTaken = (id: string, cause?: unknown) =>
  new GatewayError('conflict', 'bad_request_error', `A deployment with id ${id} already exists`, {
    param: 'model_info.id',
    status: 400,
    hint: 'Leave the id out, and one is made up.',
    cause,
  });

export const otherId = (id: string) =>
  new GatewayError('invalid', 'invalid_request_error', `model_info.id: the deployment is ${id}, and keeps its id`, {
    param: 'model_info.id',
    hint: 'Leave the id out, or delete the deployment and create another.',
  });

export const unknownModel = (reference: string) =>
  new GatewayError('notFound', 'not_found_error', `No model "${reference}"`, {
    param: 'id',
    hint: 'Which models there are: gatewayctl model list',
  });

export const ambiguous = (reference: string) =>
  new GatewayError('invalid', 'ambiguous_model', `More than one deployment is called ${reference}`, {
    param: 'id',
    hint: 'Name it by its id: gatewayctl model get ' + reference,
  });

export const notInDatabase = (name: string) =>
  new GatewayError('conflict', 'model_not_in_database', `Model ${name} is set up in the configuration`, {
    param: 'id',
    status: 400,
    hint: 'Change the configuration file and restart the daemon.',
  });

/** Of a model the caller may call: one it may not is not found. */
export const notYours = (name: string | undefined) =>
  new GatewayError(
    'forbidden',
    'auth_error',
    name === undefined
      ? 'Only administrators set up models for everybody, and administrators of a team those of the team'
      : `Model ${name} is changed by administrators of the gateway or of its team only`,
    {
      param: name === undefined ? 'model_info.team_id' : 'id',
      hint: 'Name a team you administer as model_info.team_id, or ask an administrator.',
    },
  );

export const credentialMissing = (name: string, cause?: unknown) =>
  new GatewayError('notFound', 'not_found_error', `No credential "${name}"`, {
    param: 'litellm_params.litellm_credential_name',
    hint: 'Which credentials there are: gatewayctl credential list',
    cause,
  });

/**
 * An address that the daemon would not connect to, said before anybody calls the model. What a name stands for is found
 * out when the daemon connects.
 */
export function refuseUnreachable({ api_base: base, allow_private_network: mayBePrivate }: Record<string, unknown>) {
  if (typeof base !== 'string' || !URL.canParse(base)) return;
  const { hostname } = new URL(base);
  const reach = reachOfHost(hostname);
  const param = 'litellm_params.api_base';
  if (reach === 'forbidden') {
    throw new GatewayError('invalid', 'address_refused', `${param}: ${hostname} is never called`, {
      param,
      hint: 'Clouds have credentials there, and no model. Name the address of the model’s server.',
    });
  }
  if (reach !== 'private' || mayBePrivate === true) return;
  throw new GatewayError('invalid', 'address_refused', `${param}: ${hostname} is not on the public internet`, {
    param,
    hint: 'Where that is meant, say so: --allow-private-network, or litellm_params.allow_private_network: true.',
  });
}
