import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { startUpstream, type Upstream } from './proxy/upstream.ts';
import { type Answer, type Gateway, startGateway, until } from './support/gateway.ts';

let gateway: Gateway;
let upstream: Upstream;

before(async () => {
  [gateway, upstream] = await Promise.all([startGateway(), startUpstream()]);
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
    litellm_params: { model: `openai/${model_name}-upstream`, api_base: upstream.url, api_key: 'sk-provider-secret-1' },
    model_info,
  });

const aKey = async (fields: object): Promise<string> => (await admin('/key/generate', fields)).key;

const clientFor = (apiKey: string): OpenAI =>
  new OpenAI({ apiKey, baseURL: `${gateway.daemon.url}/v1`, maxRetries: 0 });

interface Row {
  readonly call_type: string;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly spend: string;
  readonly status: string;
  readonly stream: boolean;
}

/** The rows of a key's calls, as the database has them. */
async function rowsOf(alias: string, count: number): Promise<Row[]> {
  let rows: Row[] = [];
  await until(async () => {
    const found = await gateway.pool.query<Row>(
      `select call_type, prompt_tokens::int, completion_tokens::int, spend_logs.spend::text, status, stream
         from gatewayctl.spend_logs join gatewayctl.keys on keys.id = key_id
        where keys.alias = $1 order by started_at`,
      [alias],
    );
    rows = found.rows;
    return rows.length >= count;
  });
  return rows;
}

interface Kind {
  readonly callType: string;
  readonly route: string;
  readonly prices: object;
  readonly answer: object | undefined;
  /** Calls the model with the official client, and answers with what its caller looks for. */
  readonly call: (client: OpenAI, model: string) => Promise<unknown>;
  readonly expected: unknown;
  readonly tokens: readonly [prompt: number, completion: number];
  /** Nano-dollars. */
  readonly cost: string;
  readonly stream?: true;
}

const perToken = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 };

const textChunk = (text: string, finish_reason: string | null, usage: object | null = null): string =>
  `data: ${JSON.stringify({ id: 'cmpl-1', object: 'text_completion', created: 1, model: 'x', choices: usage ? [] : [{ index: 0, text, logprobs: null, finish_reason }], usage })}\n\n`;

const kinds: readonly Kind[] = [
  {
    callType: 'text_completion',
    route: '/v1/completions',
    prices: perToken,
    answer: {
      id: 'cmpl-1',
      object: 'text_completion',
      created: 1,
      model: 'x',
      choices: [{ index: 0, text: ' a time', logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 },
    },
    call: async (client, model) => {
      const { choices } = await client.completions.create({ model, prompt: 'Once upon', max_tokens: 10 });
      return choices[0]?.text;
    },
    expected: ' a time',
    tokens: [4, 3],
    cost: '10000',
  },
  {
    callType: 'text_completion',
    route: '/v1/completions',
    prices: perToken,
    answer: undefined,
    call: async (client, model) => {
      let text = '';
      const stream = await client.completions.create({ model, prompt: 'Once upon', max_tokens: 10, stream: true });
      for await (const { choices } of stream) text += choices[0]?.text ?? '';
      return text;
    },
    expected: ' a time',
    tokens: [4, 3],
    cost: '10000',
    stream: true,
  },
  {
    callType: 'embedding',
    route: '/v1/embeddings',
    prices: perToken,
    answer: {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [0.25, -0.5] }],
      model: 'x',
      usage: { prompt_tokens: 6, total_tokens: 6 },
    },
    call: async (client, model) => {
      const { data } = await client.embeddings.create({ model, input: 'Six small tokens', encoding_format: 'float' });
      return data[0]?.embedding;
    },
    expected: [0.25, -0.5],
    tokens: [6, 0],
    cost: '6000',
  },
  {
    callType: 'moderation',
    route: '/v1/moderations',
    prices: { input_cost_per_request: 0.001 },
    answer: { id: 'modr-1', model: 'x', results: [{ flagged: true, categories: {}, category_scores: {} }] },
    call: async (client, model) => {
      const { results } = await client.moderations.create({ model, input: 'Rude words' });
      return results[0]?.flagged;
    },
    expected: true,
    // Nobody reports any: they are guessed from the body.
    tokens: [17, 0],
    cost: '1000000',
  },
];

for (const [index, kind] of kinds.entries()) {
  describe(`${kind.callType}${kind.stream ? ' as a stream' : ''}`, () => {
    const name = `kind-${index}`;
    let key: string;

    before(async () => {
      await aModel(name, kind.prices);
      key = await aKey({ key_alias: name, models: [name] });
      upstream.script(
        kind.answer === undefined
          ? {
              chunks: [
                textChunk(' a', null),
                textChunk(' time', 'stop'),
                textChunk('', null, { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 }),
                'data: [DONE]\n\n',
              ],
            }
          : { answer: kind.answer },
      );
    });

    test('reaches the upstream by the official client, and is booked as that reports', async () => {
      assert.deepEqual(await kind.call(clientFor(key), name), kind.expected);
      const sent = upstream.requests.at(-1);
      assert.equal(sent?.path, kind.route);
      assert.equal(sent.body['model'], `${name}-upstream`);
      assert.equal(sent.headers.authorization, 'Bearer sk-provider-secret-1');
      assert.deepEqual(await rowsOf(name, 1), [
        {
          call_type: kind.callType,
          prompt_tokens: kind.tokens[0],
          completion_tokens: kind.tokens[1],
          spend: kind.cost,
          status: 'success',
          stream: kind.stream ?? false,
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
        body: { key, model: name, route: kind.route, body: { model: name, input: 'x', prompt: 'x' } },
      });
      assert.equal(body.allowed, true, JSON.stringify(body));
    });
  });
}
