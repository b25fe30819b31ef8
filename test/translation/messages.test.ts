import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Anthropic, { APIError } from '@anthropic-ai/sdk';
import { aDeployment, Gateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream, type UpstreamRecord, type UpstreamScript } from '../proxy/upstream.ts';
import { aCompletion, chunks, finished, stripped } from './messages-parts.ts';
import { pretended, type Pretended } from './pretended.ts';

let upstream: Upstream;
let gateway: Gateway;
before(async () => {
  upstream = await startUpstream();
  gateway = await Gateway.start({
    deployments: [
      aDeployment({ name: 'gpt', upstreamModel: 'gpt-x', apiBase: upstream.url }),
      aDeployment({ id: 'thinker', name: 'thinker', upstreamModel: 'gpt-5-mini', apiBase: upstream.url }),
      aDeployment({ id: 'lax', name: 'lax', apiBase: upstream.url, params: { drop_params: true } }),
      ...pretended.filter(({ provider }) => provider !== 'anthropic').map(deploymentOf),
    ],
  });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const deploymentOf = ({ provider, model, params = {}, secrets = {}, base }: Pretended) =>
  aDeployment({
    id: provider,
    name: provider,
    provider,
    upstreamModel: model,
    apiBase: upstream.url.replace('/v1', base),
    apiKey: provider === 'bedrock' ? undefined : 'sk-provider-secret-0123456789',
    params,
    secrets,
  });

const client = () => new Anthropic({ apiKey: 'sk-client', baseURL: `http://127.0.0.1:${gateway.port}`, maxRetries: 0 });

/** What the upstream answers, and what it was asked. */
function answering(script: UpstreamScript | ((request: UpstreamRecord) => UpstreamScript)): UpstreamRecord[] {
  upstream.script(script);
  upstream.requests.length = 0;
  return upstream.requests;
}

const events = (text: string): UpstreamScript => ({ chunks: text.split(/(?<=\n\n)/) });
const question = { model: 'gpt', max_tokens: 64, messages: [{ role: 'user' as const, content: 'Hi' }] };
const counted = {
  choices: [],
  usage: {
    prompt_tokens: 100,
    completion_tokens: 30,
    prompt_tokens_details: { cached_tokens: 40 },
    completion_tokens_details: { reasoning_tokens: 12 },
  },
};
const usage = () => gateway.bookings.at(-1)?.outcomes[0]?.usage;
const booked = {
  promptTokens: 100,
  completionTokens: 30,
  cacheReadTokens: 40,
  cacheWriteTokens: 0,
  cacheWriteHourTokens: 0,
  reasoningTokens: 12,
  audioInputTokens: 0,
  audioOutputTokens: 0,
  estimated: false,
};

const look = { name: 'look', description: 'Looks', input_schema: { type: 'object' as const, properties: {} } };
const calls = [1, 2].map((id) => ({
  index: id - 1,
  id: `call_${id}`,
  type: 'function',
  function: { name: 'look', arguments: `{"at":${id}}` },
}));

describe('a model of an OpenAI-compatible server', () => {
  test('answers the client of Anthropic, and is booked by what it has counted', async () => {
    const requests = answering({ answer: { ...aCompletion({ content: 'Hello' }), usage: counted.usage } });
    const message = await client().messages.create(question);
    assert.deepEqual(message.content.map(stripped), ['Hello']);
    assert.deepEqual([message.type, message.model, message.stop_reason], ['message', 'gpt-x', 'end_turn']);
    assert.match(message.id, /^msg_/);
    assert.deepEqual(usage(), booked);
    assert.deepEqual(requests[0]?.body, {
      model: 'gpt-x',
      max_tokens: 64,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    assert.equal(requests[0].headers.authorization, 'Bearer sk-provider-secret-0123456789');
    assert.doesNotMatch(requests[0].rawHeaders.join(), /sk-client|anthropic|ai-sdk/i);
  });

  test('streams thoughts, text and calls of tools at once, and gets the answers of the tools', async () => {
    const requests = answering(
      events(
        chunks(
          [{ role: 'assistant' }, { reasoning_content: 'Twice.' }, { content: 'I look' }, { tool_calls: calls }],
          finished('tool_calls'),
          counted,
        ),
      ),
    );
    const ask = { ...question, tools: [look], thinking: { type: 'enabled' as const, budget_tokens: 2_000 } };
    const message = await client().messages.stream(ask).finalMessage();
    assert.deepEqual(message.content.map(stripped), [
      ['Twice.', ''],
      'I look',
      { id: 'call_1', name: 'look', input: { at: 1 } },
      { id: 'call_2', name: 'look', input: { at: 2 } },
    ]);
    assert.equal(message.stop_reason, 'tool_use');
    assert.deepEqual(usage(), booked);
    assert.partialDeepStrictEqual(requests[0]?.body, { stream: true, reasoning_effort: 'low' });

    answering({ answer: aCompletion({ content: 'Seen' }) });
    const results = message.content.flatMap((block) =>
      block.type === 'tool_use'
        ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: `saw ${block.id}` }]
        : [],
    );
    const image = { type: 'base64' as const, media_type: 'image/png' as const, data: 'iVBORw0KGgo=' };
    const next = await client().messages.create({
      ...ask,
      messages: [
        ...question.messages,
        { role: 'assistant', content: message.content },
        { role: 'user', content: [...results, { type: 'image', source: image }] },
      ],
    });
    assert.deepEqual(next.content.map(stripped), ['Seen']);
    assert.deepEqual(requests[0]?.body['messages'], [
      { role: 'user', content: 'Hi' },
      {
        role: 'assistant',
        content: 'I look',
        reasoning_content: 'Twice.',
        tool_calls: calls.map(({ id, type, function: called }) => ({ id, type, function: called })),
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'saw call_1' },
      { role: 'tool', tool_call_id: 'call_2', content: 'saw call_2' },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }] },
    ]);
  });

  test('serves what Claude Code sends', async () => {
    const cached = { cache_control: { type: 'ephemeral' as const } };
    const requests = answering(events(chunks([{ content: 'Done' }], finished('stop'), counted)));
    // The types of the client have no temperature any more; older clients send one.
    const body = {
      ...question,
      stream: true as const,
      system: [
        { type: 'text' as const, text: 'You are a coding agent.' },
        { type: 'text' as const, text: 'Work in /src.', ...cached },
      ],
      messages: [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Fix it', ...cached }] }],
      tools: [{ ...look, ...cached, eager_input_streaming: true }],
      metadata: { user_id: 'user_1_session_2' },
      temperature: 1,
      thinking: { type: 'adaptive' as const },
      output_config: { effort: 'medium' as const },
      context_management: { edits: [{ type: 'clear_thinking_20251015' as const, keep: 'all' as const }] },
      betas: ['claude-code-20250219', 'interleaved-thinking-2025-05-14', 'context-management-2025-06-27'],
    };
    const data = await client().beta.messages.create(body);
    const types = (await Array.fromAsync(data)).map(({ type }) => type);
    assert.deepEqual(types.slice(-2), ['message_delta', 'message_stop']);
    assert.partialDeepStrictEqual(requests[0]?.body, { temperature: 1, reasoning_effort: 'medium' });
    assert.doesNotMatch(String(requests[0]?.text), /cache_control|session_2|context_management|eager/);
    assert.equal(gateway.bookings.at(-1)?.start.endUser, 'user_1_session_2');
  });

  test('is given the address of a picture, and the limit under the name that it takes', async () => {
    const requests = answering({ answer: aCompletion({ content: 'A cat' }) });
    const source = { type: 'url' as const, url: 'https://pictures.test/cat.png' };
    const messages = [{ role: 'user' as const, content: [{ type: 'image' as const, source }] }];
    await client().messages.create({ ...question, model: 'thinker', messages });
    assert.deepEqual(requests[0]?.body, {
      model: 'gpt-5-mini',
      max_completion_tokens: 64,
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: source.url } }] }],
    });
  });

  test('has the tokens of a message counted by the gateway, for nothing', async () => {
    const requests = answering({});
    const ask = { model: 'gpt', messages: [{ role: 'user' as const, content: 'one two three four five' }] };
    const { input_tokens: few } = await client().messages.countTokens(ask);
    const { input_tokens: more } = await client().messages.countTokens({ ...ask, system: 'six seven', tools: [look] });
    assert.ok(few >= 5 && few < 20, String(few));
    assert.ok(more > few + 10, String(more));
    assert.deepEqual([requests.length, usage()], [0, undefined]);
    await assert.rejects(client().messages.countTokens({ ...ask, messages: [] }), { status: 400 });
  });

  test('is refused what it cannot be told, before it is asked, or goes without where that is allowed', async () => {
    const requests = answering({ answer: aCompletion({ content: 'Hi' }) });
    const tools = [{ type: 'web_search_20250305' as const, name: 'web_search' as const }];
    await assert.rejects(client().messages.create({ ...question, tools }), (error) => {
      assert.ok(error instanceof APIError);
      assert.deepEqual([error.status, error.type], [400, 'invalid_request_error']);
      assert.match(error.message, /tools\.0 \(web_search_20250305\) cannot be expressed/);
      return true;
    });
    assert.equal(requests.length, 0);
    const lax = { ...question, model: 'lax', tools, top_k: 3 };
    const { response } = await client().messages.create(lax).withResponse();
    assert.equal(response.headers.get('x-litellm-dropped-params'), 'tools.0, top_k');
  });

  test('fails in words that the client of Anthropic knows', async () => {
    const failures = [
      { status: 400, type: 'invalid_request_error' },
      { status: 429, type: 'rate_limit_error' },
      { status: 500, type: 'api_error' },
    ];
    for (const { status, type } of failures) {
      answering({ status, answer: { error: { message: 'Not now', type: 'odd', code: null } } });
      for (const stream of [false, true]) {
        await assert.rejects(client().messages.create({ ...question, stream }), (error) => {
          assert.ok(error instanceof APIError);
          assert.deepEqual([error.status, error.type], [status, type]);
          assert.match(error.message, /Not now/);
          return true;
        });
      }
    }
  });

  test('breaks off without an end, and is booked all the same', async () => {
    const whole = chunks([{ content: 'Hello' }, { tool_calls: calls }], finished('tool_calls'), counted);
    const pieces = whole.split(/(?<=\n\n)/);
    for (const length of [1, 2]) {
      answering({ chunks: pieces.slice(0, length) });
      const response = await gateway.send({ ...question, stream: true }, { path: '/v1/messages' });
      assert.match(response.text, /event: error\n/);
      assert.doesNotMatch(response.text, /message_stop|stop_reason":"/);
      assert.partialDeepStrictEqual(usage(), { estimated: true });
      assert.ok(Number(usage()?.promptTokens) > 0);
    }
    answering({ chunks: [pieces[0] ?? '', 'data: {"error":{"message":"Out of order","type":"server_error"}}\n\n'] });
    await assert.rejects(client().messages.stream(question).finalMessage(), /Out of order|failed/);
  });

  test('that refuses is heard to, whole and in a stream', async () => {
    const check = ({ content, stop_reason: reason }: Anthropic.Message) =>
      assert.deepEqual([content.map(stripped), reason], [['I cannot.'], 'refusal']);
    answering({ answer: aCompletion({ content: null, refusal: 'I cannot.' }) });
    check(await client().messages.create(question));
    answering(events(chunks([{ content: '' }, { refusal: 'I ' }, { refusal: 'cannot.' }], finished('stop'), counted)));
    check(await client().messages.stream(question).finalMessage());
    assert.deepEqual(usage(), booked);
  });

  test('has its tools run by the official client, which goes without a thread', async () => {
    let turn = 0;
    const requests = answering(() => {
      turn += 1;
      return events(
        turn === 1
          ? chunks([{ tool_calls: calls }], finished('tool_calls'), counted)
          : chunks([{ content: 'Seen' }], finished('stop'), counted),
      );
    });
    const seen: unknown[] = [];
    const run = (input: unknown) => {
      seen.push(input);
      return Promise.resolve('a wall');
    };
    const tool = { ...look, run, parse: (input: unknown) => input };
    const runner = client().beta.messages.toolRunner({ ...question, stream: true, tools: [tool] });
    const { content, stop_reason: reason } = await runner.runUntilDone();
    assert.deepEqual([content.map((block) => block.type === 'text' && block.text), reason], [['Seen'], 'end_turn']);
    assert.deepEqual(seen, [{ at: 1 }, { at: 2 }]);
    assert.equal(requests.length, 2);
    assert.match(requests[1]?.text ?? '', /"tool_call_id":"call_1","content":"a wall"/);
  });

  test('that counts no tokens has them counted here', async () => {
    answering(events(chunks([{ content: 'Hello there' }], finished('stop'))));
    await client().messages.stream(question).finalMessage();
    assert.partialDeepStrictEqual(usage(), { estimated: true });
    assert.ok(Number(usage()?.promptTokens) > 0 && Number(usage()?.completionTokens) > 0);
  });
});

for (const one of pretended.filter(({ provider }) => provider !== 'anthropic')) {
  test(`a message of ${one.provider} is answered whole and streamed, and booked as its provider counts`, async () => {
    const ask = { ...question, model: one.provider };
    const signed = one.provider === 'bedrock' ? 'c2lnbmVk' : '';
    const writes = one.provider === 'bedrock';
    const check = ({ content, stop_reason: reason, usage: told }: Anthropic.Message) => {
      assert.deepEqual(content.map(stripped), [['A greeting.', signed], 'Hello there']);
      const input = told.input_tokens + (told.cache_read_input_tokens ?? 0) + (told.cache_creation_input_tokens ?? 0);
      assert.deepEqual([reason, input, told.output_tokens], ['end_turn', 45, 7]);
      assert.deepEqual(usage(), {
        ...booked,
        promptTokens: 45,
        completionTokens: 7,
        cacheReadTokens: one.provider === 'cohere' ? 0 : 5,
        cacheWriteTokens: writes ? 30 : 0,
        cacheWriteHourTokens: writes ? 10 : 0,
        reasoningTokens: one.provider === 'gemini' ? 3 : 0,
      });
    };
    answering({ answer: one.plain });
    check(await client().messages.create(ask));
    const whole = Buffer.concat(one.events.map((event) => Buffer.from(event as string)));
    answering({ answer: whole, headers: { 'content-type': one.streamType } });
    check(await client().messages.stream(ask).finalMessage());
  });
}
