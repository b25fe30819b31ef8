import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, type SendOptions, aDeployment, readAnswer, until } from './gateway.ts';
import { aResponse, messageStreams, type RecordedStream, responseStreams, upstreamId } from './recorded-streams.ts';
import { startUpstream, type UpstreamScript } from './upstream.ts';

const model = 'any';

async function startSite(provider: string, script: UpstreamScript) {
  const upstream = await startUpstream(script);
  const apiBase = provider === 'anthropic' ? upstream.url.replace(/\/v1$/, '') : upstream.url;
  const gateway = await Gateway.start({ deployments: [aDeployment({ name: model, provider, apiBase })] });
  return {
    upstream,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

const ask = (recorded: RecordedStream): [body: object, options: SendOptions] => [
  { ...recorded.body, model },
  { path: recorded.path },
];

/** The tokens that the events up to one hold, as the gateway under test counts them: four characters each. */
const tokensIn = (written: readonly string[]): number => Math.ceil(written.join('').length / 4);

const leaving = [
  { recorded: messageStreams.text, written: [/"text_delta","text":"([^"]*)"/], counted: 6, started: 25 },
  {
    recorded: responseStreams.text,
    written: [/output_text\.delta.*"delta":"([^"]*)"/],
    counted: 8,
    started: undefined,
  },
] as const;

for (const { recorded, written, counted, started } of leaving) {
  test(`${recorded.name}: a client that leaves at any event is charged what it got, or what was counted`, async () => {
    const { events, usage } = recorded;
    for (let leaveAt = 1; leaveAt < events.length; leaveAt++) {
      const left = Promise.withResolvers<void>();
      await using site = await startSite(recorded.provider, {
        chunks: events,
        beforeChunk: (index) => (index === leaveAt ? left.promise : Promise.resolve()),
      });
      const { gateway, upstream } = site;
      const response = await gateway.open(...ask(recorded));
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => {});
      await until(`${leaveAt} events came`, () => text.split('\n\n').length > leaveAt);
      response.destroy();
      await until('the upstream is hung up on', () => upstream.requests[0]?.hungUp === true, 1_000);
      await until('the call is settled', () => gateway.bookings[0]?.outcomes.length === 1);
      left.resolve();
      const { status, error, usage: booked } = gateway.outcome;
      assert.deepEqual([status, error], ['interrupted', 'client_disconnected'], `at ${leaveAt}`);
      const delivered = events.slice(0, leaveAt).flatMap((event) => written[0].exec(event)?.[1] ?? []);
      const isCounted = events.slice(0, leaveAt).some((event) => event.includes(`"output_tokens":${counted}`));
      const expected = isCounted ? counted : Math.max(started === undefined ? 0 : 1, tokensIn(delivered));
      assert.equal(booked?.completionTokens, expected, `at ${leaveAt}`);
      if (started !== undefined) assert.equal(booked?.promptTokens, usage.promptTokens, `at ${leaveAt}`);
    }
  });
}

const named = (type: string, data: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
const block = (index: number, content: object) => named('content_block_start', { index, content_block: content });
const search = (index: number) =>
  block(index, { type: 'server_tool_use', id: `srvtoolu_${index}`, name: 'web_search', input: {} });
const failedSearch = (index: number) =>
  block(index + 1, {
    type: 'web_search_tool_result',
    tool_use_id: `srvtoolu_${index}`,
    content: { type: 'web_search_tool_result_error', error_code: 'max_uses_exceeded' },
  });
const item = (state: 'added' | 'done', index: number, type: string, more: object = {}) =>
  named(`response.output_item.${state}`, { output_index: index, item: { type, id: `it_${index}`, ...more } });

for (const { recorded, used, units } of [
  {
    recorded: messageStreams.text,
    // Of the three one has failed, which costs nothing, and one is another tool.
    used: [
      search(1),
      search(2),
      failedSearch(2),
      block(5, { type: 'server_tool_use', id: 's', name: 'code_execution' }),
    ],
    units: { webSearches: 1 },
  },
  {
    recorded: responseStreams.text,
    used: [
      item('added', 1, 'web_search_call'),
      item('done', 1, 'web_search_call', { action: { type: 'search' } }),
      item('added', 2, 'web_search_call'),
      item('done', 2, 'web_search_call', { action: { type: 'open_page' } }),
      item('added', 3, 'file_search_call'),
      item('added', 4, 'code_interpreter_call', { container_id: 'c_1' }),
      item('added', 5, 'code_interpreter_call', { container_id: 'c_1' }),
    ],
    units: { webSearches: 1, fileSearches: 1, codeSessions: 1 },
  },
]) {
  test(`${recorded.name}: tools that the provider ran are paid for in a stream that is cut by either side`, async () => {
    const chunks = [...recorded.events.slice(0, 2), ...used];
    const cutAfter = Buffer.byteLength(chunks.join(''));
    {
      await using site = await startSite(recorded.provider, { chunks: [...chunks, ': more\n\n'], cutAfter });
      await site.gateway.send(...ask(recorded));
      assert.deepEqual(site.gateway.outcome.usage?.units, units, 'by the upstream');
    }
    await using site = await startSite(recorded.provider, { chunks: [...chunks, ': more\n\n'], silentAfter: cutAfter });
    const response = await site.gateway.open(...ask(recorded));
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => {});
    await until('all came', () => text.includes(used.at(-1) ?? ''));
    response.destroy();
    await until('the call is settled', () => site.gateway.bookings[0]?.outcomes.length === 1);
    assert.deepEqual(site.gateway.outcome.usage?.units, units, 'by the client');
  });
}

const errorEvent = (error: object): string => `event: error\ndata: ${JSON.stringify({ type: 'error', ...error })}\n\n`;

test('an error that Anthropic sends in a stream ends it, in Anthropic’s shape, and what came before is paid', async () => {
  const { text } = messageStreams;
  const error = { type: 'overloaded_error', message: 'Overloaded; sk-ant-api03-abcdefghijklmnopqrstuvwxyz' };
  const chunks = [...text.events.slice(0, 5), errorEvent({ error }), ...text.events.slice(5)];
  await using site = await startSite('anthropic', { chunks });
  const answer = await site.gateway.send(...ask(text));
  const events = answer.text.trimEnd().split('\n\n');
  assert.equal(events.length, 6);
  assert.match(events[5]!, /^event: error\ndata: \{"type":"error","error":\{"type":"overloaded_error","message":"Over/);
  assert.ok(!answer.text.includes('sk-ant') && !answer.text.includes('message_stop'));
  assert.deepEqual([site.gateway.outcome.status, site.gateway.outcome.usage?.promptTokens], ['interrupted', 25]);
});

test('a response that fails says so in its own last event, under the client’s name for it, and is no success', async () => {
  const { events } = responseStreams.text;
  const failed = aResponse({ status: 'failed', error: { code: 'server_error', message: 'No luck' }, output: [] });
  const last = `event: response.failed\ndata: ${JSON.stringify({ type: 'response.failed', sequence_number: 4, response: failed })}\n\n`;
  await using site = await startSite('openai', { chunks: [...events.slice(0, 4), last] });
  const answer = await site.gateway.send(...ask(responseStreams.text));
  assert.ok(answer.complete && !answer.text.includes(upstreamId));
  assert.match(answer.text, /event: response\.failed\ndata: [^\n]*"No luck"[^\n]*\n\n$/);
  const { status, usage } = site.gateway.outcome;
  assert.deepEqual([status, usage?.promptTokens, usage?.completionTokens], ['interrupted', 36, 8]);
});

test('an error that OpenAI sends in a stream of a response keeps its code and its shape', async () => {
  const { events } = responseStreams.text;
  const error = errorEvent({ code: 'server_is_overloaded', message: 'Not now', param: null, sequence_number: 4 });
  await using site = await startSite('openai', { chunks: [...events.slice(0, 4), error, ...events.slice(4)] });
  const { text } = await site.gateway.send(...ask(responseStreams.text));
  const told = { type: 'error', code: 'server_is_overloaded', message: 'Not now', param: null, sequence_number: 4 };
  assert.deepEqual(JSON.parse(text.slice(text.lastIndexOf('data: ') + 6)), told);
  assert.equal(site.gateway.outcome.status, 'interrupted');
});

test('an interruption of a response has the number that comes next', async () => {
  const { events } = responseStreams.text;
  await using site = await startSite('openai', { chunks: [events.slice(0, 4).join('')] });
  const { text } = await site.gateway.send(...ask(responseStreams.text));
  const last = text.trimEnd().split('\n\n').at(-1) ?? '';
  assert.partialDeepStrictEqual(JSON.parse(last.slice(last.indexOf('{'))), { type: 'error', sequence_number: 4 });
});

test('the credential of a call does not reach the client in the event that ends its stream', async () => {
  const { events } = responseStreams.text;
  const { apiKey } = aDeployment();
  const leaky = events.map((event) => (event.includes('.completed') ? event.replace('One two', `${apiKey}`) : event));
  await using site = await startSite('openai', { chunks: leaky });
  const { text } = await site.gateway.send(...ask(responseStreams.text));
  assert.ok(!text.includes(apiKey!) && !text.includes('response.completed'));
  assert.match(text, /"upstream_interrupted"/);
});

test('a stream in lines of any kind, with data over several, has the client’s names in it', async () => {
  const pretty = responseStreams.text.events.map((event) => {
    const [name, data = ''] = event.split('\ndata: ');
    const lines = JSON.stringify(JSON.parse(data), undefined, 1).split('\n');
    return [name, ...lines.map((line) => `data: ${line}`), '', ''].join('\r\n');
  });
  await using site = await startSite('openai', { chunks: pretty });
  const { text } = await site.gateway.send(...ask(responseStreams.text));
  assert.equal(site.gateway.outcome.status, 'success');
  assert.equal(text.match(/"id": ?"(resp_[\w-]{60,})"/g)?.length, 2);
  assert.ok(!text.includes(upstreamId));
});

test('a stream of a message that is drained by a shutdown ends with an error in Anthropic’s shape', async () => {
  const { text } = messageStreams;
  const hold = Promise.withResolvers<void>();
  await using site = await startSite('anthropic', {
    chunks: text.events,
    beforeChunk: (index) => (index === 4 ? hold.promise : Promise.resolve()),
  });
  const response = await site.gateway.open(...ask(text));
  const answer = readAnswer(response);
  await site.gateway.proxy.drain(0);
  assert.match(
    (await answer).text,
    /event: error\ndata: \{"type":"error","error":\{"type":"overloaded_error"[^\n]*\n\n$/,
  );
  hold.resolve();
});

test('a response that continues a long one is reserved, and booked when its client leaves, with all that it reads', async () => {
  const long = aResponse({ usage: { input_tokens: 90_000, output_tokens: 1_000, total_tokens: 91_000 } });
  await using site = await startSite('openai', { answer: long });
  const { gateway, upstream } = site;
  const path = '/v1/responses';
  const { json } = await gateway.send({ model, input: 'A long story' }, { path });
  upstream.script({ firstByteMs: 60_000 });
  const waiting = gateway
    .open({ model, input: 'More', previous_response_id: json['id'] }, { path })
    .catch(() => undefined);
  await until('it is there', () => upstream.requests.length === 2);
  gateway.hangUp();
  await waiting;
  await until('the call is settled', () => gateway.bookings[1]?.outcomes.length === 1);
  assert.ok((gateway.bookings[1]?.start.promptTokens ?? 0) > 91_000);
  assert.ok((gateway.bookings[1]?.outcomes[0]?.usage?.promptTokens ?? 0) > 91_000);
});
