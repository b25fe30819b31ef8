import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { kinds } from './proxy/kinds.ts';
import { startUpstream, type Upstream, type UpstreamRecord } from './proxy/upstream.ts';
import { type Answer, type Gateway, startGateway, until } from './support/gateway.ts';

let gateway: Gateway;
let upstream: Upstream;

before(async () => {
  [gateway, upstream] = await Promise.all([
    startGateway({ env: { GATEWAYCTL_UNPRICED_MODELS: 'refuse' } }),
    startUpstream(),
  ]);
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

async function admin(path: string, body: object): Promise<Answer['body']> {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, `${path}: ${answer.text}`);
  return answer.body;
}

/** A model of the pretend upstream, with the prices its operator gives it. */
const aModel = (model_name: string, model_info: object): Promise<unknown> =>
  admin('/model/new', {
    model_name,
    litellm_params: {
      model: `openai/${model_name}-upstream`,
      allow_private_network: true,
      api_base: upstream.url,
      api_key: 'sk-provider-secret-1',
    },
    model_info,
  });

const aKey = async (fields: object): Promise<string> => (await admin('/key/generate', fields)).key;

const clientFor = (apiKey: string): OpenAI =>
  new OpenAI({ apiKey, baseURL: `${gateway.daemon.url}/v1`, maxRetries: 0 });

/** Read by Node's own reader of forms, which knows nothing of ours. */
async function modelIn({ bytes, headers, body }: UpstreamRecord): Promise<unknown> {
  const type = headers['content-type'] ?? '';
  if (!type.startsWith('multipart/')) return body['model'];
  const form = await new Response(bytes, { headers: { 'content-type': type } }).formData();
  return form.get('model');
}

interface Row {
  readonly call_type: string;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly spend: string;
  readonly status: string;
  readonly stream: boolean;
  readonly price_source: string;
}

/** The rows of a key's calls, as the database has them. */
async function rowsOf(alias: string, count: number): Promise<Row[]> {
  let rows: Row[] = [];
  await until(async () => {
    const found = await gateway.pool.query<Row>(
      `select call_type, prompt_tokens::int, completion_tokens::int, spend_logs.spend::text, status, stream, price_source
         from gatewayctl.spend_logs join gatewayctl.keys on keys.id = key_id
        where keys.alias = $1 order by started_at`,
      [alias],
    );
    rows = found.rows;
    return rows.length >= count;
  });
  return rows;
}

test('an image is paid by its pixels, however its size is asked for', async () => {
  await aModel('by-pixel', { input_cost_per_pixel: 1e-9 });
  upstream.script({ answer: { data: [{ b64_json: 'QUJD' }] } });
  const key = await aKey({ key_alias: 'by-pixel', models: ['by-pixel'] });
  const asked: [object, number][] = [
    [{ size: '2048x1024' }, 2_048 * 1_024],
    [{ size: 'auto' }, 1_536 * 1_024],
    [{ size: '2048X2048' }, 4_096 ** 2],
    [{ size: '4K' }, 4_096 ** 2],
    [{ width: 2_048, height: 2_048 }, 2_048 ** 2],
    [{ size: '512x512', width: 2_048 }, 2_048 * 1_024],
  ];
  for (const [fields] of asked) {
    const body = { model: 'by-pixel', prompt: 'a cat', ...fields };
    const answer = await gateway.request('POST', '/v1/images/generations', { key, body });
    assert.equal(answer.status, 200, answer.text);
  }
  const rows = await rowsOf('by-pixel', asked.length);
  assert.deepEqual(
    rows.map(({ spend }) => spend),
    asked.map(([, pixels]) => String(pixels)),
  );
});

for (const [index, kind] of kinds.entries()) {
  describe(kind.name, () => {
    const name = `kind-${index}`;
    let key: string;

    before(async () => {
      await aModel(name, kind.prices);
      key = await aKey({ key_alias: name, models: [name] });
      upstream.script(kind.script);
    });

    test('reaches the upstream by the official client, and is booked as that reports', async () => {
      assert.deepEqual(await kind.call(clientFor(key), name), kind.expected);
      const sent = upstream.requests.at(-1);
      assert.equal(sent?.path, kind.route);
      assert.equal(await modelIn(sent), `${name}-upstream`);
      assert.equal(sent.headers.authorization, 'Bearer sk-provider-secret-1');
      assert.deepEqual(await rowsOf(name, 1), [
        {
          call_type: kind.callType,
          prompt_tokens: kind.tokens[0],
          completion_tokens: kind.tokens[1],
          spend: kind.cost,
          status: 'success',
          stream: kind.stream ?? false,
          price_source: 'model_info',
        },
      ]);
    });

    test('is refused to a key without the model, and to one whose budget has no room for it', async () => {
      const callsBefore = upstream.requests.length;
      const stranger = clientFor(await aKey({ models: ['another'] }));
      await assert.rejects(kind.call(stranger, name), { status: 403 });
      const poor = clientFor(await aKey({ max_budget: 1e-9 }));
      await assert.rejects(kind.call(poor, name), { status: 429, type: 'budget_exceeded' });
      assert.equal(upstream.requests.length, callsBefore);
    });

    test('is explained before it is made', async () => {
      const { body } = await gateway.request('POST', '/explain', {
        body: {
          key,
          model: name,
          route: kind.route,
          body: { model: name, input: 'x', prompt: 'x', n: 1, query: 'x', documents: ['x'] },
        },
      });
      assert.equal(body.allowed, true, JSON.stringify(body));
    });
  });
}

describe('a call whose kind the price says nothing of', () => {
  const chat = (key: string) =>
    clientFor(key).chat.completions.create({ model: 'by-image', messages: [{ role: 'user', content: 'Hi' }] });

  before(async () => {
    await aModel('by-image', { output_cost_per_image: 0.04 });
    upstream.script({});
  });

  test('is refused where a budget applies, if the operator has it so, and explained as refused', async () => {
    const key = await aKey({ max_budget: 10 });
    await assert.rejects(chat(key), { status: 403, type: 'unpriced_model' });
    const { body } = await gateway.request('POST', '/explain', { body: { key, model: 'by-image' } });
    assert.equal(body.allowed, false);
  });

  test('is booked at nothing where none does, and marked', async () => {
    await chat(await aKey({ key_alias: 'unbounded' }));
    const [row] = await rowsOf('unbounded', 1);
    assert.deepEqual([row?.spend, row?.price_source], ['0', 'unpriced']);
  });
});

describe('tools that a provider runs', () => {
  const fees = {
    input_cost_per_token: 0.000001,
    output_cost_per_token: 0.000001,
    search_context_cost_per_query: { search_context_size_low: 0.01, search_context_size_high: 0.03 },
    file_search_cost_per_1k_calls: 2.5,
    code_interpreter_cost_per_session: 0.05,
  };
  const tools = [{ type: 'web_search' }, { type: 'file_search' }, { type: 'code_interpreter' }];
  const search = { type: 'web_search_20250305', name: 'web_search', max_uses: 4 };
  const response = {
    id: 'resp_1',
    object: 'response',
    status: 'completed',
    output: [
      { type: 'web_search_call', action: { type: 'search' } },
      { type: 'web_search_call', action: { type: 'open_page' } },
      { type: 'file_search_call' },
      { type: 'code_interpreter_call', container_id: 'c1' },
      { type: 'code_interpreter_call', container_id: 'c1' },
    ],
    usage: { input_tokens: 10, output_tokens: 10 },
  };
  const used = { input_tokens: 10, output_tokens: 10, server_tool_use: { web_search_requests: 3 } };
  const sse = (...events: { type: string }[]): string[] =>
    events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);

  before(async () => {
    await aModel('tooled', fees);
    await admin('/model/new', {
      model_name: 'searcher',
      litellm_params: {
        model: 'anthropic/claude-upstream',
        allow_private_network: true,
        api_base: upstream.url,
        api_key: 'sk-provider-secret-1',
      },
      model_info: fees,
    });
  });

  /** What the only row of a key is booked at, in US dollars. */
  async function booked(alias: string, path: string, body: object): Promise<number> {
    const key = await aKey({ key_alias: alias });
    const answer = await gateway.request('POST', path, { key, body });
    assert.equal(answer.status, 200, answer.text);
    const [row] = await rowsOf(alias, 1);
    return Number(row?.spend) / 1e9;
  }

  test('are booked by their use, in plain answers and in streams', async () => {
    const asked = { model: 'tooled', input: 'Hi', tools };
    upstream.script({ answer: response });
    assert.equal(await booked('tools-plain', '/v1/responses', asked), 0.08252);
    upstream.script({ chunks: sse({ type: 'response.completed', response } as { type: string }) });
    assert.equal(await booked('tools-stream', '/v1/responses', { ...asked, stream: true }), 0.08252);

    const message = { model: 'searcher', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }], tools: [search] };
    upstream.script({ answer: { type: 'message', content: [], usage: used } });
    assert.equal(await booked('search-plain', '/v1/messages', message), 0.09002);
    const events = [
      { type: 'message_start', message: { usage: { input_tokens: 10, output_tokens: 1 } } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: used },
      { type: 'message_stop' },
    ];
    upstream.script({ chunks: sse(...events) });
    assert.equal(await booked('search-stream', '/v1/messages', { ...message, stream: true }), 0.09002);
    upstream.script({ answer: { type: 'message', content: [], usage: { input_tokens: 10, output_tokens: 10 } } });
    assert.equal(await booked('search-unused', '/v1/messages', message), 0.00002);

    upstream.script({});
    const chat = { model: 'tooled', messages: [{ role: 'user', content: 'Hi' }], web_search_options: {} };
    assert.equal(await booked('search-chat', '/v1/chat/completions', chat), 0.030012);
  });

  test('are reserved as often as a request allows them', async () => {
    upstream.script({ answer: { type: 'message', content: [], usage: used } });
    const key = await aKey({ max_budget: 0.1 });
    const message = { model: 'searcher', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }], tools: [search] };
    assert.equal((await gateway.request('POST', '/v1/messages', { key, body: message })).status, 429);
    const fewer = { ...message, tools: [{ ...search, max_uses: 3 }] };
    assert.equal((await gateway.request('POST', '/v1/messages', { key, body: fewer })).status, 200);
    const body = { model: 'searcher', route: '/v1/messages', tokens: 10, max_tokens: 10, body: message };
    assert.equal((await gateway.request('POST', '/explain', { key, body })).body.max_cost, 0.12002);
  });
});
