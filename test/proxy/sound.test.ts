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

test('sound that is spoken slowly is longer, and reserved and booked as such', async () => {
  await using upstream = await startUpstream({ answer: 'sound', headers });
  await using gateway = await Gateway.start(through(upstream.url));
  // 8 bytes at 1.5 tokens each. That a model speaks faster where it is asked to is not relied on: some do not.
  for (const [speed, tokens] of [
    [0.25, 48],
    [0.5, 24],
    [1, 12],
    [4, 12],
    [null, 12],
  ] as const) {
    assert.equal((await gateway.send({ ...question, speed }, { path })).status, 200);
    const { start, outcomes } = gateway.bookings.at(-1) ?? {};
    assert.deepEqual([start?.maxCompletionTokens, outcomes?.[0]?.usage?.completionTokens], [tokens, tokens]);
  }
  for (const speed of ['0.25', 0, -1, {}]) {
    const { status, text } = await gateway.send({ ...question, speed }, { path });
    assert.equal(status, 400);
    assert.match(text, /speed must be a number above 0/);
  }
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
