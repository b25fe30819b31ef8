import type {
  LanguageModelV4Message,
  LanguageModelV4ReasoningPart,
  LanguageModelV4ToolCallPart,
} from '@ai-sdk/provider';
import { blocksAt, cachingOf, readText, unknownBlock } from './read-blocks.ts';
import type { Conversation } from './read-messages.ts';
import { type Fields, malformed, type Reading, recordAt, textAt } from './reading.ts';
import { signaturesOfCalls, signedCall, signedThoughts } from './thought-signatures.ts';

type Content = Extract<LanguageModelV4Message, { role: 'assistant' }>['content'];

const ofThoughts = new Set(['type', 'thinking', 'signature']);
const ofRedacted = new Set(['type', 'data']);
const ofCalls = new Set(['type', 'id', 'name', 'input', 'cache_control', 'caller']);

/** What the model wrote before. Thoughts go back to the provider that they are of, and are left out for any other. */
export function readAssistant(content: unknown, path: string, { reading, calls }: Conversation): Content {
  const blocks = blocksAt(content, path);
  const signatures = signaturesOfCalls(blocks);
  const parts: Content = [];
  for (const [index, value] of blocks.entries()) {
    const at = `${path}.${index}`;
    const block = recordAt(value, at);
    if (block['type'] !== 'tool_use') {
      parts.push(...readProse(block, at, reading));
      continue;
    }
    const call = readCall(block, at, { reading, signatures });
    calls.set(call.toolCallId, call.toolName);
    parts.push(call);
  }
  return parts;
}

function readProse(block: Fields, path: string, reading: Reading): Content {
  switch (block['type']) {
    case 'text':
      return [...readText(block, path, reading)];
    case 'thinking':
      return readThoughts(block, path, reading);
    case 'redacted_thinking':
      return readRedacted(block, path, reading);
    default:
      throw unknownBlock(block, path);
  }
}

function readThoughts(block: Fields, path: string, reading: Reading): LanguageModelV4ReasoningPart[] {
  reading.allow(block, path, ofThoughts);
  const text = textAt(block['thinking'], `${path}.thinking`);
  const signature = textAt(block['signature'] ?? '', `${path}.signature`);
  return thoughts(text, signedThoughts(reading.features, { signature }));
}

function readRedacted(block: Fields, path: string, reading: Reading): LanguageModelV4ReasoningPart[] {
  reading.allow(block, path, ofRedacted);
  const redacted = textAt(block['data'], `${path}.data`);
  return thoughts('', signedThoughts(reading.features, { redacted }));
}

function thoughts(
  text: string,
  options: LanguageModelV4ReasoningPart['providerOptions'],
): LanguageModelV4ReasoningPart[] {
  if (!options) return [];
  const isSigned = Object.keys(options).length > 0;
  if (isSigned) return [{ type: 'reasoning', text, providerOptions: options }];
  return text === '' ? [] : [{ type: 'reasoning', text }];
}

interface Calls {
  readonly reading: Reading;
  readonly signatures: ReadonlyMap<string, string>;
}

function readCall(block: Fields, path: string, { reading, signatures }: Calls): LanguageModelV4ToolCallPart {
  reading.allow(block, path, ofCalls);
  const { caller } = block;
  if (caller != null && recordAt(caller, `${path}.caller`)['type'] !== 'direct') reading.leaveOut(`${path}.caller`);
  const toolCallId = textAt(block['id'], `${path}.id`);
  const toolName = textAt(block['name'], `${path}.name`);
  if (toolCallId === '' || toolName === '') throw malformed(path, 'have an id and a name');
  const input = recordAt(block['input'], `${path}.input`);
  const providerOptions = signedCall(reading.features, signatures.get(toolCallId)) ?? cachingOf(block, reading);
  return { type: 'tool-call', toolCallId, toolName, input, ...(providerOptions && { providerOptions }) };
}
