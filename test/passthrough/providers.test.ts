import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from 'node:zlib';
import { Langfuse } from 'langfuse';
import { until } from '../support/gateway.ts';
import { openWorld, secretOf, type World } from './world.ts';

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

interface Sent {
  readonly status: number;
  readonly text: string;
  readonly bytes: Buffer;
  /** Whether the answer came to its end. */
  readonly isWhole: boolean;
}

/** A request as it is written, dots and slashes included; the first bytes of the answer can be waited for. */
function send(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; onData?: (bytes: number) => void } = {},
): { readonly answer: Promise<Sent>; destroy(): void } {
  const { hostname, port } = new URL(world.gateway.daemon.url);
  const { promise, resolve, reject } = Promise.withResolvers<Sent>();
  const { method = 'GET', headers = {}, body, onData } = options;
  const request = httpRequest({ host: hostname, port, path, method, headers, agent: false }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      onData?.(chunk.length);
    });
    response.on('error', () => undefined);
    response.on('close', () => {
      const bytes = Buffer.concat(chunks);
      resolve({ status: response.statusCode ?? 0, text: bytes.toString(), bytes, isWhole: response.complete });
    });
  });
  request.on('error', reject).end(body);
  return { answer: promise, destroy: () => request.destroy() };
}

/** What a client can read of an answer that was cut. */
function inflated(bytes: Buffer, coding: string): string {
  if (coding === 'gzip') return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
  return brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH }).toString();
}

const chat = (model = 'gpt-4o-mini') => ({ model, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1000 });
const chatPath = '/openai/v1/chat/completions';

/** Where each provider's own clients put their key, and where it goes upstream. */
const doors = [
  ['openai', 'authorization', 'authorization', '/v1/models'],
  ['anthropic', 'x-api-key', 'x-api-key', '/v1/models'],
  ['azure', 'api-key', 'api-key', '/openai/models'],
  ['gemini', 'x-goog-api-key', 'x-goog-api-key', '/v1beta/models'],
  ['cohere', 'authorization', 'authorization', '/v1/models'],
  ['mistral', 'authorization', 'authorization', '/v1/models'],
  ['vllm', 'authorization', 'authorization', '/v1/models'],
  ['assemblyai', 'authorization', 'authorization', '/v2/transcript'],
  ['groq', 'authorization', 'authorization', '/v1/models'],
  ['together', 'authorization', 'authorization', '/v1/models'],
] as const;

/** Whatever a client could send a secret in. */
const secretHeaders = [
  'cookie',
  'proxy-authorization',
  'x-auth-token',
  'x-access-token',
  'x-session',
  'x-csrf-token',
  'x-amz-security-token',
  'x-goog-iam-authorization-token',
  'x-forwarded-for',
  'x-forwarded-authorization',
  'x-secret',
  'openai-organization',
  'x-custom',
] as const;

describe('the caller’s credential', () => {
  for (const [name, header, upstreams, path] of doors) {
    test(`${name}: is taken where its clients put it, and the operator’s goes on instead`, async () => {
      world.upstream.json({});
      const key = await world.aKey();
      const headers: Record<string, string> = { [header]: header === 'authorization' ? `Bearer ${key}` : key };
      for (const each of secretHeaders) headers[each] = `canary-${each}`;
      const answer = await world.gateway.request('GET', `/${name}${path}?limit=2`, { key: '', headers });
      assert.equal(answer.status, 200, answer.text);
      const { last } = world.upstream;
      assert.equal(last?.url, `/${name}-base${path}?limit=2`);
      assert.match(String(last.headers[upstreams]), new RegExp(secretOf(name)));
      const seen = JSON.stringify(last);
      assert.doesNotMatch(seen, new RegExp(`${key}|canary-`));
    });
  }

  test('is refused in a query and in a body, and nothing is sent', async () => {
    const key = await world.aKey();
    const soFar = world.upstream.received.length;
    for (const query of ['key=x', 'API_KEY=x', 'access_token=x', `q=${key}`]) {
      const got = await world.gateway.request('GET', `/gemini/v1beta/models?${query}`, { key });
      assert.equal(got.status, 400, query);
    }
    const inBody = await world.gateway.request('POST', chatPath, { key, body: { ...chat(), user: key } });
    assert.equal(inBody.body.error.type, 'credential_inside');
    const keyless = await world.gateway.request('POST', chatPath, { key: '', body: chat() });
    assert.equal(keyless.status, 401);
    assert.equal(world.upstream.received.length, soFar);
  });
});

test("a provider that refuses the gateway's credential does not make the caller's a bad one, and shows nothing of it", async () => {
  const key = await world.aKey();
  const message = `Incorrect API key provided: operators***********6789`;
  world.upstream.reply = (_, response) => {
    response.writeHead(401, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message } }));
  };
  for (const path of ['/openai/v1/models', '/anthropic/v1/messages']) {
    const method = path.endsWith('models') ? 'GET' : 'POST';
    const answer = await world.gateway.request(method, path, {
      key,
      ...(method === 'POST' && { body: { model: 'claude-sonnet-4-5', max_tokens: 5, messages: [] } }),
    });
    assert.deepEqual([answer.status, answer.body.error.type], [502, 'upstream_auth_error'], answer.text);
    assert.doesNotMatch(answer.text, /operators|6789/);
    const { status, spend } = await world.rowOf(answer);
    assert.deepEqual([status, Number(spend)], ['failure', 0]);
  }
});

describe('a path', () => {
  test('cannot leave the base of its provider', async () => {
    const key = await world.aKey();
    const soFar = world.upstream.received.length;
    const climbing = [
      '/openai/../key/list',
      '/openai/v1/../../x',
      '/openai/%2e%2e/x',
      '/openai/v1/%2E%2E/x',
      '/openai/v1%2f..%2fx',
      '/openai//evil.example/x',
      '/openai/v1//x',
      '/openai/./x',
      '/openai/v1/x/..',
      '/openai/v1\\..\\x',
      '/openai/%5c%5cevil',
      '/openai/v1/x;a=b',
      '/openai/v1/..%3b/x',
      '/openai/v1/x/..%3Ba=b',
      '/openai/%252e%252e/x',
      '/openai/v1/%00',
      '/openai/v1/%0d%0aHost:x',
      '/openai/%ff',
      '/openai/v1/%zz',
      'http://evil.example/openai/v1/x',
    ];
    for (const path of climbing) {
      const { status } = await send(path, { headers: { authorization: `Bearer ${key}` } }).answer;
      assert.ok(status === 400 || status === 404, `${path}: ${status}`);
    }
    assert.equal(world.upstream.received.length, soFar);
  });

  test('leads to a provider by its whole first part alone, and to none without a method it takes', async () => {
    const key = await world.aKey();
    assert.equal((await world.gateway.request('GET', '/openaix/v1/models', { key })).status, 404);
    assert.equal((await world.gateway.request('OPTIONS', '/openai/v1/models', { key })).status, 405);
    const headers = { authorization: `Bearer ${key}`, connection: 'Upgrade', upgrade: 'websocket' };
    assert.equal((await send('/openai/v1/realtime', { headers }).answer).status, 400);
  });
});

describe('what a key may do', () => {
  const post = (path: string, key: string, body: object, headers: Record<string, string> = {}) =>
    world.gateway.request('POST', path, { key, body, headers });

  test('holds for the model in body and path, and for calls that show none', async () => {
    world.upstream.json({ usage: { prompt_tokens: 1, completion_tokens: 1 } });
    const key = await world.aKey('--models', 'gpt-4o-mini,gemini/*');
    const call = (path: string, body: unknown, headers: Record<string, string> = {}) =>
      world.gateway.request('POST', path, { key, body, headers });
    assert.equal((await call(chatPath, chat())).status, 200);
    assert.equal((await call(chatPath, chat('gpt-4o'))).status, 403);
    assert.equal((await call('/gemini/v1beta/models/gemini-2.5-flash:generateContent', {})).status, 200);
    assert.equal((await call('/bedrock/model/amazon.nova-lite-v1:0/converse', {})).status, 403);
    assert.equal((await call('/openai/v1/threads/t/runs', { assistant_id: 'a' })).status, 403);
    assert.equal((await call(chatPath, chat(), { 'content-type': 'text/plain' })).status, 403);
    for (const body of [
      { ...chat(), MODEL: 'gpt-4o' },
      { ...chat(), litellm_metadata: {} },
    ]) {
      assert.equal((await call(chatPath, body)).status, 400);
    }
    const form = async (model: string) => {
      const body = new FormData();
      body.set('file', new Blob(['sound']), 'a.mp3');
      body.set('model', model);
      const headers = { authorization: `Bearer ${key}` };
      const url = `${world.gateway.daemon.url}/openai/v1/audio/transcriptions`;
      return (await fetch(url, { method: 'POST', headers, body })).status;
    };
    assert.equal(await form('gpt-4o-mini'), 200);
    assert.equal(await form('whisper-1'), 403);
    const twice = await send(chatPath, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{"model":"gpt-4o","model":"gpt-4o-mini"}',
    }).answer;
    assert.equal(twice.status, 400);
  });

  test('holds for routes, by path, by prefix and by group', async () => {
    world.upstream.json({});
    const of = async (routes: string, path: string) => {
      const key = await world.aKey('--routes', routes);
      return (await world.gateway.request('GET', path, { key })).status;
    };
    assert.equal(await of('/openai/v1/files', '/openai/v1/files'), 200);
    assert.equal(await of('/openai/v1/files', '/openai/v1/models'), 403);
    assert.equal(await of('/openai/*', '/anthropic/v1/models'), 403);
    assert.equal(await of('llm_api_routes', '/anthropic/v1/models'), 200);
    assert.equal(await of('management_routes', '/anthropic/v1/models'), 403);
  });

  test('ends with its budget, at the worst case, and with a price that nobody knows', async () => {
    world.upstream.json({ usage: { prompt_tokens: 1, completion_tokens: 1 } });
    const soFar = world.upstream.received.length;
    const key = await world.aKey('--max-budget', '0.0005');
    const small = await world.gateway.request('POST', chatPath, { key, body: { ...chat(), max_tokens: 10 } });
    assert.equal(small.status, 200, small.text);
    const tools = [{ type: 'function', function: { name: 'f' } }];
    assert.equal((await post(chatPath, key, { ...chat(), max_tokens: 10, tools })).status, 200);
    const large = await world.gateway.request('POST', chatPath, { key, body: chat() });
    assert.equal(large.body.error.type, 'budget_exceeded');
    const unknown = await world.gateway.request('POST', chatPath, { key, body: chat('home-made') });
    assert.equal(unknown.body.error.type, 'unpriced_call');
    assert.equal((await world.gateway.request('GET', '/openai/v1/models', { key })).status, 200);
    assert.equal(world.upstream.received.length, soFar + 3);
  });

  const gemini = '/gemini/v1beta/models/gemini-2.5-pro';
  const turn = { model: 'claude-sonnet-4-20250514', max_tokens: 10, messages: [] };

  for (const [what, path, body] of [
    ['a stream that does not tell what it used', chatPath, { ...chat(), stream: true }],
    ['a search', '/openai/v1/responses', { model: 'gpt-4o-mini', input: 'x', tools: [{ type: 'web_search' }] }],
    [
      'a search by Anthropic',
      '/anthropic/v1/messages',
      { ...turn, tools: [{ type: 'web_search_20250305', name: 's' }] },
    ],
    ['a search by Google', `${gemini}:generateContent`, { tools: [{ googleSearch: {} }] }],
    ['training', '/openai/v1/fine_tuning/jobs', { model: 'gpt-4o-mini', training_file: 'f' }],
    ['a sound that is paid by the second', '/openai/v1/audio/transcriptions', { model: 'whisper-1' }],
    ['a batch', `${gemini}:batchGenerateContent`, {}],
    [
      'a cache that is paid by the hour',
      '/gemini/v1beta/cachedContents',
      { model: 'models/gemini-2.5-pro', ttl: '9s' },
    ],
    ['a batch of messages', '/anthropic/v1/messages/batches', { ...turn, requests: [] }],
  ] as const) {
    test(`does not have ${what} where a budget applies: nobody would know its cost`, async () => {
      const soFar = world.upstream.received.length;
      const refused = await post(path, await world.aKey('--max-budget', '10'), body);
      assert.equal(refused.body?.error?.type, 'unpriced_call', refused.text);
      assert.equal(world.upstream.received.length, soFar);
    });
  }

  for (const [what, path, body] of [
    ['an answer that is made when nobody looks', '/openai/v1/responses', { model: 'gpt-4o-mini', background: true }],
    ['a tier that is dearer', chatPath, { ...chat(), service_tier: 'priority' }],
    ['a tier that is dearer, in another spelling', chatPath, { ...chat(), serviceTier: 'priority' }],
    ['a speed that is dearer', '/anthropic/v1/messages', { ...turn, speed: 'fast' }],
    ['a place that is dearer', '/anthropic/v1/messages', { ...turn, inference_geo: 'us' }],
    ['a latency that is dearer', '/bedrock/model/m/converse', { performanceConfig: { latency: 'optimized' } }],
    ['an answer without its usage', `${gemini}:generateContent?fields=candidates`, {}],
    ['an answer in a form that is not read', `${gemini}:generateContent?%24alt=proto`, {}],
    ['an answer as a script', `${gemini}:generateContent?alt=json&callback=f`, {}],
    ['a credential of the provider’s own', '/openai/v1/realtime/client_secrets', { session: {} }],
    ['another credential of that kind', '/openai/v1/realtime/sessions', { model: 'gpt-4o-realtime-preview' }],
    ['one of Google’s', '/gemini/v1alpha/auth_tokens', {}],
  ] as const) {
    test(`does not get ${what}`, async () => {
      const soFar = world.upstream.received.length;
      const refused = await post(path, await world.aKey(), body);
      assert.equal(refused.status, 400, refused.text);
      assert.equal(world.upstream.received.length, soFar);
    });
  }

  test('holds for the model that the upstream will read, and not for another that is shown', async () => {
    world.upstream.json({});
    const soFar = world.upstream.received.length;
    const key = await world.aKey('--models', 'gpt-4o-mini');
    for (const path of [
      '/azure/OpenAI/Deployments/gpt-4o/chat/completions',
      '/vertex_ai/v1/projects/acme/locations/us-central1/endpoints/77:rawPredict',
      '/gemini/v1beta/dynamic/77:generateContent',
    ]) {
      assert.equal((await post(path, key, chat())).status, 403, path);
    }
    for (const name of [
      "name=x; name*=utf-8''model",
      'name="mode\\l"',
      'name*0=mo; name*1=del',
      'name="model"; filename=""',
    ]) {
      const part = (disposition: string, value: string) =>
        `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${value}\r\n`;
      const body = `${part(name, 'whisper-1')}${part('name="model"', 'gpt-4o-mini')}--b--\r\n`;
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'multipart/form-data; boundary=b' };
      const sent = await send('/openai/v1/audio/transcriptions', { method: 'POST', headers, body }).answer;
      assert.ok(sent.status === 400 || sent.status === 403, `${name}: ${sent.status} ${sent.text}`);
    }
    assert.equal(world.upstream.received.length, soFar);
  });

  test('ends within a second of its being blocked, by whichever way', async () => {
    world.upstream.json({});
    const key = await world.aKey('--alias', 'to-be-blocked');
    const call = async () => (await world.gateway.request('GET', '/openai/v1/models', { key })).status;
    assert.equal(await call(), 200);
    assert.equal((await world.gateway.gatewayctl('key block to-be-blocked', 'database-url')).exit, 0);
    await until(async () => (await call()) === 401, 1_000);
  });
});

describe('an answer', () => {
  test('of refusal comes as it was sent, costs nothing, and has a row', async () => {
    world.upstream.reply = (_, response) => {
      const headers = {
        'content-type': 'application/json',
        'retry-after': '7',
        'set-cookie': 'a=b',
        server: 'x',
        location: '/y',
      };
      response.writeHead(429, headers).end('{"error":{"message":"slow down"}}');
    };
    const got = await world.gateway.request('POST', chatPath, { key: await world.aKey(), body: chat() });
    assert.equal(got.status, 429);
    assert.equal(got.text, '{"error":{"message":"slow down"}}');
    assert.equal(got.headers.get('retry-after'), '7');
    for (const name of ['set-cookie', 'server', 'location']) assert.equal(got.headers.get(name), null, name);
    assert.partialDeepStrictEqual(await world.rowOf(got), { status: 'failure', http_status: 429, spend: '0' });
  });

  test('in JSON says what it cost and how long it took, of whatever length it is, and a stream how it went', async () => {
    const key = await world.aKey('--max-budget', '5');
    const usage = { prompt_tokens: 1000, completion_tokens: 500 };
    for (const [length, more, hasCost] of [
      [10, {}, true],
      [600_000, {}, false],
      [10, { stream: true, stream_options: { include_usage: true } }, false],
    ] as const) {
      const text = JSON.stringify({ usage, padding: 'x'.repeat(length) });
      world.upstream.stream('application/json', Buffer.from(text), 50_000);
      const got = await world.gateway.request('POST', chatPath, { key, body: { ...chat(), ...more } });
      assert.deepEqual([got.status, got.text], [200, text]);
      assert.equal(got.headers.get('x-litellm-response-cost'), hasCost ? '0.00045' : null);
      for (const name of ['response-duration-ms', 'overhead-duration-ms', 'attempted-retries', 'model-group']) {
        assert.ok(got.headers.get(`x-litellm-${name}`), name);
      }
      assert.equal(got.headers.get('x-litellm-key-max-budget'), '5');
      assert.equal((await world.rowOf(got)).spend, '450000');
    }
  });

  test('of any kind and length comes byte for byte, and a redirect is not followed', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    world.upstream.stream('audio/mpeg', bytes, 10_000);
    const key = await world.aKey();
    const response = await fetch(`${world.gateway.daemon.url}/openai/v1/audio/speech`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{"model":"tts-1","input":"Hi"}',
    });
    assert.equal(response.headers.get('content-type'), 'audio/mpeg');
    assert.ok(bytes.equals(Buffer.from(await response.arrayBuffer())));
    world.upstream.reply = (_, answer) => answer.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    const { status } = await send('/openai/v1/x', { headers: { authorization: `Bearer ${key}` } }).answer;
    assert.equal(status, 302);
  });

  test('never holds the operator’s credential, nor a part of it where it comes in two', async () => {
    const secret = secretOf('openai');
    world.upstream.reply = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write(`hi ${secret.slice(0, 20)}`);
      setTimeout(() => response.end(secret.slice(20)), 50);
    };
    const headers = { authorization: `Bearer ${await world.aKey()}` };
    const got = await send('/openai/v1/files/f/content', { headers }).answer;
    assert.deepEqual([got.text, got.isWhole], ['hi ', false]);
    world.upstream.reply = (_, response) => response.end(`hi ${secret.slice(0, 20)}`);
    assert.equal((await send('/openai/v1/files/f/content', { headers }).answer).text, `hi ${secret.slice(0, 20)}`);
  });

  for (const [name, path] of [
    ...doors.map(([provider, , , rest]) => [provider, rest] as const),
    ['bedrock', '/model/amazon.nova-lite-v1%3A0/converse'],
    ['vertex_ai', '/v1/projects/acme/locations/us-central1/publishers/google/models/gemini-2.5-flash:generateContent'],
    ['langfuse', '/api/public/projects'],
  ] as const) {
    test(`of ${name} never repeats what the call was made with, in whichever form it stands there`, async () => {
      const key = await world.aKey();
      const body = { model: 'gpt-4o-mini', max_tokens: 1 };
      let made: string[] = [];
      const forms: readonly ((headers: Record<string, unknown>) => string)[] = [
        (headers) => JSON.stringify({ headers }),
        (headers) => JSON.stringify({ error: { message: JSON.stringify(headers) } }).replaceAll('/', '\\/'),
        (headers) => JSON.stringify({ url: `?token=${encodeURIComponent(Object.values(headers).join())}` }),
      ];
      for (const [index, form] of forms.entries()) {
        world.upstream.reply = ({ url, headers }, response) => {
          if (url === '/token') {
            return response.writeHead(200).end('{"access_token":"ya29.a+token/of=Google","expires_in":3600}');
          }
          made = Object.values(headers)
            .flat()
            .filter((value) => value !== undefined);
          const bytes = Buffer.from(form(headers));
          response.writeHead(index === 1 ? 400 : 200, {
            'content-type': 'application/json',
            'content-length': bytes.length,
            'request-id': String(headers.authorization ?? headers['api-key']),
          });
          return response.end(bytes);
        };
        const got = await world.gateway.request('POST', `/${name}${path}`, { key, body });
        assert.deepEqual([got.status, got.body.error.type], [502, 'upstream_invalid_response'], String(index));
        const row = await world.rowOf(got);
        const seen = JSON.stringify([got.text, [...got.headers], row]);
        const isMade = made.filter((value) => value.length > 20 && /secret|AKID|ya29|Basic/.test(value));
        assert.ok(isMade.length > 0, 'the call went out with a credential');
        for (const value of isMade) {
          assert.ok(!seen.includes(value.replace(/^(?:Bearer|Basic|AWS4-HMAC-SHA256) /, '').slice(0, 20)), value);
        }
      }
    });
  }

  for (const status of ['600', '999', '099', '101']) {
    test(`with the status ${status}, which HTTP has none of or nobody asked for, is none, and costs nothing`, async () => {
      const key = await world.aKey();
      for (const body of ['', '{"usage":{"prompt_tokens":9,"completion_tokens":9}}']) {
        world.upstream.reply = (_, { socket }) => {
          socket?.end(
            `HTTP/1.1 ${status} Odd\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
          );
        };
        const got = await world.gateway.request('POST', chatPath, { key, body: chat() });
        assert.deepEqual([got.status, got.body.error.type], [502, 'upstream_invalid_response'], got.text);
        assert.partialDeepStrictEqual(await world.rowOf(got), { status: 'failure', http_status: 502, spend: '0' });
      }
    });
  }

  test('that is compressed comes byte for byte as it was sent, and never holds the operator’s credential', async () => {
    const key = await world.aKey();
    const headers = { authorization: `Bearer ${key}` };
    const get = () => send('/openai/v1/files/f/content', { headers }).answer;
    // Random text hardly shrinks: it comes in many pieces, and is longer than what may wait to be read.
    const text = Array.from({ length: 8_000 }, () =>
      createHash('sha512').update(randomBytes(8)).digest('base64'),
    ).join();
    for (const compress of [gzipSync, brotliCompressSync]) {
      const coding = compress === gzipSync ? 'gzip' : 'br';
      const answer = (content: string, announced = false) => {
        const bytes = compress(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
        world.upstream.reply = (_, response) => {
          const length = announced ? { 'content-length': bytes.length } : {};
          response.writeHead(200, { 'content-encoding': coding, 'content-type': 'text/plain', ...length });
          for (let from = 0; from < bytes.length; from += 9_999) response.write(bytes.subarray(from, from + 9_999));
          response.end();
        };
        return bytes;
      };
      const bytes = answer(text);
      const got = await get();
      assert.ok(got.isWhole && bytes.equals(got.bytes), coding);
      answer(`${text}${secretOf('openai')}`);
      const leaking = await get();
      assert.equal(leaking.isWhole, false);
      assert.ok(!inflated(leaking.bytes, coding).includes(secretOf('openai').slice(0, 20)), 'nor a part of it');
      answer(`hi ${secretOf('openai')}`, true);
      assert.equal((await get()).status, 502);
    }
  });

  test('that inflates without end, is not what it says or is compressed in another way is refused, and booked', async () => {
    const key = await world.aKey();
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    for (const [coding, bytes] of [
      ['gzip', bomb],
      ['gzip', Buffer.from('{"choices":[]}')],
      ['gzip, gzip', gzipSync(gzipSync('{}'))],
      ['compress', Buffer.from('x')],
    ] as const) {
      world.upstream.reply = (_, response) => {
        const announced = { 'content-length': bytes.length, 'content-type': 'application/json' };
        response.writeHead(200, { 'content-encoding': coding, ...announced }).end(bytes);
      };
      const got = await world.gateway.request('POST', chatPath, { key, body: chat() });
      assert.deepEqual([got.status, got.body.error.type], [502, 'upstream_invalid_response'], coding);
      const row = await world.rowOf(got);
      assert.partialDeepStrictEqual(row, { status: 'interrupted', usage_estimated: true }, coding);
      assert.ok(Number(row.spend) > 0, 'the upstream has worked on it');
    }
    world.upstream.json({ choices: [] });
    assert.equal((await world.gateway.request('POST', chatPath, { key, body: chat() })).status, 200);
  });

  test('that reports nothing is booked at an estimate, of the request and of what was written', async () => {
    const events = Array.from({ length: 40 }, () => 'data: {"choices":[{"delta":{"content":" word"}}]}\n\n').join('');
    world.upstream.stream('text/event-stream', Buffer.from(`${events}data: [DONE]\n\n`), 500);
    const body = { ...chat(), stream: true };
    const got = await world.gateway.request('POST', chatPath, { key: await world.aKey(), body });
    const row = await world.rowOf(got);
    assert.partialDeepStrictEqual(row, { usage_estimated: true, status: 'success' });
    assert.ok(Number(row.completion_tokens) >= 40 && Number(row.completion_tokens) <= 60, row.completion_tokens);
    assert.ok(Number(row.prompt_tokens) > 10);
  });

  test('that is cut is cut for the client too, and what came is paid', async () => {
    world.upstream.reply = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const event = { message: { usage: { input_tokens: 1000, output_tokens: 1 } } };
      response.write(`data: ${JSON.stringify(event)}\n\n`, () => response.destroy());
    };
    const key = await world.aKey('--alias', 'cut');
    const body = JSON.stringify({ model: 'claude-sonnet-4-20250514', max_tokens: 100, messages: [], stream: true });
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const got = await send('/anthropic/v1/messages', { method: 'POST', headers, body }).answer;
    assert.equal(got.isWhole, false);
    assert.doesNotMatch(got.text, /DONE|upstream_interrupted/);
    await until(async () => {
      const { rows } = await world.gateway.pool.query(
        `select s.* from gatewayctl.spend_logs s join gatewayctl.keys k on k.id = s.key_id where k.alias = 'cut'`,
      );
      if (rows.length === 0) return false;
      assert.partialDeepStrictEqual(rows[0], { status: 'interrupted', prompt_tokens: '1000', completion_tokens: '1' });
      return true;
    });
  });

  test('waits for a slow client, and is given up within a second when it leaves', async () => {
    let written = 0;
    let isFull = false;
    world.upstream.reply = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = Buffer.alloc(64 * 1024, 'data: {}\n\n');
      const pour = () => {
        while (!response.destroyed && written < 64 * 1024 * 1024) {
          written += chunk.length;
          if (!response.write(chunk)) {
            isFull = true;
            response.once('drain', pour);
            break;
          }
        }
      };
      pour();
    };
    const key = await world.aKey();
    const { hostname, port } = new URL(world.gateway.daemon.url);
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const request = httpRequest({ host: hostname, port, path: chatPath, method: 'POST', headers, agent: false });
    const answered = new Promise<void>((resolve) => {
      request.on('response', (response) => {
        response.pause();
        resolve();
      });
    });
    request.on('error', () => undefined).end(JSON.stringify({ ...chat(), stream: true }));
    await answered;
    let last = -1;
    await until(() => {
      const isStill = isFull && written === last;
      last = written;
      return isStill;
    });
    // What lies in the buffers of four sockets; a gateway without back-pressure would have taken all of it.
    assert.ok(written < 24 * 1024 * 1024, `${written} bytes were taken`);
    const soFar = world.upstream.aborted;
    request.destroy();
    await until(() => world.upstream.aborted > soFar, 1_000);
  });
});

describe('Langfuse', () => {
  for (const [where, keys] of [
    ['secret', (key: string) => ({ publicKey: 'pk-lf-client', secretKey: key })],
    ['user name', (key: string) => ({ publicKey: key, secretKey: 'sk-lf-client' })],
  ] as const) {
    test(`its own client sends a trace, with the virtual key as ${where}`, async () => {
      const key = await world.aKey();
      world.upstream.reply = (_, response) => {
        response
          .writeHead(207, { 'content-type': 'application/json' })
          .end('{"successes":[{"id":"1","status":201}],"errors":[]}');
      };
      const langfuse = new Langfuse({ ...keys(key), baseUrl: `${world.gateway.daemon.url}/langfuse`, flushAt: 100 });
      const trace = langfuse.trace({ name: 'a-trace', input: 'Hi' });
      trace.generation({ name: 'a-generation', model: 'gpt-4o-mini', output: 'Hello' });
      await langfuse.shutdownAsync();
      const { last } = world.upstream;
      assert.equal(last?.url, '/langfuse-base/api/public/ingestion');
      const own = `pk-lf-operator:${secretOf('langfuse')}`;
      assert.equal(last.headers.authorization, `Basic ${Buffer.from(own).toString('base64')}`);
      assert.match(last.body, /"a-trace"/);
      assert.match(last.body, /"a-generation"/);
      assert.doesNotMatch(
        JSON.stringify(last),
        new RegExp(`${key}|${Buffer.from(key).toString('base64').slice(4, 24)}`),
      );
    });
  }

  test('refuses two credentials, none, and one that is not known', async () => {
    const call = async (user: string, password: string) => {
      const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
      return (
        await world.gateway.request('GET', '/langfuse/api/public/projects', { key: '', headers: { authorization } })
      ).status;
    };
    const key = await world.aKey();
    assert.equal(await call(key, key), 207);
    assert.equal(await call(key, await world.aKey()), 401);
    assert.equal(await call('pk-lf-x', 'sk-lf-x'), 401);
    assert.equal(await call('', ''), 401);
  });
});

test('Bedrock sees a request signed by the operator’s key, as AWS would check it', async () => {
  world.upstream.json({ usage: { inputTokens: 1, outputTokens: 1 } });
  const key = await world.aKey();
  const path = '/bedrock/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse';
  const got = await world.gateway.request('POST', path, { key, body: { messages: [] } });
  assert.equal(got.status, 200, got.text);
  const { url, body, headers } = world.upstream.last!;
  const [, scope = '', signedHeaders = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/(\S+), SignedHeaders=(\S+), Signature=(\w+)$/.exec(
      String(headers.authorization),
    ) ?? [];
  const sha = (text: string) => createHash('sha256').update(text).digest('hex');
  const hmac = (secret: string | Buffer, text: string) => createHmac('sha256', secret).update(text).digest();
  const canonical = [
    'POST',
    url.replaceAll('%', '%25'),
    '',
    ...signedHeaders.split(';').map((name) => `${name}:${String(headers[name])}`),
    '',
    signedHeaders,
    sha(body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha(canonical)].join('\n');
  const signing = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secretOf('bedrock')}`);
  assert.equal(signature, hmac(signing, toSign).toString('hex'));
});

test('Vertex AI is reached in the operator’s project alone', async () => {
  const key = await world.aKey();
  const elsewhere =
    '/vertex_ai/v1/projects/other/locations/us-central1/publishers/google/models/gemini-2.5-flash:generateContent';
  const soFar = world.upstream.received.length;
  assert.equal((await world.gateway.request('POST', elsewhere, { key, body: {} })).status, 400);
  assert.equal(world.upstream.received.length, soFar);
});
