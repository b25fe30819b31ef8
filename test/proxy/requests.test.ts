import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Gateway, aDeployment, hello, until } from './gateway.ts';
import { startUpstream } from './upstream.ts';

const refusedFields = [
  'api_base', 'apiBase', 'API_BASE', 'base_url', 'baseURL', 'api_key', 'apiKey', 'api_version', 'custom_llm_provider',
  'user_config', 'litellm_params', 'litellm_credential_name', 'extra_body', 'extra_headers', 'model_list', 'model_info',
  'endpoint', 'custom_host', 'host', 'proxy', 'aws_access_key_id', 'vertex_credentials', 'azure_ad_token',
  'input_cost_per_token', 'output_cost_per_token', 'mock_response', 'mock_testing_fallbacks', 'use_in_pass_through',
  'models', 'preset',
]; // prettier-ignore

test('a client cannot choose the upstream, its credentials, its price or a made-up answer', async () => {
  await using upstream = await startUpstream();
  await using canary = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  for (const name of refusedFields) {
    const { status, json } = await gateway.send({ ...hello, [name]: canary.url });
    assert.deepEqual([status, json.error['param'], json.error['type']], [400, name, 'unsupported_field'], name);
    assert.ok(String(json.error['message']).includes(name));
  }
  assert.deepEqual([upstream.connections, canary.connections, gateway.bookings.length], [0, 0, 0]);
});

const bodies: readonly [what: string, body: string | Buffer, status: number, message: RegExp][] = [
  ['no JSON', '{"model":', 400, /not valid JSON/],
  ['nothing', '', 400, /not valid JSON/],
  ['a list', '[]', 400, /must be a JSON object/],
  ['null', 'null', 400, /must be a JSON object/],
  ['bytes that are no UTF-8', Buffer.from('{"model":"gpt-4o\xff"}', 'latin1'), 400, /UTF-8/],
  ['no model', '{"messages":[]}', 400, /model is required/],
  ['an empty model', '{"model":""}', 400, /model is required/],
  ['a model that is a number', '{"model":4}', 400, /model must be a string/],
  ['a stream that is a text', '{"model":"gpt-4o","stream":"yes"}', 400, /stream must be/],
  ['stream options that are a list', '{"model":"gpt-4o","stream_options":[]}', 400, /stream_options must be/],
  ['65 levels', `{"model":"gpt-4o","x":${'['.repeat(64)}${']'.repeat(64)}}`, 400, /64 levels/],
  ['64 levels', `{"model":"gpt-4o","x":${'['.repeat(63)}${']'.repeat(63)}}`, 200, /^$/],
  ['too many values', `{"model":"gpt-4o","x":[${'0,'.repeat(200_000)}0]}`, 400, /200000 values/],
  [
    'a model nobody knows',
    '{"model":"gpt-9"}',
    400,
    /\/chat\/completions: Invalid model name passed in model=gpt-9\. Call `\/v1\/models`/,
  ],
];

for (const [what, body, status, message] of bodies) {
  test(`a body of ${what} is answered with ${status}`, async () => {
    await using upstream = await startUpstream();
    await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
    const answer = await gateway.send(body);
    assert.equal(answer.status, status);
    assert.match(status === 200 ? '' : JSON.stringify(answer.json.error['message']).slice(1, -1), message);
    assert.equal(gateway.bookings.length, status === 200 ? 1 : 0);
  });
}

const media: readonly [headers: Record<string, string>, status: number][] = [
  [{ 'content-type': 'text/plain' }, 415],
  [{ 'content-type': 'multipart/form-data; boundary=x' }, 415],
  [{ 'content-type': 'application/jsonp' }, 415],
  [{ 'content-type': 'application/json; charset=latin1' }, 415],
  [{ 'content-encoding': 'gzip' }, 400],
  [{ 'content-encoding': 'gzip, gzip' }, 415],
  [{ 'content-encoding': 'br' }, 415],
  [{ 'content-encoding': 'deflate' }, 415],
  [{ 'content-encoding': 'identity, gzip' }, 415],
  [{ 'content-encoding': 'identity' }, 200],
  [{ 'content-type': 'application/json; charset=UTF-8' }, 200],
  [{ 'content-type': 'application/vnd.api+json' }, 200],
  [{ 'content-type': '' }, 200],
];

test('a body that is not plain JSON is not read', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  for (const [headers, status] of media) {
    assert.equal((await gateway.send(hello, { headers })).status, status, JSON.stringify(headers));
  }
});

test('a body may be as large as allowed and not a byte larger, announced or not', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url })],
    limits: { bodyBytes: 1_000 },
  });
  const exact = JSON.stringify(hello).padEnd(1_000);
  for (const headers of [{ 'content-length': '1000' }, { 'transfer-encoding': 'chunked' }] as Record<
    string,
    string
  >[]) {
    assert.equal((await gateway.send(exact, { headers })).status, 200);
  }
  for (const headers of [{ 'content-length': '1001' }, { 'transfer-encoding': 'chunked' }] as Record<
    string,
    string
  >[]) {
    const { status, json } = await gateway.send(`${exact} `, { headers });
    assert.deepEqual([status, json.error['type']], [413, 'request_too_large']);
  }
});

test('a body that does not come in time is a 408', async () => {
  await using gateway = await Gateway.start({ limits: { bodyMs: 40 } });
  const socket = connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"model"');
  await until('it is answered', () => text.includes('request_timeout'));
  assert.match(text, /^HTTP\/1.1 408 /);
  await until('it is forgotten', () => gateway.proxy.inFlight === 0);
  socket.destroy();
});

test('nothing of what a client sends in headers reaches the upstream', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: `${upstream.url}/` })] });
  const credentials = [
    'authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'ocp-apim-subscription-key', 'x-litellm-api-key',
    'proxy-authorization', 'x-aws-security-token', 'x-amz-security-token', 'x-auth-token', 'x-access-token',
    'x-gitlab-token', 'x-litellm-key', 'anthropic-api-key', 'cookie', 'x-forwarded-for', 'forwarded', 'te',
    'openai-organization', 'x-request-id', 'traceparent', 'user-agent', 'referer', 'accept-language', 'x-anything',
  ]; // prettier-ignore
  const headers = Object.fromEntries(credentials.map((name) => [name, `canary-${name}`]));
  for (const stream of [true, false]) await gateway.send({ ...hello, stream }, { headers });

  for (const request of upstream.requests) {
    assert.equal(request.rawHeaders.join('\n').includes('canary'), false);
    assert.deepEqual(Object.keys(request.headers).toSorted(), [
      'accept',
      'accept-encoding',
      'authorization',
      'connection',
      'content-length',
      'content-type',
      'host',
      'user-agent',
      'x-request-id',
    ]);
    assert.equal(request.headers.authorization, 'Bearer sk-provider-secret-0123456789');
    assert.equal(request.headers['accept-encoding'], 'identity');
    assert.equal(request.headers['user-agent'], 'gatewayctl/1.2.3');
    assert.equal(request.path, '/v1/chat/completions');
  }
});

test('a deployment without a key sends none', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url, apiKey: undefined })],
  });
  await gateway.send(hello);
  assert.equal(upstream.requests[0]?.headers.authorization, undefined);
});

test('of the upstream’s headers only those allowed reach the client', async () => {
  await using upstream = await startUpstream({
    headers: {
      'set-cookie': ['a=canary', 'b=canary'],
      server: 'canary',
      'x-powered-by': 'canary',
      'proxy-authenticate': 'canary',
      'x-litellm-call-id': 'canary',
      'content-security-policy': 'canary',
      'x-ratelimit-remaining-tokens': '99',
      'openai-processing-ms': '12',
    },
  });
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  for (const stream of [true, false]) {
    const { headers } = await gateway.send({ ...hello, stream });
    assert.equal(JSON.stringify(headers).includes('canary'), false);
    assert.equal(headers['x-ratelimit-remaining-tokens'], '99');
    assert.equal(headers['llm_provider-openai-processing-ms'], '12');
  }
});

test('a model’s name cannot add a header', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url, name: '*', upstreamModel: '*' })],
  });
  const model = 'x\r\nset-cookie: a=b\u0000é🎈';
  const { status, headers } = await gateway.send({ ...hello, model });
  assert.equal(status, 200);
  assert.equal(headers['set-cookie'], undefined);
  assert.match(String(headers['x-litellm-model-group']), /^x\?\?set-cookie: a=b\?+$/);
  assert.equal(upstream.requests[0]?.body['model'], model);
});

test('only the routes there are have a handler', async () => {
  await using gateway = await Gateway.start();
  const name = (method: string, path: string) => gateway.proxy.match(method, path)?.name;
  for (const path of [
    '/v1/chat/completions',
    '/chat/completions',
    '/engines/a/chat/completions',
    '/openai/deployments/a/b/chat/completions',
  ]) {
    assert.equal(name('POST', path), 'chat_completion');
    assert.equal(name('GET', path), undefined);
  }
  assert.equal(name('GET', '/v1/models'), 'list_models');
  assert.equal(gateway.proxy.match('GET', '/v1/models/openai%2Fgpt')?.parameter, 'openai/gpt');
  for (const path of [
    '/v1/chat/completions/',
    '//v1/chat/completions',
    '/V1/chat/completions',
    '/engines//chat/completions',
    '/v1/models/',
    '/v1/models/%ff',
    '/',
  ]) {
    assert.equal(name('POST', path) ?? name('GET', path), undefined, path);
  }
});
