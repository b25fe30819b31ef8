import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { namesOwnVariable, ownVariableMessage } from '../kernel/own-variables.ts';
import { answer } from '../kernel/wire.ts';
import {
  accessGroupsOf,
  type Deployment,
  providers,
  publicNameOf,
  routingNumbers,
  splitModel,
  teamOf,
  unservedInfo,
  withProvider,
} from './deployment.ts';
import type { Model } from './model.entity.ts';
import { unservedParams } from './unserved-params.ts';

const price = z.number().nonnegative('must not be negative').max(1_000_000);

const notServed = `names a provider that is not served yet; served are ${providers.join(', ')}`;
const isServed = (model: string): boolean => splitModel(model) !== undefined;

const upstream = z.string().min(1).refine(isServed, notServed);

const upstreamKey = z
  .string()
  .min(1)
  .refine((value) => !namesOwnVariable(value), ownVariableMessage);
const apiBase = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  // It is stored and shown as it is.
  .refine((url) => !/^[^/]*\/\/[^/]*@/.test(url), 'must not hold a password: a credential is api_key');

/** Prices that calls are booked by (see metering/prices.ts), in LiteLLM's spelling. */
const priceFields = [
  'input_cost_per_token',
  'output_cost_per_token',
  'cache_read_input_token_cost',
  'cache_creation_input_token_cost',
  'cache_creation_input_token_cost_above_1hr',
  'output_cost_per_reasoning_token',
  'input_cost_per_audio_token',
  'output_cost_per_audio_token',
  'input_cost_per_request',
  'input_cost_per_image_token',
  'output_cost_per_image_token',
  'input_cost_per_image',
  'output_cost_per_image',
  'input_cost_per_pixel',
  'output_cost_per_pixel',
  'input_cost_per_character',
  'output_cost_per_character',
  'input_cost_per_second',
  'output_cost_per_second',
  'input_cost_per_query',
];
const priceForms = [
  '',
  '_priority',
  '_flex',
  '_batches',
  ...[128, 200, 256, 272].map((size) => `_above_${size}k_tokens`),
];
const prices: object = Object.fromEntries(
  priceFields.flatMap((field) => priceForms.map((form) => [`${field}${form}`, price.nullable()])),
);

const unserved: object = unservedParams;

const seconds = z.number().positive('must be more than 0').max(86_400);

const routing: object = Object.fromEntries(
  routingNumbers.map((name) => [name, z.number().min(0, 'must not be negative').max(1e12).nullable()]),
);

/** What LiteLLM calls litellm_params, as far as it has an effect here. */
const paramsShape = {
  model: z.string().min(1),
  custom_llm_provider: z.enum(providers, notServed).nullable(),
  api_base: apiBase.nullable(),
  api_key: upstreamKey.nullable(),
  litellm_credential_name: label.nullable(),
  allow_private_network: z.boolean().nullable(),
  drain_on_disconnect: z.boolean().nullable(),
  timeout: seconds.nullable(),
  stream_timeout: seconds.nullable(),
  ...routing,
  tags: z.array(label).max(100).nullable(),
  region_name: label.nullable(),
  base_model: z.string().min(1).nullable(),
  api_version: z
    .string()
    .regex(/^[\w.-]{1,40}$/, 'must be a version, such as 2024-10-21')
    .nullable(),
  aws_region_name: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'must be a region, such as us-east-1')
    .nullable(),
  vertex_project: z
    .string()
    .regex(/^[\w.:-]{1,64}$/, 'must be the id of a project')
    .nullable(),
  vertex_location: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'must be a location, such as us-central1 or global')
    .nullable(),
  drop_params: z.boolean().nullable(),
  additional_drop_params: z.array(label).max(100).nullable(),
  mock_response: z.string(),
  mock_latency_ms: z.int().nonnegative().max(600_000),
  mock_chunk_interval_ms: z.int().nonnegative().max(600_000),
  mock_prompt_tokens: z.int().nonnegative(),
  mock_completion_tokens: z.int().nonnegative(),
};

export const litellmParams = z
  .strictObject({ ...unserved, ...prices, ...paramsShape })
  .partial()
  .superRefine(({ model, custom_llm_provider: provider }, context) => {
    if (model === undefined) {
      if (provider)
        context.addIssue({ code: 'custom', path: ['model'], message: 'is missing beside custom_llm_provider' });
    } else if (!isServed(withProvider(model, provider))) {
      context.addIssue({ code: 'custom', path: ['model'], message: notServed });
    }
  });

export type LitellmParams = z.output<typeof litellmParams>;

const accessGroups = z.array(label).max(100);

/**
 * What LiteLLM calls model_info: free, because it is handed back as it came. The members named here, prices and limits of
 * tokens have a meaning; those whose meaning is not served are refused.
 */
export const modelInfo = z
  .looseObject({
    id: label.optional(),
    team_id: label.nullable().optional(),
    team_public_model_name: label.nullable().optional(),
    access_groups: accessGroups.nullable().optional(),
  })
  .superRefine((info, context) => {
    for (const name of unservedInfo) {
      const value = info[name];
      if (value === undefined || value === null || value === false) continue;
      context.addIssue({ code: 'custom', path: [name], message: 'has no effect in gatewayctl yet; leave it out' });
    }
  });

export type ModelInfo = z.output<typeof modelInfo>;

/** The settings people change most, beside the nested ones LiteLLM has. */
export const flatParams = {
  model: upstream
    .optional()
    .describe('Provider and upstream model, such as openai/gpt-4o; in litellm_params.model too'),
  apiBase: apiBase.nullable().optional().describe('Where the upstream is; in litellm_params.api_base too'),
  allowPrivateNetwork: z
    .boolean()
    .nullable()
    .optional()
    .describe('Whether the upstream may be at an address that is not public; in litellm_params too'),
  apiKey: upstreamKey
    .nullable()
    .optional()
    .describe(
      'Key for the upstream: os.environ/NAME names a variable of the daemon; anything else is stored encrypted and never shown',
    ),
  credential: label
    .nullable()
    .optional()
    .describe('Credential that has the key and the address; in litellm_params.litellm_credential_name too'),
  accessGroups: accessGroups
    .nullable()
    .optional()
    .describe('Names that let it through in lists of models; in model_info.access_groups too'),
  inputCostPerToken: price
    .nullable()
    .optional()
    .describe('US dollars per input token; without one the price catalogue is asked'),
  outputCostPerToken: price
    .nullable()
    .optional()
    .describe('US dollars per output token; without one the price catalogue is asked'),
};

/** US dollars for a million tokens. */
const perMillion = z.number().nullable();

/** A deployment in answers, in LiteLLM's words. Never a key of an upstream. */
export const deploymentInfo = {
  modelName: z.string().describe('The name clients ask for'),
  modelId: z.string().describe('Names the deployment; the same as model_info.id'),
  provider: z.string().describe('Whose protocol is spoken upstream'),
  upstream: z.string().describe('Provider and upstream model'),
  source: z
    .enum(['config', 'database', 'builtin'])
    .describe('Where it is set up: only deployments of the database can be changed'),
  teamId: z.string().nullable().describe('The team whose keys alone may call it; null is everybody’s'),
  accessGroups: z.array(z.string()).describe('Names that let it through in lists of models'),
  inputCostPerMillion: perMillion.describe('US dollars per million input tokens; null when no price is known'),
  outputCostPerMillion: perMillion.describe('US dollars per million output tokens; null when no price is known'),
  litellmParams: z.record(z.string(), z.unknown()).describe('How the upstream is called, without its key'),
  modelInfo: z.record(z.string(), z.unknown()).describe('What is known of the model; id and db_model among it'),
};

/** What is known of a model beside what the operator says of it. */
export interface KnownModel {
  /** The name the price catalogue has for it. */
  readonly key: string | null;
  readonly maxInputTokens: number | null;
  /** US dollars per token, as calls are booked. */
  readonly inputCostPerToken: number | null;
  readonly outputCostPerToken: number | null;
}

const unknown: KnownModel = { key: null, maxInputTokens: null, inputCostPerToken: null, outputCostPerToken: null };

/** What every model of LiteLLM's has in its model_info; the operator's own members win. */
function describeModel({ provider, info }: Deployment, known: KnownModel): Record<string, unknown> {
  const own = Object.fromEntries(Object.entries(info).filter(([, value]) => value !== null && value !== undefined));
  const maxInputTokens = own['max_input_tokens'] ?? known.maxInputTokens;
  const maxOutputTokens = own['max_output_tokens'] ?? null;
  return {
    key: known.key,
    max_tokens: maxOutputTokens ?? maxInputTokens,
    max_input_tokens: maxInputTokens,
    max_output_tokens: maxOutputTokens,
    litellm_provider: provider,
    // What most models are for; a model of another kind has it in its model_info.
    mode: 'chat',
    ...own,
    input_cost_per_token: known.inputCostPerToken,
    output_cost_per_token: known.outputCostPerToken,
  };
}

/** 2.5e-6 times a million is 2.5 and not 2.4999999999999996. */
const million = (amount: number | null): number | null =>
  amount === null ? null : Number((amount * 1_000_000).toPrecision(12));

export type DescribedDeployment = z.output<z.ZodObject<typeof deploymentInfo>>;

/** @param isWhole false for callers who may call it and not administer it: where it leads is none of their business */
export function describeDeployment(
  deployment: Deployment,
  known: KnownModel = unknown,
  isWhole = true,
): DescribedDeployment {
  const { id, name, provider, upstreamModel, apiBase: base, source, params, info } = deployment;
  const model = `${provider}/${upstreamModel}`;
  const told: Readonly<Record<string, unknown>> = known === unknown ? info : describeModel(deployment, known);
  return {
    modelName: isWhole ? name : publicNameOf(deployment),
    modelId: id,
    provider,
    upstream: model,
    source,
    teamId: teamOf(deployment) ?? null,
    accessGroups: [...accessGroupsOf(deployment)],
    inputCostPerMillion: million(known.inputCostPerToken),
    outputCostPerMillion: million(known.outputCostPerToken),
    litellmParams: isWhole ? { ...params, model, ...(base === undefined ? {} : { api_base: base }) } : { model },
    modelInfo: { ...told, id, db_model: source === 'database' },
  };
}

const row = answer(deploymentInfo);

/** A deployment as it travels: what administrators see, and what the audit log keeps. */
export const encodeDeployment = (info: DescribedDeployment) => row.encode(info);

/** Where the key and the address of an upstream come from, opened. */
export interface OpenedSecrets {
  readonly apiKey?: string | undefined;
  readonly apiBase?: string | undefined;
  readonly further?: Deployment['secrets'];
}

/** A row of the database as a deployment, without its secrets unless they are handed in, opened. */
export function deploymentOf(
  { id, name, params, info, teamId, credentialName }: Model,
  secrets: OpenedSecrets = {},
): Deployment {
  const { model, api_base: base, ...rest } = params;
  const { provider, upstreamModel } = splitModel(String(model)) ?? {
    provider: 'unknown',
    upstreamModel: String(model),
  };
  const address = typeof base === 'string' ? base : secrets.apiBase;
  return {
    id,
    name,
    provider,
    upstreamModel,
    apiBase: address?.replace(/\/+$/, ''),
    apiKey: secrets.apiKey,
    source: 'database',
    info: { ...info, ...(teamId ? { team_id: teamId } : {}) },
    params: { ...rest, ...(credentialName ? { litellm_credential_name: credentialName } : {}) },
    ...(secrets.further && { secrets: secrets.further }),
  };
}
