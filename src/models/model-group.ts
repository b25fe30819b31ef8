import { z } from 'zod';
import type { DescribedDeployment } from './model.wire.ts';

const count = z.number().nullable();

/** What the operator may say of a model in its model_info: the catalogue does not know it. */
const capabilities = [
  'supports_function_calling',
  'supports_parallel_function_calling',
  'supports_vision',
  'supports_web_search',
  'supports_url_context',
  'supports_reasoning',
] as const;

/** A public name in answers, in LiteLLM's words. */
export const groupInfo = {
  modelGroup: z.string().describe('The name clients ask for'),
  teamId: z.string().nullable().describe('The team whose keys alone may call it; null is everybody’s'),
  providers: z.array(z.string()).describe('Whose protocols are spoken upstream'),
  mode: z.string().nullable().describe('What kind of call it takes'),
  maxInputTokens: count.describe('Input tokens at most; null when it is not known'),
  maxOutputTokens: count.describe('Output tokens at most; null when it is not known'),
  inputCostPerToken: count.describe('US dollars per input token; null when no price is known'),
  outputCostPerToken: count.describe('US dollars per output token; null when no price is known'),
  tpm: count.describe('Tokens a minute at most; null, because calls are not routed by it'),
  rpm: count.describe('Requests a minute at most; null, because calls are not routed by it'),
  accessGroups: z.array(z.string()).describe('Names that let it through in lists of models'),
  ...Object.fromEntries(
    capabilities.map((name) => [
      name,
      z.boolean().nullable().describe('What its model_info says; null when it says nothing'),
    ]),
  ),
};

/** The deployments of each public name as one entry: the highest of each number, and whatever one of them supports. */
export function groupsOf(deployments: readonly DescribedDeployment[]) {
  const groups = Map.groupBy(deployments, (each) => JSON.stringify([each.teamId, nameOf(each)]));
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first ? [describeGroup(first, group)] : [];
  });
}

const nameOf = ({ modelName, teamId, modelInfo }: DescribedDeployment): string => {
  const ofTeam = modelInfo['team_public_model_name'];
  return teamId !== null && typeof ofTeam === 'string' ? ofTeam : modelName;
};

function describeGroup(first: DescribedDeployment, group: readonly DescribedDeployment[]) {
  const highest = (name: string): number | null => {
    const values = group.map(({ modelInfo }) => modelInfo[name]).filter((value) => typeof value === 'number');
    return values.length > 0 ? Math.max(...values) : null;
  };
  const { mode } = first.modelInfo;
  return {
    modelGroup: nameOf(first),
    teamId: first.teamId,
    providers: [...new Set(group.map(({ provider }) => provider))],
    mode: typeof mode === 'string' ? mode : null,
    maxInputTokens: highest('max_input_tokens'),
    maxOutputTokens: highest('max_output_tokens'),
    inputCostPerToken: highest('input_cost_per_token'),
    outputCostPerToken: highest('output_cost_per_token'),
    tpm: null,
    rpm: null,
    accessGroups: [...new Set(group.flatMap(({ accessGroups }) => accessGroups))],
    ...supportedBy(group),
  };
}

function supportedBy(group: readonly DescribedDeployment[]): Record<string, boolean | null> {
  const said = (name: string) =>
    group.map(({ modelInfo }) => modelInfo[name]).filter((value) => typeof value === 'boolean');
  return Object.fromEntries(
    capabilities.map((name) => [name, said(name).length > 0 ? said(name).includes(true) : null]),
  );
}
