import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Deployment } from '../../src/models/deployment.ts';
import { aDeployment, Gateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream, type UpstreamRecord, type UpstreamScript } from '../proxy/upstream.ts';

let upstream: Upstream;
before(async () => {
  upstream = await startUpstream();
});
after(() => upstream[Symbol.asyncDispose]());
beforeEach(() => {
  upstream.requests.length = 0;
});

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2_048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

const bedrock: Partial<Deployment> = {
  provider: 'bedrock',
  apiKey: undefined,
  params: { aws_region_name: 'us-east-1' },
  secrets: {
    aws_access_key_id: 'AKIAIOSFODNN7EXAMPLE',
    aws_secret_access_key: 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00',
  },
};
const vertex: Partial<Deployment> = {
  provider: 'vertex_ai',
  apiKey: undefined,
  params: { vertex_project: 'acme', vertex_location: 'europe-west1' },
  get secrets() {
    const account = { type: 'service_account', client_email: 'a@acme.iam', private_key: privateKey };
    return { vertex_credentials: JSON.stringify({ ...account, token_uri: `${upstream.url}/token` }) };
  },
};

const serving = (given: Partial<Deployment>, upstreamModel: string, params: Deployment['params'] = {}) =>
  Gateway.start({
    deployments: [
      aDeployment({
        ...given,
        name: 'embedder',
        upstreamModel,
        apiBase: upstream.url.replace('/v1', ''),
        params: { ...given.params, ...params },
      }),
    ],
  });

/** As each of them answers: a vector of the text's length and a half, and a token for each letter. */
const vectorOf = (text: string) => [text.length, 0.5];
const answers: Readonly<Record<string, (request: UpstreamRecord) => UpstreamScript>> = {
  titan: ({ body: { inputText } }) => ({
    answer: { embedding: vectorOf(String(inputText)), inputTextTokenCount: String(inputText).length },
  }),
  nova: ({ body }) => {
    const { value } = (body['singleEmbeddingParams'] as { text: { value: string } }).text;
    return {
      answer: { embeddings: [{ embeddingType: 'TEXT', embedding: vectorOf(value) }], inputTokenCount: value.length },
    };
  },
  cohere: ({ body }) => {
    const texts = body['texts'] as string[];
    const count = String(texts.join('').length);
    return { answer: { embeddings: texts.map(vectorOf) }, headers: { 'x-amzn-bedrock-input-token-count': count } };
  },
  predict: ({ body }) => ({
    answer: {
      predictions: (body['instances'] as { content: string }[]).map(({ content }) => ({
        embeddings: { values: vectorOf(content), statistics: { token_count: content.length, truncated: false } },
      })),
    },
  }),
  embedContent: ({ body }) => {
    const { text } = (body['content'] as { parts: [{ text: string }] }).parts[0];
    return { answer: { embedding: { values: vectorOf(text) }, usageMetadata: { promptTokenCount: text.length } } };
  },
};

interface Case {
  readonly of: Partial<Deployment>;
  readonly model: string;
  readonly answer: string;
  readonly asked: object;
  /** What the first call of the provider is. */
  readonly path: string;
  readonly body: object;
  readonly calls: number;
}

const place = '/v1/projects/acme/locations/europe-west1/publishers/google/models';
const cases: readonly Case[] = [
  {
    of: bedrock,
    model: 'amazon.titan-embed-text-v2:0',
    answer: 'titan',
    asked: { dimensions: 256 },
    path: '/model/amazon.titan-embed-text-v2%3A0/invoke',
    body: { inputText: 'a', dimensions: 256 },
    calls: 3,
  },
  {
    of: bedrock,
    model: 'amazon.nova-2-multimodal-embeddings-v1:0',
    answer: 'nova',
    asked: { dimensions: 384 },
    path: '/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke',
    body: { taskType: 'SINGLE_EMBEDDING' },
    calls: 3,
  },
  {
    of: bedrock,
    model: 'eu.cohere.embed-v4:0',
    answer: 'cohere',
    asked: { dimensions: 512, input_type: 'search_query' },
    path: '/model/eu.cohere.embed-v4%3A0/invoke',
    body: { texts: ['a', 'bb', 'ccc'], input_type: 'search_query', output_dimension: 512 },
    calls: 1,
  },
  {
    of: vertex,
    model: 'text-embedding-005',
    answer: 'predict',
    asked: { dimensions: 100, task_type: 'RETRIEVAL_QUERY' },
    path: `${place}/text-embedding-005:predict`,
    body: {
      instances: ['a', 'bb', 'ccc'].map((content) => ({ content, task_type: 'RETRIEVAL_QUERY' })),
      parameters: { outputDimensionality: 100 },
    },
    calls: 1,
  },
  {
    of: vertex,
    model: 'gemini-embedding-2',
    answer: 'embedContent',
    asked: { dimensions: 768 },
    path: `${place}/gemini-embedding-2:embedContent`,
    body: { content: { parts: [{ text: 'a' }] }, outputDimensionality: 768 },
    calls: 3,
  },
];

/** Google's tokens are fetched first. */
const script = (answer: (request: UpstreamRecord) => UpstreamScript) =>
  upstream.script((request) =>
    request.path.endsWith('/token') ? { answer: { access_token: 'ya29.a-token', expires_in: 3_600 } } : answer(request),
  );
const calls = () => upstream.requests.filter(({ path }) => !path.endsWith('/token'));

for (const { of, model, answer, asked, path, body, calls: count } of cases) {
  test(`OpenAI’s client has its texts embedded by ${of.provider}/${model}, and what was counted is booked`, async () => {
    await using gateway = await serving(of, model);
    script(answers[answer]!);
    // Without a format of its own the client asks for Base64, and reads that.
    for (const encoding_format of [undefined, 'float'] as const) {
      upstream.requests.length = 0;
      const got = await gateway.client.embeddings.create({
        model: 'embedder',
        input: ['a', 'bb', 'ccc'],
        user: 'somebody',
        ...(encoding_format && { encoding_format }),
        ...asked,
      });
      assert.deepEqual(
        got.data.map(({ embedding, index }) => [index, [...embedding]]),
        [1, 2, 3].map((length, index) => [index, [length, 0.5]]),
      );
      assert.deepEqual(got.usage, { prompt_tokens: 6, total_tokens: 6 });
      assert.equal(calls().length, count);
      const first = calls().toSorted((one, other) => one.text.localeCompare(other.text))[0]!;
      assert.equal(first.path, path);
      assert.partialDeepStrictEqual(first.body, body);
      assert.partialDeepStrictEqual(gateway.bookings.at(-1)?.outcomes, [
        { status: 'success', usage: { promptTokens: 6, completionTokens: 0, estimated: false } },
      ]);
    }
  });
}

describe('what an embedding model does not have', () => {
  const refusals: readonly [of: Partial<Deployment>, model: string, asked: object, param: string][] = [
    [bedrock, 'amazon.titan-embed-text-v1', { dimensions: 256 }, 'dimensions'],
    [bedrock, 'amazon.titan-embed-text-v2:0', { dimensions: 300 }, 'dimensions'],
    [bedrock, 'amazon.titan-embed-text-v2:0', { input_type: 'search_query' }, 'input_type'],
    [bedrock, 'cohere.embed-english-v3', { input_type: 'anything' }, 'input_type'],
    [bedrock, 'cohere.embed-english-v3', { input: [[1, 2, 3]] }, 'input'],
    [bedrock, 'cohere.embed-english-v3', { input: [] }, 'input'],
    [vertex, 'text-embedding-005', { input: 'a', title: 'b' }, 'title'],
    [vertex, 'text-embedding-005', { encoding_format: 'hex' }, 'encoding_format'],
    [vertex, 'text-embedding-005', { dimensions: 0.5 }, 'dimensions'],
    [vertex, 'gemini-embedding-001', { input: Array.from({ length: 257 }, () => 'a') }, 'input'],
  ];
  test('is refused by name, and nothing is sent', async () => {
    for (const [of, model, asked, param] of refusals) {
      await using gateway = await serving(of, model);
      const got = await gateway.send({ model: 'embedder', input: 'a', ...asked }, { path: '/v1/embeddings' });
      assert.deepEqual([got.status, got.json.error['param']], [400, param], `${model}: ${got.text}`);
    }
    assert.equal(upstream.requests.length, 0);
  });

  test('is left out where the deployment drops it, and the client is told', async () => {
    await using gateway = await serving(bedrock, 'amazon.titan-embed-text-v1', { drop_params: true });
    script(answers['titan']!);
    const asked = { model: 'embedder', input: 'a', dimensions: 256, title: 'b' };
    const got = await gateway.send(asked, { path: '/v1/embeddings' });
    assert.equal(got.status, 200, got.text);
    assert.equal(got.headers['x-litellm-dropped-params'], 'title, dimensions');
    assert.deepEqual(calls()[0]?.body, { inputText: 'a' });
  });
});

test('a refusal of the provider is its own and costs nothing; one after a part of the texts leaves that to be paid', async () => {
  await using gateway = await serving(bedrock, 'amazon.titan-embed-text-v2:0');
  const send = (input: string[]) => gateway.send({ model: 'embedder', input }, { path: '/v1/embeddings' });
  script(() => ({ status: 400, answer: { message: 'Malformed input request' } }));
  const refused = await send(['a', 'b']);
  assert.deepEqual([refused.status, refused.json.error['message']], [400, 'Malformed input request']);
  assert.partialDeepStrictEqual(gateway.outcome, { status: 'failure', usage: undefined });
  gateway.bookings.length = 0;
  let seen = 0;
  script((request) =>
    ++seen > 8 ? { status: 400, answer: { message: 'Malformed input request' } } : answers['titan']!(request),
  );
  const cut = await send(Array.from({ length: 20 }, () => 'some text'));
  assert.deepEqual([cut.status, cut.json.error['type']], [502, 'upstream_interrupted'], cut.text);
  assert.match(String(cut.json.error['message']), /Malformed input request/);
  assert.partialDeepStrictEqual(gateway.bookings.at(-1)?.outcomes, [
    { status: 'interrupted', usage: { completionTokens: 0, estimated: true } },
  ]);
});

test('an answer that is none is the provider’s fault, and is paid for', async () => {
  for (const [of, model] of [
    [vertex, 'text-embedding-005'],
    [bedrock, 'amazon.titan-embed-text-v2:0'],
  ] as const) {
    await using gateway = await serving(of, model);
    script(() => ({ answer: { predictions: [{ embeddings: { values: ['x'] } }], embedding: 'x' } }));
    const got = await gateway.send({ model: 'embedder', input: 'a' }, { path: '/v1/embeddings' });
    assert.deepEqual([got.status, got.json.error['type']], [502, 'upstream_invalid_response'], got.text);
    assert.equal(gateway.outcome.status, 'interrupted');
  }
});
