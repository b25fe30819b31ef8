import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Gateway, aDeployment, eventsOf, hello, until } from './gateway.ts';
import { aStream, startUpstream } from './upstream.ts';
import type { UpstreamScript } from './upstream.ts';

const through = (url: string) => ({ deployments: [aDeployment({ apiBase: url })] });
const failing = (status: number, error: object, headers = {}): UpstreamScript => ({
  status,
  headers,
  answer: { error },
});
const longText = 'x'.repeat(5_000);

const table: {
  what: string;
  script: UpstreamScript;
  status: number;
  error: Record<string, unknown>;
  headers?: Record<string, string>;
  /** Whether the upstream took the call, and is likely to bill it. */
  isPaid?: boolean;
}[] = [
  {
    what: 'a bad request keeps its status, message, param and code',
    script: failing(400, {
      message: 'Too long',
      type: 'invalid_request_error',
      param: 'messages',
      code: 'context_length_exceeded',
    }),
    status: 400,
    error: { message: 'Too long', type: 'invalid_request_error', param: 'messages', code: 'context_length_exceeded' },
  },
  {
    what: 'a refusal of our credentials does not look like one of the client’s',
    script: failing(401, {
      message: 'Incorrect API key provided: sk-provi*****6789. See the docs.',
      type: 'invalid_request_error',
      code: 'invalid_api_key',
    }),
    status: 502,
    error: {
      type: 'upstream_auth_error',
      code: '502',
      message: 'The upstream refused the gateway’s credentials: Incorrect API key provided: [redacted] See the docs.',
    },
  },
  {
    what: 'nor does a 403',
    script: failing(403, { message: 'No access' }),
    status: 502,
    error: { type: 'upstream_permission_denied', message: 'The upstream does not permit this call: No access' },
  },
  {
    what: 'a rate limit keeps its status and its headers',
    script: failing(
      429,
      { message: 'Slow down', type: 'requests', code: 'rate_limit_exceeded' },
      {
        'retry-after': '7',
        'x-ratelimit-remaining-requests': '0',
      },
    ),
    status: 429,
    error: { message: 'Slow down', type: 'requests', code: 'rate_limit_exceeded' },
    headers: { 'retry-after': '7', 'x-ratelimit-remaining-requests': '0' },
  },
  {
    what: 'a 500 stays one',
    script: failing(500, { message: 'Oops', type: 'server_error' }),
    status: 500,
    error: { message: 'Oops', code: '500' },
  },
  {
    what: 'an overloaded upstream stays 529',
    script: failing(529, { message: 'Busy' }),
    status: 529,
    error: { type: 'upstream_error' },
  },
  {
    what: 'an error page says only its status',
    script: { status: 503, answer: '<html>nginx</html>', headers: { 'content-type': 'text/html' } },
    status: 503,
    error: { message: 'The upstream answered HTTP 503', type: 'upstream_error', code: '503' },
  },
  {
    what: 'a long message is cut',
    script: failing(400, { message: 'y '.repeat(5_000) }),
    status: 400,
    error: { message: `${'y '.repeat(1_023)}y…` },
  },
  {
    what: 'a message with the provider’s key is scrubbed',
    script: failing(400, { message: 'key=sk-provider-secret-0123456789 Bearer abc https://u:p@host/' }),
    status: 400,
    error: { message: 'key=[redacted] [redacted] https:[redacted]host/' },
  },
  {
    what: 'an endless error is not read',
    script: { status: 500, answer: longText.repeat(20) },
    status: 500,
    error: { type: 'upstream_error' },
  },
  {
    what: 'a status that is none is not passed on',
    script: { status: 799, answer: '{}' },
    status: 502,
    error: { type: 'upstream_invalid_response' },
  },
  {
    what: 'a redirect is not followed',
    script: { status: 302, headers: { location: 'http://127.0.0.1:1/' }, answer: '' },
    status: 502,
    error: { type: 'upstream_invalid_response' },
  },
  {
    isPaid: true,
    what: 'a page with status 200 is no answer',
    script: { answer: '<html>Hi</html>', headers: { 'content-type': 'text/html' } },
    status: 502,
    error: { type: 'upstream_invalid_response' },
  },
  {
    isPaid: true,
    what: 'nor is half of one',
    script: { answer: '{"choices":[' },
    status: 502,
    error: { type: 'upstream_invalid_response' },
  },
  {
    isPaid: true,
    what: 'nor is JSON of something else',
    script: { answer: '[1]' },
    status: 502,
    error: { type: 'upstream_invalid_response' },
  },
  {
    isPaid: true,
    what: 'nor is text that is not UTF-8',
    script: { answer: Buffer.from('{"choices":["\xff"]}', 'latin1') },
    status: 502,
    error: { type: 'upstream_invalid_response' },
  },
  {
    isPaid: true,
    what: 'nor is nothing',
    script: { answer: '' },
    status: 502,
    error: { type: 'upstream_invalid_response' },
  },
  {
    what: 'an error with status 200 is an error',
    script: { answer: { error: { message: 'Broken' } } },
    status: 502,
    error: { message: 'Broken' },
  },
  {
    isPaid: true,
    what: 'an answer that is cut is none',
    script: { cutAfter: 40 },
    status: 502,
    error: { type: 'upstream_unreachable' },
  },
  {
    isPaid: true,
    what: 'an answer cut before its first byte is none',
    script: { cutAfter: 0 },
    status: 502,
    error: { type: 'upstream_unreachable' },
  },
];

for (const { what, script, status, error, headers = {}, isPaid = false } of table) {
  test(`of an upstream’s failures: ${what}`, async () => {
    await using upstream = await startUpstream(script);
    await using gateway = await Gateway.start(through(upstream.url));
    const answer = await gateway.send(hello);
    assert.equal(answer.status, status);
    for (const [name, value] of Object.entries(error)) assert.equal(answer.json.error[name], value);
    for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[name], value);
    assert.ok(answer.headers['x-litellm-call-id']);
    const { outcome } = gateway;
    assert.deepEqual([outcome.status, outcome.httpStatus], [isPaid ? 'interrupted' : 'failure', status]);
    assert.equal(outcome.usage?.promptTokens, isPaid ? gateway.bookings[0]?.start.promptTokens : undefined);
    assert.equal(outcome.error, answer.json.error['type']);
    assert.equal(JSON.stringify([answer, gateway.logged]).includes('sk-provider'), false);
  });
}

for (const stream of [false, true]) {
  const kind = stream ? 'streamed' : 'plain';

  test(`an upstream that refuses connections is a 502, ${kind}`, async () => {
    await using gateway = await Gateway.start(through('http://127.0.0.1:1/v1'));
    const { status, json } = await gateway.send({ ...hello, stream });
    assert.deepEqual([status, json.error['type']], [502, 'upstream_unreachable']);
    assert.equal(gateway.outcome.status, 'failure');
    assert.equal(gateway.logged.length, 1);
  });

  test(`an upstream without an address is a 502, ${kind}`, async () => {
    await using gateway = await Gateway.start(through('http://nowhere.invalid/v1'));
    assert.deepEqual([(await gateway.send({ ...hello, stream })).status, gateway.outcome.status], [502, 'failure']);
  });

  test(`an upstream that never answers is a 504, ${kind}`, async () => {
    await using upstream = await startUpstream({ firstByteMs: 60_000 });
    await using gateway = await Gateway.start({ ...through(upstream.url), limits: { firstByteMs: 50 } });
    const { status, json } = await gateway.send({ ...hello, stream });
    assert.deepEqual([status, json.error['type'], gateway.outcome.status], [504, 'upstream_timeout', 'interrupted']);
    await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true);
  });

  test(`a call that takes longer than any may is ended, ${kind}`, async () => {
    // Long enough for the call to be sent on a busy machine: one that never was costs nothing.
    await using upstream = await startUpstream({ firstByteMs: 60_000 });
    await using gateway = await Gateway.start({ ...through(upstream.url), limits: { totalMs: 500 } });
    const { status, json } = await gateway.send({ ...hello, stream });
    assert.deepEqual([status, json.error['type'], gateway.outcome.status], [504, 'upstream_timeout', 'interrupted']);
  });

  test(`an upstream that does not speak HTTP is a 502, ${kind}`, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await using gateway = await Gateway.start(through(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    const { status, json } = await gateway.send({ ...hello, stream });
    server.close();
    assert.deepEqual([status, json.error['type']], [502, 'upstream_invalid_response']);
  });
}

test('a plain answer that is larger than allowed is a 502', async () => {
  await using upstream = await startUpstream({ text: longText });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { responseBytes: 4_000 } });
  assert.equal((await gateway.send(hello)).json.error['type'], 'upstream_invalid_response');
  assert.equal(gateway.outcome.status, 'interrupted');
  assert.ok((gateway.outcome.usage?.completionTokens ?? 0) > 1_000);
});

test('an answer that falls silent is a 504', async () => {
  await using upstream = await startUpstream({ silentAfter: 30 });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { idleMs: 50 } });
  const { status, json } = await gateway.send(hello);
  assert.deepEqual([status, json.error['type'], gateway.outcome.status], [504, 'upstream_timeout', 'interrupted']);
});

test('a deployment whose address is no URL is a 502 that names no address', async () => {
  await using gateway = await Gateway.start(through('ftp://user:secret@host'));
  const { status, json } = await gateway.send(hello);
  assert.deepEqual([status, json.error['type']], [502, 'upstream_misconfigured']);
  assert.equal(JSON.stringify(json).includes('secret'), false);
  assert.equal(gateway.outcome.status, 'failure');
});

test('a stream in a wrapper that is none, or in bytes that are no text, is a 502', async () => {
  await using upstream = await startUpstream();
  for (const [script, booked] of [
    [{ headers: { 'content-type': 'text/html' } }, 'interrupted'],
    [{ chunks: [Buffer.from('data: {"a":"\xff"}\n\n', 'latin1')] }, 'interrupted'],
    [{ chunks: ['data: {"error":{"message":"Overloaded","type":"server_error"}}\n\n'] }, 'failure'],
    [{ chunks: ['hello'] }, 'interrupted'],
    [{ chunks: [] }, 'interrupted'],
  ] as const) {
    await using gateway = await Gateway.start(through(upstream.url));
    upstream.script(script);
    const { status } = await gateway.send({ ...hello, stream: true });
    assert.deepEqual([status, gateway.outcome.status], [502, booked]);
  }
});

test('an event that is too large ends a stream', async () => {
  await using upstream = await startUpstream({ chunks: [aStream('a')[0]!, `data: ${longText}`, longText, '\n\n'] });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { eventBytes: 6_000 } });
  const { text } = await gateway.send({ ...hello, stream: true });
  assert.equal(eventsOf(text).length, 3);
  assert.match(text, /upstream_interrupted/);
  assert.equal(gateway.outcome.status, 'interrupted');
});

test('an error inside of a stream is passed on without secrets, and ends it', async () => {
  const [first] = aStream('a');
  await using upstream = await startUpstream({
    chunks: [first!, 'data: {"error":{"message":"Bad key sk-provider-secret-0123456789"}}\n\n', 'data: [DONE]\n\n'],
  });
  await using gateway = await Gateway.start(through(upstream.url));
  const { text } = await gateway.send({ ...hello, stream: true });
  const [, error, done] = eventsOf(text);
  assert.equal(JSON.parse(error!).error.message, 'The stream was interrupted. Bad key [redacted]');
  assert.equal(done, '[DONE]');
  assert.equal(gateway.outcome.status, 'interrupted');
});

test('what the gateway itself gets wrong is a 500 that says nothing, and is logged with its cause', async () => {
  await using gateway = await Gateway.start({
    decide: () => {
      throw new TypeError('secret detail');
    },
  });
  const { status, json } = await gateway.send(hello);
  assert.deepEqual([status, json.error['type']], [500, 'internal_error']);
  assert.equal(JSON.stringify(json).includes('secret'), false);
  assert.match(gateway.logged.join(''), /^error /);
});
