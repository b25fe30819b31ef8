import { crc32 } from 'node:zlib';
import type { Deployment } from '../../src/models/deployment.ts';

/** A provider as its documents have it: one answer, plain and in events. */
export interface Pretended {
  readonly provider: string;
  readonly model: string;
  readonly params?: Deployment['params'];
  readonly secrets?: Deployment['secrets'];
  /** What a deployment's `apiBase` has behind the upstream's address. */
  readonly base: string;
  readonly path: { readonly plain: string; readonly stream: string };
  readonly plain: object;
  /** Whole events, the one that says that the answer is over last. */
  readonly events: readonly (string | Buffer)[];
  readonly streamType: string;
  /** Of the credential, as the upstream sees it. */
  readonly credential: readonly [header: string, value: RegExp];
}

const sse = (data: object, name?: string): string =>
  `${name ? `event: ${name}\n` : ''}data: ${JSON.stringify(data)}\n\n`;
const named = (type: string, data: object = {}): string => sse({ type, ...data }, type);

const anthropicUsage = {
  input_tokens: 10,
  cache_creation_input_tokens: 30,
  cache_read_input_tokens: 5,
  cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 10 },
  output_tokens: 7,
};

export const anthropic: Pretended = {
  provider: 'anthropic',
  model: 'claude-sonnet-4-5',
  base: '',
  path: { plain: '/v1/messages', stream: '/v1/messages' },
  plain: {
    id: 'msg_01',
    type: 'message',
    role: 'assistant',
    model: 'claude-sonnet-4-5-20250929',
    content: [
      { type: 'thinking', thinking: 'A greeting.', signature: 'c2lnbmVk' },
      { type: 'text', text: 'Hello there' },
    ],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: anthropicUsage,
  },
  events: [
    named('message_start', {
      message: {
        id: 'msg_01',
        type: 'message',
        role: 'assistant',
        model: 'claude-sonnet-4-5-20250929',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { ...anthropicUsage, output_tokens: 1 },
      },
    }),
    named('content_block_start', { index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } }),
    named('content_block_delta', { index: 0, delta: { type: 'thinking_delta', thinking: 'A greeting.' } }),
    named('content_block_delta', { index: 0, delta: { type: 'signature_delta', signature: 'c2lnbmVk' } }),
    named('content_block_stop', { index: 0 }),
    named('content_block_start', { index: 1, content_block: { type: 'text', text: '' } }),
    named('content_block_delta', { index: 1, delta: { type: 'text_delta', text: 'Hello' } }),
    named('content_block_delta', { index: 1, delta: { type: 'text_delta', text: ' there' } }),
    named('content_block_stop', { index: 1 }),
    named('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 7 } }),
    named('message_stop'),
  ],
  streamType: 'text/event-stream',
  credential: ['x-api-key', /^sk-provider-secret-0123456789$/],
};

const geminiPart = (parts: object[], more: object = {}) => ({
  candidates: [{ content: { parts, role: 'model' }, index: 0, ...more }],
  modelVersion: 'gemini-2.5-flash',
  responseId: 'abc',
});
const geminiUsage = {
  promptTokenCount: 45,
  cachedContentTokenCount: 5,
  candidatesTokenCount: 4,
  thoughtsTokenCount: 3,
  totalTokenCount: 52,
  promptTokensDetails: [{ modality: 'TEXT', tokenCount: 45 }],
};
const thoughtPart = { text: 'A greeting.', thought: true };

const google = {
  plain: {
    ...geminiPart([thoughtPart, { text: 'Hello there' }], { finishReason: 'STOP' }),
    usageMetadata: geminiUsage,
  },
  events: [
    sse(geminiPart([thoughtPart])),
    sse(geminiPart([{ text: 'Hello' }])),
    sse({ ...geminiPart([{ text: ' there' }], { finishReason: 'STOP' }), usageMetadata: geminiUsage }),
  ],
  streamType: 'text/event-stream',
};

export const gemini: Pretended = {
  ...google,
  provider: 'gemini',
  model: 'gemini-2.5-flash',
  base: '/v1beta',
  path: {
    plain: '/v1beta/models/gemini-2.5-flash:generateContent',
    stream: '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
  },
  credential: ['x-goog-api-key', /^sk-provider-secret-0123456789$/],
};

/** A frame of Amazon's event streams: two lengths and their checksum, headers, the body, and the checksum of it all. */
export function frame(type: string, data: object, kind: 'event' | 'exception' = 'event'): Buffer {
  const header = (name: string, value: string) =>
    Buffer.concat([
      Buffer.from([name.length]),
      Buffer.from(name),
      Buffer.from([7, 0, value.length]),
      Buffer.from(value),
    ]);
  const headers = Buffer.concat([
    header(`:${kind}-type`, type),
    header(':content-type', 'application/json'),
    header(':message-type', kind),
  ]);
  const body = Buffer.from(JSON.stringify(data));
  const whole = Buffer.alloc(16 + headers.length + body.length);
  whole.writeUInt32BE(whole.length, 0);
  whole.writeUInt32BE(headers.length, 4);
  whole.writeUInt32BE(crc32(whole.subarray(0, 8)), 8);
  headers.copy(whole, 12);
  body.copy(whole, 12 + headers.length);
  whole.writeUInt32BE(crc32(whole.subarray(0, -4)), whole.length - 4);
  return whole;
}

const bedrockUsage = {
  inputTokens: 10,
  outputTokens: 7,
  totalTokens: 52,
  cacheReadInputTokens: 5,
  cacheWriteInputTokens: 30,
  cacheDetails: [
    { ttl: '5m', inputTokens: 20 },
    { ttl: '1h', inputTokens: 10 },
  ],
};
const bedrockThought = { reasoningText: { text: 'A greeting.', signature: 'c2lnbmVk' } };

export const bedrock: Pretended = {
  provider: 'bedrock',
  model: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  params: { aws_region_name: 'us-east-1' },
  secrets: {
    aws_access_key_id: 'AKIAIOSFODNN7EXAMPLE',
    aws_secret_access_key: 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00',
  },
  base: '',
  path: {
    plain: '/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse',
    stream: '/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream',
  },
  plain: {
    output: {
      message: { role: 'assistant', content: [{ reasoningContent: bedrockThought }, { text: 'Hello there' }] },
    },
    stopReason: 'end_turn',
    usage: bedrockUsage,
    metrics: { latencyMs: 1 },
  },
  events: [
    frame('messageStart', { role: 'assistant' }),
    frame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'A greeting.' } } }),
    frame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { signature: 'c2lnbmVk' } } }),
    frame('contentBlockStop', { contentBlockIndex: 0 }),
    frame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'Hello' } }),
    frame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: ' there' } }),
    frame('contentBlockStop', { contentBlockIndex: 1 }),
    frame('messageStop', { stopReason: 'end_turn' }),
    frame('metadata', { usage: bedrockUsage, metrics: { latencyMs: 1 } }),
  ],
  streamType: 'application/vnd.amazon.eventstream',
  credential: ['authorization', /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/\d{8}\/us-east-1\/bedrock\//],
};

const cohereUsage = {
  billed_units: { input_tokens: 40, output_tokens: 7 },
  tokens: { input_tokens: 45, output_tokens: 7 },
};
const content = (type: string, index: number, message: object) => sse({ type, index, delta: { message } });

export const cohere: Pretended = {
  provider: 'cohere',
  model: 'command-a-reasoning-08-2025',
  base: '',
  path: { plain: '/v2/chat', stream: '/v2/chat' },
  plain: {
    id: 'c1',
    finish_reason: 'COMPLETE',
    message: {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'A greeting.' },
        { type: 'text', text: 'Hello there' },
      ],
    },
    usage: cohereUsage,
  },
  events: [
    sse({ id: 'c1', type: 'message-start', delta: { message: { role: 'assistant' } } }),
    content('content-start', 0, { content: { type: 'thinking', thinking: '' } }),
    content('content-delta', 0, { content: { thinking: 'A greeting.' } }),
    sse({ type: 'content-end', index: 0 }),
    content('content-start', 1, { content: { type: 'text', text: '' } }),
    content('content-delta', 1, { content: { text: 'Hello' } }),
    content('content-delta', 1, { content: { text: ' there' } }),
    sse({ type: 'content-end', index: 1 }),
    sse({ type: 'message-end', delta: { finish_reason: 'COMPLETE', usage: cohereUsage } }),
  ],
  streamType: 'text/event-stream',
  credential: ['authorization', /^Bearer sk-provider-secret-0123456789$/],
};

export const pretended = [anthropic, gemini, bedrock, cohere];
