import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, aDeployment, aPrincipal, eventsOf, hello, until } from './gateway.ts';

const mocked = (params: Record<string, unknown> = {}) => ({
  deployments: [aDeployment({ name: 'mock', provider: 'mock', upstreamModel: 'mock-1', apiBase: undefined, params })],
});
const call = { ...hello, model: 'mock' };

test('the mock repeats what it was told, plain and streamed', async () => {
  await using gateway = await Gateway.start(mocked());
  const { client } = gateway;
  const messages = [{ role: 'user' as const, content: 'Say it twice' }];
  const plain = await client.chat.completions.create({ model: 'mock', messages });
  assert.equal(plain.choices[0]?.message.content, 'Say it twice');
  assert.equal(plain.model, 'mock-1');
  assert.equal(plain.usage?.completion_tokens, 3);
  const words: string[] = [];
  for await (const chunk of await client.chat.completions.create({ model: 'mock', messages, stream: true })) {
    if (chunk.choices[0]?.delta.content) words.push(chunk.choices[0].delta.content);
  }
  assert.deepEqual(words, ['Say', ' it', ' twice']);
  assert.deepEqual(
    gateway.bookings.map(({ outcomes }) => [
      outcomes.length,
      outcomes[0]?.status,
      outcomes[0]?.usage?.completionTokens,
    ]),
    [
      [1, 'success', 3],
      [1, 'success', 3],
    ],
  );
});

test('the mock says what it is told to, and reports what it is told to', async () => {
  await using gateway = await Gateway.start(
    mocked({ mock_response: 'Fixed', mock_prompt_tokens: 100, mock_completion_tokens: 50 }),
  );
  const { text } = await gateway.send({ ...call, stream: true, stream_options: { include_usage: true } });
  const last = JSON.parse(eventsOf(text).at(-2)!);
  assert.deepEqual([last.choices, last.usage.total_tokens], [[], 150]);
  assert.equal(gateway.outcome.usage?.promptTokens, 100);
  assert.equal((await gateway.send(call)).json['object'], 'chat.completion');
});

test('the mock fails when it is told to', async () => {
  await using gateway = await Gateway.start(mocked({ mock_error_status: 429 }));
  assert.equal((await gateway.send({ ...call, stream: true })).status, 429);
  assert.equal(gateway.outcome.status, 'failure');
});

test('the mock stops when its client leaves', async () => {
  await using gateway = await Gateway.start(
    mocked({ mock_response: 'word '.repeat(10_000), mock_chunk_interval_ms: 1 }),
  );
  const response = await gateway.open({ ...call, stream: true });
  response.once('data', () => response.destroy()).on('error', () => {});
  await until('it is settled', () => gateway.bookings[0]?.outcomes.length === 1);
  assert.equal(gateway.outcome.status, 'interrupted');
});

test('the mock waits before it answers, and takes a slow reader’s time', async () => {
  await using gateway = await Gateway.start(
    mocked({ mock_response: `${'x'.repeat(9_000)} `.repeat(2_000), mock_latency_ms: 5 }),
  );
  const response = await gateway.open({ ...call, stream: true });
  response.pause();
  await until('it is held back', () => gateway.buffered > 0);
  assert.ok(gateway.buffered < 256 * 1024);
  assert.equal(gateway.bookings[0]?.outcomes.length, 0);
  response.destroy();
  await until('it is settled', () => gateway.bookings[0]?.outcomes.length === 1);
});

test('the list of models has those the caller may use, and patterns only on request', async () => {
  const names = ['gpt-4o', 'secret', 'openai/*'];
  await using gateway = await Gateway.start({
    deployments: names.map((name, index) => aDeployment({ id: String(index), name })),
    allows: (principal, model) => principal === aPrincipal && model !== 'secret',
  });
  const ids = async (path: string) => {
    const { json } = await gateway.send(undefined, { path });
    return (json['data'] as { id: string; object: string }[]).map(
      ({ id, object }) => (assert.equal(object, 'model'), id),
    );
  };
  assert.deepEqual(await ids('/v1/models'), ['gpt-4o']);
  assert.deepEqual(await ids('/models?return_wildcard_routes=true'), ['gpt-4o', 'openai/*']);
  assert.equal((await gateway.send(undefined, { path: '/v1/models/gpt-4o' })).json['id'], 'gpt-4o');
  assert.equal((await gateway.send(undefined, { path: '/v1/models/openai/gpt-4o' })).json['id'], 'openai/gpt-4o');
  for (const path of ['/v1/models/secret', '/v1/models/unknown']) {
    const { status, json } = await gateway.send(undefined, { path });
    assert.deepEqual([status, json.error['type']], [404, 'model_not_found']);
  }
});

test('the mock completes a text with the text', async () => {
  await using gateway = await Gateway.start(mocked());
  const { client } = gateway;
  const asked = { model: 'mock', prompt: 'Say it twice' };
  const plain = await client.completions.create(asked);
  assert.deepEqual([plain.object, plain.choices[0]?.text], ['text_completion', 'Say it twice']);
  let text = '';
  for await (const chunk of await client.completions.create({ ...asked, stream: true })) {
    text += chunk.choices[0]?.text ?? '';
  }
  assert.equal(text, 'Say it twice');
});
