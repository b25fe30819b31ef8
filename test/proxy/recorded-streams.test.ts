import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { CallOutcome } from '../../src/metering/call.ts';
import type { Cut, CutStream } from './cut-streams.ts';
import { type RecordedStream, recordedStreams, upstreamId } from './recorded-streams.ts';

/** Events with blank lines between them, whatever the line ends, and the upstream's names for its responses. */
const eventsIn = (text: string): string[] =>
  text
    .replaceAll('\r\n', '\n')
    .replaceAll(/resp_[\w-]{60,}/g, upstreamId)
    .split('\n\n')
    .filter((event) => event !== '');

/** What tells a client of each protocol that its stream is broken. */
const broken: Readonly<Record<string, RegExp>> = {
  '/v1/chat/completions': /^data: \{"error":\{"message":"[^"]+","type":"upstream_interrupted"/,
  '/v1/completions': /^data: \{"error":\{"message":"[^"]+","type":"upstream_interrupted"/,
  '/v1/messages': /^event: error\ndata: \{"type":"error","error":\{"type":"api_error","message":"[^"]+"/,
  '/v1/responses': /^event: error\ndata: \{"type":"error","code":"upstream_interrupted","message":"[^"]+"/,
};

/** A stream of which some was passed on ends with an error, after nothing but what the upstream sent. */
function assertBroken(recorded: RecordedStream, { text, complete }: Cut['answer'], cutAfter: number): void {
  const sent = Buffer.from(recorded.events.join('')).subarray(0, cutAfter).toString();
  const events = eventsIn(text);
  if (recorded.path.endsWith('completions')) assert.equal(events.pop(), 'data: [DONE]', `at ${cutAfter}`);
  assert.match(events.pop() ?? '', broken[recorded.path]!, `at ${cutAfter}`);
  assert.ok(complete, `at ${cutAfter}`);
  const whole = eventsIn(sent);
  let at = 0;
  for (const event of events) {
    while (at < whole.length && whole[at] !== event) at++;
    assert.ok(at < whole.length, `at ${cutAfter}: ${event}`);
  }
  assert.ok(!recorded.completion.test(events.join('\n')) || recorded.completion.test(sent), `at ${cutAfter}`);
}

/** Where the event ends that says last what was used. */
function usageEnd({ events }: RecordedStream): number {
  const last = events.findLastIndex((event) => event.includes('"usage":{'));
  return Buffer.byteLength(events.slice(0, last + 1).join(''));
}

function assertPaid(recorded: RecordedStream, { status, usage }: CallOutcome, cutAfter: number): void {
  assert.equal(status, 'interrupted', `at ${cutAfter}`);
  assert.ok(usage, `at ${cutAfter}`);
  const { promptTokens, completionTokens } = recorded.usage;
  if (cutAfter >= usageEnd(recorded)) {
    assert.equal(usage.completionTokens, completionTokens, `at ${cutAfter}`);
    if (!usage.estimated) assert.partialDeepStrictEqual(usage, recorded.usage, `at ${cutAfter}`);
  }
  // Anthropic counts the input before the model begins.
  const isStarted = recorded.provider === 'anthropic' && cutAfter >= Buffer.byteLength(recorded.events[0]!);
  if (isStarted) assert.equal(usage.promptTokens, promptTokens, `at ${cutAfter}`);
}

function assertHonest(recorded: RecordedStream, cuts: readonly Cut[]): void {
  const whole = Buffer.from(recorded.events.join(''));
  assert.equal(cuts.length, whole.length + 1);
  for (const [cutAfter, { answer, outcomes }] of cuts.entries()) {
    assert.equal(outcomes.length, 1, `at ${cutAfter}`);
    const outcome = outcomes[0]!;
    if (cutAfter === whole.length) {
      assert.deepEqual([answer.status, outcome.status, outcome.usage?.estimated], [200, 'success', false]);
      assert.partialDeepStrictEqual(outcome.usage, recorded.usage);
      assert.match(answer.text, recorded.completion);
      assert.equal(eventsIn(answer.text).at(-1), eventsIn(whole.toString()).at(-1));
      return;
    }
    assertPaid(recorded, outcome, cutAfter);
    if (answer.status === 200) assertBroken(recorded, answer, cutAfter);
    else assert.ok(cutAfter < Buffer.byteLength(recorded.events[0]!), `at ${cutAfter}`);
  }
}

describe('a recorded stream that is cut at any byte is never made out to be whole, and is one row', () => {
  const found = new Map(recordedStreams.map(({ name }) => [name, Promise.withResolvers<readonly Cut[]>()]));
  let worker: Worker;
  before(() => {
    worker = new Worker(new URL('cut-streams.ts', import.meta.url));
    worker.on('message', ({ name, cuts }: CutStream) => found.get(name)?.resolve(cuts));
    worker.on('error', (error) => found.forEach(({ reject }) => reject(error)));
  });
  after(() => worker.terminate());
  for (const recorded of recordedStreams) {
    test(recorded.name, async () => assertHonest(recorded, (await found.get(recorded.name)?.promise) ?? []));
  }
});
