import { GatewayError } from '../kernel/errors.ts';

/** Fields of OpenAI's API that every client sends: they need no closer look. */
const everyday = new Set([
  'frequency_penalty',
  'max_completion_tokens',
  'max_tokens',
  'messages',
  'metadata',
  'model',
  'n',
  'parallel_tool_calls',
  'presence_penalty',
  'reasoning_effort',
  'response_format',
  'seed',
  'stop',
  'stream',
  'stream_options',
  'temperature',
  'tool_choice',
  'tools',
  'top_p',
  'user',
]);

/**
 * Fields by which LiteLLM lets a client choose the upstream, its credentials, its price or a made-up answer; without
 * case and separators, so that `apiBase` and `api-base` are meant too. Nothing here would act on them, but an upstream
 * that is a gateway itself might: CVE-2024-6587 sent the provider's key to the `api_base` of a caller's choice.
 */
const refused = new Set([
  'apibase',
  'apikey',
  'apitype',
  'apiversion',
  'azureadtoken',
  'azureadtokenprovider',
  'basemodel',
  'baseurl',
  'clientid',
  'clientsecret',
  'configurableclientsideauthparams',
  'customhost',
  'customllmprovider',
  'defaultheaders',
  'deploymentid',
  'endpoint',
  'extrabody',
  'extraheaders',
  'extraquery',
  'headers',
  'host',
  'inputcostpersecond',
  'inputcostpertoken',
  'modelinfo',
  'modellist',
  'organization',
  'outputcostpersecond',
  'outputcostpertoken',
  'providerspecificheader',
  'proxy',
  'proxyserverrequest',
  'regionname',
  'tenantid',
  'useinpassthrough',
  'userconfig',
]);
const refusedFamilies = /^(?:litellm|mock|aws|vertex|watsonx)_/;

/** Refuses a body that tries to take over what the operator decides. To drop such a field silently would be a lie. */
export function refuseOverrides(names: readonly string[]): void {
  for (const name of names) {
    if (everyday.has(name)) continue;
    if (!refused.has(name.toLowerCase().replaceAll(/[_-]/g, '')) && !refusedFamilies.test(name)) continue;
    throw new GatewayError('invalid', 'unsupported_field', `${name} cannot be set by a client of this gateway`, {
      param: name,
      hint: 'Upstreams, their credentials and their prices are set by the operator, in the model list.',
    });
  }
}
