import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import type { Usage } from '../../src/metering/usage.ts';
import { type Answer, aDeployment, eventsOf, Gateway, until } from '../proxy/gateway.ts';
import { startUpstream, type Upstream, type UpstreamScript } from '../proxy/upstream.ts';
import { anthropic, bedrock, cohere, frame, gemini, pretended, type Pretended } from './pretended.ts';

const hi = { model: 'it', messages: [{ role: 'user' as const, content: 'Hi' }] };

let upstream: Upstream;
before(async () => {
  upstream = await startUpstream();
});
after(() => upstream[Symbol.asyncDispose]());

const deploymentOf = ({ provider, model, params = {}, secrets = {}, base }: Pretended, more: object = {}) =>
  aDeployment({
    name: 'it',
    provider,
    upstreamModel: model,
    apiBase: upstream.url.replace('/v1', base),
    apiKey: provider === 'bedrock' ? undefined : 'sk-provider-secret-0123456789',
    params: { ...params, ...more },
    secrets,
  });

const plainScript = ({ plain }: Pretended): UpstreamScript => ({ answer: plain });
const streamScript = ({ events, streamType }: Pretended, count = events.length): UpstreamScript => ({
  answer: Buffer.concat(events.slice(0, count).map((event) => Buffer.from(event as string))),
  headers: { 'content-type': streamType },
});

const deltasOf = ({ text }: Answer) =>
  eventsOf(text)
    .filter((data) => data !== '[DONE]')
    .map((data) => JSON.parse(data) as { choices: { delta: Record<string, string>; finish_reason: string | null }[] });

/** Of the four recordings, each as far as its provider counts. */
function checkUsage(usage: Usage | undefined, { provider }: Pretended): void {
  const cached = provider === 'cohere' ? 0 : 5;
  const writes = provider === 'anthropic' || provider === 'bedrock';
  assert.deepEqual(usage, {
    promptTokens: 45,
    completionTokens: 7,
    cacheReadTokens: cached,
    cacheWriteTokens: writes ? 30 : 0,
    ...(writes && { cacheWriteHourTokens: 10 }),
    reasoningTokens: provider === 'gemini' ? 3 : 0,
    audioInputTokens: 0,
    audioOutputTokens: 0,
    estimated: false,
  });
}

for (const one of pretended) {
  describe(`a chat completion of ${one.provider}`, () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await Gateway.start({ deployments: [deploymentOf(one)] });
    });
    after(() => gateway[Symbol.asyncDispose]());

    test('is answered as OpenAI answers, and booked as its provider counts', async () => {
      upstream.script(plainScript(one));
      upstream.requests.length = 0;
      const { choices, model } = await gateway.client.chat.completions.create(hi);
      assert.equal(choices[0]?.message.content, 'Hello there');
      assert.equal(choices[0].finish_reason, 'stop');
      assert.equal((choices[0].message as { reasoning_content?: string }).reasoning_content, 'A greeting.');
      assert.equal(model, one.model);
      checkUsage(gateway.bookings.at(-1)?.outcomes[0]?.usage, one);
      const [request] = upstream.requests;
      assert.equal(request?.path, one.path.plain);
      const [header, value] = one.credential;
      assert.match(String(request.headers[header]), value);
      assert.equal(request.headers['user-agent'], 'gatewayctl/1.2.3');
      assert.doesNotMatch(request.rawHeaders.join(), /sk-client|ai-sdk/);
    });

    test('is streamed, with its usage last', async () => {
      upstream.script(streamScript(one));
      upstream.requests.length = 0;
      const answer = await gateway.send({ ...hi, stream: true, stream_options: { include_usage: true } });
      const chunks = deltasOf(answer);
      const told = (name: string) => chunks.map(({ choices: [choice] }) => choice?.delta[name] ?? '').join('');
      assert.equal(told('content'), 'Hello there');
      assert.equal(told('reasoning_content'), 'A greeting.');
      assert.equal(told('role'), 'assistant');
      assert.deepEqual(chunks.map(({ choices: [choice] }) => choice?.finish_reason).filter(Boolean), ['stop']);
      assert.equal(eventsOf(answer.text).at(-1), '[DONE]');
      assert.equal(upstream.requests[0]?.path, one.path.stream);
      checkUsage(gateway.bookings.at(-1)?.outcomes[0]?.usage, one);
    });

    test('is never told as finished where its provider did not finish', async () => {
      for (let count = 0; count < one.events.length - (one.provider === 'bedrock' ? 1 : 0); count++) {
        upstream.script(streamScript(one, count));
        const answer = await gateway.send({ ...hi, stream: true });
        const isBare = answer.status !== 200;
        assert.ok(isBare || answer.text.includes('upstream_'), `cut after ${count}: ${answer.text}`);
        assert.doesNotMatch(answer.text, /"finish_reason":"/, `cut after ${count}`);
        assert.equal(gateway.bookings.at(-1)?.outcomes.length, 1);
      }
    });
  });
}

test('pictures that a model of Google draws are passed on, and booked as such', async () => {
  await using gateway = await Gateway.start({ deployments: [deploymentOf(gemini)] });
  const drawn = {
    candidates: [
      {
        content: {
          role: 'model',
          parts: [{ text: 'Here' }, { inlineData: { mimeType: 'image/png', data: 'iVBORw0=' } }],
        },
        finishReason: 'STOP',
        index: 0,
      },
    ],
    usageMetadata: {
      promptTokenCount: 10,
      candidatesTokenCount: 1_291,
      totalTokenCount: 1_301,
      candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 1_290 }],
    },
  };
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0=' }, index: 0 };
  const tokens = { promptTokens: 10, completionTokens: 1_291, imageOutputTokens: 1_290, estimated: false };

  upstream.script({ answer: drawn });
  const plain = await gateway.send(hi);
  assert.partialDeepStrictEqual(plain.json, { choices: [{ message: { content: 'Here', images: [image] } }] });
  upstream.script({
    answer: `data: ${JSON.stringify(drawn)}\n\n`,
    headers: { 'content-type': 'text/event-stream' },
  });
  const streamed = deltasOf(await gateway.send({ ...hi, stream: true }));
  assert.deepEqual(streamed.map(({ choices: [choice] }) => choice?.delta['images']).filter(Boolean), [[image]]);
  for (const { outcomes } of gateway.bookings) assert.partialDeepStrictEqual(outcomes[0]?.usage, tokens);
  upstream.script({ answer: drawn });
  const untold = await gateway.send({ ...hi, max_tokens: 2_000 }, { path: '/v1/messages' });
  assert.equal(untold.status, 502, untold.text);
  assert.equal(gateway.bookings.length, 3);
  upstream.script({
    answer: `data: ${JSON.stringify(drawn)}\n\n`,
    headers: { 'content-type': 'text/event-stream' },
  });
  const streamedInVain = await gateway.send({ ...hi, max_tokens: 2_000, stream: true }, { path: '/v1/messages' });
  assert.match(streamedInVain.text, /cannot tell/);
  assert.equal(gateway.bookings.length, 4, 'who has been asked once gives no other answer');
  for (const { outcomes } of gateway.bookings.slice(2)) {
    assert.equal(outcomes[0]?.status, 'interrupted', 'it is paid for though nobody was told');
    assert.partialDeepStrictEqual(outcomes[0].usage, tokens);
  }
});

/** What providers say of an answer that has no end of its own, and what clients of both protocols are told. */
const endings = [
  [gemini, 'MALFORMED_FUNCTION_CALL', 'fails'],
  [gemini, 'UNEXPECTED_TOOL_CALL', 'fails'],
  [gemini, 'OTHER', 'content_filter', 'refusal'],
  [cohere, 'ERROR', 'fails'],
  [cohere, 'TIMEOUT', 'fails'],
  [bedrock, 'malformed_model_output', 'fails'],
  [bedrock, 'model_context_window_exceeded', 'length', 'model_context_window_exceeded'],
] as const;
for (const [one, raw, chat, message] of endings) {
  test(`${raw} of ${one.provider} is never told as a stop`, async () => {
    await using gateway = await Gateway.start({ deployments: [deploymentOf(one)] });
    const text = JSON.stringify(one.plain).replace(/"(?:STOP|COMPLETE|end_turn)"/, JSON.stringify(raw));
    const stream = Buffer.concat(one.events.map((event) => Buffer.from(event as string)))
      .toString('latin1')
      .replace(/"(?:STOP|COMPLETE)"/, JSON.stringify(raw));
    // Frames have a checksum: those of Bedrock are left as they are.
    const isFramed = one.provider === 'bedrock';
    for (const path of ['/v1/chat/completions', '/v1/messages']) {
      const expected = path === '/v1/messages' ? message : chat;
      for (const isStream of isFramed ? [false] : [false, true]) {
        upstream.script(
          isStream
            ? { answer: Buffer.from(stream, 'latin1'), headers: { 'content-type': one.streamType } }
            : { answer: JSON.parse(text) as object },
        );
        const answer = await gateway.send({ ...hi, max_tokens: 2_000, stream: isStream }, { path });
        const told = /"(?:finish|stop)_reason":"(\w+)"/.exec(answer.text)?.[1] ?? 'fails';
        assert.equal(told, expected ?? 'fails', `${path} ${isStream}: ${answer.text}`);
        const { usage } = gateway.bookings.at(-1)?.outcomes[0] ?? {};
        assert.partialDeepStrictEqual(usage, { promptTokens: 45, completionTokens: 7, estimated: false });
      }
    }
  });
}

test('a whole answer of Google that does not say that the model has stopped is not one', async () => {
  await using gateway = await Gateway.start({ deployments: [deploymentOf(gemini)] });
  upstream.script({ answer: JSON.parse(JSON.stringify(gemini.plain).replace(',"finishReason":"STOP"', '')) as object });
  const answer = await gateway.send(hi);
  assert.equal(answer.status, 502, answer.text);
  assert.partialDeepStrictEqual(gateway.outcome, { status: 'interrupted', usage: { completionTokens: 7 } });
});

describe('of an answer that came to nothing here', () => {
  /** What the provider counts before the model begins. */
  const input = { promptTokens: 45, cacheReadTokens: 5, cacheWriteTokens: 30, cacheWriteHourTokens: 10 };
  const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
  const error = `event: error\ndata: ${JSON.stringify(overloaded)}\n\n`;
  const start = String(anthropic.events[0]);
  const events = { 'content-type': 'text/event-stream' };
  const unreadable = { ...anthropic.plain, content: [{ type: 'text', text: 5 }] };

  for (const [what, script, usage] of [
    ['that cannot be read, all is booked', { answer: unreadable }, { ...input, completionTokens: 7, estimated: false }],
    [
      'that was cut behind its first event, the prompt is booked as it was counted',
      { answer: `${start}data: {`, headers: events, cutAfter: start.length },
      { ...input, completionTokens: 1, estimated: false },
    ],
    [
      'that failed behind its first event, the same',
      { answer: start + error, headers: events },
      { ...input, completionTokens: 1, estimated: false },
    ],
    [
      'that was cut in its first event, the prompt is booked as it was estimated',
      { answer: start, headers: events, cutAfter: 40 },
      { completionTokens: 0, estimated: true },
    ],
    ['that says first that it failed, nothing is booked', { answer: error, headers: events }, undefined],
  ] as const) {
    test(what, async () => {
      await using gateway = await Gateway.start({ deployments: [deploymentOf(anthropic)] });
      upstream.script(script);
      const answer = await gateway.send({ ...hi, stream: 'headers' in script });
      assert.ok(answer.status >= 500, `${answer.status} ${answer.text}`);
      const { status, usage: booked } = gateway.outcome;
      assert.equal(status, usage ? 'interrupted' : 'failure');
      if (usage) assert.partialDeepStrictEqual(booked, usage);
      else assert.equal(booked, undefined);
    });
  }

  test('in whose place the provider refuses the call, nothing is told or booked in either protocol', async () => {
    const headers = { 'content-type': bedrock.streamType };
    upstream.script({ answer: frame('throttlingException', { message: 'Too many requests' }, 'exception'), headers });
    for (const path of ['/v1/chat/completions', '/v1/messages']) {
      await using gateway = await Gateway.start({ deployments: [deploymentOf(bedrock)] });
      const answer = await gateway.send({ ...hi, max_tokens: 100, stream: true }, { path });
      assert.equal(answer.status, 502, answer.text);
      assert.partialDeepStrictEqual(gateway.outcome, { status: 'failure', usage: undefined });
    }
  });

  test('because Google failed in the middle of it, its words are told', async () => {
    await using gateway = await Gateway.start({ deployments: [deploymentOf(gemini)] });
    const overload = `data: ${JSON.stringify({ error: { code: 503, message: 'We are full', status: 'UNAVAILABLE' } })}\n\n`;
    upstream.script({ answer: overload, headers: events });
    const refused = await gateway.send({ ...hi, stream: true });
    assert.equal(refused.status, 502);
    assert.match(refused.text, /We are full/);
    upstream.script({ answer: gemini.events.slice(0, 2).join('') + overload, headers: events });
    assert.match((await gateway.send({ ...hi, stream: true })).text, /interrupted. We are full/);
    const statuses = gateway.bookings.map(({ outcomes }) => outcomes[0]?.status);
    assert.deepEqual(statuses, ['failure', 'interrupted']);
  });

  test('because its client left, the prompt is booked as it was counted', async () => {
    await using gateway = await Gateway.start({ deployments: [deploymentOf(anthropic)] });
    const whole = anthropic.events.slice(0, 7).join('');
    upstream.script({ answer: `${whole}: not sent`, headers: events, silentAfter: whole.length });
    const response = await gateway.open({ ...hi, stream: true });
    await once(response, 'data');
    gateway.hangUp();
    await until('it is booked', () => gateway.bookings[0]?.outcomes.length === 1);
    assert.partialDeepStrictEqual(gateway.outcome, { status: 'interrupted', usage: input });
  });
});
