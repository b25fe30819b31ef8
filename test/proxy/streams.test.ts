import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Gateway, aDeployment, eventsOf, hello, readAnswer, until } from './gateway.ts';
import { aCompletion, aStream, startUpstream } from './upstream.ts';

const through = (url: string) => ({ deployments: [aDeployment({ apiBase: url })] });
const streamed = { ...hello, stream: true };

test('a stream that falls silent ends with an error', async () => {
  const whole = aStream('one two');
  await using upstream = await startUpstream({
    silentAfter: whole.slice(0, 2).join('').length,
    chunks: [whole.join('')],
  });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { idleMs: 50 } });
  const { text } = await gateway.send(streamed);
  const events = eventsOf(text);
  assert.equal(events.length, 4);
  assert.equal(JSON.parse(events[2]!).error.type, 'upstream_interrupted');
  assert.equal(gateway.outcome.status, 'interrupted');
  await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true);
});

test('a silent stream is kept alive with comments, and checkpoints what it delivered', async () => {
  const hold = Promise.withResolvers<void>();
  await using upstream = await startUpstream({
    text: 'one two',
    beforeChunk: (index) => (index === 3 ? hold.promise : Promise.resolve()),
  });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { commentMs: 20 } });
  const response = await gateway.open(streamed);
  let text = '';
  response.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await until('two comments came', () => text.split(': keep-alive\n\n').length > 2);
  assert.deepEqual(gateway.bookings[0]?.checkpoints.at(-1), 2);
  hold.resolve();
  await until('the stream ended', () => response.complete);
  assert.equal(
    text.replaceAll(': keep-alive\n\n', ''),
    aStream('one two')
      .filter((event) => !event.includes('"choices":[]'))
      .join(''),
  );
});

test('a client that leaves at any chunk ends the upstream’s work and is charged for what it got', async () => {
  const words = 'one two three four';
  const total = aStream(words).length;
  for (let leaveAt = 1; leaveAt < total - 2; leaveAt++) {
    const left = Promise.withResolvers<void>();
    await using upstream = await startUpstream({
      text: words,
      beforeChunk: (index) => (index === leaveAt ? left.promise : Promise.resolve()),
    });
    await using gateway = await Gateway.start(through(upstream.url));
    const response = await gateway.open(streamed);
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => {});
    await until(`${leaveAt} events came`, () => eventsOf(text).length >= Math.min(leaveAt, total - 2));
    response.destroy();
    await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true, 1_000);
    await until('the call is settled', () => gateway.bookings[0]?.outcomes.length === 1);
    left.resolve();
    await until('nothing is in flight', () => gateway.proxy.inFlight === 0);
    const { outcome } = gateway;
    assert.deepEqual([outcome.status, outcome.error, outcome.httpStatus], ['interrupted', 'client_disconnected', 499]);
    const delivered = words
      .split(/(?= )/)
      .slice(0, leaveAt - 1)
      .join('');
    assert.equal(outcome.usage?.completionTokens, Math.ceil(delivered.length / 4), `at ${leaveAt}`);
    assert.equal(outcome.usage?.promptTokens, gateway.bookings[0]?.start.promptTokens);
    assert.equal(outcome.usage?.estimated, true);
  }
});

const thoughtful = {
  prompt_tokens: 200_000,
  completion_tokens: 12_000,
  completion_tokens_details: { reasoning_tokens: 11_900 },
};

/** Opens a stream and leaves as soon as an event of it came by. */
async function leaveAfter(gateway: Gateway, event: string): Promise<void> {
  const response = await gateway.open(streamed);
  let text = '';
  response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => {});
  await until(`${event} came`, () => text.includes(event));
  response.destroy();
}

test('a client that leaves after the model has finished pays for all of it, thoughts included', async () => {
  const left = Promise.withResolvers<void>();
  const last = aStream('a').length - 2;
  await using upstream = await startUpstream({
    text: 'a',
    usage: thoughtful,
    beforeChunk: (index) => (index === last ? left.promise : Promise.resolve()),
  });
  await using gateway = await Gateway.start(through(upstream.url));
  await leaveAfter(gateway, '"finish_reason":"stop"');
  await until('it has been noticed', () => gateway.clients === 0);
  assert.equal(gateway.proxy.inFlight, 1);
  left.resolve();
  await until('nothing is in flight', () => gateway.proxy.inFlight === 0);
  const { status, usage, error } = gateway.outcome;
  assert.deepEqual([status, error, usage?.estimated], ['interrupted', 'client_disconnected', false]);
  assert.deepEqual([usage?.promptTokens, usage?.completionTokens, usage?.reasoningTokens], [200_000, 12_000, 11_900]);
});

const drained = (url: string) => ({
  deployments: [aDeployment({ apiBase: url, params: { drain_on_disconnect: true } })],
});

test('a client that leaves at any chunk of a deployment that is drained is charged what the upstream counted', async () => {
  const words = 'one two three four';
  const total = aStream(words).length;
  for (let leaveAt = 1; leaveAt < total - 1; leaveAt++) {
    const left = Promise.withResolvers<void>();
    await using upstream = await startUpstream({
      text: words,
      usage: thoughtful,
      beforeChunk: (index) => (index === leaveAt ? left.promise : Promise.resolve()),
    });
    await using gateway = await Gateway.start(drained(upstream.url));
    const opened = gateway.open(streamed, { headers: { connection: 'close' } });
    let text = '';
    opened.then(
      (response) => response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => {}),
      () => {},
    );
    await until('the upstream is at work', () => upstream.requests.length === 1);
    await until(`${leaveAt} events came`, () => eventsOf(text).length >= Math.min(leaveAt, total - 2));
    gateway.hangUp();
    await until('it has been noticed', () => gateway.clients === 0);
    assert.equal(gateway.proxy.inFlight, 1);
    left.resolve();
    await until('nothing is in flight', () => gateway.proxy.inFlight === 0);
    const { status, error, usage } = gateway.outcome;
    assert.deepEqual([status, error, usage?.estimated], ['interrupted', 'client_disconnected', false]);
    assert.deepEqual([usage?.promptTokens, usage?.completionTokens], [200_000, 12_000], `at ${leaveAt}`);
  }
});

test('a plain answer is drained too; none is for ever, nor by many at once, nor beyond a shutdown', async () => {
  const left = Promise.withResolvers<void>();
  await using upstream = await startUpstream({ beforeChunk: () => left.promise, usage: thoughtful, text: 'a' });
  await using gateway = await Gateway.start({ ...drained(upstream.url), limits: { drains: 1 } });
  const leave = async (count: number) => {
    gateway.open(streamed, { headers: { connection: 'close' } }).catch(() => {});
    await until('the upstream is at work', () => upstream.requests.length === count);
    gateway.hangUp();
    await until('it has been noticed', () => gateway.clients === 0);
  };
  await leave(1);
  assert.equal(gateway.proxy.inFlight, 1, 'it is read on');
  await leave(2);
  await until('there is room for one only', () => upstream.requests[1]?.hungUp === true, 1_000);
  await gateway.proxy.drain(0);
  await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true, 1_000);
  assert.deepEqual(
    gateway.bookings.map(({ outcomes }) => outcomes.map(({ status }) => status)),
    [['interrupted'], ['interrupted']],
  );

  await using silent = await startUpstream({ firstByteMs: 60_000 });
  await using bounded = await Gateway.start({ ...drained(silent.url), limits: { drainMs: 50 } });
  bounded.open(hello, { headers: { connection: 'close' } }).catch(() => {});
  await until('the upstream is at work', () => silent.requests.length === 1);
  bounded.hangUp();
  await until('its time is over', () => silent.requests[0]?.hungUp === true, 1_000);

  await using slow = await startUpstream({ firstByteMs: 100, answer: aCompletion('Hi', thoughtful) });
  await using plain = await Gateway.start(drained(slow.url));
  plain.open(hello, { headers: { connection: 'close' } }).catch(() => {});
  await until('the upstream is at work', () => slow.requests.length === 1);
  plain.hangUp();
  await until('nothing is in flight', () => plain.proxy.inFlight === 0);
  assert.deepEqual([plain.outcome.usage?.completionTokens, plain.outcome.usage?.estimated], [12_000, false]);
});

test('a finished stream is not read on for ever, and not by many at once', async () => {
  for (const limits of [{ usageMs: 30 }, { usageWaits: 0, usageMs: 60_000 }]) {
    const words = aStream('one two', { usage: null, done: false });
    await using upstream = await startUpstream({
      chunks: [...words, ': no end\n\n'],
      beforeChunk: (index) => (index === words.length ? new Promise(() => {}) : Promise.resolve()),
    });
    await using gateway = await Gateway.start({ ...through(upstream.url), limits });
    await leaveAfter(gateway, '"finish_reason":"stop"');
    await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true, 1_000);
    await until('nothing is in flight', () => gateway.proxy.inFlight === 0);
    assert.deepEqual([gateway.outcome.usage?.completionTokens, gateway.outcome.usage?.estimated], [2, true]);
  }
});

test('what an upstream reports on the way is no less than what was delivered', async () => {
  const early = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { role: 'assistant' } }], usage: { prompt_tokens: 900, completion_tokens: 1 } })}\n\n`;
  const words = aStream('word '.repeat(40)).slice(1, -3);
  await using upstream = await startUpstream({
    chunks: [early, ...words, ': no end\n\n'],
    beforeChunk: (index) => (index === words.length + 1 ? new Promise(() => {}) : Promise.resolve()),
  });
  await using gateway = await Gateway.start(through(upstream.url));
  const response = await gateway.open(streamed);
  let text = '';
  response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => {});
  await until('all came', () => eventsOf(text).length === words.length + 1);
  response.destroy();
  await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true, 1_000);
  await until('nothing is in flight', () => gateway.proxy.inFlight === 0);
  assert.deepEqual([gateway.outcome.usage?.promptTokens, gateway.outcome.usage?.estimated], [900, true]);
  assert.ok((gateway.outcome.usage?.completionTokens ?? 0) >= 40);
});

test('an implausible usage in every chunk is told once', async () => {
  const event = (completion_tokens: number) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x' } }], usage: { prompt_tokens: -1, completion_tokens } })}\n\n`;
  await using upstream = await startUpstream({
    chunks: [...Array.from({ length: 20 }, (_, index) => event(index)), ...aStream('', { usage: null }).slice(1)],
  });
  await using gateway = await Gateway.start(through(upstream.url));
  await gateway.send(streamed);
  assert.equal(gateway.logged.filter((line) => line.includes('implausible')).length, 1);
});

test('a client that leaves before the answer begins is charged for its prompt', async () => {
  for (const stream of [false, true]) {
    await using upstream = await startUpstream({ firstByteMs: 60_000 });
    await using gateway = await Gateway.start(through(upstream.url));
    const opened = gateway.open({ ...hello, stream }, { headers: { connection: 'close' } });
    opened.catch(() => {});
    await until('the upstream is at work', () => upstream.requests.length === 1);
    gateway.hangUp();
    await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true, 1_000);
    await until('the call is settled', () => gateway.bookings[0]?.outcomes.length === 1);
    const { status, usage } = gateway.outcome;
    assert.deepEqual(
      [status, usage?.promptTokens, usage?.completionTokens],
      ['interrupted', gateway.bookings[0]?.start.promptTokens, 0],
    );
  }
});

test('a client that leaves before anything was sent upstream is charged nothing, and nothing is sent', async () => {
  await using upstream = await startUpstream();
  const ready = Promise.withResolvers<void>();
  await using gateway = await Gateway.start({
    ...through(upstream.url),
    authenticate: () => ready.promise.then(() => assert.fail()),
  });
  gateway.open(hello).catch(() => {});
  await until('it is being looked at', () => gateway.proxy.inFlight === 1);
  gateway.hangUp();
  await until('it is forgotten', () => gateway.proxy.inFlight === 0);
  ready.resolve();
  assert.deepEqual([gateway.bookings.length, upstream.requests.length], [0, 0]);
});

test('a slow reader holds the upstream back instead of filling our memory', async () => {
  const event = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(8_000) }, finish_reason: null }] })}\n\n`;
  const count = 4_000;
  let written = 0;
  await using upstream = await startUpstream({
    chunks: [...Array.from({ length: count }, () => event), ...aStream('').slice(1)],
    beforeChunk: async (index) => {
      written = index;
    },
  });
  await using gateway = await Gateway.start(through(upstream.url));
  const response = await gateway.open(streamed);
  response.pause();
  let before = -1;
  await until('the upstream is held back', () => {
    const held = before === written && gateway.buffered > 0;
    before = written;
    return held;
  });
  // What the kernel's socket buffers hold, on both sides, is not ours to bound.
  assert.ok(written < count / 2, `${written} of ${count} were taken`);
  assert.ok(gateway.buffered <= 256 * 1024, `${gateway.buffered} bytes are waiting`);
  response.resume();
  const { text } = await readAnswer(response);
  assert.equal(text.length, event.length * count + aStream('').slice(1, 2).join('').length + 'data: [DONE]\n\n'.length);
  assert.equal(gateway.outcome.status, 'success');
});

/** An upstream that talks without end, as fast as it is listened to. */
async function startEndless() {
  const piece = Buffer.from(
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(16_000) }, finish_reason: null }] })}\n\n`,
  );
  let written = 0;
  let streams = 0;
  const server = createServer((request, response) => {
    const talk = () => {
      do written++;
      while (response.write(piece));
    };
    response.on('drain', talk).writeHead(200, { 'content-type': 'text/event-stream' });
    request.resume().on('end', talk);
    streams++;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    written: () => written,
    streams: () => streams,
    [Symbol.dispose]: () => server.close().closeAllConnections(),
  };
}

test('for each of fifty clients that do not read 256 KiB wait at most', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  using upstream = await startEndless();
  await using gateway = await Gateway.start(through(upstream.url));
  collect();
  const before = process.memoryUsage().arrayBuffers;
  const body = JSON.stringify(streamed);
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  const clients = Array.from({ length: 50 }, () => {
    const client = connect(gateway.port, '127.0.0.1').pause();
    client.write(`${head}\r\n\r\n${body}`);
    return client.on('error', () => {});
  });
  // Fifty endless streams, their upstream and their gateway share this process.
  await until('all are answered', () => upstream.streams() === 50, 20_000);
  let last = -1;
  let heldSince = performance.now();
  await until(
    'the upstreams are held back',
    () => {
      if (upstream.written() !== last) heldSince = performance.now();
      last = upstream.written();
      return performance.now() - heldSince > 200;
    },
    20_000,
  );
  assert.ok(gateway.buffered <= 50 * 256 * 1_024, `${gateway.buffered} bytes wait for clients`);
  // More than what waits: a slice keeps all of the 64 KiB alive that it was read into, and both ends are in this process.
  await until('little more is kept alive than what waits', () => {
    collect();
    return process.memoryUsage().arrayBuffers - before <= 50 * 512 * 1_024;
  });
  for (const client of clients) client.destroy();
});

test('a client that stops reading is given up', async () => {
  const event = `data: ${'x'.repeat(60_000)}\n\n`;
  await using upstream = await startUpstream({ chunks: Array.from({ length: 1_000 }, () => event) });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { stalledClientMs: 50 } });
  const response = await gateway.open(streamed);
  response.pause();
  response.on('error', () => {});
  await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true);
  await until('the call is settled', () => gateway.bookings[0]?.outcomes.length === 1);
  assert.equal(gateway.outcome.status, 'interrupted');
  response.destroy();
});

test('a large plain answer is not kept for ever for a client that does not read it', async () => {
  await using upstream = await startUpstream({ text: 'x'.repeat(16_000_000) });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { stalledClientMs: 50 } });
  const response = await gateway.open(hello);
  response.pause();
  response.on('error', () => {});
  await until('it is given up', () => gateway.proxy.inFlight === 0);
  assert.equal(gateway.outcome.status, 'success');
  response.destroy();
});

test('the upstream’s connections are used again after plain answers and streams', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  for (let index = 0; index < 10; index++) await gateway.send({ ...hello, stream: index % 2 === 0 });
  assert.equal(upstream.connections, 1);
  assert.equal(upstream.answered, 10);
});
