import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { messagesProtocol } from '../../src/translation/messages/messages-protocol.ts';
import { aCompletion, bodyOf, modelAnswering, names, read } from './messages-parts.ts';

const png = 'iVBORw0KGgo=';
const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } };
const cached = { cache_control: { type: 'ephemeral', ttl: '1h' } };
const look = { name: 'look', description: 'Looks', input_schema: { type: 'object', properties: {} } };
const called = (id: string) => ({ type: 'tool_use', id, name: 'look', input: { at: id } });

const conversation = [
  { role: 'user', content: [{ type: 'text', text: 'Look', ...cached }, image] },
  {
    role: 'assistant',
    content: [
      { type: 'thinking', thinking: 'Twice.', signature: '' },
      { type: 'thinking', thinking: "Another provider's", signature: 'EqQBCg==' },
      { type: 'redacted_thinking', data: 'EqQBCg==' },
      { type: 'text', text: 'I do' },
      called('a'),
      called('b'),
    ],
  },
  {
    role: 'user',
    content: [
      { type: 'tool_result', tool_use_id: 'b', content: [{ type: 'text', text: 'Here:' }, image], ...cached },
      { type: 'tool_result', tool_use_id: 'a', content: 'Nothing', is_error: true },
      { type: 'text', text: 'And?' },
    ],
  },
];

describe('a request to an OpenAI-compatible model', () => {
  test('is the same conversation', async () => {
    const { options } = read({
      system: [
        { type: 'text', text: 'Be brief.', ...cached },
        { type: 'text', text: 'Be kind.' },
      ],
      messages: conversation,
      tools: [{ ...look, ...cached, strict: true, input_examples: [{ at: 'x' }] }],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ['END'],
      thinking: { type: 'enabled', budget_tokens: 6_000 },
      output_config: { format: { type: 'json_schema', schema: { type: 'object' } } },
      metadata: { user_id: 'somebody' },
    });
    const shown = { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } };
    const toolCall = (id: string) => ({
      id,
      type: 'function',
      function: { name: 'look', arguments: JSON.stringify({ at: id }) },
    });
    assert.deepEqual(await bodyOf(options), {
      model: 'gpt-x',
      max_tokens: 64,
      temperature: 0.5,
      top_p: 0.9,
      stop: ['END'],
      reasoning_effort: 'medium',
      parallel_tool_calls: false,
      response_format: {
        type: 'json_schema',
        json_schema: { schema: { type: 'object' }, strict: true, name: 'response' },
      },
      messages: [
        { role: 'system', content: 'Be brief.\n\nBe kind.' },
        { role: 'user', content: [{ type: 'text', text: 'Look' }, shown] },
        { role: 'assistant', content: 'I do', reasoning_content: 'Twice.', tool_calls: [toolCall('a'), toolCall('b')] },
        { role: 'tool', tool_call_id: 'b', content: 'Here:' },
        { role: 'tool', tool_call_id: 'a', content: 'Nothing' },
        {
          role: 'user',
          content: [{ type: 'text', text: 'Of the result of b:' }, shown, { type: 'text', text: 'And?' }],
        },
      ],
      tools: [
        {
          type: 'function',
          function: {
            name: 'look',
            description: 'Looks\nExamples of input:\n{"at":"x"}',
            parameters: look.input_schema,
            strict: true,
          },
        },
      ],
      tool_choice: 'required',
    });
  });

  test('has documents in it, those that are text as text', async () => {
    const content = [
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'One.' }, title: 'T', context: 'C' },
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } },
      { type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'Two.' }] } },
    ];
    const { messages } = await bodyOf(read({ messages: [{ role: 'user', content }] }).options);
    assert.deepEqual(messages, [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'T\nC' },
          { type: 'text', text: 'One.' },
          { type: 'file', file: { filename: 'document.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
          { type: 'text', text: 'Two.' },
        ],
      },
    ]);
  });

  test('asks for thoughts as much as it is said, in either way', () => {
    const effort = (fields: object) => read({ ...fields }).options.reasoning;
    const budget = (tokens: number) => effort({ thinking: { type: 'enabled', budget_tokens: tokens } });
    assert.deepEqual([1_024, 5_000, 10_000].map(budget), ['low', 'medium', 'high']);
    assert.equal(effort({ thinking: { type: 'adaptive' }, output_config: { effort: 'xhigh' } }), 'xhigh');
    assert.equal(effort({ thinking: { type: 'disabled' } }), undefined);
    const toGemini = read({ thinking: { type: 'disabled' } }, { providerOptionsName: 'google' });
    assert.equal(toGemini.options.reasoning, 'none');
  });
});

test('a request to Claude elsewhere keeps its hints at what to cache, and files in the answers of tools', () => {
  const { options } = read(
    { system: [{ type: 'text', text: 'Be brief.', ...cached }], messages: conversation, top_k: 5 },
    { providerOptionsName: 'amazonBedrock' },
  );
  const hint = { amazonBedrock: { cachePoint: { type: 'default', ttl: '1h' } } };
  const [system, user, assistant, tool] = options.prompt;
  assert.deepEqual(system, { role: 'system', content: 'Be brief.', providerOptions: hint });
  assert.deepEqual(user?.content[0], { type: 'text', text: 'Look', providerOptions: hint });
  assert.deepEqual(assistant?.content[0], {
    type: 'reasoning',
    text: "Another provider's",
    providerOptions: { amazonBedrock: { signature: 'EqQBCg==' } },
  });
  assert.deepEqual(tool?.content[0], {
    type: 'tool-result',
    toolCallId: 'b',
    toolName: 'look',
    providerOptions: hint,
    output: {
      type: 'content',
      value: [
        { type: 'text', text: 'Here:' },
        { type: 'file', mediaType: 'image/png', data: { type: 'data', data: png } },
      ],
    },
  });
  assert.equal(options.topK, 5);
});

/** What another protocol has no word for, and where it is named. */
const inexpressible: readonly (readonly [fields: object, param: string])[] = [
  [{ top_k: 5 }, 'top_k'],
  [{ container: 'c' }, 'container'],
  [{ mcp_servers: [{ type: 'url' }] }, 'mcp_servers'],
  [{ tools: [look, { type: 'web_search_20250305', name: 'web_search' }] }, 'tools.1'],
  [{ tools: [{ ...look, defer_loading: true }] }, 'tools.0.defer_loading'],
  [{ thinking: { type: 'adaptive', display: 'omitted' } }, 'thinking.display'],
  [{ context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] } }, 'context_management.edits.0'],
  [
    { messages: [{ role: 'user', content: [{ ...image, transformations: { x: 1 } }] }] },
    'messages.0.content.0.transformations',
  ],
  [
    {
      messages: [
        { role: 'user', content: 'Go' },
        { role: 'assistant', content: '{' },
      ],
    },
    'messages.1.role',
  ],
];

test('what cannot be expressed is refused by name, or left out where that is allowed', () => {
  for (const [fields, param] of inexpressible) {
    assert.throws(() => read({ ...fields }), { status: 400, type: 'unsupported_field', param }, param);
    const { dropped, options } = read({ ...fields }, { dropParams: true });
    assert.deepEqual(dropped, [param]);
    assert.ok(options.prompt.length > 0);
    assert.doesNotMatch(JSON.stringify(options), /topK|web_search|transformations|defer/);
  }
  const oneByOne = { tools: [look], tool_choice: { type: 'auto', disable_parallel_tool_use: true } };
  assert.throws(() => read(oneByOne, { providerOptionsName: 'google' }), {
    param: 'tool_choice.disable_parallel_tool_use',
  });
  // What a message shows is never left out.
  const shown = (block: object) => ({ messages: [{ role: 'user', content: [block] }] });
  for (const block of [
    { type: 'search_result', source: 's', title: 't', content: [] },
    { type: 'container_upload', file_id: 'f' },
    { type: 'image', source: { type: 'file', file_id: 'f' } },
  ]) {
    assert.throws(() => read(shown(block), { dropParams: true }), { status: 400, type: 'unsupported_field' });
  }
});

const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
const malformed: readonly (readonly [fields: object, param: string])[] = [
  [{ messages: [] }, 'messages'],
  [{ messages: 'Hi' }, 'messages'],
  [{ messages: [{ role: 'tool', content: '' }] }, 'messages.0.role'],
  [user(5), 'messages.0.content'],
  [user([5]), 'messages.0.content.0'],
  [user([{ type: 'text' }]), 'messages.0.content.0.text'],
  [user([{ type: 'tool_result', tool_use_id: 'x' }]), 'messages.0.content.0.tool_use_id'],
  [
    user([{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'data:x' } }]),
    'messages.0.content.0.source.data',
  ],
  [user([{ type: 'image', source: { type: 'url', url: 'file:///etc/passwd' } }]), 'messages.0.content.0.source.url'],
  [{ tools: [{ name: 'look' }] }, 'tools.0.input_schema'],
  [{ tools: [look], tool_choice: { type: 'tool', name: 'other' } }, 'tool_choice.name'],
  [{ temperature: '1' }, 'temperature'],
  [{ thinking: { type: 'enabled' } }, 'thinking.budget_tokens'],
  [{ output_config: { effort: 'huge' } }, 'output_config.effort'],
  [{ output_format: { type: 'json_schema' } }, 'output_format.schema'],
];

test('what is malformed is refused by name', () => {
  for (const [fields, param] of malformed) {
    assert.throws(
      () => read({ ...fields }, { dropParams: true }),
      { status: 400, type: 'invalid_request_error', param },
      param,
    );
  }
});

const answer = async (message: object, reason?: string) => {
  const model = modelAnswering('application/json', JSON.stringify(aCompletion(message, reason)));
  return messagesProtocol.answer(await model.doGenerate(read({}).options), names);
};
const toolCalls = (json: string) => ({
  tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: json } }],
});

describe('a whole answer', () => {
  test('is a message of Anthropic', async () => {
    assert.deepEqual(await answer({ reasoning_content: 'Hm', content: 'So', ...toolCalls('{"at":1}') }, 'tool_calls'), {
      id: 'msg_test',
      type: 'message',
      role: 'assistant',
      model: 'gpt-x',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: '' },
        { type: 'text', text: 'So', citations: null },
        { type: 'tool_use', id: 'a', name: 'look', input: { at: 1 }, caller: { type: 'direct' } },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: { input_tokens: 60, output_tokens: 30, cache_read_input_tokens: 40, cache_creation_input_tokens: 0 },
    });
  });

  test('says why the model stopped', async () => {
    const reasons = await Promise.all(
      ['stop', 'length', 'content_filter', 'eos'].map(
        async (reason) => (await answer({ content: 'x' }, reason))['stop_reason'],
      ),
    );
    assert.deepEqual(reasons, ['end_turn', 'max_tokens', 'refusal', 'end_turn']);
    // As Ollama says it.
    assert.equal((await answer(toolCalls('{}'), 'stop'))['stop_reason'], 'tool_use');
  });

  test('never has a call with a made-up input', async () => {
    await assert.rejects(answer(toolCalls('{"at":'), 'tool_calls'), { status: 502, type: 'invalid_answer' });
    await assert.rejects(answer(toolCalls('[1]'), 'tool_calls'), { status: 502, type: 'invalid_answer' });
    const { content, stop_reason: reason } = await answer({ content: 'So', ...toolCalls('{"at":') }, 'length');
    assert.deepEqual([content, reason], [[{ type: 'text', text: 'So', citations: null }], 'max_tokens']);
    assert.match(JSON.stringify(await answer(toolCalls(''), 'tool_calls')), /"input":\{\}/);
  });
});

test('an error has the type that Anthropic has for its status', () => {
  const typed = [400, 401, 429, 500, 529].map((status) => messagesProtocol.error(status, 'No'));
  assert.deepEqual(
    typed.map(({ error }) => error),
    ['invalid_request_error', 'authentication_error', 'rate_limit_error', 'api_error', 'overloaded_error'].map(
      (type) => ({ type, message: 'No' }),
    ),
  );
});
