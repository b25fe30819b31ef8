import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { ifThere } from '../kernel/existing.ts';
import { label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import { fullName, modelComparisons } from './model.compare.ts';
import type { ModelService } from './model.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import { type Deployment, withProvider } from './deployment.ts';
import { listModelGroups } from './model-group.operations.ts';
import {
  deploymentInfo,
  flatParams,
  litellmParams,
  type LitellmParams,
  modelInfo,
  type ModelInfo,
} from './model.wire.ts';

interface Needs {
  models: ModelService;
  teams: TeamService;
}

const reference = label.describe('The deployment: its id, or its name when only one has it');

const nested = {
  litellmParams: litellmParams.default({}).describe('How the upstream is called, as in LiteLLM'),
  modelInfo: modelInfo.default({}).describe('What is known of the model: id, mode, base_model, prices'),
};

const team = label.nullable().optional().describe('The team whose keys alone may call it; in model_info.team_id too');

interface Flat {
  model?: string | undefined;
  apiBase?: string | null | undefined;
  apiKey?: string | null | undefined;
  credential?: string | null | undefined;
  accessGroups?: string[] | null | undefined;
  inputCostPerToken?: number | null | undefined;
  outputCostPerToken?: number | null | undefined;
  teamId?: string | null | undefined;
}

interface Nested {
  readonly litellmParams: LitellmParams;
  readonly modelInfo: ModelInfo;
}

/** The flat fields put where LiteLLM has them; they win over nested ones of the same name. A team goes by its alias too. */
async function merged({ litellmParams: given, modelInfo: info }: Nested, flat: Flat, teams: TeamService) {
  const { custom_llm_provider: provider, ...params } = given;
  const named = {
    model: flat.model,
    api_base: flat.apiBase,
    api_key: flat.apiKey,
    litellm_credential_name: flat.credential,
    input_cost_per_token: flat.inputCostPerToken,
    output_cost_per_token: flat.outputCostPerToken,
  };
  const teamId = flat.teamId ?? info.team_id;
  const owner = flat.teamId === null ? null : teamId && (await teams.get(teamId)).id;
  return {
    params: {
      ...params,
      ...(params.model !== undefined && { model: withProvider(params.model, provider) }),
      ...present(named),
    },
    info: { ...info, ...present({ access_groups: flat.accessGroups, team_id: owner }) },
  };
}

/** The properties that were given: `undefined` leaves what is there. */
const present = (named: object) => Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));

const describeOne = async (models: ModelService, deployment: Deployment) => {
  const [described] = await models.describe([deployment]);
  if (!described) throw new Error('a deployment is described by one description');
  return described;
};

const flags: CommandLine['flags'] = {
  model: { name: 'provider-model', placeholder: 'provider/model' },
  api_key: { name: 'api-key', placeholder: '@file|-|os.environ/NAME', isSecret: true },
  credential: { name: 'credential', placeholder: 'credential|none', completes: 'credential' },
  access_groups: { name: 'access-groups', placeholder: 'group,…', completes: 'access-group' },
  team_id: { name: 'team', placeholder: 'team|none', completes: 'team' },
  litellm_params: 'params',
  model_info: 'info',
};

const dollars = (value: unknown): string => (typeof value === 'number' ? money(value) : '');

/** `$2.50`; below a cent as many digits as there are. */
const money = (value: number): string => `$${value < 0.01 && value > 0 ? String(value) : value.toFixed(2)}`;

const shown: Partial<CommandLine> = {
  columns: ['model_name', 'model_id', 'provider', 'upstream', 'source'],
  wide: [
    'input_cost_per_million',
    'output_cost_per_million',
    'team_id',
    'access_groups',
    'litellm_params',
    'model_info',
  ],
  headings: {
    model_name: 'NAME',
    model_id: 'ID',
    input_cost_per_million: 'IN $/M',
    output_cost_per_million: 'OUT $/M',
    team_id: 'TEAM',
    access_groups: 'GROUPS',
    litellm_params: 'PARAMS',
    model_info: 'INFO',
  },
  cells: { input_cost_per_million: dollars, output_cost_per_million: dollars },
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
    teamId: team,
    ...nested,
  }),
  output: answer(deploymentInfo),
  access: 'scoped',
  existing: {
    names: ['model_name'],
    find: async ({ models, teams }: Needs, { modelName, litellmParams: params, modelInfo: given, ...flat }) => {
      const { params: wanted, info } = await merged({ litellmParams: params, modelInfo: given }, flat, teams);
      const { model, api_base: base } = wanted;
      const found = await models.describe((await ifThere(models.get(info.id ?? modelName))) ?? []);
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
    needs: { model: ['litellm_params'] },
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
      [
        'With a credential several models share, for one team',
        'gatewayctl model create gpt-4o --provider-model openai/gpt-4o --credential openai --team platform',
      ],
    ],
  },
  run: async ({ models, teams }: Needs, { modelName, litellmParams: params, modelInfo: info, ...flat }) => {
    const whole = await merged({ litellmParams: params, modelInfo: info }, flat, teams);
    return describeOne(models, await models.create({ modelName, ...whole }));
  },
});

export const listModels = operation({
  command: ['model', 'list'],
  aliases: ['ls'],
  route: ['GET', '/v2/model/info'],
  summary: 'List models and the upstreams behind them',
  input: wire({
    ...pageFields({ default: 50, max: 100 }),
    modelName: label.optional().describe('Only upstreams behind this name'),
    teamId: label.optional().describe('Only models of this team'),
  }),
  output: answer({
    data: z.array(answer(deploymentInfo)).describe('The deployments'),
    totalCount: z.int().describe('How many there are on all pages'),
    currentPage: z.int().describe('Which page this is'),
    totalPages: z.int().describe('How many pages there are'),
    size: z.int().describe('Deployments on a page'),
  }),
  access: 'scoped',
  cli: {
    ...shown,
    result: 'data',
    pages: { page: 'page', size: 'size', total: 'total_count' },
    completes: { model_name: 'model' },
    flags: { size: 'limit', model_name: 'name', team_id: { name: 'team', placeholder: 'team', completes: 'team' } },
    examples: [['All of them', 'gatewayctl model list']],
  },
  run: async ({ models }: Needs, filter) => {
    const { models: found, total } = await models.list(filter);
    return {
      data: await models.describe(found),
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
  access: 'scoped',
  cli: {
    ...shown,
    args: ['litellm_model_id'],
    completes: { litellm_model_id: 'model' },
    result: 'data',
    examples: [['All upstreams of a name', 'gatewayctl model get gpt-4o']],
  },
  run: async ({ models }: Needs, { litellmModelId: named }) => {
    const found = named === undefined ? (await models.list({ page: 1, size: 1_000 })).models : await models.get(named);
    return { data: await models.describe(found) };
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
    teamId: team,
    ...nested,
  }),
  output: answer(deploymentInfo),
  access: 'scoped',
  cli: {
    ...shown,
    args: ['id'],
    completes: { id: 'model' },
    flags: { ...flags, model_name: 'name' },
    done: ({ model_name: name }) => `Model ${text(name)} updated`,
    examples: [['Another key', 'gatewayctl model update gpt-4o --api-key @/run/secrets/openai']],
  },
  run: async ({ models, teams }: Needs, { id, modelName, litellmParams: params, modelInfo: info, ...flat }) => {
    const named = id ?? info.id;
    if (named === undefined) {
      throw new GatewayError('invalid', 'invalid_request_error', 'model_info.id: no deployment was named', {
        param: 'model_info.id',
      });
    }
    const whole = await merged({ litellmParams: params, modelInfo: info }, flat, teams);
    return describeOne(models, await models.update(named, { ...(modelName && { modelName }), ...whole }));
  },
});

export const deleteModel = operation({
  command: ['model', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/model/delete'],
  summary: 'Take an upstream away from a model name',
  input: wire({ id: reference }),
  output: answer(deploymentInfo),
  access: 'scoped',
  cli: {
    ...shown,
    args: ['id'],
    completes: { id: 'model' },
    confirm: 'moderate',
    atStake: { look: 'model get', field: 'litellm_model_id' },
    done: ({ model_name: name, upstream }) => `Model ${text(name)} no longer leads to ${text(upstream)}`,
    examples: [['In a script', 'gatewayctl model delete llama --yes']],
  },
  run: async ({ models }: Needs, { id }) => describeOne(models, await models.delete(id)),
});

export const modelOperations = [createModel, listModels, getModel, updateModel, deleteModel, listModelGroups] as const;
