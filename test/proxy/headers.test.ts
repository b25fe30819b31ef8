import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { random } from '../support/random-lines.ts';
import { aCompletion, aStream } from './upstream.ts';
import { aDeployment, Gateway, hello } from './gateway.ts';

const seed = Number(process.env['GATEWAYCTL_TEST_SEED'] ?? 20_261_127);

/** An upstream that says what it is told to, byte for byte, to whoever connects. */
async function startBytes() {
  let next = '';
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.from(next, 'latin1')));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an AddressInfo
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    /** An answer with these lines in its head. */
    say(lines: readonly string[], { stream = false, status = 200 } = {}) {
      const body = stream ? aStream('Hello').join('') : JSON.stringify(aCompletion('Hello'));
      const type = stream ? 'text/event-stream' : 'application/json';
      const head = [`HTTP/1.1 ${status} OK`, `Content-Type: ${type}`, `Content-Length: ${body.length}`, ...lines];
      next = [...head, '', body].join('\r\n');
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** Headers by which an upstream could act on a client, on what is between, or in the name of the gateway. */
const unwanted = [
  'Set-Cookie', 'Set-Cookie2', 'Server', 'Via', 'Connection', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authenticate',
  'Proxy-Authorization', 'Authorization', 'WWW-Authenticate', 'TE', 'Trailer', 'Upgrade', 'Alt-Svc', 'Location',
  'Refresh', 'Link', 'Strict-Transport-Security', 'Content-Security-Policy', 'Access-Control-Allow-Origin',
  'Access-Control-Allow-Credentials', 'Clear-Site-Data', 'Cache-Control', 'Age', 'ETag', 'Expires', 'Vary', 'X-Powered-By',
  'X-LiteLLM-Call-Id', 'X-LiteLLM-Response-Cost', 'X-LiteLLM-Key-Spend', 'X-LiteLLM-Model-Id', 'X-LiteLLM-Version',
  'X-Forwarded-For', 'X-Internal-Host', 'X-Envoy-Upstream-Service-Time', 'X-Amz-Request-Id', 'CF-Ray', 'NEL', 'Report-To',
  'Openai-Organization', 'Openai-Project', 'X-Api-Key', 'Api-Key', 'X-Goog-Api-Key', 'Service-Worker-Allowed', 'SourceMap',
  'X-Accel-Redirect', 'X-Accel-Buffering', 'X-Sendfile', 'Content-Disposition', 'Content-Location', 'Content-Range',
]; // prettier-ignore

/** What `headers.ts` lets pass, said a second time so that a change there has to be meant. */
const allowed =
  /^(?:retry-after(?:-ms)?|x-should-retry|llm_provider-(?:x-request-id|openai-processing-ms|openai-version)|x-ratelimit-.+)$/;

test('of a thousand headers of an upstream none reaches the client that is not allowed to', async () => {
  await using upstream = await startBytes();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const below = random(seed);
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_.!#$%&'*+^`|~";
  const made = (): string => Array.from({ length: 1 + below(24) }, () => letters[below(letters.length)]).join('');
  const value = (): string =>
    `canary-${Array.from({ length: below(40) }, () => String.fromCharCode(0x20 + below(0x5f))).join('')}`;
  let sent = 0;
  for (let round = 0; round < 24; round++) {
    const stream = round % 2 === 0;
    const status = round % 6 === 5 ? 429 : 200;
    const ask = async (lines: readonly string[]) => {
      upstream.say(lines, { stream, status });
      const { status: answered, headers } = await gateway.send({ ...hello, stream });
      assert.equal(answered, status);
      return headers;
    };
    const plain = await ask([]);
    const names = [...unwanted, ...Array.from({ length: 44 }, made)];
    sent += names.length;
    const headers = await ask(names.map((name) => `${name}: ${value()}`));
    for (const [name, text] of Object.entries(headers)) {
      assert.ok(Object.hasOwn(plain, name) || allowed.test(name), `${name}: ${String(text)} (seed ${seed})`);
      if (!allowed.test(name)) assert.doesNotMatch(String(text), /canary/, name);
    }
  }
  assert.ok(sent > 1_000);
});

test('a header with a line end or a zero in it adds none', async () => {
  await using upstream = await startBytes();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  for (const line of [
    'Retry-After: 1\rSet-Cookie: a=b',
    'Retry-After: 1\nSet-Cookie: a=b',
    'Retry-After: 1\0Set-Cookie: a=b',
    'Retry-After: 1\r\n Set-Cookie: a=b',
    'Retry-After: 1\r\n\tSet-Cookie: a=b',
    'Retry-After: 1\u0085Set-Cookie: a=b',
    'Retry-After : 1',
    ': 1',
  ]) {
    upstream.say([line]);
    const { status, headers, json } = await gateway.send(hello);
    assert.ok(status === 200 || (status === 502 && json.error['type'] === 'upstream_invalid_response'), line);
    assert.equal(headers['set-cookie'], undefined, JSON.stringify(line));
    assert.doesNotMatch(Object.keys(headers).join(), /cookie|\s/, JSON.stringify(line));
  }
});
