import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Gateway, startGateway, until } from '../support/gateway.ts';
import { Lane, type RawAnswer } from '../support/raw-http.ts';

let gateway: Gateway;
let port: number;
let key: string;
before(async () => {
  gateway = await startGateway({ ownProcess: true });
  port = Number(new URL(gateway.daemon.url).port);
  key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
});
after(() => gateway[Symbol.asyncDispose]());

/** The answer to bytes as they are, once the connection is closed. */
async function raw(text: string | Buffer): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  socket.write(text);
  let answer = '';
  for await (const chunk of socket.setEncoding('latin1')) answer += chunk;
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0), text: answer };
}

const get = (headers: string) => `GET /health/liveliness HTTP/1.1\r\nHost: a\r\n${headers}Connection: close\r\n\r\n`;

test('a request may have 64 header fields and not one more, on whichever route', async () => {
  const more = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: y\r\n`).join('');
  assert.equal((await raw(get(more(62)))).status, 200);
  const refused = await raw(get(more(63)));
  assert.equal(refused.status, 431);
  assert.match(refused.text, /headers_too_large/);
  const call = await raw(get(more(63)).replace('GET /health/liveliness', 'GET /v1/models'));
  assert.equal(call.status, 431);
});

test('what Node counts of a head may be 16 KiB and not a byte more', async () => {
  // The target, and the names and values of the fields.
  const counted = '/health/liveliness'.length + 'Hosta'.length + 'Connectionclose'.length + 'X-Long'.length;
  const padded = (length: number) => raw(get(`X-Long: ${'a'.repeat(length - counted)}\r\n`));
  assert.equal((await padded(16_383)).status, 200);
  const refused = await padded(16_384);
  assert.equal(refused.status, 431);
  assert.match(refused.text, /headers_too_large/);
});

const chunks = '2\r\n{}\r\n0\r\n\r\n';
const framings: readonly (readonly [what: string, headers: string, body?: string])[] = [
  ['two Hosts', 'Host: b\r\n'],
  ['two lengths', 'Content-Length: 2\r\nContent-Length: 2\r\n'],
  ['two lengths that differ', 'Content-Length: 2\r\nContent-Length: 3\r\n'],
  ['a list of lengths', 'Content-Length: 2, 2\r\n'],
  ['a length beside chunks', 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', chunks],
  ['chunks beside a length', 'Transfer-Encoding: chunked\r\nContent-Length: 2\r\n', chunks],
  ['chunks twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', chunks],
  ['gzip before chunks', 'Transfer-Encoding: gzip, chunked\r\n', chunks],
  ['gzip before chunks in two fields', 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n', chunks],
  ['no known transfer coding', 'Transfer-Encoding: identity\r\n', chunks],
];

describe('a request that two programs could read in two ways is refused:', () => {
  for (const [what, headers, body = '{}'] of framings) {
    test(what, async () => {
      for (const path of ['/key/generate', '/v1/chat/completions', '/health/liveliness']) {
        const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`;
        const { status, text } = await raw(`${head}${headers}\r\n${body}`);
        assert.equal(status, 400, `${path}: ${text}`);
        assert.equal(text.split('HTTP/1.1 ').length, 2, 'what followed was not read as another request');
      }
    });
  }

  test('two Authorizations', async () => {
    for (const path of ['/key/list', '/v1/models']) {
      const field = `Authorization: Bearer ${key}\r\n`;
      const { status } = await raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n${field}${field}Connection: close\r\n\r\n`);
      assert.equal(status, 401);
    }
  });

  test('chunks in HTTP/1.0', async () => {
    assert.equal((await raw(`POST /key/generate HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`)).status, 400);
  });
});

const admin = (body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(`${gateway.daemon.url}/key/info`.replace('/info', '/generate'), {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.daemon.masterKey}`, 'content-type': 'application/json', ...headers },
    body,
  });
const told = async (answer: Response) => [
  answer.status,
  ((await answer.json()) as { error: { type: string } }).error.type,
];

describe('the body of an administrator', () => {
  test('may be 1 MiB, compressed or not, and not a byte more', async () => {
    const exact = '{"key_alias":"exact"}'.padEnd(1_048_576);
    const gzip = { 'content-encoding': 'gzip' };
    assert.equal((await admin(exact)).status, 200);
    assert.deepEqual(await told(await admin(`${exact} `)), [413, 'body_too_large']);
    assert.equal((await admin(gzipSync(exact.replace('exact', 'other')), gzip)).status, 200);
    assert.deepEqual(await told(await admin(gzipSync(`${exact} `), gzip)), [413, 'body_too_large']);
    assert.deepEqual(await told(await admin(gzipSync('{}'), { 'content-encoding': 'br' })), [
      415,
      'unsupported_media_type',
    ]);
  });

  test('is nested 64 levels deep and has 200,000 values at most', async () => {
    const nested = (levels: number) => `{"metadata":${'{"a":'.repeat(levels - 1)}1${'}'.repeat(levels)}`;
    assert.equal((await admin(nested(64), {})).status, 200);
    assert.deepEqual(await told(await admin(nested(65))), [400, 'invalid_json']);
    const values = (count: number) => `{"metadata":{"a":[${'1,'.repeat(count)}1]}}`;
    assert.equal((await admin(values(199_997))).status, 200);
    assert.deepEqual(await told(await admin(values(199_998))), [400, 'invalid_json']);
  });

  test('is JSON, and does not come from a page', async () => {
    assert.equal((await admin('{}', { 'content-type': 'text/plain' })).status, 415);
    assert.equal((await admin('{}', { origin: 'http://localhost' })).status, 403);
    const { body } = await gateway.request('GET', '/key/list', { headers: { 'x-http-method-override': 'POST' } });
    assert.ok(Array.isArray(body.keys), 'no field changes the method');
  });
});

const memory = async (): Promise<number> =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${gateway.daemon.child.pid}/status`, 'utf8'))?.[1]) / 1_024;

test('SEC-78, G28: a gzip bomb of 1 GiB is refused, and takes no more memory than a body may have', async (t) => {
  // A hundred members of 10 MiB, less a little: within the limit only the first one is.
  const member = gzipSync(Buffer.alloc(10 * 1_024 * 1_024 + 1));
  const bomb = Buffer.concat(Array.from({ length: 100 }, () => member));
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Encoding: gzip\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${bomb.length}\r\nConnection: close\r\n\r\n`;
  const send = (path: string) => raw(Buffer.concat([Buffer.from(head(path)), bomb]));
  // What the first one costs is the code that is loaded for it.
  assert.equal((await send('/v1/chat/completions')).status, 413);
  const beforeMiB = await memory();
  const growth = async (bombs: number): Promise<number> => {
    for (let count = 0; count < bombs; count++) {
      const answer = await send(count % 2 === 0 ? '/v1/chat/completions' : '/key/generate');
      assert.equal(answer.status, 413, answer.text);
    }
    return (await memory()) - beforeMiB;
  };
  const one = await growth(1);
  assert.ok(one <= 32, `one: ${one.toFixed(1)} MiB`);
  // What V8 has not collected yet is no more after forty than after ten.
  const forty = await growth(39);
  assert.ok(forty <= 96, `forty: ${forty.toFixed(1)} MiB`);
  t.diagnostic(`one: ${one.toFixed(1)} MiB, forty: ${forty.toFixed(1)} MiB`);
});

const slow = Number(process.env['GATEWAYCTL_TEST_SLOW_CLIENTS'] ?? 200);

test(
  `G29: ${slow} clients that never end their headers are cut, and others are served meanwhile`,
  { timeout: 60_000 },
  async (t) => {
    const began = performance.now();
    const sockets: Socket[] = [];
    let cut = 0;
    for (let count = 0; count < slow; count++) {
      // Each hundred comes from an address of its own, so that it is not the limit of one that ends them.
      const localAddress = `127.0.0.${2 + Math.floor(count / 100)}`;
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket
        .on('error', () => undefined)
        .on('close', () => cut++)
        .resume();
      socket.write('GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Slow: ');
      sockets.push(socket);
    }
    const drip = setInterval(() => sockets.forEach((socket) => socket.write('a')), 1_000);
    const lane = new Lane({ port, host: '127.0.0.1' });
    let served = 0;
    const took: number[] = [];
    try {
      await until(async () => {
        const start = performance.now();
        const { status } = await lane.send({
          line: 'GET /v1/models HTTP/1.1',
          headers: ['Host: a', `Authorization: Bearer ${key}`],
        });
        took.push(performance.now() - start);
        assert.equal(status, 200);
        served++;
        return cut === slow;
      }, 30_000);
    } finally {
      clearInterval(drip);
      lane.close();
      for (const socket of sockets) socket.destroy();
    }
    const seconds = (performance.now() - began) / 1_000;
    took.sort((one, other) => one - other);
    t.diagnostic(
      `all cut after ${seconds.toFixed(1)} s; ${served} good answers, p99 ${took[Math.floor(took.length * 0.99)]?.toFixed(1)} ms`,
    );
    assert.ok(seconds < 14, `all were cut after ${seconds} s`);
    assert.ok(served > 100);
  },
);
