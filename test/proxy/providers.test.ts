import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Gateway, aDeployment, hello } from './gateway.ts';
import { startUpstream } from './upstream.ts';

const embedded = { data: [{ embedding: [1] }], usage: { prompt_tokens: 1 } };
const ranked = { results: [], meta: { billed_units: { search_units: 1 } } };
const input = { model: 'gpt-4o', input: 'x' };
const question = { model: 'gpt-4o', query: 'x', documents: ['y'] };

interface Case {
  readonly title: string;
  readonly provider: string;
  /** Of the upstream's address, behind its host. */
  readonly base: string;
  readonly params?: Record<string, unknown>;
  readonly path: string;
  readonly body: object;
  readonly answer?: object;
  readonly expected: string;
  readonly header?: string;
}

const version = '/openai/deployments/gpt-4o-2024-08-06';

const cases: readonly Case[] = [
  {
    title: 'azure, below its deployment',
    provider: 'azure',
    base: '',
    path: '/v1/chat/completions',
    body: hello,
    expected: `${version}/chat/completions?api-version=2024-10-21`,
    header: 'api-key',
  },
  {
    title: 'azure, in another version',
    provider: 'azure',
    base: '',
    params: { api_version: '2025-03-01' },
    path: '/v1/embeddings',
    body: input,
    answer: embedded,
    expected: `${version}/embeddings?api-version=2025-03-01`,
    header: 'api-key',
  },
  {
    title: 'azure, whose address has the deployment',
    provider: 'azure',
    base: '/openai/deployments/east',
    path: '/v1/chat/completions',
    body: hello,
    expected: '/openai/deployments/east/chat/completions?api-version=2024-10-21',
    header: 'api-key',
  },
  {
    title: 'azure, whose address has a version',
    provider: 'azure',
    base: '?api-version=preview',
    path: '/v1/chat/completions',
    body: hello,
    expected: `${version}/chat/completions?api-version=preview`,
    header: 'api-key',
  },
  {
    title: 'azure, without versions',
    provider: 'azure',
    base: '/openai/v1',
    path: '/v1/chat/completions',
    body: hello,
    expected: '/openai/v1/chat/completions',
    header: 'api-key',
  },
  {
    title: 'groq',
    provider: 'groq',
    base: '/openai/v1',
    path: '/v1/chat/completions',
    body: hello,
    expected: '/openai/v1/chat/completions',
  },
  {
    title: 'ollama',
    provider: 'ollama',
    base: '',
    path: '/v1/embeddings',
    body: input,
    answer: embedded,
    expected: '/v1/embeddings',
  },
  {
    title: 'ollama, at its OpenAI address',
    provider: 'ollama',
    base: '/v1',
    path: '/v1/chat/completions',
    body: hello,
    expected: '/v1/chat/completions',
  },
  {
    title: 'cohere, for documents',
    provider: 'cohere',
    base: '',
    path: '/rerank',
    body: question,
    answer: ranked,
    expected: '/v2/rerank',
  },
  {
    title: 'gemini, for embeddings',
    provider: 'gemini',
    base: '/v1beta',
    path: '/v1/embeddings',
    body: input,
    answer: embedded,
    expected: '/v1beta/openai/embeddings',
  },
  {
    title: 'vLLM, for documents',
    provider: 'hosted_vllm',
    base: '/v1',
    path: '/v2/rerank',
    body: question,
    answer: ranked,
    expected: '/v1/rerank',
  },
];

describe('a call reaches', () => {
  for (const { title, provider, base, params = {}, path, body, answer, expected, header = 'authorization' } of cases) {
    test(title, async () => {
      await using upstream = await startUpstream(answer ? { answer } : {});
      const apiBase = upstream.url.replace(/\/v1$/, base);
      await using gateway = await Gateway.start({
        deployments: [aDeployment({ provider, apiBase, params, apiKey: 'the-key' })],
      });
      assert.equal((await gateway.send(body, { path })).status, 200);
      const [sent] = upstream.requests;
      assert.equal(sent?.path, expected);
      assert.equal(sent.headers[header], header === 'authorization' ? 'Bearer the-key' : 'the-key');
      assert.equal(sent.headers[header === 'authorization' ? 'api-key' : 'authorization'], undefined);
      assert.equal(sent.body['model'], 'gpt-4o-2024-08-06');
    });
  }
});

test('a kind of call that a provider does not have is refused, and costs nothing', async () => {
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ provider: 'cohere', apiBase: 'http://127.0.0.1:9' })],
  });
  const { status, json } = await gateway.send({ ...input }, { path: '/v1/moderations' });
  assert.deepEqual([status, json.error['type'], json.error['param']], [400, 'unsupported_endpoint', 'model']);
  assert.equal(gateway.bookings.length, 0, 'nothing was reserved for it');
});

test('a deployment without an address, of a provider that has none, says so', async () => {
  await using gateway = await Gateway.start({ deployments: [aDeployment({ provider: 'azure' })] });
  const { status, json } = await gateway.send(hello);
  assert.deepEqual([status, json.error['type']], [502, 'upstream_misconfigured']);
});

test('the mock has no images and no sound, and does not pretend to', async () => {
  await using gateway = await Gateway.start({ deployments: [aDeployment({ provider: 'mock' })] });
  for (const [path, body] of [
    ['/v1/images/generations', { model: 'gpt-4o', prompt: 'x' }],
    ['/v1/audio/speech', { model: 'gpt-4o', input: 'x' }],
    ['/v1/embeddings', input],
  ] as const) {
    const { status, json } = await gateway.send(body, { path });
    assert.deepEqual([status, json.error['type']], [400, 'unsupported_endpoint'], path);
  }
});

test('mistral is sent no member that it refuses, and reports the usage of a stream all the same', async () => {
  const last = { index: 0, delta: { content: '' }, finish_reason: 'stop' };
  await using upstream = await startUpstream({
    chunks: [
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'Salut' }, finish_reason: null }] })}\n\n`,
      `data: ${JSON.stringify({ choices: [last], usage: { prompt_tokens: 5, completion_tokens: 1 } })}\n\n`,
      'data: [DONE]\n\n',
    ],
  });
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ provider: 'mistral', apiBase: upstream.url })],
  });
  const { text } = await gateway.send({ ...hello, stream: true, max_completion_tokens: 9, seed: 1 });
  assert.match(text, /Salut/);
  assert.deepEqual(upstream.requests[0]?.body, {
    ...hello,
    model: 'gpt-4o-2024-08-06',
    stream: true,
    seed: 1,
    max_tokens: 9,
  });
  const { usage, status } = gateway.outcome;
  assert.deepEqual([status, usage?.promptTokens, usage?.completionTokens, usage?.estimated], ['success', 5, 1, false]);
});
