import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { Deployment } from '../../src/models/deployment.ts';
import { aDeployment, Gateway, until } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { anthropic, gemini } from './pretended.ts';

let upstream: Upstream;
before(async () => {
  upstream = await startUpstream();
});
after(() => upstream[Symbol.asyncDispose]());
beforeEach(() => {
  upstream.requests.length = 0;
});

const hi = { messages: [{ role: 'user', content: 'Hi' }] };
const at = (given: Partial<Deployment>) =>
  aDeployment({ name: given.provider ?? '', apiBase: upstream.url.replace('/v1', ''), ...given });

describe('Vertex AI', () => {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const vertex = (upstreamModel: string, more: Partial<Deployment> = {}) =>
    at({
      id: upstreamModel,
      name: upstreamModel,
      provider: 'vertex_ai',
      upstreamModel,
      apiKey: undefined,
      params: { vertex_project: 'acme', vertex_location: 'europe-west1' },
      secrets: {
        vertex_credentials: JSON.stringify({
          type: 'service_account',
          client_email: 'gateway@acme.iam.gserviceaccount.com',
          private_key: privateKey,
          token_uri: `${upstream.url}/token`,
        }),
      },
      ...more,
    });

  test('is asked in the name of the service account, whose token is fetched once', async () => {
    await using gateway = await Gateway.start({
      deployments: [vertex('gemini-2.5-flash'), vertex('claude-sonnet-4-5@20250929')],
    });
    upstream.script(({ path }) => {
      if (path === '/v1/token') return { answer: { access_token: 'ya29.the-token', expires_in: 3_600 } };
      return { answer: path.includes('/publishers/google/') ? gemini.plain : anthropic.plain };
    });
    for (const model of ['gemini-2.5-flash', 'gemini-2.5-flash', 'claude-sonnet-4-5@20250929']) {
      const answer = await gateway.client.chat.completions.create({
        model,
        messages: [{ role: 'user', content: 'Hi' }],
      });
      assert.equal(answer.choices[0]?.message.content, 'Hello there');
    }
    const project = '/v1/projects/acme/locations/europe-west1/publishers';
    assert.deepEqual(
      upstream.requests.map(({ path, headers }) => [path, headers.authorization]),
      [
        ['/v1/token', undefined],
        [`${project}/google/models/gemini-2.5-flash:generateContent`, 'Bearer ya29.the-token'],
        [`${project}/google/models/gemini-2.5-flash:generateContent`, 'Bearer ya29.the-token'],
        ['/v1/token', undefined],
        [`${project}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict`, 'Bearer ya29.the-token'],
      ],
    );
    assert.equal(upstream.requests.at(-1)?.body['anthropic_version'], 'vertex-2023-10-16');
    const line = privateKey.split('\n')[3];
    upstream.script(({ headers }) => ({
      status: 400,
      answer: { error: { message: `You sent ${headers.authorization?.slice(7)}, signed by ${line}` } },
    }));
    const refused = await gateway.send({ ...hi, model: 'gemini-2.5-flash' });
    assert.equal(refused.json.error['message'], 'You sent [redacted], signed by [redacted]');
  });

  test('reads no file that somebody names over the network', async () => {
    await using gateway = await Gateway.start({
      deployments: [
        vertex('gemini-2.5-flash', {
          source: 'database',
          params: { vertex_project: 'acme', vertex_location: 'global', allow_private_network: true },
          secrets: { vertex_credentials: '/etc/hostname' },
        }),
      ],
    });
    const answer = await gateway.send({ ...hi, model: 'gemini-2.5-flash' });
    assert.deepEqual([answer.status, answer.json.error['type']], [502, 'upstream_misconfigured']);
    assert.match(String(answer.json.error['message']), /vertex_credentials: it is not JSON/);
  });
});

describe('a deployment without a credential', () => {
  const variables = [
    'ANTHROPIC_API_KEY',
    'GOOGLE_GENERATIVE_AI_API_KEY',
    'COHERE_API_KEY',
    'AWS_BEARER_TOKEN_BEDROCK',
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_REGION',
    'GOOGLE_VERTEX_API_KEY',
    'GOOGLE_APPLICATION_CREDENTIALS',
  ];
  before(() => {
    for (const name of variables) process.env[name] = 'somebody-else';
  });
  after(() => {
    for (const name of variables) delete process.env[name];
  });

  for (const provider of ['anthropic', 'gemini', 'cohere', 'bedrock', 'vertex_ai']) {
    test(`of ${provider} is not called with what is in the environment`, async () => {
      const params = { aws_region_name: 'us-east-1', vertex_project: 'acme', vertex_location: 'global' };
      await using gateway = await Gateway.start({ deployments: [at({ provider, apiKey: undefined, params })] });
      const answer = await gateway.send({ ...hi, model: provider });
      assert.deepEqual([answer.status, answer.json.error['type']], [502, 'upstream_misconfigured'], answer.text);
      assert.match(String(answer.json.error['message']), /api_key|vertex_credentials/);
      assert.equal(upstream.requests.length, 0);
    });
  }
});

test('an address that is not public is not called for what came in over the network', async () => {
  await using gateway = await Gateway.start({ deployments: [at({ provider: 'anthropic', source: 'database' })] });
  const { connections } = upstream;
  const answer = await gateway.send({ ...hi, model: 'anthropic' });
  assert.deepEqual([answer.status, answer.json.error['type']], [502, 'upstream_address_refused']);
  assert.equal(upstream.connections, connections);
});

test('a name of a model leads to no other place', async () => {
  await using gateway = await Gateway.start({
    deployments: [at({ provider: 'gemini', name: 'gemini/*', upstreamModel: '*' })],
  });
  for (const name of ['../../v1/projects', 'x?key=1', 'a%2fb', 'a b', 'x#']) {
    const answer = await gateway.send({ ...hi, model: `gemini/${name}` });
    assert.equal(answer.status, 400, name);
  }
  assert.equal(upstream.requests.length, 0);
});

describe('a model that thinks', () => {
  afterEach(() => upstream.script({}));

  test('has what it may think within the limit of the answer', async () => {
    await using gateway = await Gateway.start({
      deployments: [at({ provider: 'anthropic', upstreamModel: 'claude-sonnet-4-5' })],
    });
    upstream.script({ answer: anthropic.plain });
    const request = { ...hi, model: 'anthropic', reasoning_effort: 'high' };
    assert.equal((await gateway.send({ ...request, max_tokens: 5_000 })).status, 200);
    assert.deepEqual(
      [upstream.requests[0]?.body['max_tokens'], upstream.requests[0]?.body['thinking']],
      [5_000, { type: 'enabled', budget_tokens: 2_500 }],
    );
    const answer = await gateway.send({ ...request, max_tokens: 500 });
    assert.deepEqual([answer.status, answer.json.error['param']], [400, 'max_tokens']);
    assert.equal(upstream.requests.length, 1);
  });
});

test('a client that does not read stops the upstream, whose answer is not piled up', async () => {
  await using gateway = await Gateway.start({ deployments: [at({ provider: 'anthropic' })] });
  const text = 'x'.repeat(4_000);
  const delta = `event: content_block_delta\ndata: ${JSON.stringify({ type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text } })}\n\n`;
  const events = anthropic.events.map(String);
  upstream.script({
    answer: events.slice(0, 6).join('') + delta.repeat(4_000) + events.slice(6).join(''),
    headers: { 'content-type': 'text/event-stream' },
  });
  const response = await gateway.open({ ...hi, model: 'anthropic', stream: true });
  response.pause();
  let seen = -1;
  // It goes on until everything between the two is full, which is known by nothing moving any more.
  for (let quiet = 0; quiet < 10;) {
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    quiet = gateway.buffered === seen ? quiet + 1 : 0;
    seen = gateway.buffered;
  }
  assert.ok(gateway.buffered < 256 * 1024, `${gateway.buffered} bytes wait`);
  assert.equal(upstream.requests[0]?.answered, false);
  let length = 0;
  response.on('data', (chunk: Buffer) => (length += chunk.length));
  response.resume();
  await until('all of it has come', () => response.complete, 20_000);
  assert.ok(length > 16_000_000);
});
