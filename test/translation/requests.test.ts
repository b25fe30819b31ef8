import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { isStepCount, jsonSchema, streamText, tool } from 'ai';
import type OpenAI from 'openai';
import { aDeployment, Gateway, until } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { anthropic, bedrock, cohere, gemini, type Pretended } from './pretended.ts';

type Request = OpenAI.ChatCompletionCreateParamsNonStreaming;

let upstream: Upstream;
let gateway: Gateway;

before(async () => {
  upstream = await startUpstream();
  const deployments = [anthropic, gemini, bedrock, cohere].flatMap((one) => [
    deploymentOf(one),
    { ...deploymentOf(one, { drop_params: true }), id: `${one.provider}-drops`, name: `${one.provider}-drops` },
  ]);
  const silent = deploymentOf(anthropic, { additional_drop_params: ['temperature'] });
  gateway = await Gateway.start({ deployments: [...deployments, { ...silent, id: 'silent', name: 'silent' }] });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});
beforeEach(() => {
  upstream.requests.length = 0;
  gateway.bookings.length = 0;
});

function deploymentOf({ provider, model, params = {}, secrets = {}, base }: Pretended, more: object = {}) {
  return aDeployment({
    id: provider,
    name: provider,
    provider,
    upstreamModel: model,
    apiBase: upstream.url.replace('/v1', base),
    apiKey: provider === 'bedrock' ? undefined : 'sk-provider-secret-0123456789',
    params: { ...params, ...more },
    secrets,
  });
}

const hi = { role: 'user' as const, content: 'Hi' };

/** What the upstream is asked when a client asks this. */
async function upstreamBody(one: Pretended, request: object) {
  upstream.script({ answer: one.plain });
  const answer = await gateway.send({ model: one.provider, messages: [hi], ...request });
  assert.equal(answer.status, 200, answer.text);
  return upstream.requests.at(-1)?.body ?? {};
}

const refusalOf = async (model: string, request: object) => {
  const answer = await gateway.send({ model, messages: [hi], ...request });
  assert.equal(answer.status, 400, answer.text);
  return answer.json.error;
};

const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'The weather of a place',
    parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
};

/** A conversation in which two tools were called at once. */
const called: Request['messages'] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Weather in Rome and Oslo?' },
  {
    role: 'assistant',
    content: null,
    tool_calls: [
      { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"place":"Rome"}' } },
      { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"place":"Oslo"}' } },
    ],
  },
  { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
  { role: 'tool', tool_call_id: 'call_2', content: 'snow' },
];

describe('a conversation with tools', () => {
  test('reaches Anthropic with both results in one message', async () => {
    const body = await upstreamBody(anthropic, {
      messages: called,
      tools: [weather],
      tool_choice: 'required',
      parallel_tool_calls: false,
    });
    assert.deepEqual(body['system'], [{ type: 'text', text: 'Be brief.' }]);
    assert.deepEqual(body['tool_choice'], { type: 'any', disable_parallel_tool_use: true });
    const [, asked, results] = body['messages'] as { role: string; content: object[] }[];
    assert.deepEqual(asked?.content, [
      { type: 'tool_use', id: 'call_1', name: 'weather', input: { place: 'Rome' } },
      { type: 'tool_use', id: 'call_2', name: 'weather', input: { place: 'Oslo' } },
    ]);
    assert.deepEqual(results, {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'call_1', content: 'sunny' },
        { type: 'tool_result', tool_use_id: 'call_2', content: 'snow' },
      ],
    });
  });

  for (const one of [gemini, bedrock, cohere]) {
    test(`reaches ${one.provider} with calls and results`, async () => {
      const { text } = { text: JSON.stringify(await upstreamBody(one, { messages: called, tools: [weather] })) };
      for (const said of ['Be brief.', 'Rome', 'Oslo', 'sunny', 'snow', 'The weather of a place']) {
        assert.ok(text.includes(said), `${said} in ${text}`);
      }
    });
  }

  test('is answered by calls of tools, whole and in a stream', async () => {
    const content = [
      { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { place: 'Rome' } },
      { type: 'tool_use', id: 'toolu_2', name: 'weather', input: { place: 'Oslo' } },
    ];
    const answer = { ...anthropic.plain, content, stop_reason: 'tool_use' };
    upstream.script({ answer });
    const request = { model: 'anthropic', messages: [hi], tools: [weather] };
    const whole = await gateway.client.chat.completions.create(request);
    const event = (type: string, data: object = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
    const pieces = content.flatMap(({ id, name, input }, index) => {
      const json = JSON.stringify(input).match(/.{1,7}/g) ?? [];
      const deltas = json.map((partial_json) => ({ index, delta: { type: 'input_json_delta', partial_json } }));
      const begun = event('content_block_start', { index, content_block: { type: 'tool_use', id, name, input: {} } });
      const told = deltas.map((delta) => event('content_block_delta', delta));
      return [begun].concat(told, event('content_block_stop', { index }));
    });
    const streamed = [
      event('message_start', { message: { ...answer, content: [], stop_reason: null } }),
      ...pieces,
      event('message_delta', { delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 7 } }),
      event('message_stop'),
    ].join('');
    upstream.script({ answer: streamed, headers: { 'content-type': 'text/event-stream' } });
    const stream = await gateway.client.chat.completions.stream(request).finalChatCompletion();
    for (const { choices } of [whole, stream]) {
      assert.equal(choices[0]?.finish_reason, 'tool_calls');
      assert.deepEqual(
        choices[0].message.tool_calls?.map((call) => call.type === 'function' && [call.id, call.function.arguments]),
        [
          ['toolu_1', '{"place":"Rome"}'],
          ['toolu_2', '{"place":"Oslo"}'],
        ],
      );
    }
  });
});

const schema = {
  type: 'object',
  properties: { name: { type: 'string' } },
  required: ['name'],
  additionalProperties: false,
};
const response_format = { type: 'json_schema', json_schema: { name: 'person', schema } };
const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

test('a JSON schema reaches who has a word for it', async () => {
  const google = (await upstreamBody(gemini, { response_format }))['generationConfig'] as Record<string, unknown>;
  assert.equal(google['responseMimeType'], 'application/json');
  assert.ok(JSON.stringify(google).includes('"name"'));
  const claude = await upstreamBody(anthropic, { response_format });
  assert.ok(JSON.stringify(claude).includes('"additionalProperties":false'), JSON.stringify(claude));
});

test('an image goes to the provider as it came, and its address only to one that fetches it', async () => {
  const image = (url: string) => [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }];
  const [message] = (await upstreamBody(anthropic, { messages: image(`data:image/png;base64,${pixel}`) }))[
    'messages'
  ] as { content: object[] }[];
  assert.deepEqual(message?.content, [
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } },
  ]);
  const [named] = (await upstreamBody(anthropic, { messages: image('https://example.com/a.png') }))['messages'] as {
    content: object[];
  }[];
  assert.deepEqual(named?.content, [{ type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }]);
  upstream.requests.length = 0;
  const { message: why } = await refusalOf('bedrock', { messages: image(upstream.url) });
  assert.match(String(why), /takes no file at such an address/);
  assert.equal(upstream.requests.length, 0);
});

test('an image in the result of a tool goes to who takes it there, and to others is refused', async () => {
  const shown = [
    { type: 'text', text: 'See:' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
  ];
  const messages = [...called.slice(0, 3), { role: 'tool', tool_call_id: 'call_1', content: shown }, called[4]];
  for (const one of [anthropic, gemini, bedrock]) {
    const text = JSON.stringify(await upstreamBody(one, { messages, tools: [weather] }));
    assert.ok(text.includes(pixel) && text.includes('See:'), `${one.provider}: ${text}`);
  }
  const body = await upstreamBody(anthropic, { messages, tools: [weather] });
  const [, , results] = body['messages'] as { content: object[] }[];
  assert.partialDeepStrictEqual(results?.content[0], {
    type: 'tool_result',
    content: [{ text: 'See:' }, { type: 'image', source: { media_type: 'image/png', data: pixel } }],
  });
  assert.match(String((await refusalOf('cohere', { messages, tools: [weather] })).message), /may hold texts alone/);
});

test('what is empty is left out, because providers refuse it', async () => {
  const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } };
  const messages = [
    { role: 'system', content: '' },
    { role: 'user', content: [{ type: 'text', text: '' }, image] },
    { role: 'assistant', content: '' },
    { role: 'user', content: '' },
    { role: 'user', content: 'Well?' },
  ];
  for (const one of [anthropic, gemini, bedrock, cohere]) {
    const text = JSON.stringify(await upstreamBody(one, { messages }));
    assert.doesNotMatch(text, /"text":""|"content":""|"parts":\[\]|"content":\[\]/, one.provider);
    assert.match(text, /Well\?/);
  }
  assert.equal((await refusalOf('anthropic', { messages: [{ role: 'user', content: '' }] })).param, 'messages');
});

test('instructions in the middle of a conversation reach who takes them only before it', async () => {
  const messages = [hi, { role: 'assistant', content: 'Yes?' }, { role: 'developer', content: 'Be brief.' }, hi];
  for (const one of [anthropic, gemini, bedrock]) {
    const body = await upstreamBody(one, { messages });
    assert.match(JSON.stringify(body['system'] ?? body['systemInstruction']), /Be brief/, one.provider);
  }
});

test('a top_p that changes nothing is no reason to refuse a temperature', async () => {
  const body = await upstreamBody(anthropic, { temperature: 0, top_p: 1 });
  assert.deepEqual([body['temperature'], body['top_p']], [0, undefined]);
});

test('thoughts come back to Anthropic with their signatures', async () => {
  upstream.script({ answer: anthropic.plain });
  const first = await gateway.client.chat.completions.create({ model: 'anthropic', messages: [hi] });
  const body = await upstreamBody(anthropic, {
    messages: [hi, first.choices[0]?.message, { role: 'user', content: 'And?' }],
    max_tokens: 3_000,
    thinking: { type: 'enabled', budget_tokens: 2_000 },
  });
  const messages = body['messages'] as { content: object[] }[];
  assert.deepEqual(messages[1]?.content[0], { type: 'thinking', thinking: 'A greeting.', signature: 'c2lnbmVk' });
  assert.deepEqual(body['thinking'], { type: 'enabled', budget_tokens: 2_000 });
  assert.equal(body['max_tokens'], 3_000, 'what was reserved is the most that is written, thoughts included');
});

test('the AI SDK’s own client has its tools run, with thoughts before the call and a signature on it', async () => {
  const provider = createOpenAICompatible({
    name: 'gateway',
    baseURL: `http://127.0.0.1:${gateway.port}/v1`,
    apiKey: 'sk-client',
  });
  const sse = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
  const parts = [
    { text: 'Hm.', thought: true },
    { functionCall: { name: 'weather', args: { place: 'Oslo' } }, thoughtSignature: 'c2ln' },
  ];
  const first = {
    gemini: sse({ candidates: [{ index: 0, content: { role: 'model', parts }, finishReason: 'STOP' }] }),
    anthropic: [
      ...anthropic.events.slice(0, 5),
      sse({
        type: 'content_block_start',
        index: 1,
        content_block: { type: 'tool_use', id: 'a', name: 'weather', input: {} },
      }),
      sse({
        type: 'content_block_delta',
        index: 1,
        delta: { type: 'input_json_delta', partial_json: '{"place":"Oslo"}' },
      }),
      sse({ type: 'content_block_stop', index: 1 }),
      sse({ type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 7 } }),
      anthropic.events.at(-1),
    ].join(''),
  };
  for (const one of [gemini, anthropic] as const) {
    upstream.requests.length = 0;
    upstream.script(() => ({
      answer: upstream.requests.length === 1 ? first[one === gemini ? 'gemini' : 'anthropic'] : one.events.join(''),
      headers: { 'content-type': one.streamType },
    }));
    const faults: unknown[] = [];
    const result = streamText({
      model: provider(one.provider),
      prompt: 'Hi',
      stopWhen: isStepCount(3),
      tools: {
        weather: tool({
          inputSchema: jsonSchema<{ place: string }>({ type: 'object', properties: { place: { type: 'string' } } }),
          execute: ({ place }) => `snow in ${place}`,
        }),
      },
      onError: ({ error }) => void faults.push(error),
    });
    await result.consumeStream();
    assert.deepEqual(faults, [], one.provider);
    assert.equal(await result.text, 'Hello there');
    assert.match(upstream.requests[1]?.text ?? '', /snow in Oslo/);
    if (one === gemini) assert.match(upstream.requests[1]?.text ?? '', /"thoughtSignature":"c2ln"/);
  }
});

test('a model that needs a limit gets the one that was reserved', async () => {
  assert.equal((await upstreamBody(anthropic, {}))['max_tokens'], 4_096);
  assert.equal((await upstreamBody(anthropic, { max_tokens: 12, max_completion_tokens: 20 }))['max_tokens'], 20);
});

test('what stands before a mark is to be cached', async () => {
  const content = [{ type: 'text', text: 'Long.', cache_control: { type: 'ephemeral', ttl: '1h' } }];
  const body = await upstreamBody(anthropic, { messages: [{ role: 'system', content }, hi] });
  assert.deepEqual(body['system'], [{ type: 'text', text: 'Long.', cache_control: { type: 'ephemeral', ttl: '1h' } }]);
});

const refused: readonly [string, object, string][] = [
  ['anthropic', { logit_bias: { '1': 2 } }, 'logit_bias'],
  ['anthropic', { n: 2 }, 'n'],
  ['gemini', { logprobs: true }, 'logprobs'],
  ['anthropic', { seed: 1 }, 'seed'],
  ['anthropic', { presence_penalty: 1 }, 'presence_penalty'],
  ['cohere', { parallel_tool_calls: false, tools: [weather] }, 'parallel_tool_calls'],
  ['bedrock', { web_search_options: {} }, 'web_search_options'],
  ['cohere', { thinking: { type: 'enabled', budget_tokens: 2_000 } }, 'thinking'],
];
for (const [provider, request, name] of refused) {
  test(`${name} is refused by name for ${provider}, or left out and told of`, async () => {
    const { type, param, hint } = await refusalOf(provider, request);
    assert.deepEqual([type, param], ['unsupported_field', name]);
    assert.ok(hint);
    assert.equal(upstream.requests.length, 0);
    const one = [anthropic, gemini, bedrock, cohere].find((each) => each.provider === provider);
    upstream.script({ answer: one?.plain ?? {} });
    const answer = await gateway.send({ model: `${provider}-drops`, messages: [hi], ...request });
    assert.deepEqual([answer.status, answer.headers['x-litellm-dropped-params']], [200, name], answer.text);
    assert.equal(upstream.requests.length, 1);
  });
}

test('what a deployment never passes on is left out and told of', async () => {
  upstream.script({ answer: anthropic.plain });
  const answer = await gateway.send({ model: 'silent', messages: [hi], temperature: 0.5, top_p: 0.5 });
  assert.equal(answer.headers['x-litellm-dropped-params'], 'temperature');
  assert.deepEqual([upstream.requests[0]?.body['temperature'], upstream.requests[0]?.body['top_p']], [undefined, 0.5]);
});

test('an error of the provider keeps its status, its text and when to come again', async () => {
  const error = {
    type: 'error',
    error: { type: 'rate_limit_error', message: 'Slow down, sk-provider-secret-0123456789' },
  };
  upstream.script({ status: 429, headers: { 'retry-after': '7' }, answer: error });
  for (const stream of [false, true]) {
    const answer = await gateway.send({ model: 'anthropic', messages: [hi], stream });
    assert.deepEqual([answer.status, answer.headers['retry-after']], [429, '7']);
    assert.equal(answer.json.error['message'], 'Slow down, [redacted]');
  }
  assert.deepEqual(
    gateway.bookings.map(({ outcomes }) => outcomes[0]?.status),
    ['failure', 'failure'],
  );
});

test('a redirect is not followed', async () => {
  upstream.script({ status: 302, headers: { location: `${upstream.url}/elsewhere` }, answer: {} });
  const answer = await gateway.send({ model: 'gemini', messages: [hi] });
  assert.equal(answer.status, 502);
  assert.equal(upstream.requests.length, 1);
});

test('an answer that is none is an error of the upstream', async () => {
  for (const answer of ['<html>', { hello: 1 }]) {
    upstream.script({ answer });
    const { status, json } = await gateway.send({ model: 'anthropic', messages: [hi] });
    assert.deepEqual([status, json.error['type']], [502, 'upstream_invalid_response']);
  }
});

test('a client that leaves takes its call with it, and pays for what was written', async () => {
  const [start, ...rest] = anthropic.events.slice(0, 7).map(String);
  upstream.script({
    answer: start + rest.join(''),
    headers: { 'content-type': 'text/event-stream', 'content-length': 100_000 },
    silentAfter: (start + rest.join('')).length - 1,
  });
  const response = await gateway.open({ model: 'anthropic', messages: [hi], stream: true });
  response.on('error', () => {});
  response.once('data', () => response.destroy());
  await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true);
  await until('the call is booked', () => gateway.bookings[0]?.outcomes.length === 1);
  assert.equal(gateway.bookings[0]?.outcomes[0]?.status, 'interrupted');
});
