import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Answer } from '../support/gateway.ts';
import type { Received } from './upstream.ts';
import { openWorld, type SpendRow, type World } from './world.ts';

let world: World;
let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatewayctl-'));
  const file = join(directory, 'prices.json');
  await writeFile(file, JSON.stringify({ tiered }));
  world = await openWorld({ env: { GATEWAYCTL_PRICE_FILE: file } });
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** A model of whoever asks for it, whose tokens cost a nano-dollar, or 3 and 7 by tier. */
const tiered = {
  input_cost_per_token: 1e-9,
  output_cost_per_token: 1e-9,
  input_cost_per_token_flex: 3e-9,
  output_cost_per_token_flex: 3e-9,
  input_cost_per_token_priority: 7e-9,
  output_cost_per_token_priority: 7e-9,
};

const json = (value: unknown) => ({ type: 'application/json', bytes: Buffer.from(JSON.stringify(value)) });
const sse = (...events: unknown[]) => ({
  type: 'text/event-stream; charset=utf-8',
  bytes: Buffer.from(
    events
      .map((event) => `event: x\r\ndata: ${typeof event === 'string' ? event : JSON.stringify(event)}\r\n\r\n`)
      .join(''),
  ),
});

/** An AWS event stream; its checksums are zeros, because nobody here has to believe them. */
function eventStream(...events: unknown[]) {
  const frames = events.map((event) => {
    const headers = Buffer.from('\u000b:event-type\u0007\u0000\u0008metadata', 'latin1');
    const payload = Buffer.from(JSON.stringify(event));
    const frame = Buffer.alloc(12 + headers.length + payload.length + 4);
    frame.writeUInt32BE(frame.length, 0);
    frame.writeUInt32BE(headers.length, 4);
    headers.copy(frame, 12);
    payload.copy(frame, 12 + headers.length);
    return frame;
  });
  return { type: 'application/vnd.amazon.eventstream', bytes: Buffer.concat(frames) };
}
const wrapped = (event: unknown) => ({ bytes: Buffer.from(JSON.stringify(event)).toString('base64') });

interface Case {
  readonly says: string;
  readonly path: string;
  readonly body: unknown;
  readonly answer: { readonly type: string; readonly bytes: Buffer };
  readonly headers?: Record<string, string>;
  /** Input, output, of the input read from a cache, of the output thought. */
  readonly tokens: readonly [number, number, number?, number?];
  /** In nano-dollars. */
  readonly spend: number;
  /** As the answer names it. */
  readonly tier?: string;
}

const chat = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }] };
const claude = { model: 'claude-sonnet-4-20250514', max_tokens: 100, messages: [] };
const contents = { contents: [{ parts: [{ text: 'Hi' }] }] };
/** What a model writes may look like a report. */
const decoy = { usage: { prompt_tokens: 1, completion_tokens: 1, input_tokens: 1, output_tokens: 1 } };
const vertexPath = '/vertex_ai/v1/projects/acme/locations/us-central1/publishers';

const cases: readonly Case[] = [
  {
    says: 'OpenAI chat',
    path: '/openai/v1/chat/completions',
    body: chat,
    answer: json({
      choices: [{ message: { tool_calls: [decoy], content: 'x"usage":{"prompt_tokens":1}' } }],
      usage: { prompt_tokens: 1000, completion_tokens: 500, prompt_tokens_details: { cached_tokens: 200 } },
    }),
    tokens: [1000, 500, 200],
    spend: 435_000,
  },
  {
    says: 'OpenAI chat, streamed',
    path: '/openai/chat/completions',
    body: { ...chat, stream: true, stream_options: { include_usage: true } },
    answer: sse(
      { choices: [{ delta: { content: 'Hi' } }], usage: null },
      { choices: [], usage: { prompt_tokens: 1000, completion_tokens: 500 } },
      '[DONE]',
    ),
    tokens: [1000, 500],
    spend: 450_000,
  },
  {
    says: 'OpenAI responses',
    path: '/openai/v1/responses',
    body: { model: 'gpt-4o-mini', input: 'Hi' },
    answer: json({
      output: [decoy],
      usage: { input_tokens: 1000, output_tokens: 500, output_tokens_details: { reasoning_tokens: 300 } },
    }),
    tokens: [1000, 500, 0, 300],
    spend: 450_000,
  },
  {
    says: 'OpenAI responses, streamed',
    path: '/openai/v1/responses',
    body: { model: 'gpt-4o-mini', input: 'Hi', stream: true },
    answer: sse(
      { type: 'response.output_text.delta', delta: 'Hi' },
      { type: 'response.completed', response: { output: [decoy], usage: { input_tokens: 1000, output_tokens: 500 } } },
    ),
    tokens: [1000, 500],
    spend: 450_000,
  },
  {
    says: 'OpenAI embeddings, longer than anything that is kept',
    path: '/openai/v1/embeddings',
    body: { model: 'text-embedding-3-small', input: 'Hi' },
    answer: json({
      data: [{ embedding: Array.from({ length: 60_000 }, () => 0.123456789) }],
      usage: { prompt_tokens: 1000, total_tokens: 1000 },
    }),
    tokens: [1000, 0],
    spend: 20_000,
  },
  {
    says: 'OpenAI images',
    path: '/openai/v1/images/generations',
    body: { model: 'gpt-image-1', prompt: 'a cat' },
    answer: json({
      data: [{ b64_json: 'A'.repeat(400_000) }],
      usage: { input_tokens: 10, output_tokens: 1000, total_tokens: 1010 },
    }),
    tokens: [10, 1000],
    spend: 40_050_000,
  },
  {
    says: 'Azure, by the deployment in the path',
    path: '/azure/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21',
    body: { messages: [] },
    answer: json({ usage: { prompt_tokens: 1000, completion_tokens: 500 } }),
    tokens: [1000, 500],
    spend: 7_500_000,
  },
  ...(['mistral', 'groq', 'together'] as const).map((provider) => ({
    says: provider,
    path: `/${provider}/v1/chat/completions`,
    body: {
      ...chat,
      model: {
        mistral: 'mistral-small-latest',
        groq: 'llama-3.3-70b-versatile',
        together: 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
      }[provider],
    },
    answer: json({ usage: { prompt_tokens: 1000, completion_tokens: 500 } }),
    tokens: [1000, 500] as const,
    spend: { mistral: 250_000, groq: 985_000, together: 1_320_000 }[provider],
  })),
  {
    says: 'Anthropic',
    path: '/anthropic/v1/messages',
    body: claude,
    answer: json({
      usage: { input_tokens: 700, output_tokens: 500, cache_read_input_tokens: 200, cache_creation_input_tokens: 100 },
      content: [{ type: 'tool_use', input: decoy }],
    }),
    tokens: [1000, 500, 200],
    spend: 10_035_000,
  },
  {
    says: 'Anthropic, streamed: the input first, the output last',
    path: '/anthropic/v1/messages',
    body: { ...claude, stream: true },
    answer: sse(
      { type: 'message_start', message: { usage: { input_tokens: 1000, output_tokens: 1 } } },
      { type: 'content_block_delta', delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 500 } },
    ),
    tokens: [1000, 500],
    spend: 10_500_000,
  },
  {
    says: 'Gemini',
    path: '/gemini/v1beta/models/gemini-2.5-flash:generateContent',
    body: contents,
    answer: json({
      candidates: [{ content: { parts: [{ functionCall: { args: { usageMetadata: { promptTokenCount: 1 } } } }] } }],
      usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 300, thoughtsTokenCount: 200 },
    }),
    tokens: [1000, 500, 0, 200],
    spend: 1_550_000,
  },
  {
    says: 'Gemini, streamed as an array',
    path: '/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent',
    body: contents,
    answer: json([
      { candidates: [], usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 3 } },
      { candidates: [], usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 500 } },
    ]),
    tokens: [1000, 500],
    spend: 1_550_000,
  },
  {
    says: 'Gemini, streamed as events',
    path: '/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    body: contents,
    answer: sse({ usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 500 } }),
    tokens: [1000, 500],
    spend: 1_550_000,
  },
  {
    says: 'Vertex AI, of Google',
    path: `${vertexPath}/google/models/gemini-2.5-flash:generateContent`,
    body: contents,
    answer: json({ usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 500 } }),
    tokens: [1000, 500],
    spend: 1_550_000,
  },
  {
    says: 'Vertex AI, of Anthropic, streamed, without its place in the path',
    path: '/vertex_ai/publishers/anthropic/models/claude-sonnet-4@20250514:streamRawPredict',
    body: { max_tokens: 100, messages: [], stream: true },
    answer: sse(
      { message: { usage: { input_tokens: 1000, output_tokens: 1 } } },
      { type: 'message_delta', usage: { output_tokens: 500 } },
    ),
    tokens: [1000, 500],
    spend: 10_500_000,
  },
  {
    says: 'Vertex AI, embeddings of two texts',
    path: `${vertexPath}/google/models/text-embedding-005:predict`,
    body: { instances: [{}, {}] },
    answer: json({
      predictions: [
        { embeddings: { values: [1], statistics: { token_count: 600 } } },
        { embeddings: { statistics: { token_count: 400 } } },
      ],
    }),
    tokens: [1000, 0],
    spend: 0,
  },
  {
    says: 'Bedrock, a conversation',
    path: '/bedrock/model/anthropic.claude-3-haiku-20240307-v1:0/converse',
    body: { messages: [], inferenceConfig: { maxTokens: 100 } },
    answer: json({
      output: { message: { content: [{ toolUse: { input: decoy } }] } },
      usage: { inputTokens: 1000, outputTokens: 500 },
    }),
    tokens: [1000, 500],
    spend: 875_000,
  },
  {
    says: 'Bedrock, a conversation, streamed',
    path: '/bedrock/model/anthropic.claude-3-haiku-20240307-v1:0/converse-stream',
    body: { messages: [] },
    answer: eventStream({ delta: { text: 'Hi' } }, { usage: { inputTokens: 1000, outputTokens: 500 }, metrics: {} }),
    tokens: [1000, 500],
    spend: 875_000,
  },
  {
    says: 'Bedrock, a model that is invoked, by the headers',
    path: '/bedrock/model/amazon.nova-lite-v1:0/invoke',
    body: { inputText: 'Hi' },
    headers: { 'x-amzn-bedrock-input-token-count': '1000', 'x-amzn-bedrock-output-token-count': '500' },
    answer: json({ results: [] }),
    tokens: [1000, 500],
    spend: 180_000,
  },
  {
    says: 'Bedrock, a model that is invoked, streamed',
    path: '/bedrock/model/anthropic.claude-3-haiku-20240307-v1:0/invoke-with-response-stream',
    body: { max_tokens: 100 },
    answer: eventStream(
      wrapped({ type: 'message_start', message: { usage: { input_tokens: 1000, output_tokens: 1 } } }),
      wrapped({ type: 'message_delta', usage: { output_tokens: 500 } }),
      wrapped({
        type: 'message_stop',
        'amazon-bedrock-invocationMetrics': { inputTokenCount: 1000, outputTokenCount: 500 },
      }),
    ),
    tokens: [1000, 500],
    spend: 875_000,
  },
  {
    says: 'Cohere, by what it bills',
    path: '/cohere/v2/chat',
    body: { model: 'command-r', messages: [] },
    answer: json({
      usage: {
        billed_units: { input_tokens: 1000, output_tokens: 500 },
        tokens: { input_tokens: 1400, output_tokens: 510 },
      },
    }),
    tokens: [1000, 500],
    spend: 450_000,
  },
  {
    says: 'Cohere, streamed',
    path: '/cohere/v2/chat',
    body: { model: 'command-r', stream: true },
    answer: sse({
      type: 'message-end',
      delta: { usage: { billed_units: { input_tokens: 1000, output_tokens: 500 } } },
    }),
    tokens: [1000, 500],
    spend: 450_000,
  },
  {
    says: 'Cohere, embeddings',
    path: '/cohere/v2/embed',
    body: { model: 'embed-v4.0', texts: ['Hi'] },
    answer: json({ embeddings: {}, meta: { billed_units: { input_tokens: 1000 } } }),
    tokens: [1000, 0],
    spend: 120_000,
  },
  {
    says: 'OpenAI chat that the usual tier answered, when another was asked for',
    path: '/openai/v1/chat/completions',
    body: { ...chat, model: 'tiered', service_tier: 'priority' },
    answer: json({ service_tier: 'default', usage: { prompt_tokens: 1000, completion_tokens: 500 } }),
    tokens: [1000, 500],
    spend: 1_500,
    tier: 'default',
  },
  {
    says: 'OpenAI chat that leaves the tier open, streamed, named before the usage',
    path: '/openai/v1/chat/completions',
    body: { ...chat, model: 'tiered', service_tier: 'auto', stream: true, stream_options: { include_usage: true } },
    answer: sse(
      { service_tier: 'priority', choices: [{ delta: { content: '"service_tier": "flex"' } }], usage: null },
      { choices: [], usage: { prompt_tokens: 1000, completion_tokens: 500 } },
      '[DONE]',
    ),
    tokens: [1000, 500],
    spend: 10_500,
    tier: 'priority',
  },
  {
    says: 'OpenAI responses, streamed, whose tier is known at the end',
    path: '/openai/v1/responses',
    body: { model: 'tiered', input: 'Hi', stream: true },
    answer: sse(
      { type: 'response.created', response: { service_tier: 'auto' } },
      {
        type: 'response.completed',
        response: { service_tier: 'flex', output: [], usage: { input_tokens: 1000, output_tokens: 500 } },
      },
    ),
    tokens: [1000, 500],
    spend: 4_500,
    tier: 'flex',
  },
  {
    says: 'Anthropic, streamed, with the tier at the start',
    path: '/anthropic/v1/messages',
    body: { ...claude, model: 'tiered', service_tier: 'auto', stream: true },
    answer: sse(
      { type: 'message_start', message: { usage: { input_tokens: 1000, output_tokens: 1, service_tier: 'priority' } } },
      { type: 'message_delta', usage: { output_tokens: 500 } },
      { type: 'message_stop' },
    ),
    tokens: [1000, 500],
    spend: 10_500,
    tier: 'priority',
  },
  {
    says: 'Gemini, by a header',
    path: '/gemini/v1beta/models/tiered:generateContent',
    body: { ...contents, service_tier: 'priority' },
    answer: json({ usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 500 } }),
    headers: { 'x-gemini-service-tier': 'standard' },
    tokens: [1000, 500],
    spend: 1_500,
    tier: 'default',
  },
  {
    says: 'Vertex AI, by the kind of its traffic',
    path: `${vertexPath}/google/models/tiered:generateContent`,
    body: contents,
    answer: json({
      usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 500, trafficType: 'ON_DEMAND_FLEX' },
    }),
    tokens: [1000, 500],
    spend: 4_500,
    tier: 'flex',
  },
  {
    says: 'Bedrock Converse, streamed',
    path: '/bedrock/model/tiered/converse-stream',
    body: { messages: [], serviceTier: { type: 'priority' } },
    answer: eventStream(
      { delta: { text: 'Hi' } },
      { serviceTier: { type: 'flex' }, usage: { inputTokens: 1000, outputTokens: 500 } },
    ),
    tokens: [1000, 500],
    spend: 4_500,
    tier: 'flex',
  },
  {
    says: 'a model of Bedrock that is invoked, by a header',
    path: '/bedrock/model/tiered/invoke',
    body: { messages: [], max_tokens: 500 },
    answer: json({ content: [] }),
    headers: {
      'x-amzn-bedrock-service-tier': 'priority',
      'x-amzn-bedrock-input-token-count': '1000',
      'x-amzn-bedrock-output-token-count': '500',
    },
    tokens: [1000, 500],
    spend: 10_500,
    tier: 'priority',
  },
];

/** What came of a case, in one piece and in many. */
const came = new Map<string, { readonly got: Answer; readonly row: SpendRow }>();

/** The number of the case travels in the query, which goes on as it is. */
function reply({ url }: Received, response: ServerResponse): void {
  if (url === '/token') {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"t","expires_in":3600}');
    return;
  }
  const asked = new URL(url, 'http://upstream').searchParams;
  const { type, bytes } = cases[Number(asked.get('case'))]!.answer;
  const isWhole = asked.has('whole');
  if (asked.has('compressed'))
    return compressed(response, cases[Number(asked.get('case'))]!, Number(asked.get('case')));
  const length = isWhole ? { 'content-length': String(bytes.length) } : {};
  response.writeHead(200, { 'content-type': type, ...length, ...cases[Number(asked.get('case'))]!.headers });
  const piece = isWhole ? bytes.length : Math.max(11, Math.ceil(bytes.length / 500));
  for (let from = 0; from < bytes.length; from += piece) response.write(bytes.subarray(from, from + piece));
  response.end();
}

const codings = [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['deflate', deflateRawSync],
] as const;

/** As an upstream sends it that compresses what nobody asked it to compress, in pieces that end anywhere. */
function compressed(response: ServerResponse, { answer, headers }: Case, index: number): void {
  const [coding, compress] = codings[index % codings.length]!;
  const bytes = compress(answer.bytes);
  response.writeHead(200, { 'content-type': answer.type, 'content-encoding': coding, ...headers });
  const piece = Math.max(11, Math.ceil(bytes.length / 50));
  for (let from = 0; from < bytes.length; from += piece) response.write(bytes.subarray(from, from + piece));
  response.end();
}

const ways: Readonly<Record<string, string>> = {
  whole: '',
  pieces: ', in pieces of no announced length',
  compressed: ', compressed',
};

describe('the success handler', () => {
  before(async () => {
    const key = await world.aKey();
    world.upstream.reply = reply;
    const calls = cases.flatMap(({ path, body }, index) =>
      Object.keys(ways).map(async (how) => {
        const query = `${path.includes('?') ? '&' : '?'}case=${index}&${how}=1`;
        const got = await world.gateway.request('POST', path + query, { key, body });
        assert.equal(got.status, 200, got.text);
        came.set(`${index} ${how}`, { got, row: await world.rowOf(got) });
      }),
    );
    await Promise.all(calls);
  });

  for (const [index, { says, answer, tokens, spend, tier }] of cases.entries()) {
    for (const [how, told] of Object.entries(ways)) {
      test(`${says}${told}`, () => {
        const { got, row } = came.get(`${index} ${how}`)!;
        assert.equal(got.text, answer.bytes.toString(), 'it comes as it was sent');
        const [input, output, cached = 0, thought = 0] = tokens;
        assert.partialDeepStrictEqual(row, {
          call_type: 'pass_through_endpoint',
          status: 'success',
          usage_estimated: false,
          prompt_tokens: String(input),
          completion_tokens: String(output),
          cache_read_tokens: String(cached),
          reasoning_tokens: String(thought),
          spend: String(spend),
          service_tier: tier ?? null,
        });
      });
    }
  }
});
