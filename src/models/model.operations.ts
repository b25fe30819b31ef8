import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { ifThere } from '../kernel/existing.ts';
import { label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import { fullName, modelComparisons } from './model.compare.ts';
import type { ModelService } from './model.service.ts';
import {
  deploymentInfo,
  describeDeployment,
  flatParams,
  litellmParams,
  type LitellmParams,
  modelInfo,
} from './model.wire.ts';

interface Needs {
  models: ModelService;
}

const reference = label.describe('The deployment: its id, or its name when only one has it');

const nested = {
  litellmParams: litellmParams.default({}).describe('How the upstream is called, as in LiteLLM'),
  modelInfo: modelInfo.default({}).describe('What is known of the model: id, mode, base_model, prices'),
};

interface Flat {
  model?: string | undefined;
  apiBase?: string | null | undefined;
  apiKey?: string | null | undefined;
  inputCostPerToken?: number | null | undefined;
  outputCostPerToken?: number | null | undefined;
}

/** The flat fields put where LiteLLM has them; they win over nested ones of the same name. */
function merged(params: LitellmParams, flat: Flat): LitellmParams {
  const named = {
    model: flat.model,
    api_base: flat.apiBase,
    api_key: flat.apiKey,
    input_cost_per_token: flat.inputCostPerToken,
    output_cost_per_token: flat.outputCostPerToken,
  };
  return {
    ...params,
    ...Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)),
  };
}

const flags: CommandLine['flags'] = {
  model: { name: 'provider-model', placeholder: 'provider/model' },
  api_key: { name: 'api-key', placeholder: '@file|-|os.environ/NAME', isSecret: true },
  litellm_params: 'params',
  model_info: 'info',
};

const shown: Partial<CommandLine> = {
  columns: ['model_name', 'model_id', 'upstream', 'source'],
  wide: ['litellm_params', 'model_info'],
  headings: { model_name: 'NAME', model_id: 'ID', litellm_params: 'PARAMS', model_info: 'INFO' },
  id: 'model_id',
};

export const createModel = operation({
  command: ['model', 'create'],
  aliases: ['new', 'add'],
  route: ['POST', '/model/new'],
  summary: 'Put an upstream behind a model name',
  description: 'Several upstreams may share a name; calls are spread over them. Daemons know of it within a second.',
  input: wire({
    modelName: label.describe('The name clients ask for; openai/* takes all names of that form'),
    ...flatParams,
    ...nested,
  }),
  output: answer(deploymentInfo),
  access: 'admin',
  existing: {
    names: ['model_name'],
    find: async ({ models }: Needs, { modelName, litellmParams: params, modelInfo: info, ...flat }) => {
      const { model, api_base: base } = merged(params, flat);
      const found = (await ifThere(models.get(info.id ?? modelName)))?.map(describeDeployment) ?? [];
      const isNamed = ({ modelId }: (typeof found)[number]) => info.id === undefined || modelId === info.id;
      const candidates = found.filter(isNamed);
      // A name may have several upstreams: the one that is meant, else any, to say in what it differs.
      const sameUpstream = candidates.filter(({ upstream }) => model !== undefined && upstream === fullName(model));
      const sameBase = sameUpstream.find(({ litellmParams: { api_base: is } }) => (is ?? null) === (base ?? null));
      return sameBase ?? sameUpstream[0] ?? candidates[0];
    },
    compare: modelComparisons,
  },
  cli: {
    ...shown,
    args: ['model_name'],
    flags,
    done: ({ model_name: name, upstream }) => `Model ${text(name)} now leads to ${text(upstream)}`,
    examples: [
      [
        'A model of OpenAI',
        'gatewayctl model create gpt-4o --provider-model openai/gpt-4o --api-key os.environ/OPENAI_API_KEY',
      ],
      [
        'A server of your own',
        'gatewayctl model create llama --provider-model openai/llama-3 --api-base http://127.0.0.1:8000/v1',
      ],
    ],
  },
  run: async ({ models }: Needs, { modelName, litellmParams: params, modelInfo: info, ...flat }) =>
    describeDeployment(await models.create({ modelName, params: merged(params, flat), info })),
});

export const listModels = operation({
  command: ['model', 'list'],
  aliases: ['ls'],
  route: ['GET', '/v2/model/info'],
  summary: 'List models and the upstreams behind them',
  input: wire({
    ...pageFields({ default: 50, max: 100 }),
    modelName: label.optional().describe('Only upstreams behind this name'),
  }),
  output: answer({
    data: z.array(answer(deploymentInfo)).describe('The deployments'),
    totalCount: z.int().describe('How many there are on all pages'),
    currentPage: z.int().describe('Which page this is'),
    totalPages: z.int().describe('How many pages there are'),
    size: z.int().describe('Deployments on a page'),
  }),
  access: 'admin',
  cli: {
    ...shown,
    result: 'data',
    pages: { page: 'page', size: 'size', total: 'total_count' },
    completes: { model_name: 'model' },
    flags: { size: 'limit', model_name: 'name' },
    examples: [['All of them', 'gatewayctl model list']],
  },
  run: async ({ models }: Needs, filter) => {
    const { models: found, total } = await models.list(filter);
    return {
      data: found.map(describeDeployment),
      totalCount: total,
      currentPage: filter.page,
      totalPages: pagesFor(total, filter.size),
      size: filter.size,
    };
  },
});

export const getModel = operation({
  command: ['model', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/model/info'],
  alsoAt: [['GET', '/v1/model/info']],
  summary: 'Show a model and its upstreams',
  input: wire({
    litellmModelId: label.optional().describe('The deployment, by id or name; all of them when absent, at most 1,000'),
  }),
  output: answer({ data: z.array(answer(deploymentInfo)).describe('The deployments') }),
  access: 'admin',
  cli: {
    ...shown,
    args: ['litellm_model_id'],
    completes: { litellm_model_id: 'model' },
    result: 'data',
    examples: [['All upstreams of a name', 'gatewayctl model get gpt-4o']],
  },
  run: async ({ models }: Needs, { litellmModelId: named }) => {
    const found = named === undefined ? (await models.list({ page: 1, size: 1_000 })).models : await models.get(named);
    return { data: found.map(describeDeployment) };
  },
});

export const updateModel = operation({
  command: ['model', 'update'],
  route: ['POST', '/model/update'],
  alsoAt: [['PATCH', '/model/:id/update']],
  summary: 'Change an upstream behind a model name',
  description: 'What is not named stays as it is. Deployments of the configuration file are changed there.',
  input: wire({
    id: reference.optional(),
    modelName: label.optional().describe('The name clients ask for'),
    ...flatParams,
    ...nested,
  }),
  output: answer(deploymentInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['id'],
    completes: { id: 'model' },
    flags: { ...flags, model_name: 'name' },
    done: ({ model_name: name }) => `Model ${text(name)} updated`,
    examples: [['Another key', 'gatewayctl model update gpt-4o --api-key @/run/secrets/openai']],
  },
  run: async ({ models }: Needs, { id, modelName, litellmParams: params, modelInfo: info, ...flat }) => {
    const named = id ?? info.id;
    if (named === undefined) {
      throw new GatewayError('invalid', 'invalid_request_error', 'model_info.id: no deployment was named', {
        param: 'model_info.id',
      });
    }
    return describeDeployment(
      await models.update(named, { ...(modelName && { modelName }), params: merged(params, flat), info }),
    );
  },
});

export const deleteModel = operation({
  command: ['model', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/model/delete'],
  summary: 'Take an upstream away from a model name',
  input: wire({ id: reference }),
  output: answer(deploymentInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['id'],
    completes: { id: 'model' },
    confirm: 'moderate',
    atStake: { look: 'model get', field: 'litellm_model_id' },
    done: ({ model_name: name, upstream }) => `Model ${text(name)} no longer leads to ${text(upstream)}`,
    examples: [['In a script', 'gatewayctl model delete llama --yes']],
  },
  run: async ({ models }: Needs, { id }) => describeDeployment(await models.delete(id)),
});

export const modelOperations = [createModel, listModels, getModel, updateModel, deleteModel] as const;
