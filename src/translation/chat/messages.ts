import type { LanguageModelV4Message, LanguageModelV4Prompt, LanguageModelV4ToolResultPart } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import { assistantParts } from './assistant-parts.ts';
import { marked } from './caching.ts';
import { type Fields, invalid, listOf, type Reading, recordOf, textOf } from './reading.ts';
import { textParts, userParts } from './user-parts.ts';

const members = {
  system: new Set(['role', 'content', 'cache_control']),
  user: new Set(['role', 'content', 'cache_control']),
  assistant: new Set([
    'role',
    'content',
    'cache_control',
    'refusal',
    'tool_calls',
    'reasoning_content',
    'thinking_blocks',
    // What answers have and nobody reads: it comes back when a client sends an answer as it got it.
    'annotations',
    'provider_specific_fields',
  ]),
  tool: new Set(['role', 'content', 'cache_control', 'tool_call_id', 'name']),
};

/** The messages of a chat completion as every provider's package takes them. */
export function readMessages(reading: Reading, messages: unknown): LanguageModelV4Prompt {
  const list = listOf(messages, 'messages');
  if (list.length === 0) throw invalid('messages must not be empty', 'messages');
  const reader = new MessageReader(reading);
  for (const message of list) reader.add(recordOf(message, 'messages'));
  const { prompt } = reader;
  if (prompt.length === 0) throw invalid('messages must have something in them', 'messages');
  return reading.takesInstructionsFirst ? instructionsFirst(prompt) : prompt;
}

/** Where in the conversation they stood is lost, as it is in LiteLLM: the provider has no place for them there. */
const instructionsFirst = (prompt: readonly LanguageModelV4Message[]): LanguageModelV4Prompt => [
  ...prompt.filter(({ role }) => role === 'system'),
  ...prompt.filter(({ role }) => role !== 'system'),
];

class MessageReader {
  readonly prompt: LanguageModelV4Message[] = [];
  readonly #reading: Reading;
  /** Names of tools by the ids of their calls: results have only those. */
  readonly #called = new Map<string, string>();

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  add(message: Fields): void {
    const role = message['role'] === 'developer' ? 'system' : message['role'];
    if (role !== 'system' && role !== 'user' && role !== 'assistant' && role !== 'tool') {
      throw invalid('role must be system, developer, user, assistant or tool', 'messages.role');
    }
    this.#reading.leaveOthersOut(message, members[role], 'messages.');
    const own = marked(this.#reading, message);
    const { content } = message;
    if (role === 'system') this.#addSystem(content, own);
    else if (role === 'user') this.#addUser(content, own);
    else if (role === 'assistant') this.#addAssistant(message, own);
    else this.#addResult(message, own);
  }

  /** One that says nothing is left out: providers refuse it. */
  #addUser(given: unknown, own: Partial<LanguageModelV4Message>): void {
    const content = userParts(this.#reading, given).filter((part) => part.type !== 'text' || part.text !== '');
    const { providerOptions } = own;
    if (content.length > 0) this.prompt.push({ role: 'user', content, ...(providerOptions && { providerOptions }) });
  }

  /** A message for each text, because each may have a mark of its own. */
  #addSystem(content: unknown, own: Partial<LanguageModelV4Message>): void {
    const parts = textParts(this.#reading, content, 'messages.content');
    for (const { text, providerOptions } of parts) {
      if (text === '') continue;
      const options = providerOptions ?? own.providerOptions;
      this.prompt.push({ role: 'system', content: text, ...(options && { providerOptions: options }) });
    }
  }

  #addAssistant(message: Fields, own: Partial<LanguageModelV4Message>): void {
    const content = assistantParts(this.#reading, message);
    for (const part of content) if (part.type === 'tool-call') this.#called.set(part.toolCallId, part.toolName);
    if (content.length === 0) return;
    this.prompt.push({
      role: 'assistant',
      content,
      ...(own.providerOptions && { providerOptions: own.providerOptions }),
    });
  }

  /** Results that follow one another answer one message, and are one. */
  #addResult(message: Fields, { providerOptions }: Partial<LanguageModelV4Message>): void {
    const toolCallId = textOf(message['tool_call_id'], 'messages.tool_call_id');
    const toolName = this.#called.get(toolCallId);
    if (toolName === undefined) {
      throw invalid('tool_call_id names no call of a tool before it', 'messages.tool_call_id');
    }
    const result: LanguageModelV4ToolResultPart = {
      type: 'tool-result',
      toolCallId,
      toolName,
      output: this.#outputOf(message['content']),
      ...(providerOptions && { providerOptions }),
    };
    const last = this.prompt.at(-1);
    if (last?.role === 'tool') last.content.push(result);
    else this.prompt.push({ role: 'tool', content: [result] });
  }

  /** Of pictures too, where the provider takes them there, as in LiteLLM. */
  #outputOf(content: unknown): LanguageModelV4ToolResultPart['output'] {
    const isOfTexts = !Array.isArray(content) || content.every((part) => !isRecord(part) || part['type'] === 'text');
    if (!isOfTexts && this.#reading.takesFilesOfTools) {
      return { type: 'content', value: userParts(this.#reading, content) };
    }
    const parts = textParts(this.#reading, content, 'messages.content');
    return { type: 'text', value: parts.map(({ text }) => text).join('') };
  }
}
