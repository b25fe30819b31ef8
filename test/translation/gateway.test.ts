import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { type Gateway, startGateway, until } from '../support/gateway.ts';
import { anthropic, bedrock } from './pretended.ts';

let upstream: Upstream;
let gateway: Gateway;
let directory: string;
const host = () => upstream.url.replace('/v1', '');
const secret = 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00';

const session = 'FwoGZXIvYXdzEBYaDH+session/token==';

before(async () => {
  upstream = await startUpstream();
  directory = await mkdtemp(join(tmpdir(), 'gatewayctl-'));
  const config = join(directory, 'config.yaml');
  await writeFile(
    config,
    `
litellm_settings:
  drop_params: true
model_list:
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "${host()}", api_key: sk-ant-1}
    model_info:
      input_cost_per_token: 0.001
      output_cost_per_token: 0.01
      cache_read_input_token_cost: 0.0001
      cache_creation_input_token_cost: 0.002
      cache_creation_input_token_cost_above_1hr: 0.003
  - model_name: flash
    litellm_params: {model: gemini/gemini-2.5-flash, api_base: "${host()}", api_key: AIza-1}
  - model_name: nova
    litellm_params:
      model: bedrock/amazon.nova-pro-v1:0
      api_base: "${host()}"
      aws_region_name: us-east-1
      aws_access_key_id: AKIAIOSFODNN7EXAMPLE
      aws_secret_access_key: ${secret}
      aws_session_token: ${session}
`,
  );
  gateway = await startGateway({ args: ['--config', config] });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const ask = (model: string, more: object = {}) =>
  gateway.request('POST', '/v1/chat/completions', {
    body: { model, messages: [{ role: 'user', content: 'Hi' }], ...more },
  });

test('a translated call costs what its provider counted, caches of five minutes and of an hour apart', async () => {
  upstream.script({ answer: anthropic.plain });
  const answer = await ask('claude', { logit_bias: { 1: 1 } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers.get('x-litellm-dropped-params'), 'logit_bias', 'as litellm_settings say');
  // 10 read anew, 5 from the cache, 20 written for five minutes and 10 for an hour; 7 written: 0.01 + 0.0005 + 0.04 + 0.03 + 0.07.
  const cost = 0.1505;
  assert.equal(Number(answer.headers.get('x-litellm-response-cost')), cost);
  let rows: { spend: string; prompt_tokens: number; completion_tokens: number; status: string }[] = [];
  await until(async () => {
    const found = await gateway.pool.query<(typeof rows)[number]>(
      `select spend::text, prompt_tokens::int, completion_tokens::int, status from gatewayctl.spend_logs where model = 'claude'`,
    );
    rows = found.rows;
    return rows.length === 1;
  });
  assert.deepEqual(
    rows.map((row) => [Number(row.spend) / 1e9, row.prompt_tokens, row.completion_tokens, row.status]),
    [[cost, 45, 7, 'success']],
  );
});

test('credentials of a provider are shown to nobody, from the file or from the database', async () => {
  upstream.script({ answer: bedrock.plain });
  const values = { aws_access_key_id: 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key: secret };
  const made = await gateway.request('POST', '/credentials', {
    body: { credential_name: 'aws', credential_values: values, credential_info: {} },
  });
  assert.equal(made.status, 200, made.text);
  const params = { model: 'bedrock/amazon.nova-pro-v1:0', api_base: host(), allow_private_network: true };
  const refused = await gateway.request('POST', '/model/new', {
    body: { model_name: 'nova-kept', litellm_params: { ...params, aws_secret_access_key: secret } },
  });
  assert.equal(refused.status, 400);
  assert.match(refused.text, /is kept in a credential/);
  const model = await gateway.request('POST', '/model/new', {
    body: {
      model_name: 'nova-kept',
      litellm_params: { ...params, litellm_credential_name: 'aws', aws_region_name: 'eu-central-1' },
    },
  });
  assert.equal(model.status, 200, model.text);
  await until(async () => (await ask('nova-kept')).status === 200);
  assert.equal((await ask('nova')).status, 200);
  const [kept, file] = upstream.requests.slice(-2).map(({ headers }) => headers.authorization ?? '');
  assert.match(kept ?? '', /Credential=AKIAIOSFODNN7EXAMPLE\/\d+\/eu-central-1\/bedrock/);
  assert.match(file ?? '', /Credential=AKIAIOSFODNN7EXAMPLE\/\d+\/us-east-1\/bedrock/);
  for (const path of ['/model/info', '/credentials', '/v1/models']) {
    const { text } = await gateway.request('GET', path);
    assert.ok(!text.includes(secret) && !text.includes('AKIAIOSFODNN7EXAMPLE'), path);
  }
});

test('what a call was signed with is in no answer, no error and no row, whatever the provider repeats', async () => {
  const spoken = (text: string) => ({
    ...bedrock.plain,
    output: { message: { role: 'assistant', content: [{ text }] } },
  });
  const seen: string[] = [];
  for (const status of [200, 400, 500]) {
    upstream.script(({ headers }) => {
      const text = `${headers.authorization} ${String(headers['x-amz-security-token'])} ${secret}`;
      const type = headers['x-amz-security-token'];
      return {
        status,
        answer: status === 200 ? spoken(text) : { message: text, error: { message: text, type, code: type } },
      };
    });
    for (const more of status === 200 ? [{}] : [{}, { stream: true }]) {
      const answer = await ask('nova', { ...more, num_retries: 0 });
      assert.equal(answer.status, status === 200 ? 502 : status, answer.text);
      seen.push(answer.text, JSON.stringify([...answer.headers]));
    }
  }
  assert.match(seen.join(), /\[redacted\]/);
  await until(async () => {
    const { rows } = await gateway.pool.query('select * from gatewayctl.spend_logs where model = $1 and status <> $2', [
      'nova',
      'success',
    ]);
    seen.push(JSON.stringify(rows));
    return rows.length === 5;
  });
  for (const text of [...seen, gateway.daemon.log.join('\n')]) {
    assert.doesNotMatch(text, /AKIAIOSFODNN7EXAMPLE|wJalrXUtn|FwoGZXIv/);
  }
});

test('an error has the limits of its key in its headers, and none of the provider’s beside them', async () => {
  const made = await gateway.request('POST', '/key/generate', {
    body: { rpm_limit: 50, tpm_limit: 100_000, max_budget: 1_250.5, budget_duration: '1d' },
  });
  upstream.script({
    status: 400,
    headers: {
      'x-ratelimit-remaining-requests': '77',
      'anthropic-ratelimit-tokens-remaining': '78',
      'request-id': 'r',
    },
    answer: { type: 'error', error: { type: 'invalid_request_error', message: 'No' } },
  });
  const body = { model: 'claude', messages: [{ role: 'user', content: 'Hi' }] };
  const { status, headers } = await gateway.request('POST', '/v1/chat/completions', { key: made.body.key, body });
  const shown = (names: string[]) => names.map((name) => headers.get(name));
  assert.deepEqual(
    [
      status,
      ...shown(['x-ratelimit-remaining-requests', 'anthropic-ratelimit-tokens-remaining', 'llm_provider-request-id']),
    ],
    [400, '49', null, 'r'],
  );
  assert.deepEqual(shown(['x-litellm-key-rpm-limit', 'x-litellm-key-tpm-limit', 'x-litellm-key-max-budget']), [
    '50',
    '100000',
    '1250.5',
  ]);
});

test('an answer that cannot be read, or has a status that none has, is the upstream’s fault, and is not in the log', async () => {
  const canary = 'a-canary-in-an-answer';
  const fails = async (model: string, more: object, what: string) => {
    const answer = await ask(model, { ...more, num_retries: 0 });
    assert.equal(answer.status, 502, `${what}: ${answer.text}`);
    assert.ok(!answer.text.includes(canary), what);
  };
  for (const status of [600, 999]) {
    upstream.script({ answer: {}, status });
    await fails('claude', {}, `HTTP ${status}`);
    await fails('claude', { stream: true }, `a stream with HTTP ${status}`);
  }
  upstream.script({ answer: { ...anthropic.plain, content: [{ type: 'text', text: 5, canary }] } });
  await fails('claude', {}, 'of another shape');
  upstream.script({ answer: `{"content": "${canary}`, headers: { 'content-type': 'application/json' } });
  await fails('claude', {}, 'no JSON');
  const events = [{ type: 'message_start', message: { text: canary } }, `{"${canary}`, { type: canary }];
  for (const event of events) {
    const data = typeof event === 'string' ? event : JSON.stringify(event);
    upstream.script({ answer: `data: ${data}\n\n`, headers: { 'content-type': 'text/event-stream' } });
    await fails('claude', { stream: true }, data);
    await fails('flash', { stream: true }, data);
  }
  upstream.script({ answer: 'ab', headers: { 'content-type': 'application/vnd.amazon.eventstream' } });
  await fails('nova', { stream: true }, 'half a frame');
  assert.ok(!gateway.daemon.log.join('\n').includes(canary), 'the log holds nothing of an answer');
});
