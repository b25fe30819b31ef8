import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI, { APIError, toFile } from 'openai';
import { PretendUpstream } from './passthrough/upstream.ts';
import { type Answer, type Gateway, startGateway, until } from './support/gateway.ts';

let gateway: Gateway;
let upstream: PretendUpstream;

const admin = async (path: string, body: object): Promise<Answer['body']> => {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, `${path}: ${answer.text}`);
  return answer.body;
};
const aKey = async (fields: object = {}): Promise<string> => (await admin('/key/generate', fields)).key;
const clientFor = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${gateway.daemon.url}/v1`, maxRetries: 0 });
const line = (model: string, more: object = {}, url = '/v1/chat/completions'): string =>
  JSON.stringify({ custom_id: 'a', method: 'POST', url, body: { model, messages: [], ...more } });
const upload = async (key: string, text: string, purpose: 'batch' | 'user_data' = 'batch', more: object = {}) =>
  clientFor(key).files.create({ file: await toFile(Buffer.from(text), 'lines.jsonl'), purpose, ...more });
const refusal = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof APIError, 'it is refused');
  return error;
};

const asked = (what: string): boolean => upstream.received.some(({ method, url }) => `${method} ${url}` === what);
const stateOf = async (batch: string): Promise<string> => {
  const { rows } = await gateway.pool.query('select state from gatewayctl.batches where id = $1', [batch]);
  return rows[0]?.state;
};

const batchOf = (status: string) => ({
  id: 'batch_upstream',
  object: 'batch',
  status,
  endpoint: '/v1/chat/completions',
  input_file_id: 'file-upstream',
  output_file_id: status === 'completed' ? 'file-output' : null,
  error_file_id: null,
});

before(async () => {
  upstream = await new PretendUpstream().listen();
  gateway = await startGateway({ env: { GATEWAYCTL_NUM_RETRIES: '0', GATEWAYCTL_BATCH_POLL_INTERVAL: '1s' } });
  for (const model_name of ['gpt', 'other', 'openai/*']) {
    await admin('/model/new', {
      model_name,
      litellm_params: {
        model: model_name === 'openai/*' ? model_name : `openai/${model_name}-upstream`,
        api_base: `${upstream.url}/${model_name.replace('/*', '')}`,
        api_key: 'sk-provider-secret-1',
        allow_private_network: true,
      },
    });
  }
  upstream.reply = ({ method, url, body }, response) => {
    const json = (value: object) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const purpose = /name="purpose"\r\n\r\n(\w+)/.exec(body)?.[1];
    if (url.endsWith('/content'))
      response.writeHead(200, { 'content-type': 'text/html' }).end('<b>a</b>\n{"line":2}\n');
    else if (method === 'DELETE') json({ id: 'file-upstream', object: 'file', deleted: true });
    else if (url.includes('/files'))
      json({ id: 'file-upstream', object: 'file', purpose: purpose ?? 'batch', status: 'processed' });
    else json(batchOf(url.endsWith('/cancel') ? 'cancelling' : method === 'POST' ? 'validating' : 'completed'));
  };
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

test('A batch runs from its file to its output, at the deployment of the model in its lines', async () => {
  const key = await aKey();
  const client = clientFor(key);
  const file = await upload(key, `${line('gpt')}\n\n${line('gpt', { max_tokens: 5 })}\n`);
  assert.match(upstream.last?.url ?? '', /^\/gpt\/files$/);
  assert.ok(!upstream.last?.body.includes('"gpt"') && upstream.last?.body.includes('"model":"gpt-upstream"'));
  assert.equal(upstream.last?.headers.authorization, 'Bearer sk-provider-secret-1');
  assert.match(file.id, /^file-/);

  const batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { job: 'nightly' },
  });
  assert.deepEqual(JSON.parse(upstream.last?.body ?? ''), {
    input_file_id: 'file-upstream',
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { job: 'nightly' },
  });
  assert.equal(batch.input_file_id, file.id);
  const seen = await client.batches.retrieve(batch.id);
  assert.ok(asked('GET /gpt/batches/batch_upstream'));
  assert.equal(seen.id, batch.id);
  const content = await client.files.content(seen.output_file_id ?? '');
  assert.ok(asked('GET /gpt/files/file-output/content'));
  assert.equal(content.headers.get('content-type'), 'application/octet-stream');
  assert.equal(await content.text(), '<b>a</b>\n{"line":2}\n');
  assert.equal((await client.batches.cancel(batch.id)).status, 'cancelling');

  assert.deepEqual(
    (await client.batches.list()).data.map(({ id, status }) => ({ id, status })),
    [{ id: batch.id, status: 'cancelling' }],
    'as it was last seen',
  );
  assert.deepEqual(
    (await client.files.list({ purpose: 'batch' })).data.map(({ id }) => id),
    [file.id],
  );
  assert.equal((await client.files.delete(file.id)).id, file.id);
  assert.deepEqual((await client.files.list()).data, []);

  await until(async () => (await stateOf(batch.id)) === 'booked');
  const { body: info } = await gateway.request('GET', '/key/info', { key });
  const hash = info.info.token;
  let rows: Record<string, unknown>[] = [];
  await until(async () => {
    ({ rows } = await gateway.pool.query('select * from gatewayctl.spend_logs where api_key = $1', [hash]));
    return rows.length === 6;
  });
  assert.deepEqual(rows.map((row) => String(row['call_type'])).toSorted(), [
    'cancel_batch',
    'create_batch',
    'create_file',
    'delete_file',
    'file_content',
    'retrieve_batch',
  ]);
  assert.ok(rows.every(({ spend, model_id }) => spend === '0' && model_id !== ''));
});

test('What one owner has at an upstream is nothing to any other', async () => {
  const owner = await aKey();
  const stranger = await aKey();
  const file = await upload(owner, line('gpt'));
  const plain = await upload(owner, 'anything', 'user_data', { model: 'gpt' });
  const batch = await clientFor(owner).batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  const received = upstream.received.length;
  const create = (key: string, input_file_id: string) =>
    clientFor(key).batches.create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  const asAnother = `batch_${file.id.replace('file-batch-', '')}`;
  for (const attempt of [
    () => clientFor(stranger).files.retrieve(file.id),
    () => clientFor(stranger).files.content(plain.id),
    () => clientFor(stranger).files.delete(file.id),
    () => clientFor(stranger).batches.retrieve(batch.id),
    () => clientFor(stranger).batches.cancel(batch.id),
    () => create(stranger, file.id),
    () => clientFor(owner).files.retrieve('file-upstream'),
    () => clientFor(owner).batches.retrieve(asAnother),
    () => create(owner, plain.id),
  ]) {
    assert.equal((await refusal(attempt())).status, 404, String(attempt));
  }
  assert.deepEqual((await clientFor(stranger).files.list()).data, []);
  assert.equal(upstream.received.length, received, 'no upstream was asked');
  assert.equal((await clientFor(owner).files.list()).data.length, 2);
});

test('A file is no way around what a key may do', async () => {
  const key = await aKey({ models: ['gpt'] });
  const received = upstream.received.length;
  const cases: [text: string, status: number, says: RegExp][] = [
    [line('other'), 403, /other/],
    [`${line('gpt')}\n${line('other')}`, 400, /Line 2 .*another model/],
    [line('gpt', { api_base: 'http://127.0.0.1' }), 400, /api_base/],
    [line('gpt', { Model: 'other' }), 400, /Model/],
    [line('gpt', {}, '/v1/files'), 400, /Line 1/],
    // Whose these are at the provider nobody here would look at.
    [line('gpt', { previous_response_id: 'resp_1' }, '/v1/responses'), 400, /Line 1 .*previous_response_id/],
    [line('gpt', { conversation: 'conv_1' }, '/v1/responses'), 400, /Line 1 .*conversation/],
    [line('gpt', { background: true }, '/v1/responses'), 400, /Line 1 .*background/],
    ['{"custom_id"', 400, /Line 1 .*JSON/],
    ['', 400, /no line/],
  ];
  for (const [text, status, says] of cases) {
    const error = await refusal(upload(key, text));
    assert.equal(error.status, status, text);
    assert.match(error.message, says);
  }
  const models = (text: string) => ({ target_model_names: text });
  assert.equal((await refusal(upload(key, line('gpt'), 'batch', models('gpt,other')))).status, 400);
  assert.equal((await refusal(upload(key, 'x', 'user_data', models('other')))).status, 403);
  assert.equal((await refusal(upload(key, 'x', 'user_data'))).status, 403, 'openai/* is not among its models');
  assert.equal((await refusal(upload(key, 'x', 'user_data', { custom_llm_provider: 'nobody' }))).status, 403);
  assert.equal(upstream.received.length, received);
  assert.match((await upload(await aKey(), 'x', 'user_data')).id, /^file-/);
  assert.equal(upstream.last?.url, '/openai/files');

  const poor = await aKey({ max_budget: 1 });
  const file = await upload(poor, line('gpt'));
  const error = await refusal(
    clientFor(poor).batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    }),
  );
  assert.deepEqual([error.status, error.type], [403, 'unpriced_call']);
});

describe('a batch is paid for', () => {
  const prices = {
    input_cost_per_token: 1e-6,
    output_cost_per_token: 2e-6,
    input_cost_per_token_batches: 5e-7,
    output_cost_per_token_batches: 1e-6,
  };
  const create = (key: string, input_file_id: string) =>
    clientFor(key).batches.create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  const spentBy = async (key: string): Promise<number> =>
    (await gateway.request('GET', '/key/info', { key })).body.info.spend;
  const rowOf = async (key: string) => {
    const { body } = await gateway.request('GET', '/key/info', { key });
    const { rows } = await gateway.pool.query(
      `select * from gatewayctl.spend_logs where api_key = $1 and call_type = 'create_batch' order by created_at`,
      [body.info.token],
    );
    return rows;
  };
  const answered = (usage: object | undefined, status_code = 200) =>
    JSON.stringify({ custom_id: 'a', response: { status_code, body: { usage } }, error: null });
  let made = 0;
  let output = '';
  let status = 'in_progress';
  before(async () => {
    await admin('/model/new', {
      model_name: 'priced',
      litellm_params: {
        model: 'openai/priced-upstream',
        api_base: `${upstream.url}/priced`,
        api_key: 'sk-provider-secret-1',
        allow_private_network: true,
        ...prices,
      },
    });
    upstream.reply = ({ method, url }, response) => {
      const json = (value: object) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
      if (url.endsWith('/content')) response.writeHead(200).end(output);
      else if (url.includes('/files')) json({ id: `file-${++made}`, object: 'file', purpose: 'batch' });
      else if (method === 'POST') json({ ...batchOf('validating'), id: `batch_${++made}` });
      else json({ ...batchOf(status), id: url.split('/').at(-1) });
    };
  });

  test('with its worst case from the start, and with what its output says once it is over', async () => {
    const key = await aKey({ max_budget: 0.003 });
    const open = await upload(key, line('priced'));
    assert.equal((await refusal(create(key, open.id))).type, 'unpriced_call', 'nothing limits what it writes');
    const text = `${line('priced', { max_tokens: 1_000 })}\n${line('priced', { max_tokens: 500, n: 2 })}\n`;
    const file = await upload(key, text);
    const batch = await create(key, file.id);
    await until(async () => (await spentBy(key)) > 0);
    const worst = await spentBy(key);
    assert.ok(
      worst > 0.002 && worst < 0.0021,
      `two thousand tokens and the prompts, at the price of batches: ${worst}`,
    );
    assert.equal((await rowOf(key))[0]['usage_estimated'], true);
    assert.equal((await refusal(create(key, file.id))).type, 'budget_exceeded');

    [status, output] = ['completed', ''];
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
    output = [answered(usage), answered(undefined, 400), answered(usage)].join('\n');
    // Nobody asks for it: the daemon looks by itself.
    await gateway.pool.query('update gatewayctl.batches set next_look_at = now() where id = $1', [batch.id]);
    await until(async () => (await stateOf(batch.id)) === 'booked');
    assert.equal(await spentBy(key), 0.00002);
    const [row] = await rowOf(key);
    assert.deepEqual(
      [row['spend'], row['prompt_tokens'], row['completion_tokens'], row['usage_estimated'], row['service_tier']],
      ['20000', '20', '10', false, 'batch'],
    );
    const verified = await gateway.gatewayctl('spend verify');
    assert.equal(verified.exit, 0, verified.out);

    // What was held is free again, at once.
    const second = await create(key, file.id);
    output = `${answered(usage)}\n{"custom_id":"b","resp`;
    await clientFor(key).batches.retrieve(second.id);
    await until(async () => (await stateOf(second.id)) === 'booked');
    const cut = await rowOf(key);
    assert.ok(
      Number(cut[1]['spend']) > 1_000_000 && cut[1]['usage_estimated'],
      'half a line costs half of the worst case',
    );
    const spent = await spentBy(key);
    await clientFor(key).batches.retrieve(second.id);
    await gateway.pool.query(`update gatewayctl.batches set state = 'open', next_look_at = now() where id = $1`, [
      batch.id,
    ]);
    output = [answered(usage), answered(usage)].join('\n');
    await until(async () => (await stateOf(batch.id)) === 'booked');
    assert.equal(await spentBy(key), spent, 'booking it again books nothing');
  });

  test('with its worst case where its model has no price any more, or it never ends', async () => {
    const { model_info: info } = await admin('/model/new', {
      model_name: 'repriced',
      litellm_params: {
        model: 'openai/priced-upstream',
        api_base: `${upstream.url}/priced`,
        api_key: 'sk-provider-secret-1',
        allow_private_network: true,
        ...prices,
      },
    });
    const key = await aKey();
    const file = await upload(key, line('repriced', { max_tokens: 1_000 }));
    const batch = await create(key, file.id);
    const endless = await create(key, file.id);
    await until(async () => (await rowOf(key)).length === 2);
    const worst = (await rowOf(key))[0]['spend'];
    assert.ok(Number(worst) > 1_000_000, worst);

    const none = Object.fromEntries(Object.keys(prices).map((name) => [name, null]));
    await admin('/model/update', { model_info: { id: info.id }, litellm_params: none });
    const look = (id: string, more = '') =>
      gateway.pool.query(`update gatewayctl.batches set next_look_at = now() ${more} where id = $1`, [id]);
    [status, output] = ['completed', answered({ prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 })];
    await look(batch.id);
    await until(async () => (await stateOf(batch.id)) === 'booked');
    assert.equal((await rowOf(key))[0]['spend'], worst, 'what has no price is not free');

    status = 'in_progress';
    await look(endless.id, `, created_at = created_at - interval '31 days'`);
    await until(async () => (await stateOf(endless.id)) === 'given_up');
    assert.equal((await rowOf(key))[1]['spend'], worst);
    assert.ok(gateway.daemon.log.some((each) => each.includes('stays booked at its worst case')));
  });
});
