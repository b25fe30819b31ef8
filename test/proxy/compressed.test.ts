import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Answer, Gateway, aDeployment, hello, until } from './gateway.ts';
import { startUpstream } from './upstream.ts';

const coded = { headers: { 'content-encoding': 'gzip' } };
const chunked = { headers: { ...coded.headers, 'transfer-encoding': 'chunked' } };
const told = ({ status, json }: Answer) => [status, json.error['type']];

test('a compressed body is inflated, and reaches the upstream as it was', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({ deployments: [aDeployment({ apiBase: upstream.url })] });
  const body = JSON.stringify({ ...hello, seed: 1 });
  const members = Buffer.concat([gzipSync(body.slice(0, 20)), gzipSync(body.slice(20))]);
  for (const bytes of [gzipSync(body), members]) {
    for (const options of [coded, chunked, { headers: { 'content-encoding': 'X-GZIP' } }]) {
      const { status, text } = await gateway.send(bytes, options);
      assert.equal(status, 200, text);
      const { headers, body: sent } = upstream.requests.at(-1) ?? assert.fail();
      assert.equal(headers['content-encoding'], undefined);
      assert.equal(sent['seed'], 1);
    }
  }
});

test('what inflates to the limit is taken, and what inflates to a byte more is not', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url })],
    limits: { bodyBytes: 5_000 },
  });
  const exact = JSON.stringify(hello).padEnd(5_000);
  for (const options of [coded, chunked]) {
    assert.equal((await gateway.send(gzipSync(exact), options)).status, 200);
    assert.deepEqual(told(await gateway.send(gzipSync(`${exact} `), options)), [413, 'request_too_large']);
  }
  // Members that hold nothing: without end, and never over a limit of what is inflated.
  const nothing = Buffer.concat(Array.from({ length: 300 }, () => gzipSync('')));
  assert.ok(nothing.length > 5_000);
  for (const options of [coded, chunked]) {
    assert.deepEqual(told(await gateway.send(nothing, options)), [413, 'request_too_large']);
  }
  assert.equal((await gateway.send(hello)).status, 200);
});

test('what is not gzip, ends early or was damaged on the way is refused', async () => {
  await using gateway = await Gateway.start();
  const whole = gzipSync(JSON.stringify(hello));
  const damaged = Buffer.from(whole);
  damaged[damaged.length - 6]! ^= 0xff;
  for (const bytes of [Buffer.from('{}'), whole.subarray(0, -9), damaged, Buffer.alloc(0)]) {
    assert.deepEqual(told(await gateway.send(bytes, coded)), [400, 'invalid_gzip'], bytes.toString('hex'));
  }
  const twice = await gateway.send(gzipSync(whole), coded);
  assert.deepEqual(told(twice), [400, 'invalid_json'], 'inflated once, and once only');
  const other = await gateway.send(whole, { headers: { 'content-encoding': 'gzip, gzip' } });
  assert.deepEqual(
    [...told(other), other.headers['accept-encoding']],
    [415, 'unsupported_media_type', 'gzip, identity'],
  );
  assert.equal(gateway.bookings.length, 0);
});

test('a compressed body that does not come in time is a 408, and one whose client leaves is forgotten', async () => {
  await using gateway = await Gateway.start({ limits: { bodyMs: 40 } });
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: 90\r\n\r\n';
  const socket = connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write(Buffer.concat([Buffer.from(head), gzipSync('{"model"').subarray(0, 15)]));
  await until('it is answered', () => text.includes('request_timeout'));
  assert.match(text, /^HTTP\/1.1 408 /);
  await until('it is forgotten', () => gateway.proxy.inFlight === 0);
  socket.destroy();
  const other = connect(gateway.port, '127.0.0.1');
  other.write(head);
  await until('it has come', () => gateway.proxy.inFlight === 1);
  other.destroy();
  await until('it is forgotten too', () => gateway.proxy.inFlight === 0);
});
