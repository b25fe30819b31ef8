import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic, { APIError, NotFoundError, PermissionDeniedError, RateLimitError } from '@anthropic-ai/sdk';
import { messageStreams } from '../proxy/recorded-streams.ts';
import { until } from '../support/gateway.ts';
import { costOf as costOfChat, nanoOf, oddRates, type Site, startSite, upstreamKey } from './support.ts';

let site: Site;
before(async () => {
  site = await startSite();
});
after(() => site[Symbol.asyncDispose]());

const clientOf = (apiKey: string): Anthropic => new Anthropic({ apiKey, baseURL: site.daemon.url, maxRetries: 0 });
const question = { model: 'claude', max_tokens: 64, messages: [{ role: 'user' as const, content: 'Hi' }] };

const message = (given: object = {}) => ({
  id: 'msg_01',
  type: 'message',
  role: 'assistant',
  model: 'claude-odd-20261101',
  content: [{ type: 'text', text: 'Hello there' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: {
    input_tokens: 1_237,
    cache_creation_input_tokens: 301,
    cache_read_input_tokens: 103,
    cache_creation: { ephemeral_5m_input_tokens: 200, ephemeral_1h_input_tokens: 101 },
    output_tokens: 569,
    service_tier: 'standard',
  },
  ...given,
});

interface Counts {
  readonly input: bigint;
  readonly cacheRead?: bigint;
  readonly cacheWrite?: bigint;
  readonly cacheHour?: bigint;
  readonly output: bigint;
}

/** Worked out from the prices in the configuration, in nano-dollars. */
function costOf({ input, cacheRead = 0n, cacheWrite = 0n, cacheHour = 0n, output }: Counts): bigint {
  const atto =
    input * 37_500_000_000n +
    cacheRead * 9_375_000_000n +
    cacheWrite * 46_875_000_000n +
    cacheHour * 75_000_000_000n +
    output * 150_000_000_001n;
  return (atto + 500_000_000n) / 1_000_000_000n;
}

async function aKey(alias: string, flags = ''): Promise<string> {
  return site.command(`key generate --alias ${alias} ${flags} -q`);
}

/** The only row of a key. */
async function rowOf(alias: string) {
  const logs = () => site.json(`spend logs --key ${alias}`);
  await until(async () => (await logs()).length === 1);
  const [row] = await logs();
  return row;
}

test('a message is answered as Anthropic does, and costs what each of its parts costs', async () => {
  const key = await aKey('plain');
  using _ = site.instead({ answer: message() });
  let spoken: string | null = null;
  const listening = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    spoken = new Headers(init?.headers).get('anthropic-version');
    return fetch(url, init);
  };
  const { data, response } = await clientOf(key)
    .withOptions({ fetch: listening })
    .beta.messages.create({ ...question, betas: ['context-1m-2025-08-07'], metadata: { user_id: 'ada' } })
    .withResponse();
  assert.deepEqual(data.content, [{ type: 'text', text: 'Hello there' }]);
  const cost = costOf({ input: 1_237n, cacheRead: 103n, cacheWrite: 200n, cacheHour: 101n, output: 569n });
  assert.equal(nanoOf(Number(response.headers.get('x-litellm-response-cost'))), cost);

  const { path, headers, body, text } = site.upstream.requests.at(-1)!;
  assert.equal(path, '/v1/messages');
  assert.equal(body['model'], 'claude-odd-20261101');
  assert.equal(headers['x-api-key'], upstreamKey);
  assert.equal(headers['anthropic-version'], spoken);
  assert.equal(headers['anthropic-beta'], 'context-1m-2025-08-07');
  assert.ok(!JSON.stringify(headers).includes(key) && !text.includes(key) && headers.authorization === undefined);

  const row = await rowOf('plain');
  assert.equal(nanoOf(row.spend), cost);
  assert.partialDeepStrictEqual(row, {
    call_type: 'anthropic_messages',
    status: 'success',
    prompt_tokens: 1_641,
    completion_tokens: 569,
    total_tokens: 2_210,
    end_user: 'ada',
  });
});

test('a stream of text and one of a tool come whole, and are booked by their last counts', async () => {
  const { text, tools } = messageStreams;
  using _ = site.instead(({ text: asked }) => ({ chunks: asked.includes('weather') ? tools.events : text.events }));

  const stream = clientOf(await aKey('streamer')).messages.stream(question);
  assert.equal(await stream.finalText(), 'Grüße, 🎈!');
  assert.deepEqual((await stream.finalMessage()).usage.output_tokens, 6);
  assert.partialDeepStrictEqual(await rowOf('streamer'), { stream: true, prompt_tokens: 25, completion_tokens: 6 });

  const tool = { name: 'weather', input_schema: { type: 'object' as const } };
  const asking = clientOf(await aKey('toolmaker')).messages.stream({ ...question, tools: [tool] });
  const { content, stop_reason: reason } = await asking.finalMessage();
  assert.deepEqual([reason, content[0]?.type === 'tool_use' && content[0].input], ['tool_use', { city: 'Köln' }]);
  const row = await rowOf('toolmaker');
  assert.equal(
    nanoOf(row.spend),
    costOf({ input: 40n, cacheRead: 100n, cacheWrite: 200n, cacheHour: 100n, output: 33n }),
  );
});

test('tokens are counted for nothing', async () => {
  using _ = site.instead({ answer: { input_tokens: 2_095 } });
  const { max_tokens: __, ...counted } = question;
  const { input_tokens: tokens } = await clientOf(await aKey('counter')).messages.countTokens(counted);
  assert.equal(tokens, 2_095);
  assert.equal(site.upstream.requests.at(-1)?.path, '/v1/messages/count_tokens');
  assert.partialDeepStrictEqual(await rowOf('counter'), { call_type: 'count_tokens', spend: 0, total_tokens: 0 });
});

test('whoever may not call the model may not have its tokens counted either', async () => {
  const client = clientOf(await aKey('elsewhere', '--models gpt-4o'));
  const { max_tokens: _, ...counted } = question;
  const heard = site.upstream.requests.length;
  for (const call of [() => client.messages.create(question), () => client.messages.countTokens(counted)]) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof PermissionDeniedError);
      assert.equal(error.type, 'permission_error');
      return true;
    });
  }
  assert.equal(site.upstream.requests.length, heard);
});

test('refusals are read by the client as what they are', async () => {
  const key = await aKey('careless');
  const poor = await aKey('penniless', '--max-budget 0.000001');
  const refused = (client: Anthropic, body: object, status: number, type: string) =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless client sends
    assert.rejects(client.messages.create(body as typeof question), (error) => {
      assert.ok(error instanceof APIError, String(error));
      assert.deepEqual([error.status, error.type], [status, type]);
      assert.ok(error.requestID);
      return true;
    });
  await refused(clientOf('sk-nobody'), question, 401, 'authentication_error');
  await refused(clientOf(poor), question, 429, 'rate_limit_error');
  const client = clientOf(key);
  await refused(client, { ...question, max_tokens: undefined }, 400, 'invalid_request_error');
  await refused(client, { ...question, speed: 'fast' }, 400, 'invalid_request_error');
  await refused(client, { ...question, model: 'nothing' }, 400, 'invalid_request_error');
  const large = { ...question, system: 'x'.repeat(11 * 1024 * 1024) };
  await refused(client, large, 413, 'request_too_large');
});

test('what Anthropic refuses comes through under its name', async () => {
  const client = clientOf(await aKey('unlucky'));
  const failures = [
    { status: 529, kind: APIError, type: 'overloaded_error' },
    { status: 404, kind: NotFoundError, type: 'not_found_error' },
    { status: 429, kind: RateLimitError, type: 'rate_limit_error' },
  ] as const;
  for (const { status, kind, type } of failures) {
    using _ = site.instead({ status, answer: { type: 'error', error: { type, message: 'Not now' } } });
    await assert.rejects(client.messages.create(question), (error) => {
      assert.ok(error instanceof kind);
      assert.deepEqual([error.status, error.type], [status, type]);
      assert.match(error.message, /Not now/);
      return true;
    });
  }
});

test('a model behind OpenAI’s protocol is called as any, and each bucket of what it counts has its price', async () => {
  const client = clientOf(await aKey('translated'));
  const earlier = site.reported.length;
  const { content } = await client.messages.create({ ...question, model: 'odd' });
  assert.deepEqual(content, [{ type: 'text', text: 'Four words for you', citations: null }]);
  const streamed = await client.messages.stream({ ...question, model: 'odd' }).finalMessage();
  assert.equal(streamed.stop_reason, 'end_turn');
  assert.equal(site.upstream.requests.at(-1)?.path, '/v1/chat/completions');

  const logs = () => site.json('spend logs --key translated');
  await until(async () => (await logs()).length === 2);
  const rows: { spend: number; call_type: string; prompt_tokens: number; completion_tokens: number }[] = await logs();
  const expected = site.reported.slice(earlier).map((reported) => costOfChat(reported, oddRates));
  assert.deepEqual(new Set(rows.map(({ spend }) => nanoOf(spend))), new Set(expected));
  for (const { call_type: type } of rows) assert.equal(type, 'anthropic_messages');

  const { input_tokens: tokens } = await client.messages.countTokens({ model: 'odd', messages: question.messages });
  assert.ok(tokens > 0);
  await until(async () => (await logs()).some((row: { call_type: string }) => row.call_type === 'count_tokens'));
});
