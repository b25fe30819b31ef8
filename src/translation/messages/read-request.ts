import type { LanguageModelV4CallOptions } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import type { ReadCall, ReadingRules } from '../client-protocol.ts';
import { readPrompt } from './read-messages.ts';
import { readThinking } from './read-thinking.ts';
import { mergeOptions, readTools } from './read-tools.ts';
import { countAt, type Fields, listAt, malformed, numberAt, optional, Reading, recordAt, textAt } from './reading.ts';

/**
 * Members that are read here, or that say nothing to a model: `metadata` is for the books, and of `service_tier`,
 * `speed` and `inference_geo` the endpoint has let through only what is usual.
 */
const known = new Set([
  'model',
  'messages',
  'system',
  'max_tokens',
  'stream',
  'metadata',
  'service_tier',
  'speed',
  'inference_geo',
  'cache_control',
  'temperature',
  'top_p',
  'top_k',
  'stop_sequences',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'context_management',
]);

/** @throws GatewayError 400 that names what cannot be expressed */
export function readRequest(fields: Fields, rules: ReadingRules): ReadCall {
  const reading = new Reading(rules);
  reading.allow(fields, '', known);
  readContextManagement(fields['context_management'], reading);
  const { providerOptions: ofTools, ...tools } = readTools(fields, reading);
  const { providerOptions: ofThinking, ...thinking } = readThinking(fields, reading);
  const providerOptions = mergeOptions(ofTools, ofThinking);
  const responseFormat = readFormat(fields, reading);
  const options: LanguageModelV4CallOptions = {
    prompt: readPrompt(fields, reading),
    maxOutputTokens: countAt(fields['max_tokens'], 'max_tokens'),
    ...readSampling(fields, reading),
    ...tools,
    ...thinking,
    ...(responseFormat && { responseFormat }),
    ...(providerOptions && { providerOptions }),
  };
  return { options, dropped: reading.dropped };
}

function readSampling(fields: Fields, reading: Reading): Partial<LanguageModelV4CallOptions> {
  const temperature = optional(fields['temperature'], 'temperature', numberAt);
  const topP = optional(fields['top_p'], 'top_p', numberAt);
  const topK = optional(fields['top_k'], 'top_k', countAt);
  const stopSequences = optional(fields['stop_sequences'], 'stop_sequences', listAt)?.map((each, index) =>
    textAt(each, `stop_sequences.${index}`),
  );
  if (topK !== undefined && !reading.features.takesTopK) reading.leaveOut('top_k');
  return {
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(topK !== undefined && reading.features.takesTopK && { topK }),
    ...(stopSequences && stopSequences.length > 0 && { stopSequences }),
  };
}

/** By its name of today, `output_config.format`, or the one it had while it was tried out, `output_format`. */
function readFormat(fields: Fields, reading: Reading): LanguageModelV4CallOptions['responseFormat'] {
  const config = optional(fields['output_config'], 'output_config', recordAt);
  if (config) reading.allow(config, 'output_config', new Set(['format', 'effort']));
  const path = config?.['format'] == null ? 'output_format' : 'output_config.format';
  const format = optional(config?.['format'] ?? fields['output_format'], path, recordAt);
  if (!format) return undefined;
  if (format['type'] !== 'json_schema') throw malformed(`${path}.type`, 'be json_schema');
  reading.allow(format, path, new Set(['type', 'schema']));
  const schema = recordAt(format['schema'], `${path}.schema`);
  return { type: 'json', schema, name: 'response' };
}

/**
 * Which thoughts of earlier turns a model still sees is decided by their signatures here, and with it this edit, which
 * Claude Code sends with every request, is done.
 */
function readContextManagement(value: unknown, reading: Reading): void {
  const given = optional(value, 'context_management', recordAt);
  if (!given) return;
  reading.allow(given, 'context_management', new Set(['edits']));
  const edits = optional(given['edits'], 'context_management.edits', listAt) ?? [];
  for (const [index, edit] of edits.entries()) {
    if (isRecord(edit) && edit['type'] === 'clear_thinking_20251015') continue;
    reading.leaveOut(`context_management.edits.${index}`);
  }
}
