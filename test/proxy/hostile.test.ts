import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { AzureOpenAI } from 'openai';
import { GatewayError } from '../../src/kernel/errors.ts';
import { Gateway, aDeployment, aPrincipal, hello, until } from './gateway.ts';
import { startUpstream } from './upstream.ts';

const respelled = [
  'Model', 'MODEL', 'Stream', '\u017ftream', 'STREAM_OPTIONS', 'MAX_TOKENS', 'max_to\u212aens', 'maxTokens',
  'max-tokens', 'Max_Completion_Tokens', 'N', 'ｎ', 'Service_Tier', 'User', 'Metadata', 'Tags', 'Messages', 'Tools',
]; // prettier-ignore

test('a field that an upstream could read as one we have read ourselves is refused', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  for (const name of respelled) {
    const { status, json } = await gateway.send({ ...hello, max_tokens: 1, [name]: 100_000 });
    assert.deepEqual([status, json.error['param'], json.error['type']], [400, name, 'unsupported_field'], name);
  }
  const nested = await gateway.send({ ...hello, stream: true, stream_options: { Include_Usage: false } });
  assert.deepEqual([nested.status, nested.json.error['param']], [400, 'stream_options.Include_Usage']);
  assert.deepEqual([upstream.requests.length, gateway.bookings.length], [0, 0]);
  assert.equal((await gateway.send({ ...hello, seed: 1, top_k: 3, Temperature: 1 })).status, 200);
});

test('a family of refused fields is refused however it is spelled', async () => {
  await using gateway = await Gateway.start();
  for (const name of ['MOCK_response', 'mock-response', 'mockResponse', 'AWS_region', 'Vertex-Project', 'liteLLM_x']) {
    assert.equal((await gateway.send({ ...hello, [name]: 1 })).json.error['param'], name);
  }
});

test('a limit that is no positive whole number is refused by its name', async () => {
  await using gateway = await Gateway.start();
  for (const name of ['max_tokens', 'max_completion_tokens', 'n']) {
    for (const value of ['100000', 1.5, -1, 0, true, [], {}, 1e300]) {
      const { status, json } = await gateway.send({ ...hello, [name]: value });
      assert.deepEqual([status, json.error['param']], [400, name], `${name}: ${JSON.stringify(value)}`);
    }
  }
  assert.equal(gateway.bookings.length, 0);
});

test('the larger of two limits counts, for every one of the answers asked for', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  for (const [fields, most, answers] of [
    [{ max_tokens: 1_000, max_completion_tokens: 1 }, 1_000, 1],
    [{ max_tokens: 1, max_completion_tokens: 1_000, n: 3 }, 1_000, 3],
    [{ n: 50 }, undefined, 50],
    [{ max_tokens: null, n: null }, undefined, 1],
  ] as const) {
    gateway.bookings.length = 0;
    assert.equal((await gateway.send({ ...hello, ...fields })).status, 200);
    const [booking] = gateway.bookings;
    assert.deepEqual([booking?.start.maxCompletionTokens, booking?.start.answers], [most, answers]);
  }
});

test('the prompt is estimated from the whole body, wherever its text stands', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const text = 'word '.repeat(20_000);
  let deep: unknown = text;
  for (let level = 0; level < 50; level++) deep = [deep];
  const image = (url: string) => [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }];
  for (const fields of [
    { messages: [{ role: 'user', content: `data:image/${text}` }] },
    { messages: [{ role: 'user', content: [{ type: 'text', text: `data:image/png;base64,${text}` }] }] },
    { messages: image(`data:image/png;base64,${text}`) },
    { messages: image(text) },
    { messages: [{ role: 'user', content: 'x', image_url: { url: text } }] },
    { response_format: { type: 'json_schema', json_schema: { schema: { description: text } } } },
    { functions: [{ name: 'x', description: text }] },
    { tools: [{ type: 'function', function: { name: 'x', parameters: { [text]: {} } } }] },
    { prediction: { type: 'content', content: text } },
    { x: deep },
  ]) {
    gateway.bookings.length = 0;
    assert.equal((await gateway.send({ ...hello, ...fields })).status, 200);
    assert.ok((gateway.bookings[0]?.start.promptTokens ?? 0) >= text.length / 3, JSON.stringify(fields).slice(0, 80));
  }
});

const post = (body: object): string => {
  const json = JSON.stringify(body);
  return (
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
    `content-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`
  );
};

test('a key that is deleted while its body is withheld is refused', async () => {
  await using upstream = await startUpstream();
  let isDeleted = false;
  let asked = 0;
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url })],
    limits: { trustMs: 20 },
    authenticate: () => {
      asked++;
      if (isDeleted) throw new GatewayError('unauthenticated', 'invalid_api_key', 'Gone');
      return aPrincipal;
    },
  });
  const socket = connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const whole = post(hello);
  socket.write(whole.slice(0, -10));
  await until('the credential was read', () => asked === 1);
  isDeleted = true;
  const began = performance.now();
  await until('the body has taken its time', () => performance.now() - began > 25);
  socket.write(whole.slice(-10));
  await until('it is answered', () => text.includes('Gone'));
  assert.match(text, /^HTTP\/1.1 401 /);
  assert.deepEqual([gateway.bookings.length, upstream.requests.length], [0, 0]);
  socket.destroy();

  isDeleted = false;
  asked = 0;
  assert.equal((await gateway.send(hello)).status, 200);
  assert.equal(asked, 1);
});

test('a key that is deleted while its budgets are read is refused', async () => {
  const read = Promise.withResolvers<void>();
  let isDeleted = false;
  let isAsked = false;
  await using gateway = await Gateway.start({
    authenticate: () => {
      if (isDeleted) throw new GatewayError('unauthenticated', 'invalid_api_key', 'Gone');
      return aPrincipal;
    },
    metering: {
      prepare: () => {
        isAsked = true;
        return read.promise;
      },
      cover: () => undefined,
      begin: () => assert.fail(),
    },
  });
  const answer = gateway.send(hello);
  await until('its budgets are asked for', () => isAsked);
  isDeleted = true;
  read.resolve();
  assert.equal((await answer).status, 401);
});

test('a model whose name holds a slash is found in a path as the official clients write it', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url, name: 'openai/gpt-4o' })],
  });
  assert.equal((await gateway.client.models.retrieve('openai/gpt-4o')).id, 'openai/gpt-4o');
  const azure = new AzureOpenAI({
    apiKey: 'sk-client',
    endpoint: `http://127.0.0.1:${gateway.port}`,
    apiVersion: '2024-10-21',
    maxRetries: 0,
  });
  const { choices } = await azure.chat.completions.create({
    model: 'openai/gpt-4o',
    messages: [{ role: 'user', content: 'Hi' }],
  });
  assert.equal(choices[0]?.message.content, 'Hello there');
  for (const path of [
    '/openai/deployments/openai%2Fgpt-4o/chat/completions',
    '/openai/deployments/openai/gpt-4o/chat/completions',
    '/engines/openai%2fgpt-4o/chat/completions',
  ]) {
    assert.equal((await gateway.send(hello, { path })).status, 200, path);
  }
  assert.ok(gateway.bookings.every(({ start }) => start.model === 'openai/gpt-4o'));
  for (const name of ['v1/models', 'models']) {
    const { status } = await gateway.send(undefined, { path: `/${name}/openai%2Fgpt-4o` });
    assert.equal(status, 200);
  }
  // Decoded once, and once only.
  assert.equal((await gateway.send(undefined, { path: '/v1/models/openai%252Fgpt-4o' })).status, 404);
});

test('more calls at once than the gateway can take are refused before their bodies are read, and only then', async () => {
  const hold = Promise.withResolvers<void>();
  await using upstream = await startUpstream({ beforeChunk: () => hold.promise });
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url })],
    limits: { inFlight: 2 },
  });
  const taken = [await gateway.open({ ...hello, stream: true }), await gateway.open({ ...hello, stream: true })];
  const { status, headers, json } = await gateway.send(hello);
  assert.deepEqual([status, json.error['type'], headers['retry-after']], [503, 'overloaded', '1']);
  // Without a body, which never comes.
  const socket = connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write(post(hello).slice(0, -10));
  await until('it is refused', () => text.includes('overloaded'));
  socket.destroy();
  assert.equal((await gateway.send(undefined, { path: '/v1/models' })).status, 200);
  taken[0]?.on('error', () => {}).destroy();
  hold.resolve();
  await until('a place is free', () => gateway.proxy.inFlight < 2);
  assert.equal((await gateway.send(hello)).status, 200);
  taken[1]?.resume();
  assert.equal(gateway.bookings.length, 3);
});

test('a connection has a few calls at work at once, and leaves none behind when it closes', async () => {
  const never = new Promise<void>(() => {});
  await using upstream = await startUpstream({ beforeChunk: () => never });
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url })],
    limits: { pipelined: 4 },
  });
  const socket = connect(gateway.port, '127.0.0.1');
  socket.write(post({ ...hello, stream: true }).repeat(30));
  await until('some are at work', () => upstream.requests.length === 4 && gateway.proxy.inFlight >= 5);
  assert.equal(gateway.bookings.length, 4);
  socket.destroy();
  await until('the upstream is hung up on', () => upstream.requests.every(({ hungUp }) => hungUp), 1_000);
  await until('nothing is in flight', () => gateway.proxy.inFlight === 0);
  assert.equal(upstream.requests.length, 4);
  assert.ok(gateway.bookings.every(({ outcomes }) => outcomes.length === 1));
});

test('answers to requests sent ahead come in their order', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const socket = connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write(post(hello) + post({ ...hello, n: 0 }) + post(hello));
  await until('all are answered', () => text.split('HTTP/1.1 ').length === 4);
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status),
    ['200', '400', '200'],
  );
  socket.destroy();
});

test('an answer taken a byte at a time is cut when its time is over', async () => {
  await using upstream = await startUpstream({ text: 'x'.repeat(16_000_000) });
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url })],
    limits: { totalMs: 3_000, stalledClientMs: 60_000 },
  });
  const socket = connect(gateway.port, '127.0.0.1');
  socket.on('error', () => {}).pause();
  socket.write(post(hello));
  await until('it is booked', () => gateway.bookings[0]?.outcomes.length === 1);
  assert.equal(gateway.outcome.status, 'success');
  await until('it is cut', () => {
    socket.read(1_000);
    return gateway.proxy.inFlight === 0;
  });
  socket.destroy();
});
