import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { aStateDir, type Gateway, startDaemonHere, startGateway, until } from './support/gateway.ts';
import { startUpstream, type Upstream } from './proxy/upstream.ts';

/** US dollars a token. */
const prices = (price: number): string => `input_cost_per_token: ${price}, output_cost_per_token: ${price}`;

const configFor = (bad: string, good: string): string => `
model_list:
  - {model_name: flaky, litellm_params: {model: openai/f, api_base: "${bad}", api_key: sk-upstream-0123456789, ${prices(0.000001)}}, model_info: {id: flaky}}
  - {model_name: cheap, litellm_params: {model: openai/c, api_base: "${good}", api_key: sk-upstream-0123456789, ${prices(0.000001)}}, model_info: {id: cheap}}
  - {model_name: dear, litellm_params: {model: openai/d, api_base: "${good}", api_key: sk-upstream-0123456789, ${prices(0.01)}}, model_info: {id: dear}}
  - {model_name: tagged, litellm_params: {model: openai/t, api_base: "${good}", api_key: sk-upstream-0123456789, tags: [gold], region_name: us-east-1}, model_info: {id: gold}}
  - {model_name: tagged, litellm_params: {model: openai/t, api_base: "${good}", api_key: sk-upstream-0123456789, tags: [default]}, model_info: {id: plain}}
  - {model_name: placed, litellm_params: {model: openai/p, api_base: "${good}", api_key: sk-upstream-0123456789, region_name: eu-west-1}, model_info: {id: placed-eu}}
  - {model_name: placed, litellm_params: {model: openai/p, api_base: "${good}", api_key: sk-upstream-0123456789, region_name: us}, model_info: {id: placed-us}}
  - {model_name: mixed, litellm_params: {model: anthropic/m, api_base: "${good}", api_key: sk-upstream-0123456789}, model_info: {id: messages, ${prices(0.002)}}}
  - {model_name: mixed, litellm_params: {model: openai/m, api_base: "${good}", api_key: sk-upstream-0123456789}, model_info: {id: chats, ${prices(0.001)}}}
  - {model_name: shared, litellm_params: {model: openai/s, api_base: "${good}", api_key: sk-upstream-0123456789, rpm: 5}, model_info: {id: shared-one}}
  - {model_name: shared, litellm_params: {model: openai/s, api_base: "${good}", api_key: sk-upstream-0123456789, rpm: 7}, model_info: {id: shared-two}}
router_settings:
  num_retries: 1
  fallbacks: [{flaky: [dear, cheap]}]
  enable_tag_filtering: true
  model_group_alias: {small: cheap}
litellm_settings:
  num_retries: 0
`;

describe('routing', () => {
  let bad: Upstream;
  let good: Upstream;
  let gateway: Gateway;
  let config: string;
  before(async () => {
    bad = await startUpstream({
      status: 503,
      headers: { 'retry-after-ms': '1' },
      answer: { error: { message: 'No' } },
    });
    good = await startUpstream();
    config = await aStateDir();
    const path = join(config, 'config.yaml');
    await writeFile(path, configFor(bad.url, good.url));
    gateway = await startGateway({ args: ['--config', path] });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await rm(config, { recursive: true, force: true });
    await bad[Symbol.asyncDispose]();
    await good[Symbol.asyncDispose]();
  });

  const aKey = async (given: object = {}): Promise<string> =>
    (await gateway.request('POST', '/key/generate', { body: given })).body.key as string;
  const modelId = (answer: { headers: Headers }) => answer.headers.get('x-litellm-model-id');

  test('limits of deployments hold for two daemons together, and the calls go where there is room', async () => {
    await using second = await startDaemonHere({
      stateDir: await aStateDir(),
      databaseUrl: gateway.databaseUrl,
      args: ['--config', join(config, 'config.yaml')],
      env: { GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey },
    });
    const key = await aKey();
    const served: Record<string, number> = {};
    const refused = new Set<string>();
    const call = async (daemon: Pick<Gateway, 'chat'>) => {
      const answer = await daemon.chat(key, 'shared');
      const id = modelId(answer) ?? '';
      if (answer.status === 200) served[id] = (served[id] ?? 0) + 1;
      else refused.add(`${answer.status} ${answer.body.error.type}, ${answer.headers.has('retry-after')}`);
    };
    // What one of them holds and does not use comes back within a second.
    await until(async () => {
      await Promise.all([gateway, second, gateway, second].map(call));
      return (served['shared-one'] ?? 0) + (served['shared-two'] ?? 0) >= 12;
    });
    await Promise.all([gateway, second, gateway, second].map(call));
    assert.deepEqual(served, { 'shared-one': 5, 'shared-two': 7 });
    assert.deepEqual([...refused], ['429 no_deployments_available, true']);
  });

  test('a fallback that its budget does not allow is passed over for one that it does', async () => {
    const key = await aKey({ max_budget: 0.01 });
    const answer = await gateway.chat(key, 'flaky', { max_tokens: 10 });
    assert.deepEqual(
      [
        answer.status,
        modelId(answer),
        ...['retries', 'fallbacks'].map((what) => answer.headers.get(`x-litellm-attempted-${what}`)),
      ],
      [200, 'cheap', '1', '1'],
    );
    assert.equal(bad.requests.length, 2, 'the retries of router_settings count');
    const id = answer.headers.get('x-litellm-call-id') ?? '';
    const rows = async () => (await gateway.request('GET', `/spend/logs?request_id=${id}`)).body as object[];
    await until(async () => (await rows()).length > 0);
    assert.partialDeepStrictEqual(await rows(), [
      { model_id: 'cheap', model_group: 'cheap', attempts: 3, status: 'success', total_tokens: 12 },
    ]);
    assert.ok(
      gateway.daemon.log.some((line) => line.includes('A further attempt was not made') && line.includes('dear')),
    );
  });

  test('a fallback that a key may not call is not called for it', async () => {
    const key = await aKey({ models: ['flaky', 'dear'] });
    assert.equal(modelId(await gateway.chat(key, 'flaky', { max_tokens: 1 })), 'dear');
    const alone = await aKey({ models: ['flaky'] });
    assert.equal((await gateway.chat(alone, 'flaky')).status, 503);
    const asked = await gateway.chat(alone, 'flaky', { fallbacks: ['cheap'] });
    assert.deepEqual([asked.status, asked.body.error.type], [403, 'key_model_access_denied']);
  });

  test('the tags of a key, and of a request, choose among deployments', async () => {
    const key = await aKey({ tags: ['gold'] });
    assert.equal(modelId(await gateway.chat(key, 'tagged')), 'gold');
    const plain = await aKey();
    assert.equal(modelId(await gateway.chat(plain, 'tagged')), 'plain');
    assert.equal(modelId(await gateway.chat(plain, 'tagged', { metadata: { tags: ['gold'] } })), 'gold');
  });

  test('a call goes to the deployments that serve its endpoint, and is refused where none does', async () => {
    const key = await aKey();
    const completion = { key, body: { model: 'mixed', prompt: 'Hi', max_tokens: 1 } };
    for (let call = 0; call < 6; call++) {
      const answer = await gateway.request('POST', '/v1/completions', completion);
      assert.deepEqual([answer.status, modelId(answer)], [200, 'chats']);
    }
    const speech = { model: 'messages', input: 'Hi', voice: 'alloy' };
    const refused = await gateway.request('POST', '/v1/audio/speech', { key, body: speech });
    assert.deepEqual([refused.status, refused.body.error.type], [400, 'unsupported_endpoint']);
    const explained = async (model: string, route: string) =>
      (await gateway.request('POST', '/explain', { key, body: { model, route, tokens: 1, max_tokens: 1 } })).body;
    assert.equal((await explained('mixed', '/v1/completions')).max_cost, 0.002);
    assert.equal((await explained('mixed', '/v1/chat/completions')).max_cost, 0.004, 'translated where it has to be');
    const why = await explained('messages', '/v1/audio/speech');
    assert.deepEqual([why.allowed, why.rule, why.error.type], [false, 'model.deployment', 'unsupported_endpoint']);
    const listed = await gateway.request('GET', '/v1/models', { key });
    assert.equal((listed.body.data as { id: string }[]).filter(({ id }) => id === 'mixed').length, 1);
  });

  test('a customer held to a region is served there alone', async () => {
    const run = await gateway.gatewayctl('customer create berlin --region eu -o json');
    assert.equal(JSON.parse(run.out).allowed_model_region, 'eu');
    const key = await aKey();
    const call = (model: string, more: object = {}) => gateway.chat(key, model, { user: 'berlin', ...more });
    const answers = await Promise.all(Array.from({ length: 6 }, () => call('placed')));
    assert.deepEqual(new Set(answers.map(modelId)), new Set(['placed-eu']));
    for (const refused of [await call('cheap'), await call('tagged', { tags: ['gold'] })]) {
      assert.deepEqual([refused.status, refused.body.error.type], [403, 'no_deployments_in_region']);
    }
    assert.equal(modelId(await call('cheap', { fallbacks: ['placed'] })), 'placed-eu');
    assert.equal((await call('cheap', { allowed_model_region: 'us' })).body.error.type, 'unsupported_field');
    const passed = await gateway.request('POST', '/openai/v1/chat/completions', {
      key,
      body: { model: 'gpt-4o', messages: [], user: 'berlin' },
    });
    assert.deepEqual([passed.status, passed.body.error.type], [403, 'no_deployments_in_region']);
    const asked = { key, body: { model: 'cheap', user: 'berlin', tokens: 1 } };
    assert.equal((await gateway.request('POST', '/explain', asked)).body.error.type, 'no_deployments_in_region');
    await gateway.gatewayctl('customer update berlin --region none');
    assert.equal((await call('cheap')).status, 200);
  });

  test('an alias is allowed and limited as what it stands for', async () => {
    const key = await aKey({ models: ['cheap'], model_rpm_limit: { cheap: 1 } });
    assert.equal(modelId(await gateway.chat(key, 'small')), 'cheap');
    assert.equal((await gateway.chat(key, 'small')).status, 429);
    assert.equal((await gateway.chat(await aKey({ models: ['dear'] }), 'small')).status, 403);
  });

  test('a deployment that is added shares the calls of its name by its limits, at once', async () => {
    const add = (params: object) =>
      gateway.request('POST', '/model/new', {
        body: { model_name: 'two', litellm_params: { model: 'mock/t', ...params } },
      });
    const first = await add({ rpm: 1, order: 1 });
    const second = await add({ weight: 3, order: 2 });
    assert.equal(second.body.litellm_params.weight, 3);
    assert.equal((await add({ weight: -1 })).status, 400);
    const key = await aKey();
    const answers = [await gateway.chat(key, 'two'), await gateway.chat(key, 'two')];
    assert.deepEqual(answers.map(modelId), [first.body.model_id, second.body.model_id]);
  });
});
