import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, aDeployment, hello } from './gateway.ts';
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
