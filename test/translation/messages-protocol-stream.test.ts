import type { LanguageModelV4StreamPart, LanguageModelV4Usage } from '@ai-sdk/provider';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { messagesProtocol } from '../../src/translation/messages/messages-protocol.ts';
import { chunks, finished, names, partsOf, readByClient, stripped, written } from './messages-parts.ts';

type Part = LanguageModelV4StreamPart;

const call = (index: number, id: string, name: string, piece = '') => ({
  tool_calls: [{ index, id, type: 'function', function: { name, arguments: piece } }],
});
const input = (index: number, piece: string) => ({ tool_calls: [{ index, function: { arguments: piece } }] });
const counted = {
  choices: [],
  usage: {
    prompt_tokens: 100,
    completion_tokens: 30,
    prompt_tokens_details: { cached_tokens: 40 },
    completion_tokens_details: { reasoning_tokens: 12 },
  },
};
const [weather, time] = ['{"city":"Par\\"is {"}', '{"zone":["CET",{"a":1}]}'];

/** Recorded shapes: OpenAI's, and those of servers such as vLLM and Ollama, which tell their thoughts. */
const streams = {
  text: chunks(
    [{ role: 'assistant', content: '' }, { content: 'Hello' }, { content: ' wörld' }],
    finished('stop'),
    counted,
  ),
  thoughts: chunks(
    [{ role: 'assistant' }, { reasoning_content: 'Let me ' }, { reasoning_content: 'see.' }, { content: 'Yes' }],
    finished('length'),
    counted,
  ),
  parallel: chunks(
    [
      { role: 'assistant', content: 'Both:' },
      call(0, 'call_a', 'weather'),
      ...Array.from(weather, (piece) => input(0, piece)),
      call(1, 'call_b', 'time'),
      input(1, time),
    ],
    finished('tool_calls'),
    counted,
  ),
  interleaved: chunks(
    [
      call(0, 'call_a', 'weather', weather.slice(0, 4)),
      call(1, 'call_b', 'time', time.slice(0, 9)),
      call(2, 'call_c', 'now'),
      input(0, weather.slice(4, 12)),
      input(1, time.slice(9)),
      { content: 'Well.' },
      input(0, weather.slice(12)),
      { content: ' Done.' },
    ],
    finished('tool_calls'),
    counted,
  ),
} as const;

const answers: Readonly<Record<keyof typeof streams, readonly unknown[]>> = {
  text: ['Hello wörld'],
  thoughts: [['Let me see.', ''], 'Yes'],
  parallel: [
    'Both:',
    { id: 'call_a', name: 'weather', input: { city: 'Par"is {' } },
    { id: 'call_b', name: 'time', input: { zone: ['CET', { a: 1 }] } },
  ],
  interleaved: [
    { id: 'call_a', name: 'weather', input: { city: 'Par"is {' } },
    { id: 'call_b', name: 'time', input: { zone: ['CET', { a: 1 }] } },
    { id: 'call_c', name: 'now', input: {} },
    'Well. Done.',
  ],
};
const reasons = { text: 'end_turn', thoughts: 'max_tokens', parallel: 'tool_use', interleaved: 'tool_use' } as const;

interface Event {
  readonly type: string;
  readonly index?: number;
  readonly delta?: { readonly stop_reason?: string };
}

const eventsIn = (text: string): Event[] =>
  text
    .split('\n\n')
    .filter(Boolean)
    .map((event) => {
      const [, name = '', data = ''] = /^event: (\S+)\ndata: (.*)$/.exec(event) ?? [];
      const read: Event = JSON.parse(data);
      assert.equal(read.type, name);
      return read;
    });

/** Blocks are numbered in a row and one is open at a time. */
function assertInOrder(events: readonly Event[]): void {
  let [open, next] = [false, 0];
  for (const { type, index } of events) {
    if (type === 'content_block_start') {
      assert.deepEqual([open, index], [false, next]);
      open = true;
    } else if (type === 'content_block_delta') {
      assert.deepEqual([open, index], [true, next]);
    } else if (type === 'content_block_stop') {
      assert.deepEqual([open, index], [true, next]);
      open = false;
      next += 1;
    }
  }
}

for (const name of ['text', 'thoughts', 'parallel', 'interleaved'] as const) {
  describe(`a stream of ${name}`, () => {
    test('is read by the official client as the model wrote it', async () => {
      const text = written(await partsOf(streams[name]));
      assertInOrder(eventsIn(text));
      const message = await readByClient(text);
      assert.deepEqual(message.content.map(stripped), answers[name]);
      assert.deepEqual(
        [message.id, message.model, message.role, message.stop_reason, message.stop_sequence],
        ['msg_test', 'gpt-x', 'assistant', reasons[name], null],
      );
      const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = message.usage;
      assert.deepEqual([input_tokens, cache_read_input_tokens, cache_creation_input_tokens], [60, 40, 0]);
      assert.deepEqual([output_tokens, message.usage.output_tokens_details], [30, { thinking_tokens: 12 }]);
    });

    test('that is cut after any of its chunks has no end, and no block that ended but those that were whole', async () => {
      const whole = streams[name].split('\n\n');
      for (let length = 0; length < whole.length - 3; length++) {
        const cut = whole.slice(0, length).join('\n\n');
        const events = eventsIn(written(await partsOf(cut === '' ? '' : `${cut}\n\n`)));
        assertInOrder(events);
        const ended = events.filter(({ type, delta }) => type === 'message_stop' || delta?.stop_reason !== undefined);
        assert.deepEqual(ended, [], `cut after ${length} chunks`);
        const [started, stopped] = ['content_block_start', 'content_block_stop'].map(
          (kind) => events.filter(({ type }) => type === kind).length,
        );
        assert.ok(started === 0 || stopped === Number(started) - 1, `cut after ${length} chunks`);
      }
    });
  });
}

test('parts that are cut off at any place have no end', async () => {
  for (const events of Object.values(streams)) {
    const parts = await partsOf(events);
    for (let length = 0; length < parts.length; length++) {
      assert.doesNotMatch(written(parts.slice(0, length)), /message_stop|stop_reason":"/);
    }
  }
});

const usage = (total: number | undefined): LanguageModelV4Usage => ({
  inputTokens: { total, noCache: undefined, cacheRead: total && 3, cacheWrite: total && 2 },
  outputTokens: { total: total && 7, text: undefined, reasoning: undefined },
});
const finish = (unified: 'stop' | 'other' | 'error' | 'content-filter', raw?: string): Part => ({
  type: 'finish',
  finishReason: { unified, raw },
  usage: usage(20),
});
const text: readonly Part[] = [
  { type: 'text-start', id: '1' },
  { type: 'text-delta', id: '1', delta: 'So' },
];

test('a package that tells a cut stream as finished does not make an end of it', () => {
  assert.doesNotMatch(written([...text, finish('other')]), /message_stop|stop_reason":"|content_block_stop/);
  assert.match(written([...text, finish('content-filter', 'SAFETY')]), /"stop_reason":"refusal".*\n.*\n.*message_stop/);
});

test('a call whose input is not whole is never told as one to be made', async () => {
  const cut = (reason: string) => partsOf(chunks([call(0, 'call_a', 'weather', '{"city":"Par')], finished(reason)));
  for (const reason of ['tool_calls', 'stop']) {
    const parts = await cut(reason);
    assert.throws(() => written(parts), { status: 502, type: 'invalid_answer' });
  }
  assert.match(written(await cut('length')), /"stop_reason":"max_tokens"/);
});

test('an answer that a server gave up is never told as one that its model has ended', async () => {
  const ended = async (reason: string) => written(await partsOf(chunks([{ content: 'So' }], finished(reason))));
  // DeepSeek, vLLM and SGLang, and watsonx in their own words.
  for (const reason of ['insufficient_system_resource', 'abort', 'aborted', 'cancelled', 'time_limit']) {
    const events = await ended(reason);
    assert.match(events, new RegExp(`event: error\\n.*${reason}.*\\n\\n$`), reason);
    assert.doesNotMatch(events, /stop_reason":"|message_stop/, reason);
  }
  // Mistral's, where the context is full.
  assert.match(await ended('model_length'), /"stop_reason":"max_tokens"/);
  for (const reason of ['stop', 'eos', 'stop_sequence']) assert.match(await ended(reason), /message_stop/);
});

test('an error is told as Anthropic tells it, and is the last that is told', () => {
  const error: Part = {
    type: 'error',
    error: { message: 'We are full sk-proj-abcdefghijklmnopqrstuvwxyz', type: 'overloaded_error' },
  };
  const events = written([...text, error, ...text, finish('error')]);
  assert.deepEqual(
    eventsIn(events).map(({ type }) => type),
    ['message_start', 'content_block_start', 'content_block_delta', 'error'],
  );
  assert.match(events, /"error":\{"type":"overloaded_error","message":"We are full/);
  assert.doesNotMatch(events, /abcdefghijklmnop/);
  assert.match(
    written([...text, finish('error', 'MALFORMED_FUNCTION_CALL')]),
    /event: error\n.*MALFORMED_FUNCTION_CALL.*\n\n$/,
  );
});

test('the buckets of tokens do not overlap, and none are told where there are none', () => {
  assert.match(
    written([...text, finish('stop', 'stop')]),
    /"usage":\{"input_tokens":15,"output_tokens":7,"cache_read_input_tokens":3,"cache_creation_input_tokens":2\}\}\n\nevent: message_stop/,
  );
  const uncounted: Part = { type: 'finish', finishReason: { unified: 'stop', raw: 'stop' }, usage: usage(undefined) };
  assert.match(written([uncounted]), /"stop_reason":"end_turn".*"input_tokens":0,"output_tokens":0,/);
});

test('thoughts and calls keep their signatures until the client hands them back', async () => {
  const signature = (thoughtSignature: string) => ({ google: { thoughtSignature } });
  const gemini = await readByClient(
    written([
      { type: 'reasoning-start', id: '0' },
      { type: 'reasoning-delta', id: '0', delta: 'Hm', providerMetadata: signature('aGk=') },
      { type: 'reasoning-end', id: '0' },
      { type: 'tool-input-start', id: 'a:1', toolName: 'look', providerMetadata: signature('c2ln') },
      { type: 'tool-input-delta', id: 'a:1', delta: '{}' },
      { type: 'tool-input-end', id: 'a:1' },
      { type: 'tool-call', toolCallId: 'a:1', toolName: 'look', input: '{}', providerMetadata: signature('c2ln') },
      finish('stop', 'STOP'),
    ]),
  );
  assert.equal(gemini.stop_reason, 'tool_use');
  const handedBack = (providerOptionsName: string, content: unknown) =>
    messagesProtocol
      .read(
        {
          max_tokens: 1,
          messages: [
            { role: 'user', content: 'Go' },
            { role: 'assistant', content },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a:1' }] },
          ],
        },
        { dropParams: false, providerOptionsName },
      )
      .options.prompt.at(1)?.content;
  const called = { type: 'tool-call', toolCallId: 'a:1', toolName: 'look', input: {} };
  assert.deepEqual(handedBack('vertex', gemini.content), [
    { type: 'reasoning', text: 'Hm', providerOptions: signature('aGk=') },
    { ...called, providerOptions: signature('c2ln') },
  ]);
  for (const other of ['upstream', 'anthropic']) assert.deepEqual(handedBack(other, gemini.content), [called]);

  const claude = await readByClient(
    written([
      { type: 'reasoning-start', id: '0', providerMetadata: { bedrock: { redactedData: 'c2VjcmV0' } } },
      { type: 'reasoning-end', id: '0' },
      { type: 'reasoning-start', id: '1' },
      { type: 'reasoning-delta', id: '1', delta: 'Ah' },
      { type: 'reasoning-delta', id: '1', delta: '', providerMetadata: { bedrock: { signature: 'c2lnbmVk' } } },
      { type: 'tool-call', toolCallId: 'a:1', toolName: 'look', input: '{}' },
      finish('stop', 'tool_use'),
    ]),
  );
  assert.deepEqual(claude.content.map(stripped).slice(0, 2), [['c2VjcmV0'], ['Ah', 'c2lnbmVk']]);
  assert.deepEqual(handedBack('amazonBedrock', claude.content), [
    { type: 'reasoning', text: '', providerOptions: { amazonBedrock: { redactedData: 'c2VjcmV0' } } },
    { type: 'reasoning', text: 'Ah', providerOptions: { amazonBedrock: { signature: 'c2lnbmVk' } } },
    called,
  ]);
  assert.deepEqual(handedBack('google', claude.content), [called]);
});

test('no more waits for the end of a call than a stream may keep', () => {
  const writer = messagesProtocol.events(names);
  writer.next({ type: 'tool-input-start', id: 'a', toolName: 'look' });
  const piece: Part = { type: 'text-delta', id: '1', delta: 'x'.repeat(1_000) };
  assert.throws(
    () => {
      for (let count = 0; count < 300; count++) assert.equal(writer.next(piece), '');
    },
    { type: 'invalid_answer', status: 502 },
  );
});
