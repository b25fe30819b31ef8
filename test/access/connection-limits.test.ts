import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withinDescriptors } from '../../src/daemon/descriptors.ts';
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
  calls.push(() => response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(answer));
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
    ownProcess: true,
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

const skip =
  spawnSync('prlimit', ['--version']).status !== 0 && process.env['CI'] !== 'true' && 'needs prlimit, of util-linux';

test(
  'where descriptors run out calls are refused, not their deployment; those under way are booked, and then all is well',
  { skip },
  async () => {
    const { daemon, pool } = gateway;
    const { pid = 0 } = daemon.child;
    const limitFiles = (count: number | string) =>
      execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
    const soft = execFileSync('prlimit', ['--pid', String(pid), '--nofile', '-o', 'SOFT', '--noheadings'], {
      encoding: 'utf8',
    }).trim();
    const [first, second, third] = [0, 1, 2].map(() => new Lane({ port, host: '127.0.0.1' })) as [Lane, Lane, Lane];
    try {
      // What is loaded and looked up with the first call of all must not be what is missing.
      const warming = [call(first), call(second)];
      await until(() => calls.length === 2);
      for (const finish of calls.splice(0)) finish();
      for (const { status, text } of await Promise.all(warming)) assert.equal(status, 200, text);
      // The next descriptors that are given out are the lowest that are free, and a limit is of their numbers.
      const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
      let lowest = 0;
      while (used.has(lowest)) lowest++;
      limitFiles(lowest + 1);
      const running = call(first);
      await until(() => calls.length === 1);
      for (let again = 0; again < 3; again++) {
        const refused = await call(second);
        assert.equal(refused.status, 503, refused.text);
        assert.match(refused.text, /"type":"overloaded"/);
        assert.match(refused.text, /\r\nretry-after: 1\r\n/i);
      }
      assert.equal((await models(third)).status, 0, 'there is none for a connection of a client either');
      for (const finish of calls.splice(0)) finish();
      assert.equal((await running).status, 200);
      limitFiles(soft);
      const next = [call(second), call(third)];
      await until(() => calls.length === 2);
      for (const finish of calls.splice(0)) finish();
      for (const { status, text } of await Promise.all(next)) assert.equal(status, 200, text);
      const booked = async () =>
        (await pool.query<{ status: string }>('select status from gatewayctl.spend_logs order by status')).rows.map(
          ({ status }) => status,
        );
      await until(async () => (await booked()).length === 8);
      assert.deepEqual(await booked(), [...Array(3).fill('failure'), ...Array(5).fill('success')]);
    } finally {
      limitFiles(soft);
      for (const lane of [first, second, third]) lane.close();
    }
  },
);

test('a process takes on no more than it has descriptors for', () => {
  const wanted = { maxConnections: 12_000, maxCalls: 2_000 };
  const taken = (limit: number | undefined) => {
    const { maxConnections, maxCalls } = withinDescriptors(wanted, limit);
    return [maxConnections, maxCalls];
  };
  assert.deepEqual([undefined, 14_256].map(taken), [
    [12_000, 2_000],
    [12_000, 2_000],
  ]);
  assert.deepEqual([14_255, 4_255, 1_024, 256].map(taken), [
    [11_999, 2_000],
    [2_000, 1_999],
    [384, 384],
    [1, 1],
  ]);
});

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
    const unread = await models(beyond);
    assert.equal(unread.status, 503, unread.text);
    assert.match(unread.text, /"type":"too_many_connections"/);
    assert.match(unread.text, /\r\nretry-after: 1\r\n/i);
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
