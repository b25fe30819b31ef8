import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SseScanner } from '../../src/proxy/sse.ts';
import { chatEvents } from '../../src/proxy/events/chat-events.ts';
import { Gateway, aDeployment, hello, until } from './gateway.ts';
import { aCompletion, aStream } from './upstream.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const pieces = 100_000;
/** Chunks of HTTP with a byte each: six bytes of the wire for one of a body. */
const single = (text: string): string => text.replaceAll(/[^]/g, '1\r\n$&\r\n');
const manySingles = single('x').repeat(pieces);

/** What is alive, in MiB. What is held outside of V8 counts as well. */
function aliveMiB(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1_024 ** 2;
}

/** The same once all that was written has been read: some turns pass in which nothing comes to it. */
async function settledMiB(): Promise<number> {
  let steady = 0;
  let last = 0;
  await until(
    'all but the end has come',
    () => {
      const now = aliveMiB();
      steady = Math.abs(now - last) < 0.02 ? steady + 1 : 0;
      last = now;
      return steady > 3;
    },
    20_000,
  );
  return last;
}

/** An upstream that says what it is told to, byte for byte, and closes when it is told to. */
async function startRaw(answer: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).once('data', () => answer(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1`, [Symbol.dispose]: () => void server.close() };
}

const head = (type: string): string => `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`;
const end = '0\r\n\r\n';

for (const { kind, type, stream, before, after } of [
  { kind: 'an answer', type: 'application/json', stream: false, before: '{"x":"', after: '' },
  { kind: 'one event', type: 'text/event-stream', stream: true, before: ': ', after: '\n\n' },
]) {
  test(`${kind} that comes a byte at a time takes little more memory than it has bytes`, async () => {
    const [flushed, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const rest = stream ? aStream('one two').join('') : JSON.stringify(aCompletion('one two')).replace('{', '",');
    using upstream = await startRaw((socket) => {
      socket.write(head(type) + single(before) + manySingles, () => flushed.resolve());
      void held.promise.then(() => socket.write(single(after + rest) + end));
    });
    await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
    const alive = aliveMiB();
    const answer = gateway.send({ ...hello, stream });
    await flushed.promise;
    const more = (await settledMiB()) - alive;
    assert.ok(more < 4, `${more.toFixed(1)} MiB for ${pieces} bytes`);
    held.resolve();
    const { status, text } = await answer;
    assert.equal(status, 200, text);
    assert.ok(text.includes('x'.repeat(pieces)) && text.includes('two'));
    assert.equal(gateway.outcome.status, 'success');
  });
}

test('so does a body', async () => {
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: 'http://127.0.0.1:9' })] });
  const alive = aliveMiB();
  const client = connect(gateway.port, '127.0.0.1').on('error', () => undefined);
  client.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n');
  const flushed = Promise.withResolvers<void>();
  client.write(`transfer-encoding: chunked\r\n\r\n${single('{"x":"')}${manySingles}`, () => flushed.resolve());
  await flushed.promise;
  const more = (await settledMiB()) - alive;
  assert.ok(more < 4, `${more.toFixed(1)} MiB for ${pieces} bytes`);
  client.destroy();
});

test('a stream is the same wherever it is cut, with each of the three line ends and with a byte order mark', () => {
  const events = aStream('Grüße ✓ one');
  const whole = events.join('');
  const delivered = (pushed: readonly Buffer[]) => {
    const scanner = new SseScanner({ dialect: chatEvents, hidesUsage: true, maxEvent: 1_024 });
    const passed = pushed.map((chunk) => scanner.push(chunk) ?? Buffer.alloc(0));
    const rest = scanner.end() ?? Buffer.alloc(0);
    return { text: Buffer.concat([...passed, rest]).toString(), usage: scanner.usage, done: scanner.done };
  };
  for (const lineEnd of ['\n', '\r\n', '\r']) {
    for (const mark of ['', '\uFEFF']) {
      const bytes = Buffer.from(mark + whole.replaceAll('\n', lineEnd));
      const wanted = delivered([bytes]);
      assert.ok(wanted.done && wanted.usage && wanted.text.includes('Grüße'.slice(0, 3)));
      for (let cut = 1; cut < bytes.length; cut++) {
        assert.deepEqual(delivered([bytes.subarray(0, cut), bytes.subarray(cut)]), wanted, `${lineEnd} at ${cut}`);
      }
      assert.deepEqual(delivered([...bytes].map((byte) => Buffer.of(byte))), wanted, 'byte for byte');
    }
  }
});

test('a client that closes its half of the connection counts as one that has left, and pays for what it got', async () => {
  const gone = Promise.withResolvers<void>();
  using upstream = await startRaw((socket) => {
    socket.on('close', () => gone.resolve());
    socket.write(head('text/event-stream') + single(aStream('one two').slice(0, 2).join('')));
  });
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const body = JSON.stringify({ ...hello, stream: true });
  const client = connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('utf8');
  client.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await once(client, 'data');
  client.end();
  await gone.promise;
  await until('it is booked', () => gateway.bookings[0]?.outcomes.length === 1);
  assert.deepEqual([gateway.outcome.status, gateway.outcome.error], ['interrupted', 'client_disconnected']);
  client.destroy();
});

test('headers without end, or with a line break, are no answer', async () => {
  for (const [what, bomb] of [
    ['one header of 40 kB', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`],
    ['3,000 headers', `HTTP/1.1 200 OK\r\n${'x-a: bcdefg\r\n'.repeat(3_000)}\r\n`],
    [
      'trailers of 40 kB',
      `${head('text/event-stream')}${single(': a\n\n')}0\r\n${'x-a: bcdefg\r\n'.repeat(3_000)}\r\n`,
    ],
    ['a bare line feed', 'HTTP/1.1 200 OK\nset-cookie: a\n\n'],
    ['a carriage return in a value', 'HTTP/1.1 200 OK\r\nx-request-id: a\rset-cookie: b\r\n\r\n'],
  ] as const) {
    using upstream = await startRaw((socket) => socket.end(bomb));
    await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
    const { status, headers, text } = await gateway.send({ ...hello, stream: true });
    assert.equal(headers['set-cookie'], undefined, what);
    if (status === 200) assert.match(text, /upstream_interrupted/, what);
    else assert.equal(status, 502, `${what}: ${text}`);
    assert.equal(gateway.bookings[0]?.outcomes.length, 1, what);
  }
});
