import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, aDeployment, eventsOf, hello, readAnswer, until } from './gateway.ts';
import { startUpstream } from './upstream.ts';

test('draining lets what is in flight come to its end', async () => {
  const hold = Promise.withResolvers<void>();
  await using upstream = await startUpstream({ beforeChunk: () => hold.promise });
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const response = await gateway.open({ ...hello, stream: true });
  const drained = gateway.proxy.drain(10_000);
  hold.resolve();
  const { text } = await readAnswer(response);
  await drained;
  assert.equal(eventsOf(text).at(-1), '[DONE]');
  assert.equal(gateway.outcome.status, 'success');
  assert.equal(gateway.proxy.inFlight, 0);
});

test('while it drains, answers close their connections', async () => {
  const hold = Promise.withResolvers<void>();
  await using upstream = await startUpstream({ beforeChunk: () => hold.promise });
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const response = await gateway.open({ ...hello, stream: true });
  const drained = gateway.proxy.drain(10_000);
  const { status, headers } = await gateway.send(hello, { headers: { connection: 'keep-alive' } });
  assert.deepEqual([status, headers.connection], [200, 'close']);
  hold.resolve();
  await readAnswer(response);
  await drained;
});

test('after the deadline streams end with an error and others with 503, each settled once', async () => {
  await using upstream = await startUpstream((() => {}) as never);
  const never = new Promise<void>(() => {});
  upstream.script(({ body }) => (body['stream'] ? { beforeChunk: () => never } : { firstByteMs: 60_000 }));
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const streamed = await gateway.open({ ...hello, stream: true });
  const plain = gateway.send(hello);
  await until('both are at work', () => upstream.requests.length === 2);

  await gateway.proxy.drain(20);

  const { text } = await readAnswer(streamed);
  const events = eventsOf(text);
  assert.equal(JSON.parse(events.at(-2)!).error.type, 'shutting_down');
  assert.equal(events.at(-1), '[DONE]');
  const { status, headers, json } = await plain;
  assert.deepEqual([status, headers['retry-after'], json.error['type']], [503, '5', 'shutting_down']);
  const outcomes = gateway.bookings.map(({ outcomes: [only, ...more] }) => [only?.status, more.length]);
  assert.deepEqual(outcomes, [
    ['interrupted', 0],
    ['interrupted', 0],
  ]);
  assert.equal(gateway.proxy.inFlight, 0);
  await until('the upstream is hung up on', () => upstream.requests.every(({ hungUp }) => hungUp));
  assert.equal((await gateway.send(hello)).status, 503);
});
