import type { Usage } from '../../src/metering/usage.ts';

/** A stream as an upstream sent it, without what says nothing here: it is cut at each of its bytes. */
export interface RecordedStream {
  readonly name: string;
  readonly provider: 'openai' | 'anthropic';
  /** What the client calls, and with what beside the model. */
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  /** What the whole of it used. */
  readonly usage: Partial<Usage>;
  /** What stands in it when, and only when, the upstream has finished; a client takes it for that. */
  readonly completion: RegExp;
}

interface Typed {
  readonly type: string;
  readonly [name: string]: unknown;
}

const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const named = (value: Typed): string => `event: ${value.type}\n${data(value)}`;
const done = 'data: [DONE]\n\n';

const asked = { messages: [{ role: 'user', content: 'Hi' }], stream: true };
const withUsage = { ...asked, stream_options: { include_usage: true } };

const chunk = (choices: readonly object[], rest: object = {}): string =>
  data({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    choices,
    ...rest,
  });
const delta = (news: object, finish_reason: string | null = null): string =>
  chunk([{ index: 0, delta: news, finish_reason }], { usage: null });
const chatUsage = (prompt_tokens: number, completion_tokens: number, details: object = {}): object => ({
  prompt_tokens,
  completion_tokens,
  ...details,
});

const chat: readonly RecordedStream[] = [
  {
    name: 'chat: text, with the usage in a chunk of its own',
    provider: 'openai',
    path: '/v1/chat/completions',
    body: withUsage,
    events: [
      delta({ role: 'assistant', content: '', refusal: null }),
      delta({ content: 'Grüße' }),
      delta({ content: ', 🎈' }),
      delta({}, 'stop'),
      chunk([], { usage: chatUsage(9, 3) }),
      done,
    ],
    usage: { promptTokens: 9, completionTokens: 3 },
    completion: /"finish_reason":"stop"/,
  },
  {
    name: 'chat: a tool, with a usage nobody but the gateway asked for',
    provider: 'openai',
    path: '/v1/chat/completions',
    body: asked,
    events: [
      delta({
        role: 'assistant',
        content: null,
        tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }],
      }),
      delta({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
      delta({ tool_calls: [{ index: 0, function: { arguments: '"Köln"}' } }] }),
      delta({}, 'tool_calls'),
      chunk([], { usage: chatUsage(51, 17, { prompt_tokens_details: { cached_tokens: 8 } }) }),
      done,
    ],
    usage: { promptTokens: 51, completionTokens: 17, cacheReadTokens: 8 },
    completion: /"finish_reason":"tool_calls"/,
  },
  {
    name: 'chat: reasoning, with the usage beside the last choice',
    provider: 'openai',
    path: '/v1/chat/completions',
    body: asked,
    events: [
      delta({ role: 'assistant', reasoning_content: 'Let me' }),
      delta({ reasoning_content: ' think.' }),
      delta({ content: 'Four.' }),
      chunk([{ index: 0, delta: {}, finish_reason: 'stop' }], {
        usage: chatUsage(12, 9, { completion_tokens_details: { reasoning_tokens: 5 } }),
      }),
      done,
    ],
    usage: { promptTokens: 12, completionTokens: 9, reasoningTokens: 5 },
    completion: /"finish_reason":"stop"/,
  },
  {
    name: 'chat: a usage in every chunk, and CRLF between lines',
    provider: 'openai',
    path: '/v1/chat/completions',
    body: asked,
    events: [
      chunk([{ index: 0, delta: { content: 'One' }, finish_reason: null }], { usage: chatUsage(7, 1) }),
      chunk([{ index: 0, delta: { content: ' two' }, finish_reason: null }], { usage: chatUsage(7, 2) }),
      chunk([{ index: 0, delta: {}, finish_reason: 'length' }], { usage: chatUsage(7, 2) }),
      done,
    ].map((event) => event.replaceAll('\n', '\r\n')),
    usage: { promptTokens: 7, completionTokens: 2 },
    completion: /"finish_reason":"length"/,
  },
];

const text = (value: string, finish_reason: string | null = null): string =>
  data({
    id: 'cmpl-1',
    object: 'text_completion',
    choices: [{ text: value, index: 0, finish_reason }],
  });

const completions: readonly RecordedStream[] = [
  {
    name: 'completions: text',
    provider: 'openai',
    path: '/v1/completions',
    body: { prompt: 'Say', stream: true },
    events: [
      text('One'),
      text(' two'),
      text('', 'stop'),
      data({ id: 'cmpl-1', object: 'text_completion', choices: [], usage: chatUsage(4, 2) }),
      done,
    ],
    usage: { promptTokens: 4, completionTokens: 2 },
    completion: /"finish_reason":"stop"/,
  },
];

const messageStart = (usage: object): string =>
  named({
    type: 'message_start',
    message: {
      id: 'msg_01',
      type: 'message',
      role: 'assistant',
      model: 'claude-odd',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage,
    },
  });
const block = (index: number, content_block: object, deltas: readonly object[]): string[] => [
  named({ type: 'content_block_start', index, content_block }),
  ...deltas.map((each) => named({ type: 'content_block_delta', index, delta: each })),
  named({ type: 'content_block_stop', index }),
];
const messageEnd = (stop_reason: string, usage: object): string[] => [
  named({ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage }),
  named({ type: 'message_stop' }),
];
const messagesBody = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 64, stream: true };

export const messageStreams = {
  text: {
    name: 'messages: text',
    provider: 'anthropic',
    path: '/v1/messages',
    body: messagesBody,
    events: [
      messageStart({
        input_tokens: 25,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 1,
        service_tier: 'standard',
      }),
      ...block(0, { type: 'text', text: '' }, [
        { type: 'text_delta', text: 'Grüße' },
        { type: 'text_delta', text: ', 🎈!' },
      ]).toSpliced(1, 0, named({ type: 'ping' })),
      ...messageEnd('end_turn', { output_tokens: 6 }),
    ],
    usage: { promptTokens: 25, completionTokens: 6 },
    completion: /message_stop/,
  },
  tools: {
    name: 'messages: a tool, with its input in parts',
    provider: 'anthropic',
    path: '/v1/messages',
    body: messagesBody,
    events: [
      messageStart({
        input_tokens: 40,
        cache_creation_input_tokens: 300,
        cache_read_input_tokens: 100,
        cache_creation: { ephemeral_5m_input_tokens: 200, ephemeral_1h_input_tokens: 100 },
        output_tokens: 2,
      }),
      ...block(0, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }, [
        { type: 'input_json_delta', partial_json: '' },
        { type: 'input_json_delta', partial_json: '{"city": ' },
        { type: 'input_json_delta', partial_json: '"Köln"}' },
      ]),
      ...messageEnd('tool_use', { output_tokens: 33 }),
    ],
    usage: {
      promptTokens: 440,
      completionTokens: 33,
      cacheReadTokens: 100,
      cacheWriteTokens: 300,
      cacheWriteHourTokens: 100,
    },
    completion: /message_stop/,
  },
  thinking: {
    name: 'messages: thinking, with all counts again at its end',
    provider: 'anthropic',
    path: '/v1/messages',
    body: messagesBody,
    events: [
      messageStart({ input_tokens: 18, output_tokens: 1 }),
      ...block(0, { type: 'thinking', thinking: '', signature: '' }, [
        { type: 'thinking_delta', thinking: 'Two and "two".' },
        { type: 'signature_delta', signature: 'EqQBCg==' },
      ]),
      ...block(1, { type: 'text', text: '' }, [{ type: 'text_delta', text: 'Four.' }]),
      ...messageEnd('max_tokens', { input_tokens: 18, cache_read_input_tokens: null, output_tokens: 21 }),
    ],
    usage: { promptTokens: 18, completionTokens: 21 },
    completion: /message_stop/,
  },
} as const satisfies Record<string, RecordedStream>;

export const upstreamId = 'resp_68f0c1a2b3c4d5e6f708192a3b4c5d6e';

/** A response as OpenAI sends it, whole or at its beginning. */
export const aResponse = (given: object = {}): Record<string, unknown> => ({
  id: upstreamId,
  object: 'response',
  status: 'completed',
  error: null,
  model: 'gpt-4.1-mini',
  output: [
    {
      id: 'msg_1',
      type: 'message',
      status: 'completed',
      role: 'assistant',
      content: [{ type: 'output_text', annotations: [], text: 'One two' }],
    },
  ],
  previous_response_id: null,
  service_tier: 'default',
  store: true,
  usage: responseUsage,
  ...given,
});

const responseUsage = {
  input_tokens: 36,
  input_tokens_details: { cached_tokens: 12 },
  output_tokens: 8,
  output_tokens_details: { reasoning_tokens: 3 },
  total_tokens: 44,
};
const used = { promptTokens: 36, completionTokens: 8, cacheReadTokens: 12, reasoningTokens: 3 };

const begun = { id: upstreamId, object: 'response', status: 'in_progress', output: [], usage: null };

function responseEvents(middle: readonly Typed[], end: Typed): string[] {
  const all = [{ type: 'response.created', response: begun }, ...middle, end];
  return all.map(({ type, ...rest }, sequence_number) => named({ type, sequence_number, ...rest }));
}

const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
const responsesBody = { input: 'Hi', stream: true };

export const responseStreams = {
  text: {
    name: 'responses: text',
    provider: 'openai',
    path: '/v1/responses',
    body: responsesBody,
    events: responseEvents(
      [
        { type: 'response.output_item.added', output_index: 0, item: { id: 'msg_1', type: 'message', content: [] } },
        { type: 'response.content_part.added', ...place, part: { type: 'output_text', annotations: [], text: '' } },
        { type: 'response.output_text.delta', ...place, delta: 'One', logprobs: [], obfuscation: 'x8f' },
        { type: 'response.output_text.delta', ...place, delta: ' two', logprobs: [] },
        { type: 'response.output_text.done', ...place, text: 'One two' },
      ],
      { type: 'response.completed', response: aResponse() },
    ),
    usage: used,
    completion: /response\.completed/,
  },
  tools: {
    name: 'responses: a tool',
    provider: 'openai',
    path: '/v1/responses',
    body: responsesBody,
    events: responseEvents(
      [
        { type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 0, delta: '{"city":' },
        { type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 0, delta: '"Köln"}' },
        { type: 'response.function_call_arguments.done', item_id: 'fc_1', arguments: '{"city":"Köln"}' },
      ],
      { type: 'response.completed', response: aResponse({ output: [] }) },
    ),
    usage: used,
    completion: /response\.completed/,
  },
  incomplete: {
    name: 'responses: cut short by its own limit',
    provider: 'openai',
    path: '/v1/responses',
    body: { ...responsesBody, max_output_tokens: 16 },
    events: responseEvents([{ type: 'response.reasoning_summary_text.delta', item_id: 'rs_1', delta: 'Hm' }], {
      type: 'response.incomplete',
      response: aResponse({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }),
    }),
    usage: used,
    completion: /response\.incomplete/,
  },
  refusal: {
    name: 'responses: a refusal in parts',
    provider: 'openai',
    path: '/v1/responses',
    body: responsesBody,
    events: responseEvents([{ type: 'response.refusal.delta', ...place, delta: 'I cannot' }], {
      type: 'response.completed',
      response: aResponse({ output: [], service_tier: 'flex' }),
    }),
    usage: used,
    completion: /response\.completed/,
  },
} as const satisfies Record<string, RecordedStream>;

/** Twelve of them. */
export const recordedStreams: readonly RecordedStream[] = [
  ...chat,
  ...completions,
  ...Object.values(messageStreams),
  ...Object.values(responseStreams),
];
