import type {
  LanguageModelV4ReasoningPart,
  LanguageModelV4TextPart,
  LanguageModelV4ToolCallPart,
} from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import { type Fields, invalid, listOf, type Reading, recordOf, textOf } from './reading.ts';
import { textParts } from './user-parts.ts';

type AssistantPart = LanguageModelV4TextPart | LanguageModelV4ReasoningPart | LanguageModelV4ToolCallPart;

/** What a model has said before: its thoughts first, as its provider wants them back. */
export function assistantParts(reading: Reading, message: Fields): AssistantPart[] {
  const { content, refusal, tool_calls: calls } = message;
  const texts = content == null ? [] : textParts(reading, content, 'messages.content');
  if (refusal != null) texts.push({ type: 'text', text: textOf(refusal, 'messages.refusal') });
  return [
    ...thoughts(reading, message),
    // Providers refuse a text with nothing in it, which is what chunks begin with.
    ...texts.filter(({ text }) => text !== ''),
    ...(calls == null ? [] : listOf(calls, 'messages.tool_calls').map((call) => toolCall(reading, call))),
  ];
}

/** LiteLLM's form of Anthropic's thoughts, whose signatures prove that they are the model's own. */
function thoughts(reading: Reading, message: Fields): LanguageModelV4ReasoningPart[] {
  const { thinking_blocks: blocks, reasoning_content: text } = message;
  if (blocks != null && (reading.isAnthropic || reading.isBedrock)) {
    return listOf(blocks, 'messages.thinking_blocks').map((block) => thought(reading, block));
  }
  if (text == null || text === '') return [];
  if (reading.isGoogle) return [{ type: 'reasoning', text: textOf(text, 'messages.reasoning_content') }];
  // Clients hand it back as they got it, and none of these models takes it back like that.
  reading.forgo('reasoning_content');
  return [];
}

function thought(reading: Reading, given: unknown): LanguageModelV4ReasoningPart {
  const { type, thinking, signature, data } = recordOf(given, 'messages.thinking_blocks');
  if (type === 'redacted_thinking') {
    const redactedData = textOf(data, 'messages.thinking_blocks.data');
    return { type: 'reasoning', text: '', providerOptions: reading.own({ redactedData }) };
  }
  if (type !== 'thinking') throw invalid('thinking_blocks hold thinking and redacted_thinking', 'thinking_blocks.type');
  return {
    type: 'reasoning',
    text: textOf(thinking, 'messages.thinking_blocks.thinking'),
    providerOptions: reading.own({ signature: textOf(signature, 'messages.thinking_blocks.signature') }),
  };
}

function toolCall(reading: Reading, given: unknown): LanguageModelV4ToolCallPart {
  const call = recordOf(given, 'tool_calls');
  const { id, type = 'function', function: called } = call;
  if (type !== 'function') throw invalid('A tool call must be of type function', 'tool_calls.type');
  const { name, arguments: json } = recordOf(called, 'tool_calls.function');
  const signature = signatureOf(call);
  return {
    type: 'tool-call',
    toolCallId: textOf(id, 'tool_calls.id'),
    toolName: textOf(name, 'tool_calls.function.name'),
    input: parse(json ?? ''),
    ...(reading.isGoogle &&
      signature !== undefined && { providerOptions: reading.own({ thoughtSignature: signature }) }),
  };
}

/** Under LiteLLM's name for it, or under Google's. */
function signatureOf({ provider_specific_fields: own, extra_content: extra }: Fields): string | undefined {
  const google = isRecord(extra) ? extra['google'] : undefined;
  const found = [own, google].map((each) => (isRecord(each) ? each['thought_signature'] : undefined));
  return found.find((signature) => typeof signature === 'string');
}

function parse(json: unknown): unknown {
  const text = textOf(json, 'tool_calls.function.arguments');
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('arguments of a tool call must be JSON', 'tool_calls.function.arguments');
  }
}
