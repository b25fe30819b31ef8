import type { LanguageModelV4Message, LanguageModelV4Prompt, LanguageModelV4TextPart } from '@ai-sdk/provider';
import { readAssistant } from './read-assistant.ts';
import { blocksAt, readShown, readText } from './read-blocks.ts';
import { readToolResult, type ToolResult } from './read-tool-result.ts';
import { type Fields, listAt, malformed, type Reading, recordAt } from './reading.ts';

/** What of the messages before it a message is read by. */
export interface Conversation {
  readonly reading: Reading;
  /** Names of the tools that were called, by the id of the call: the answers do not say them. */
  readonly calls: Map<string, string>;
}

/** The system prompt and the messages, those of one role in a row as one, as Anthropic takes them. */
export function readPrompt({ system, messages }: Fields, reading: Reading): LanguageModelV4Prompt {
  const conversation: Conversation = { reading, calls: new Map() };
  const prompt = readSystem(system, 'system', reading);
  const given = listAt(messages, 'messages');
  if (given.length === 0) throw malformed('messages', 'have at least one message');
  for (const [index, value] of given.entries()) {
    const path = `messages.${index}`;
    for (const message of readMessage(recordAt(value, path), path, conversation)) append(prompt, message);
  }
  if (prompt.at(-1)?.role === 'assistant' && !reading.features.continuesAnswers) {
    reading.leaveOut(
      `messages.${given.length - 1}.role`,
      'End with a message of the user: this model cannot go on with an answer that was begun for it.',
    );
  }
  return prompt;
}

const ofMessages = new Set(['role', 'content']);

function readMessage(message: Fields, path: string, conversation: Conversation): LanguageModelV4Message[] {
  const { reading } = conversation;
  reading.allow(message, path, ofMessages);
  const { role, content } = message;
  const at = `${path}.content`;
  switch (role) {
    case 'user':
      return readUser(content, at, conversation);
    case 'assistant':
      return [{ role, content: readAssistant(content, at, conversation) }];
    case 'system':
      return readSystem(content, at, reading);
    default:
      throw malformed(`${path}.role`, 'be user, assistant or system');
  }
}

/**
 * One message, because many chat templates take one only; a message each for those who are told what to cache, because
 * the hint is at a message.
 */
function readSystem(content: unknown, path: string, reading: Reading): LanguageModelV4Message[] {
  if (content === undefined || content === null) return [];
  const parts = blocksAt(content, path).flatMap((value, index) => {
    const at = `${path}.${index}`;
    const block = recordAt(value, at);
    if (block['type'] !== 'text') throw malformed(`${at}.type`, 'be text');
    return readText(block, at, reading);
  });
  if (parts.length === 0) return [];
  if (reading.features.claude !== undefined) return parts.map(systemMessage);
  return [{ role: 'system', content: parts.map(({ text }) => text).join('\n\n') }];
}

const systemMessage = ({ text, providerOptions }: LanguageModelV4TextPart): LanguageModelV4Message => ({
  role: 'system',
  content: text,
  ...(providerOptions && { providerOptions }),
});

/** Answers of tools come first, as Anthropic wants them to; providers want nothing between a call and its answer. */
function readUser(content: unknown, path: string, { reading, calls }: Conversation): LanguageModelV4Message[] {
  const results: ToolResult[] = [];
  const shown: Extract<LanguageModelV4Message, { role: 'user' }>['content'] = [];
  for (const [index, value] of blocksAt(content, path).entries()) {
    const at = `${path}.${index}`;
    const block = recordAt(value, at);
    if (block['type'] !== 'tool_result') {
      shown.push(...readShown(block, at, reading));
      continue;
    }
    results.push(readToolResult(block, at, { reading, calls }));
  }
  const beside = [...results.flatMap((each) => each.beside), ...shown];
  const messages: LanguageModelV4Message[] = [];
  if (results.length > 0) messages.push({ role: 'tool', content: results.map(({ part }) => part) });
  if (beside.length > 0) messages.push({ role: 'user', content: beside });
  return messages;
}

function append(prompt: LanguageModelV4Prompt, message: LanguageModelV4Message): void {
  const last = prompt.at(-1);
  if (last?.role === 'user' && message.role === 'user') last.content.push(...message.content);
  else if (last?.role === 'assistant' && message.role === 'assistant') last.content.push(...message.content);
  else if (last?.role === 'tool' && message.role === 'tool') last.content.push(...message.content);
  else if (message.content.length > 0) prompt.push(message);
}
