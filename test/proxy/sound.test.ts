import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, aDeployment, readAnswer, until } from './gateway.ts';
import { startUpstream } from './upstream.ts';

const path = '/v1/audio/speech';
const question = { model: 'gpt-4o', voice: 'alloy', input: 'Good day' };
const through = (url: string) => ({ deployments: [aDeployment({ apiBase: url })] });
const headers = { 'content-type': 'audio/mpeg' };

test('sound comes as it is made, and waits for a client that is slow', async () => {
  const sound = Buffer.alloc(32 * 1024 * 1024, 1);
  await using upstream = await startUpstream({ answer: sound, headers });
  await using gateway = await Gateway.start(through(upstream.url));

  const response = await gateway.open(question, { path });
  assert.equal(response.headers['content-type'], 'audio/mpeg');
  await until('the upstream waits', () => gateway.buffered > 0);
  assert.ok(gateway.buffered < 1_000_000, `${gateway.buffered} bytes are held`);
  assert.equal(upstream.answered, 0);

  let length = 0;
  for await (const chunk of response) length += (chunk as Buffer).length;
  assert.equal(length, sound.length);
  assert.ok(response.complete);
  assert.deepEqual(gateway.outcome.usage?.units, { characters: 8 });
});

test('sound that is cut does not look whole, and is booked as it was asked for', async () => {
  await using upstream = await startUpstream({ answer: Buffer.alloc(4_000_000, 1), headers, cutAfter: 3_000_000 });
  await using gateway = await Gateway.start(through(upstream.url));

  const { status, complete, text } = await readAnswer(await gateway.open(question, { path }));

  assert.deepEqual([status, complete], [200, false]);
  assert.doesNotMatch(text, /error|DONE/);
  assert.equal(gateway.outcome.status, 'interrupted');
  assert.deepEqual(gateway.outcome.usage?.units, { characters: 8 });
});

test('the client sees the end of sound when it is booked, and not before', async () => {
  await using upstream = await startUpstream({
    answer: Buffer.from('sound'),
    headers: { ...headers, 'content-length': 5 },
  });
  await using gateway = await Gateway.start(through(upstream.url));
  const answer = await gateway.send(question, { path });
  assert.deepEqual([answer.text, answer.headers['content-length']], ['sound', '5']);
  assert.equal(gateway.outcome.status, 'success');
});

test('what is no sound is not passed on', async () => {
  await using upstream = await startUpstream();
  await using gateway = await Gateway.start(through(upstream.url));
  const answers = [
    { answer: '<html>', headers: { 'content-type': 'text/html' } },
    { answer: { error: { message: 'no voice' } } },
    { answer: '', headers },
    { answer: 'sk-provider-secret-0123456789', headers },
  ];
  for (const script of answers) {
    upstream.script(script);
    const { status, text } = await gateway.send(question, { path });
    assert.equal(status, 502, text);
    assert.doesNotMatch(text, /<html>|sk-provider/);
  }
  upstream.script({ status: 400, answer: { error: { message: 'no such voice', type: 'invalid_request_error' } } });
  assert.equal((await gateway.send(question, { path })).status, 400);
  assert.equal(gateway.bookings.length, 5);
});
