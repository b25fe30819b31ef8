import Anthropic from '@anthropic-ai/sdk';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider';
import assert from 'node:assert/strict';
import { messagesProtocol } from '../../src/translation/messages/messages-protocol.ts';

export const names = { id: 'msg_test', model: 'gpt-x', created: 1_790_000_000 };

type Fields = Readonly<Record<string, unknown>>;

/** What a provider's package is given for a body, which has what every body needs. */
export const read = (fields: Fields, { providerOptionsName = 'upstream', dropParams = false } = {}) =>
  messagesProtocol.read(
    { model: 'any', max_tokens: 64, messages: [{ role: 'user', content: 'Hi' }], ...fields },
    { providerOptionsName, dropParams },
  );

/** The model of an OpenAI-compatible server that answers with a text. */
export const modelAnswering = (type: string, text: string) =>
  createOpenAICompatible({
    name: 'upstream',
    baseURL: 'https://upstream.test/v1',
    includeUsage: true,
    supportsStructuredOutputs: true,
    fetch: () => Promise.resolve(new Response(text, { headers: { 'content-type': type } })),
  }).chatModel('gpt-x');

/** The body that an OpenAI-compatible server gets. */
export async function bodyOf(options: LanguageModelV4CallOptions): Promise<Record<string, unknown>> {
  const { request } = await modelAnswering(
    'application/json',
    JSON.stringify(aCompletion({ content: 'Hi' })),
  ).doGenerate(options);
  assert.ok(typeof request?.body === 'string');
  return JSON.parse(request.body);
}

/** A chat completion with this message. */
export const aCompletion = (message: object, reason = 'stop') => ({
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt-x',
  choices: [{ index: 0, message: { role: 'assistant', content: null, ...message }, finish_reason: reason }],
  usage: { prompt_tokens: 100, completion_tokens: 30, prompt_tokens_details: { cached_tokens: 40 } },
});

/** Chunks of a chat completion with these deltas, and what is left to say after them. */
export function chunks(deltas: readonly object[], ...last: readonly object[]): string {
  const frame = { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'gpt-x' };
  const all = [...deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] })), ...last];
  return `${all.map((each) => `data: ${JSON.stringify({ ...frame, ...each })}\n\n`).join('')}data: [DONE]\n\n`;
}

export const finished = (reason: string) => ({ choices: [{ index: 0, delta: {}, finish_reason: reason }] });

/** The parts in which the real package tells an OpenAI-compatible stream. */
export async function partsOf(events: string): Promise<LanguageModelV4StreamPart[]> {
  const { stream } = await modelAnswering('text/event-stream', events).doStream(read({}).options);
  return Array.fromAsync(stream);
}

/** A stream of Anthropic's, made of parts. */
export function written(parts: readonly LanguageModelV4StreamPart[]): string {
  const writer = messagesProtocol.events(names);
  return parts.map((part) => writer.next(part)).join('') + writer.end();
}

/** What the official client reads from a stream. */
export async function readByClient(events: string): Promise<Anthropic.Message> {
  const fetch = () => Promise.resolve(new Response(events, { headers: { 'content-type': 'text/event-stream' } }));
  const client = new Anthropic({ apiKey: 'sk', baseURL: 'https://gateway.test', maxRetries: 0, fetch });
  const ask = { model: 'any', max_tokens: 64, messages: [{ role: 'user' as const, content: 'Hi' }] };
  return client.messages.stream(ask).finalMessage();
}

export const stripped = (block: Anthropic.ContentBlock) => {
  const { type } = block;
  if (type === 'text') return block.text;
  if (type === 'thinking') return [block.thinking, block.signature];
  if (type === 'redacted_thinking') return [block.data];
  return type === 'tool_use' ? { id: block.id, name: block.name, input: block.input } : type;
};
