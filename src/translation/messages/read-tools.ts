import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  SharedV4ProviderOptions,
} from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import { cachingOf } from './read-blocks.ts';
import { type Fields, flagAt, listAt, malformed, optional, type Reading, recordAt, textAt } from './reading.ts';

/** `eager_input_streaming` only changes in what pieces the input comes. */
const ofTools = new Set([
  'type',
  'name',
  'description',
  'input_schema',
  'strict',
  'input_examples',
  'cache_control',
  'eager_input_streaming',
  'defer_loading',
  'allowed_callers',
]);

export interface Tools {
  readonly tools?: LanguageModelV4FunctionTool[];
  readonly toolChoice?: NonNullable<LanguageModelV4CallOptions['toolChoice']>;
  readonly providerOptions?: SharedV4ProviderOptions | undefined;
}

export function readTools({ tools: given, tool_choice: choice }: Fields, reading: Reading): Tools {
  const list = optional(given, 'tools', listAt) ?? [];
  const tools = list.flatMap((value, index) => readTool(value, `tools.${index}`, reading));
  const chosen = optional(choice, 'tool_choice', recordAt);
  if (!chosen) return tools.length > 0 ? { tools } : {};
  reading.allow(chosen, 'tool_choice', new Set(['type', 'name', 'disable_parallel_tool_use']));
  const toolChoice = readChoice(chosen, tools);
  if (tools.length === 0) return {};
  return { tools, toolChoice, providerOptions: readParallel(chosen, reading) };
}

function readTool(value: unknown, path: string, reading: Reading): LanguageModelV4FunctionTool[] {
  const tool = recordAt(value, path);
  const type = optional(tool['type'], `${path}.type`, textAt) ?? 'custom';
  if (type !== 'custom') {
    reading.leaveOut(
      path,
      "Define it as a tool of your own, with an input_schema: Anthropic's tools are known to Anthropic's models only.",
      `${path} (${type.slice(0, 64)})`,
    );
    return [];
  }
  reading.allow(tool, path, ofTools);
  if (tool['defer_loading'] === true) reading.leaveOut(`${path}.defer_loading`);
  if (!isDirect(tool['allowed_callers'])) reading.leaveOut(`${path}.allowed_callers`);
  const name = textAt(tool['name'], `${path}.name`);
  if (name === '') throw malformed(`${path}.name`, 'not be empty');
  const strict = optional(tool['strict'], `${path}.strict`, flagAt);
  const providerOptions = cachingOf(tool, reading);
  const description = describe(tool, path);
  return [
    {
      type: 'function',
      name,
      ...(description !== '' && { description }),
      // A schema is the provider's to judge, who knows what of JSON Schema it takes.
      inputSchema: recordAt(tool['input_schema'], `${path}.input_schema`),
      ...(strict !== undefined && { strict }),
      ...(providerOptions && { providerOptions }),
    },
  ];
}

const isDirect = (callers: unknown): boolean =>
  callers === undefined || callers === null || (Array.isArray(callers) && callers.every((each) => each === 'direct'));

/** Examples are told in words: few providers have another place for them. */
function describe(tool: Fields, path: string): string {
  const description = optional(tool['description'], `${path}.description`, textAt) ?? '';
  const examples = optional(tool['input_examples'], `${path}.input_examples`, listAt) ?? [];
  const told = examples.map((each, index) => JSON.stringify(recordAt(each, `${path}.input_examples.${index}`)));
  return [description, ...(told.length > 0 ? ['Examples of input:', ...told] : [])].filter(Boolean).join('\n');
}

function readChoice(
  { type, name }: Fields,
  tools: readonly LanguageModelV4FunctionTool[],
): NonNullable<Tools['toolChoice']> {
  switch (type) {
    case 'auto':
    case 'none':
      return { type };
    case 'any':
      return { type: 'required' };
    case 'tool': {
      const toolName = textAt(name, 'tool_choice.name');
      if (!tools.some((each) => each.name === toolName)) throw malformed('tool_choice.name', 'be one of tools');
      return { type, toolName };
    }
    default:
      throw malformed('tool_choice.type', 'be auto, any, tool or none');
  }
}

function readParallel(choice: Fields, reading: Reading): SharedV4ProviderOptions | undefined {
  const path = 'tool_choice.disable_parallel_tool_use';
  if (optional(choice['disable_parallel_tool_use'], path, flagAt) !== true) return undefined;
  const { oneToolAtATime } = reading.features;
  if (!oneToolAtATime) reading.leaveOut(path);
  return oneToolAtATime;
}

/** Options for one provider, of which several parts of a request may have some. */
export function mergeOptions(
  ...all: readonly (SharedV4ProviderOptions | undefined)[]
): SharedV4ProviderOptions | undefined {
  const merged: SharedV4ProviderOptions = {};
  for (const options of all) {
    for (const [name, values] of Object.entries(options ?? {})) {
      if (isRecord(values)) merged[name] = { ...merged[name], ...values };
    }
  }
  return Object.keys(merged).length > 0 ? merged : undefined;
}
