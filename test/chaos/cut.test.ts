import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { aStream, startUpstream, type Upstream } from '../proxy/upstream.ts';
import { until } from '../support/gateway.ts';
import { type ChaosSite, startChaosSite } from './site.ts';
import { spendRows } from './support.ts';

let upstream: Upstream;
let site: ChaosSite;
before(async () => {
  upstream = await startUpstream();
  site = await startChaosSite(upstream.url);
});
after(async () => {
  await site[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const ask = (signal?: AbortSignal) =>
  fetch(`${site.daemon.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${site.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'subject', messages: [{ role: 'user', content: 'count to six' }], stream: true }),
    ...(signal && { signal }),
  });

async function rowOf(response: Response) {
  const id = response.headers.get('x-litellm-call-id');
  const find = async () => (await spendRows(site.pool)).find(({ request_id }) => request_id === id);
  await until(async () => (await find()) !== undefined, 5_000);
  return (await find())!;
}

/** At the price of the model; what it costs must be made of the tokens that are booked. */
const costOf = ({ prompt_tokens, completion_tokens }: { prompt_tokens: string; completion_tokens: string }) =>
  String(BigInt(prompt_tokens) * 1_000n + BigInt(completion_tokens) * 7_000n);

test('a client that leaves in the middle pays for what it got, and the upstream is hung up on within a second', async () => {
  const text = 'one two three four five six';
  const isReached = Promise.withResolvers<void>();
  // After the role and three words the upstream holds on, until it is hung up on.
  upstream.script({
    text,
    beforeChunk: async (index) => {
      if (index < 4) return;
      isReached.resolve();
      await new Promise(() => undefined);
    },
  });
  const client = new AbortController();
  const response = await ask(client.signal);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  while (!seen.includes(' three')) seen += (await reader.read()).value;
  await isReached.promise;
  const leftAt = performance.now();
  client.abort();
  const record = upstream.requests.at(-1)!;
  await until(() => record.hungUp);
  assert.ok(performance.now() - leftAt < 1_000, `hung up on after ${performance.now() - leftAt} ms`);

  const row = await rowOf(response);
  assert.partialDeepStrictEqual(row, { status: 'interrupted', usage_estimated: true, completion_tokens: '3' });
  assert.ok(Number(row.prompt_tokens) > 0);
  assert.equal(row.spend, costOf(row));
});

test('an upstream that breaks off in the middle leaves an error in the stream, and a row that says so', async () => {
  const pieces = aStream('one two three four five six');
  upstream.script({ chunks: pieces, cutAfter: pieces.slice(0, 4).join('').length });
  const response = await ask();
  const text = await response.text();
  assert.match(text, /three/);
  assert.doesNotMatch(text, /"finish_reason":"stop"/, 'no end is made up');
  assert.match(text, /data: \{"error":\{.*"type":"upstream_interrupted".*\n\ndata: \[DONE\]\n\n$/);

  const row = await rowOf(response);
  assert.partialDeepStrictEqual(row, { status: 'interrupted', usage_estimated: true, completion_tokens: '3' });
  assert.equal(row.error, 'upstream_interrupted');
  assert.equal(row.spend, costOf(row));
});
