import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Usage } from '../../src/metering/usage.ts';
import { type Answer, aDeployment, eventsOf, Gateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream, type UpstreamScript } from '../proxy/upstream.ts';
import { anthropic, gemini, pretended, type Pretended } from './pretended.ts';

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
  assert.equal(gateway.bookings[2]?.outcomes[0]?.status, 'interrupted', 'it is paid for though nobody was told');
});

test('an answer that cannot be read is booked as paid for', async () => {
  await using gateway = await Gateway.start({ deployments: [deploymentOf(anthropic)] });
  upstream.script({ answer: { ...anthropic.plain, content: [{ type: 'text', text: 5 }] } });
  assert.equal((await gateway.send(hi)).status, 502);
  assert.equal(gateway.outcome.status, 'interrupted');
});
