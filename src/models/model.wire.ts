import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { answer } from '../kernel/wire.ts';
import { type Deployment, splitModel } from './deployment.ts';
import type { Model } from './model.entity.ts';

const price = z.number().nonnegative('must not be negative').max(1_000_000);

const upstream = z
  .string()
  .min(1)
  .refine(
    (model) => splitModel(model) !== undefined,
    'names a provider that is not served yet; served are openai and mock',
  );

const apiBase = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

/** What LiteLLM calls litellm_params, as far as it has an effect here. */
const paramsShape = {
  model: upstream,
  api_base: apiBase.nullable(),
  api_key: z.string().min(1).nullable(),
  input_cost_per_token: price.nullable(),
  output_cost_per_token: price.nullable(),
  cache_read_input_token_cost: price.nullable(),
  cache_creation_input_token_cost: price.nullable(),
  mock_response: z.string(),
  mock_latency_ms: z.int().nonnegative().max(600_000),
  mock_chunk_interval_ms: z.int().nonnegative().max(600_000),
  mock_prompt_tokens: z.int().nonnegative(),
  mock_completion_tokens: z.int().nonnegative(),
};

export const litellmParams = z.strictObject(paramsShape).partial();

/** What LiteLLM calls model_info: free, because it is handed back as it came; prices and `id` have a meaning here. */
export const modelInfo = z.looseObject({ id: label.optional() });

export type LitellmParams = z.output<typeof litellmParams>;

/** The settings people change most, beside the nested ones LiteLLM has. */
export const flatParams = {
  model: upstream
    .optional()
    .describe('Provider and upstream model, such as openai/gpt-4o; in litellm_params.model too'),
  apiBase: apiBase.nullable().optional().describe('Where the upstream is; in litellm_params.api_base too'),
  apiKey: z
    .string()
    .min(1)
    .nullable()
    .optional()
    .describe(
      'Key for the upstream: os.environ/NAME names a variable of the daemon; anything else is stored encrypted and never shown',
    ),
  inputCostPerToken: price
    .nullable()
    .optional()
    .describe('US dollars per input token; without one the price catalogue is asked'),
  outputCostPerToken: price
    .nullable()
    .optional()
    .describe('US dollars per output token; without one the price catalogue is asked'),
};

/** A deployment in answers, in LiteLLM's words. Never a key of an upstream. */
export const deploymentInfo = {
  modelName: z.string().describe('The name clients ask for'),
  modelId: z.string().describe('Names the deployment; the same as model_info.id'),
  upstream: z.string().describe('Provider and upstream model'),
  source: z
    .enum(['config', 'database', 'builtin'])
    .describe('Where it is set up: only deployments of the database can be changed'),
  litellmParams: z.record(z.string(), z.unknown()).describe('How the upstream is called, without its key'),
  modelInfo: z.record(z.string(), z.unknown()).describe('What is known of the model; id and db_model among it'),
};

export const describeDeployment = ({
  id,
  name,
  provider,
  upstreamModel,
  apiBase: base,
  source,
  params,
  info,
}: Deployment) => ({
  modelName: name,
  modelId: id,
  upstream: `${provider}/${upstreamModel}`,
  source,
  litellmParams: {
    ...params,
    model: `${provider}/${upstreamModel}`,
    ...(base === undefined ? {} : { api_base: base }),
  },
  modelInfo: { ...info, id, db_model: source === 'database' },
});

const row = answer(deploymentInfo);

/** A deployment as it travels: what administrators see, and what the audit log keeps. */
export const encodeDeployment = (info: ReturnType<typeof describeDeployment>) => row.encode(info);

/** A row of the database as a deployment, its key left out unless `apiKey` opens it. */
export function deploymentOf({ id, name, params, info }: Model, apiKey?: string): Deployment {
  const { model, api_base: base, ...rest } = params;
  const { provider, upstreamModel } = splitModel(String(model)) ?? {
    provider: 'unknown',
    upstreamModel: String(model),
  };
  return {
    id,
    name,
    provider,
    upstreamModel,
    apiBase: typeof base === 'string' ? base.replace(/\/+$/, '') : undefined,
    apiKey,
    source: 'database',
    info,
    params: rest,
  };
}
