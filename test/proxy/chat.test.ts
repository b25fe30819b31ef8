import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayError } from '../../src/kernel/errors.ts';
import { Gateway, aDeployment, aPrincipal, eventsOf, hello } from './gateway.ts';
import { aCompletion, aStream, startUpstream } from './upstream.ts';

const through = (url: string) => ({ deployments: [aDeployment({ apiBase: url })] });

test('a completion is passed on byte for byte, with its cost in the headers', async () => {
  const answer = JSON.stringify(aCompletion('Grüße 🎈'), null, 3);
  await using upstream = await startUpstream({
    answer,
    headers: { 'x-request-id': 'req_1', 'x-ratelimit-limit-requests': '500' },
  });
  await using gateway = await Gateway.start(through(upstream.url));

  const { status, headers, text } = await gateway.send(hello);

  assert.equal(status, 200);
  assert.equal(text, answer);
  assert.match(
    headers['x-litellm-call-id'] as string,
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.equal(headers['x-litellm-call-id'], gateway.bookings[0]?.start.requestId);
  assert.equal(headers['x-request-id'], headers['x-litellm-call-id']);
  assert.equal(headers['x-litellm-model-id'], 'deployment-1');
  assert.equal(headers['x-litellm-model-group'], 'gpt-4o');
  assert.equal(headers['x-litellm-response-cost'], '0.0015');
  assert.equal(headers['x-litellm-key-spend'], '2.5');
  assert.equal(headers['x-litellm-version'], '1.2.3');
  assert.equal(headers['llm_provider-x-request-id'], 'req_1');
  assert.equal(headers['x-ratelimit-limit-requests'], '500');
});

test('a completion is booked with what the upstream reported', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  await gateway.send({ ...hello, user: 'anna', max_tokens: 10, n: 2, metadata: { tags: ['a', 'b'] } });

  const [{ start }] = gateway.bookings as [(typeof gateway.bookings)[0]];
  assert.equal(start.model, 'gpt-4o');
  assert.equal(start.upstreamModel, 'gpt-4o-2024-08-06');
  assert.equal(start.principal, aPrincipal);
  assert.equal(start.stream, false);
  assert.equal(start.endUser, 'anna');
  assert.deepEqual([start.maxCompletionTokens, start.answers], [10, 2]);
  assert.deepEqual(start.charge.tags, ['a', 'b']);
  assert.ok(start.promptTokens > 9);
  assert.equal(gateway.outcome.status, 'success');
  assert.equal(gateway.outcome.httpStatus, 200);
  assert.ok(gateway.outcome.firstByteAt);
  assert.deepEqual(gateway.outcome.usage, {
    promptTokens: 9,
    completionTokens: 3,
    cacheReadTokens: 4,
    cacheWriteTokens: 0,
    reasoningTokens: 1,
    audioInputTokens: 0,
    audioOutputTokens: 0,
    estimated: false,
  });
});

test('the official client reads a completion, a stream and a list of models', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  const { client } = gateway;

  const completion = await client.chat.completions.create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Hi' }],
  });
  assert.equal(completion.choices[0]?.message.content, 'Hello there');

  let text = '';
  const stream = await client.chat.completions.create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Hi' }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, 'Hello there friend');
  assert.equal(usage?.total_tokens, 12);

  const models = await client.models.list();
  assert.deepEqual(
    models.data.map(({ id }) => id),
    ['gpt-4o'],
  );
});

test('a stream is passed on without the usage chunk its client did not ask for, and booked by it', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  const { status, headers, text } = await gateway.send({ ...hello, stream: true });

  assert.equal(status, 200);
  assert.match(headers['content-type'] ?? '', /^text\/event-stream/);
  assert.equal(
    text,
    aStream('Hello there friend')
      .filter((event) => !event.includes('"choices":[]'))
      .join(''),
  );
  assert.deepEqual(upstream.requests[0]?.body['stream_options'], { include_usage: true });
  assert.equal(gateway.outcome.status, 'success');
  assert.equal(gateway.outcome.usage?.completionTokens, 3);
  assert.equal(gateway.outcome.usage?.estimated, false);
  assert.ok(headers['x-litellm-call-id']);
  assert.equal(headers['x-litellm-model-id'], 'deployment-1');
});

test('a stream is passed on whole when its client asked for the usage', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  const { text } = await gateway.send({ ...hello, stream: true, stream_options: { include_usage: true, extra: 1 } });

  assert.equal(text, aStream('Hello there friend').join(''));
  assert.deepEqual(upstream.requests[0]?.body['stream_options'], { include_usage: true, extra: 1 });
});

test('the end of a stream is held back until the call is settled', async () => {
  await using upstream = await startUpstream();
  const counted = Promise.withResolvers<number>();
  const counter = { promptTokens: () => 7, completionTokens: () => counted.promise };
  await using gateway = await Gateway.start({ ...through(upstream.url), counter });
  upstream.script({ usage: null });

  const response = await gateway.open({ ...hello, stream: true });
  let text = '';
  response.on('data', (chunk: Buffer) => (text += chunk.toString()));
  while (!text.includes('"finish_reason":"stop"')) await new Promise((resolve) => response.once('data', resolve));
  assert.equal(text.includes('[DONE]'), false);
  assert.equal(gateway.bookings[0]?.outcomes.length, 0);

  counted.resolve(5);
  await new Promise((resolve) => response.on('end', resolve));
  assert.equal(eventsOf(text).at(-1), '[DONE]');
  const { usage } = gateway.outcome;
  assert.deepEqual([usage?.promptTokens, usage?.completionTokens, usage?.estimated], [7, 5, true]);
});

test('a stream that ends with a finish but without [DONE] is not given one', async () => {
  await using upstream = await startUpstream({ done: false });
  await using gateway = await Gateway.start(through(upstream.url));
  const { text, complete } = await gateway.send({ ...hello, stream: true });
  assert.equal(complete, true);
  assert.equal(text.includes('[DONE]'), false);
  assert.equal(gateway.outcome.status, 'success');
});

test('unknown fields, long numbers and odd spacing reach the upstream as they were sent', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  const sent =
    '{ "seed":12345678901234567890, "model" : "gpt-4o" ,"t":1.0, "messages":[{"role":"user","content":"a \\"model\\":\\"x\\" b"}],"vendor":{"model":"inner"}}';
  await gateway.send(sent);
  assert.equal(upstream.requests[0]?.text, sent.replace(' "gpt-4o" ', '"gpt-4o-2024-08-06"'));
});

for (const [what, body] of [
  ['twice', '{"model":"secret","model":"gpt-4o","messages":[]}'],
  ['with escapes', '{"mod\\u0065l":"gpt-4o","messages":[{"model":"inner"}]}'],
  ['twice, once with escapes', '{"model":"secret","mod\\u0065l":"gpt-4o","messages":[]}'],
] as const) {
  test(`a body that names its model ${what} reaches the upstream with one model, ours`, async () => {
    await using upstream = await startUpstream();
    await using gateway = await Gateway.start(through(upstream.url));
    assert.equal((await gateway.send(body)).status, 200);
    assert.equal(upstream.requests[0]?.body['model'], 'gpt-4o-2024-08-06');
    assert.equal(upstream.requests[0]?.text.includes('secret'), false);
  });
}

test('tags are for the books and do not reach the upstream', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  await gateway.send({ ...hello, tags: ['x'], metadata: { tags: ['y'], purpose: 'test' } });
  assert.deepEqual(gateway.bookings[0]?.start.charge.tags, ['x', 'y']);
  assert.deepEqual(upstream.requests[0]?.body['metadata'], { purpose: 'test' });
  assert.equal('tags' in (upstream.requests[0]?.body ?? {}), false);
});

test('a model in the path wins over the body', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  for (const path of ['/openai/deployments/gpt-4o/chat/completions', '/engines/gpt-4o/chat/completions']) {
    assert.equal((await gateway.send({ messages: [] }, { path })).status, 200);
    assert.equal((await gateway.send({ model: 'other', messages: [] }, { path })).status, 200);
  }
  assert.equal((await gateway.send({}, { path: '/engines/gpt-4o/chat/completions' })).status, 200);
  assert.equal(upstream.requests.at(-1)?.text, '{"model":"gpt-4o-2024-08-06"}');
  assert.ok(upstream.requests.every(({ body }) => body['model'] === 'gpt-4o-2024-08-06'));
});

test('missing, negative, absurd and zero usage are each booked as something sane', async () => {
  await using upstream = await startUpstream();
  const usages = [
    [null, undefined],
    [{ prompt_tokens: -5, completion_tokens: 3 }, 0],
    [{ prompt_tokens: 1e15, completion_tokens: 3 }, 1_000_000_000],
    [{ prompt_tokens: 0, completion_tokens: 0 }, 0],
  ] as const;
  for (const [usage, promptTokens] of usages) {
    await using gateway = await Gateway.start(through(upstream.url));
    upstream.script({ usage });
    assert.equal((await gateway.send(hello)).status, 200);
    const booked = gateway.outcome.usage!;
    assert.equal(booked.estimated, usage === null || usage.completion_tokens > 0);
    assert.equal(booked.promptTokens, promptTokens ?? gateway.bookings[0]!.start.promptTokens);
    if (usage === null) assert.ok(booked.completionTokens > 0);
  }
});

test('whoever is turned away is answered before the body is read, and is not booked', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({
    ...through(upstream.url),
    authenticate: async () => {
      throw new GatewayError('unauthenticated', 'invalid_api_key', 'No such key');
    },
  });
  const { status, json, headers } = await gateway.send('this is not JSON');
  assert.equal(status, 401);
  assert.equal(json.error['type'], 'invalid_api_key');
  assert.equal(json.error['code'], '401');
  assert.ok(headers['x-litellm-call-id']);
  assert.equal(gateway.bookings.length, 0);
  assert.equal(upstream.requests.length, 0);
});

test('a reservation that does not fit is answered with its own status and headers, and nothing is sent', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({
    ...through(upstream.url),
    metering: {
      prepare: async () => {},
      cover: () => undefined,
      begin: () => {
        throw new GatewayError('limited', 'budget_exceeded', 'Budget has been exceeded!', {
          headers: { 'x-should-retry': 'false' },
        });
      },
    },
  });
  const { status, headers, json } = await gateway.send(hello);
  assert.deepEqual([status, headers['x-should-retry'], json.error['type']], [429, 'false', 'budget_exceeded']);
  assert.equal(upstream.requests.length, 0);
});

test('a call id of the client is not taken for ours', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  const { headers } = await gateway.send(hello, { headers: { 'x-litellm-call-id': 'mine' } });
  assert.notEqual(headers['x-litellm-call-id'], 'mine');
  assert.equal(upstream.requests[0]?.headers['x-request-id'], headers['x-litellm-call-id']);
});
