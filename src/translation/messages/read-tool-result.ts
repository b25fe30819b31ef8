import type { LanguageModelV4FilePart, LanguageModelV4TextPart, LanguageModelV4ToolResultPart } from '@ai-sdk/provider';
import { blocksAt, cachingOf, readShown } from './read-blocks.ts';
import type { Conversation } from './read-messages.ts';
import { type Fields, flagAt, malformed, optional, recordAt, textAt } from './reading.ts';

type Part = LanguageModelV4TextPart | LanguageModelV4FilePart;

export interface ToolResult {
  readonly part: LanguageModelV4ToolResultPart;
  /** What the answer of a tool cannot hold at this provider, to be shown by the user right after it. */
  readonly beside: readonly Part[];
}

const ofResults = new Set(['type', 'tool_use_id', 'content', 'is_error', 'cache_control']);

export function readToolResult(block: Fields, path: string, { reading, calls }: Conversation): ToolResult {
  reading.allow(block, path, ofResults);
  const toolCallId = textAt(block['tool_use_id'], `${path}.tool_use_id`);
  const toolName = calls.get(toolCallId);
  if (toolName === undefined) throw malformed(`${path}.tool_use_id`, 'be the id of a tool_use block before it');
  const parts = blocksAt(block['content'] ?? '', `${path}.content`).flatMap((each, index) => {
    const at = `${path}.content.${index}`;
    return readShown(recordAt(each, at), at, reading);
  });
  const isError = optional(block['is_error'], `${path}.is_error`, flagAt) === true;
  const providerOptions = cachingOf(block, reading);
  const part = { type: 'tool-result', toolCallId, toolName, ...(providerOptions && { providerOptions }) } as const;
  const files = parts.filter((each) => each.type === 'file');
  // An error has no form that holds a file.
  if (files.length > 0 && !isError && reading.features.takesFilesOfTools) {
    return { part: { ...part, output: { type: 'content', value: [...parts] } }, beside: [] };
  }
  const value = parts.flatMap((each) => (each.type === 'text' ? [each.text] : [])).join('\n');
  const beside: Part[] = files.length > 0 ? [{ type: 'text', text: `Of the result of ${toolCallId}:` }, ...files] : [];
  return { part: { ...part, output: { type: isError ? 'error-text' : 'text', value } }, beside };
}
