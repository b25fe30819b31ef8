import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { aStateDir, type Gateway, startGateway, until } from './support/gateway.ts';
import { startUpstream, type Upstream } from './proxy/upstream.ts';

/** US dollars a token. */
const prices = (price: number): string => `input_cost_per_token: ${price}, output_cost_per_token: ${price}`;

const configFor = (bad: string, good: string): string => `
model_list:
  - {model_name: flaky, litellm_params: {model: openai/f, api_base: "${bad}", api_key: sk-upstream-0123456789, ${prices(0.000001)}}, model_info: {id: flaky}}
  - {model_name: cheap, litellm_params: {model: openai/c, api_base: "${good}", api_key: sk-upstream-0123456789, ${prices(0.000001)}}, model_info: {id: cheap}}
  - {model_name: dear, litellm_params: {model: openai/d, api_base: "${good}", api_key: sk-upstream-0123456789, ${prices(0.01)}}, model_info: {id: dear}}
  - {model_name: tagged, litellm_params: {model: openai/t, api_base: "${good}", api_key: sk-upstream-0123456789, tags: [gold]}, model_info: {id: gold}}
  - {model_name: tagged, litellm_params: {model: openai/t, api_base: "${good}", api_key: sk-upstream-0123456789, tags: [default]}, model_info: {id: plain}}
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
