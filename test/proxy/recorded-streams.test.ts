import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { describe, test } from 'node:test';
import type { CallOutcome } from '../../src/metering/call.ts';
import { type Answer, Gateway, aDeployment } from './gateway.ts';
import { type RecordedStream, recordedStreams, upstreamId } from './recorded-streams.ts';
import { startUpstream } from './upstream.ts';

/** How many cuts are tried at once. */
const atOnce = 16;

async function inTurns(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

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
function assertBroken(recorded: RecordedStream, { text, complete }: Answer, cutAfter: number): void {
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

describe('a recorded stream that is cut at any byte is never made out to be whole, and is one row', () => {
  for (const recorded of recordedStreams) {
    test(recorded.name, async () => {
      const whole = Buffer.from(recorded.events.join(''));
      await using upstream = await startUpstream();
      upstream.script(({ body }) => ({ chunks: [whole], cutAfter: Number(body['model']) }));
      const apiBase = recorded.provider === 'anthropic' ? upstream.url.replace(/\/v1$/, '') : upstream.url;
      const deployment = aDeployment({ name: 'cut-*', upstreamModel: '*', provider: recorded.provider, apiBase });
      // Connections that are used again halve the time this takes.
      const agent = new Agent({ keepAlive: true });
      await using gateway = await Gateway.start({ deployments: [deployment] });

      await inTurns(whole.length + 1, async (cutAfter) => {
        const body = { ...recorded.body, model: `cut-${cutAfter}` };
        const answer = await gateway.send(body, { path: recorded.path, agent });
        const booked = gateway.bookings.filter(({ start }) => start.model === `cut-${cutAfter}`);
        assert.deepEqual([booked.length, booked[0]?.outcomes.length], [1, 1], `at ${cutAfter}`);
        const outcome = booked[0]!.outcomes[0]!;
        if (cutAfter < whole.length) assertPaid(recorded, outcome, cutAfter);
        if (answer.status !== 200) {
          assert.ok(cutAfter < Buffer.byteLength(recorded.events[0]!), `at ${cutAfter}`);
        } else if (cutAfter < whole.length) {
          assertBroken(recorded, answer, cutAfter);
        } else {
          assert.deepEqual([outcome.status, outcome.usage?.estimated], ['success', false]);
          assert.partialDeepStrictEqual(outcome.usage, recorded.usage);
          assert.match(answer.text, recorded.completion);
          assert.equal(eventsIn(answer.text).at(-1), eventsIn(whole.toString()).at(-1));
        }
      });
      assert.equal(gateway.bookings.length, whole.length + 1);
      agent.destroy();
    });
  }
});
