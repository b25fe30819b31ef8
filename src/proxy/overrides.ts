import { GatewayError } from '../kernel/errors.ts';
import { trialFields, wishFields } from './wishes.ts';

/** Fields of OpenAI's and Anthropic's APIs that every client sends: they need no closer look. */
const everyday = new Set([
  'background',
  'best_of',
  'conversation',
  'dimensions',
  'documents',
  'encoding_format',
  'frequency_penalty',
  'include',
  'inference_geo',
  'input',
  'instructions',
  'max_completion_tokens',
  'max_output_tokens',
  'max_tokens',
  'max_tool_calls',
  'messages',
  'metadata',
  'model',
  'n',
  'parallel_tool_calls',
  'presence_penalty',
  'previous_response_id',
  'prompt',
  'prompt_cache_key',
  'reasoning',
  'quality',
  'query',
  'reasoning_effort',
  'response_format',
  'seed',
  'service_tier',
  'speed',
  'size',
  'stop',
  'stop_sequences',
  'store',
  'stream',
  'stream_options',
  'system',
  'tags',
  'temperature',
  'text',
  'thinking',
  'tool_choice',
  'tools',
  'top_k',
  'top_n',
  'top_p',
  'truncation',
  'user',
  'voice',
  ...wishFields,
]);

/**
 * Fields by which LiteLLM lets a client choose the upstream, its credentials, its price or a made-up answer; without
 * case and separators, so that `apiBase` and `api-base` are meant too. Nothing here would act on them, but an upstream
 * that is a gateway itself might: CVE-2024-6587 sent the provider's key to the `api_base` of a caller's choice, and
 * OpenRouter calls one of the `models`, or that of a `preset`, when the model itself fails.
 */
const refused = new Set([
  'allowedmodelregion',
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
  'contentpolicyfallbacks',
  'contextwindowfallbackdict',
  'contextwindowfallbacks',
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
  'models',
  'organization',
  'preset',
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
const refusedFamilies = /^(?:litellm|mock|aws|vertex|watsonx)/;

/** Fields that decide where a call goes and what it may cost: each of them has one spelling. */
const read = [
  'background',
  'best_of',
  'conversation',
  'inference_geo',
  'documents',
  'input',
  'max_completion_tokens',
  'max_output_tokens',
  'max_tokens',
  'messages',
  'metadata',
  'model',
  'n',
  'previous_response_id',
  'prompt',
  'quality',
  'service_tier',
  'speed',
  'size',
  'stream',
  'stream_options',
  'tags',
  'tools',
  'user',
  ...wishFields,
];

/**
 * A name as the most forgiving parser may read it: without case, compatibility forms and separators. Go's encoding/json
 * takes `MODEL` for `model`, and folds `ſ` and the Kelvin sign besides; protobuf's JSON takes `maxTokens`.
 */
const fold = (name: string): string => name.normalize('NFKC').toUpperCase().toLowerCase().replaceAll(/[_-]/g, '');

const readFolded = new Set(read.map(fold));
const usageFolded = fold('include_usage');

/**
 * Refuses a body that tries to take over what the operator decides. To drop such a field silently would be a lie.
 *
 * @param options.mayTry whether it is an administrator's, who may try out what the gateway would do
 */
export function refuseOverrides(names: readonly string[], { mayTry = false } = {}): void {
  for (const name of names) {
    if (everyday.has(name) || (mayTry && trialFields.has(name))) continue;
    const folded = fold(name);
    if (readFolded.has(folded)) throw misspelled(name);
    if (!refused.has(folded) && !refusedFamilies.test(folded)) continue;
    throw new GatewayError('invalid', 'unsupported_field', `${name} cannot be set by a client of this gateway`, {
      param: name,
      hint: 'Upstreams, their credentials and their prices are set by the operator, in the model list.',
    });
  }
}

/** The same for the names in a form, where some servers read `model[]` or `extra_body[api_base]` as what is before the bracket. */
export function refuseFormOverrides(names: readonly string[]): void {
  for (const name of names) {
    const bracket = name.indexOf('[');
    if (bracket < 0) {
      refuseOverrides([name]);
      continue;
    }
    const plain = name.slice(0, bracket);
    if (readFolded.has(fold(plain))) throw misspelled(name);
    refuseOverrides([plain]);
  }
}

/** The same for the options of a stream: without the usage in it, nobody would know what it cost. */
export function refuseHiddenUsage(names: readonly string[]): void {
  for (const name of names) {
    if (name !== 'include_usage' && fold(name) === usageFolded) throw misspelled(`stream_options.${name}`);
  }
}

/** Passed on, it could mean one thing here and another upstream: a model nobody allowed, or a limit nobody reserved for. */
const misspelled = (name: string): GatewayError =>
  new GatewayError('invalid', 'unsupported_field', `${name} could be read as another field; it has one spelling`, {
    param: name,
    hint: 'Fields are spelled in lower case, as in max_tokens.',
  });
