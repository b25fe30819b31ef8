import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { aStateDir, type Gateway, startGateway, until } from '../support/gateway.ts';
import { chaosConfig } from '../chaos/support.ts';
import { Lane } from '../support/raw-http.ts';

/** Lowered, so that what lies beyond them is near. */
const most = { connections: 4, calls: 2, idleMs: 2_000 };

/** Answers when it is told to. */
const calls: (() => void)[] = [];
const answer = JSON.stringify({
  choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1 },
});
const upstream = createServer((_, response) => {
  calls.push(() => response.setHeader('content-type', 'application/json').end(answer));
}).listen(0, '127.0.0.1');

let directory: string;
let gateway: Gateway;
let port: number;
let key: string;
before(async () => {
  await once(upstream, 'listening');
  directory = await aStateDir();
  const file = join(directory, 'config.yaml');
  await writeFile(file, chaosConfig(`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`));
  gateway = await startGateway({
    args: ['--config', file],
    env: {
      GATEWAYCTL_MAX_CONNECTIONS: String(most.connections),
      GATEWAYCTL_MAX_CALLS: String(most.calls),
      GATEWAYCTL_KEEP_ALIVE_TIMEOUT: `${most.idleMs / 1_000}s`,
    },
  });
  port = Number(new URL(gateway.daemon.url).port);
  key = (await gateway.gatewayctl('key generate -q', 'socket')).out.trim();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  upstream.close();
  await rm(directory, { recursive: true, force: true });
});

const body = JSON.stringify({ model: 'subject', messages: [{ role: 'user', content: 'hello' }] });
const call = (lane: Lane) =>
  lane.send({
    line: 'POST /v1/chat/completions HTTP/1.1',
    headers: ['Host: a', `Authorization: Bearer ${key}`, 'Content-Type: application/json'],
    body,
  });
const models = (lane: Lane) =>
  lane.send({ line: 'GET /v1/models HTTP/1.1', headers: ['Host: a', `Authorization: Bearer ${key}`] });

test('as many connections and calls as were set are served, the next of either is not, and is once there is room', async () => {
  const lanes = Array.from({ length: most.connections + 1 }, () => new Lane({ port, host: '127.0.0.1' }));
  const [first, second, third, fourth, beyond] = lanes as [Lane, Lane, Lane, Lane, Lane];
  try {
    const running = [call(first), call(second)];
    await until(() => calls.length === most.calls);

    const refused = await call(third);
    assert.equal(refused.status, 503, refused.text);
    assert.match(refused.text, /"type":"overloaded"/);
    assert.match(refused.text, /\r\nretry-after: 1\r\n/i);
    // What refuses a call without reading it may close the connection.
    assert.equal((await models(third)).status, 200);
    assert.equal((await models(fourth)).status, 200, 'the last connection there may be');
    assert.equal((await models(beyond)).status, 0, 'closed without a word');
    assert.equal((await gateway.gatewayctl('key list', 'socket')).exit, 0, 'the operator has a socket of his own');

    for (const finish of calls.splice(0)) finish();
    for (const { status, text } of await Promise.all(running)) assert.equal(status, 200, text);
    const next = call(first);
    await until(() => calls.length === 1);
    calls.pop()?.();
    assert.equal((await next).status, 200);
    fourth.close();
    await until(async () => (await models(beyond)).status === 200);
  } finally {
    for (const lane of lanes) lane.close();
  }
});

test('a connection is kept between two requests for as long as was set, and not for long after', async () => {
  const idle = new Lane({ port, host: '127.0.0.1' });
  const used = new Lane({ port, host: '127.0.0.1' });
  try {
    // The daemon may not have noticed yet that the connections of the test before are closed.
    let text = '';
    await until(async () => {
      const first = await models(idle);
      ({ text } = first);
      return first.status === 200;
    });
    assert.match(text, /\r\nKeep-Alive: timeout=2,/i, 'clients are told');
    const start = performance.now();
    const closed = idle.closed.then(() => performance.now() - start);
    // In the meantime the other one is at rest for less.
    let rests = 0;
    await until(async () => {
      const from = performance.now();
      await until(() => performance.now() - from > 0.6 * most.idleMs);
      assert.equal((await models(used)).status, 200);
      return ++rests === 4;
    });
    const afterMs = await closed;
    assert.ok(afterMs >= most.idleMs, `closed after ${afterMs} ms`);
    assert.ok(afterMs <= most.idleMs + 2_500, `closed after ${afterMs} ms`);
    assert.equal(used.connections, 1);
  } finally {
    idle.close();
    used.close();
  }
});
