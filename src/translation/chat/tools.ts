import type { JSONSchema7, LanguageModelV4CallOptions, LanguageModelV4FunctionTool } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import { marked } from './caching.ts';
import { type Fields, invalid, listOf, type Reading, recordOf, textOf } from './reading.ts';

export const isSchema = (value: unknown): value is JSONSchema7 => isRecord(value);

const toolMembers = new Set(['type', 'function', 'cache_control']);
const functionMembers = new Set(['name', 'description', 'parameters', 'strict']);

export function readTools(reading: Reading, tools: unknown): LanguageModelV4FunctionTool[] {
  return listOf(tools, 'tools').flatMap((given) => readTool(reading, recordOf(given, 'tools')) ?? []);
}

function readTool(reading: Reading, tool: Fields): LanguageModelV4FunctionTool | undefined {
  if (tool['type'] !== 'function') {
    reading.leaveOut(typeof tool['type'] === 'string' ? `tools.${tool['type']}` : 'tools.type');
    return undefined;
  }
  reading.leaveOthersOut(tool, toolMembers, 'tools.');
  const named = recordOf(tool['function'], 'tools.function');
  reading.leaveOthersOut(named, functionMembers, 'tools.function.');
  const { name, description, parameters, strict } = named;
  const inputSchema = parameters ?? { type: 'object', properties: {} };
  if (!isSchema(inputSchema)) throw invalid('parameters of a tool must be a JSON schema', 'tools.function.parameters');
  return {
    type: 'function',
    name: textOf(name, 'tools.function.name'),
    inputSchema,
    ...(description != null && { description: textOf(description, 'tools.function.description') }),
    ...(strict === true && { strict }),
    ...marked(reading, tool),
  };
}

export function readToolChoice(choice: unknown): NonNullable<LanguageModelV4CallOptions['toolChoice']> {
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { type: choice };
  const named = isRecord(choice) && choice['type'] === 'function' ? choice['function'] : undefined;
  if (!isRecord(named)) {
    throw invalid('tool_choice must be auto, none, required or the name of a function', 'tool_choice');
  }
  return { type: 'tool', toolName: textOf(named['name'], 'tool_choice.function.name') };
}
