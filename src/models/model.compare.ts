import { type Compared, type Comparison, type Difference, isSameValue } from '../kernel/existing.ts';
import { splitModel, withProvider } from './deployment.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { ModelService } from './model.service.ts';

interface Needs {
  models: ModelService;
  teams: TeamService;
}

const membersOf = (value: unknown): Readonly<Record<string, unknown>> => Object(value);

/** One parameter of how the upstream is called, wherever it was given. */
async function param(
  name: string,
  { field, wanted, found, services: { models } }: Compared<Needs>,
): Promise<readonly Difference[]> {
  if (name === 'api_key') {
    const isSame = await models.hasApiKey(String(found['model_id']), typeof wanted === 'string' ? wanted : null);
    return isSame ? [] : [{ field }];
  }
  const is = membersOf(found['litellm_params'])[name];
  return isSameValue(asKept(name, wanted), is) ? [] : [{ field, wanted, is: is ?? null }];
}

/** How a deployment shows what was given to it. */
function asKept(name: string, wanted: unknown): unknown {
  if (typeof wanted !== 'string') return wanted;
  if (name === 'api_base') return wanted.replace(/\/+$/, '');
  return name === 'model' ? fullName(wanted) : wanted;
}

/** `openai/gpt-4o`, also where the provider was left out. */
export function fullName(model: string): string {
  const split = splitModel(model);
  return split ? `${split.provider}/${split.upstreamModel}` : model;
}

const flat =
  (name: string): Comparison<Needs> =>
  (compared) =>
    param(name, compared);

/** Fields of a wanted deployment; LiteLLM nests them, and a key of an upstream is never shown. */
export const modelComparisons: Readonly<Record<string, Comparison<Needs>>> = {
  model: flat('model'),
  api_base: flat('api_base'),
  allow_private_network: flat('allow_private_network'),
  api_key: flat('api_key'),
  credential: flat('litellm_credential_name'),
  team_id: async ({ field, wanted, found, services: { teams } }) => {
    const owner = typeof wanted === 'string' ? (await teams.get(wanted)).id : null;
    return owner === found['team_id'] ? [] : [{ field, wanted, is: found['team_id'] }];
  },
  input_cost_per_token: flat('input_cost_per_token'),
  output_cost_per_token: flat('output_cost_per_token'),
  litellm_params: async (compared) => {
    const { custom_llm_provider: provider, ...others } = membersOf(compared.wanted);
    const { model } = others;
    const whole = typeof model === 'string' && typeof provider === 'string' ? withProvider(model, provider) : model;
    const given = Object.entries({ ...others, ...(model !== undefined && { model: whole }) });
    const each = given.map(([name, wanted]) =>
      param(name, { ...compared, field: `${compared.field}.${name}`, wanted }),
    );
    return (await Promise.all(each)).flat();
  },
  model_info: ({ field, wanted, found }) =>
    Object.entries(membersOf(wanted)).flatMap(([name, value]) => {
      const is = membersOf(found['model_info'])[name];
      return isSameValue(value, is) ? [] : [{ field: `${field}.${name}`, wanted: value, is: is ?? null }];
    }),
};
