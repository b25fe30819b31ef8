import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '../../src/kernel/errors.ts';
import { Gateway, type GatewayOptions, aDeployment, aPrincipal, hello } from './gateway.ts';
import { startUpstream } from './upstream.ts';

const broken = { status: 503, answer: { error: { message: 'No' } } };

/** A model that fails, and two that do not, each known by its name for the model. */
async function aGateway(options: GatewayOptions = {}) {
  await using opened = new AsyncDisposableStack();
  const bad = opened.use(await startUpstream(broken));
  const good = opened.use(await startUpstream());
  const at = (id: string, { url }: { url: string }) =>
    aDeployment({ id, name: id, upstreamModel: `${id}-upstream`, apiBase: url });
  const gateway = opened.use(
    await Gateway.start({ deployments: [at('gpt-4o', bad), at('mini', good), at('large', good)], ...options }),
  );
  const kept = opened.move();
  return { gateway, bad, good, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const admin = { authenticate: () => ({ ...aPrincipal, role: 'proxy_admin' as const }) };

describe('a client says', () => {
  test('how often to try again, in a header before the body, and is told how often it was', async () => {
    await using world = await aGateway({ routing: { retries: 0, retryAfterMs: 0 } });
    const { gateway, bad } = world;
    bad.script({ ...broken, headers: { 'retry-after-ms': '1' } });
    const first = await gateway.send({ ...hello, num_retries: 2 });
    assert.deepEqual([first.status, first.headers['x-litellm-attempted-retries'], bad.requests.length], [503, '2', 3]);
    const second = await gateway.send({ ...hello, num_retries: 2 }, { headers: { 'x-litellm-num-retries': '1' } });
    assert.deepEqual([second.headers['x-litellm-attempted-retries'], bad.requests.length], ['1', 5]);
    assert.ok(
      bad.requests.every(({ body }) => !('num_retries' in body)),
      'its upstream is not told',
    );
  });

  test('where to go instead, what to ask there, and that it does not want to', async () => {
    await using world = await aGateway({ routing: { fallbacks: new Map([['gpt-4o', ['large']]]) } });
    const { gateway, good } = world;
    const other = [{ role: 'user', content: 'In short' }];
    const answer = await gateway.send({ ...hello, fallbacks: [{ model: 'mini', messages: other }, 'large'] });
    assert.deepEqual(
      [answer.status, answer.headers['x-litellm-model-id'], answer.headers['x-litellm-attempted-fallbacks']],
      [200, 'mini', '1'],
    );
    assert.deepEqual(good.requests[0]?.body, { model: 'mini-upstream', messages: other });
    const none = await gateway.send({ ...hello, fallbacks: ['mini'], disable_fallbacks: true });
    assert.deepEqual([none.status, good.requests.length], [503, 1]);
  });

  test('and pays for what timed out by what was asked there, and not of the fallback', async () => {
    await using world = await aGateway({ limits: { firstByteMs: 150 } });
    const { gateway, bad } = world;
    bad.script({ firstByteMs: 60_000 });
    const long = [{ role: 'user', content: 'word '.repeat(2_000) }];
    const { status } = await gateway.send({ ...hello, messages: long, fallbacks: [{ ...hello, model: 'mini' }] });
    assert.equal(status, 200);
    const [first, second] = gateway.bookings;
    assert.equal(first?.outcomes[0]?.usage?.promptTokens, first?.start.promptTokens);
    assert.ok((first?.start.promptTokens ?? 0) > 1_000 && (second?.start.promptTokens ?? 0) < 100);
  });

  test('nothing of models that its key may not call, that are none, or that are not to be understood', async () => {
    await using world = await aGateway({
      decide: (_, { model }) => {
        if (model !== 'large') return model;
        throw new GatewayError('forbidden', 'key_model_access_denied', 'No');
      },
    });
    const { gateway, bad } = world;
    const wishes: [object, Record<string, string>, number, RegExp][] = [
      [{ fallbacks: ['mini', 'large'] }, {}, 403, /No/],
      [{ fallbacks: ['nothing'] }, {}, 400, /Invalid model name passed in model=nothing/],
      [{ fallbacks: 'mini' }, {}, 400, /fallbacks must be a list/],
      [{ fallbacks: [{ model: 'mini', api_base: 'http://elsewhere' }] }, {}, 400, /api_base cannot be set/],
      [{ fallbacks: [7] }, {}, 400, /must hold names of models/],
      [{ context_window_fallbacks: [{ a: ['b'] }] }, {}, 400, /context_window_fallbacks cannot be set/],
      [{ num_retries: 11 }, {}, 400, /num_retries must be a whole number from 0 to 10/],
      [{ num_retries: '1' }, {}, 400, /num_retries must be/],
      [{ disable_fallbacks: 'yes' }, {}, 400, /disable_fallbacks must be true or false/],
      [{ timeout: 0 }, {}, 400, /timeout must be a number of seconds/],
      [{ Timeout: 5 }, {}, 400, /could be read as another field/],
      [{}, { 'x-litellm-timeout': 'soon' }, 400, /x-litellm-timeout must be a number of seconds/],
      [{}, { 'x-litellm-num-retries': '-1' }, 400, /x-litellm-num-retries must be/],
    ];
    for (const [fields, headers, status, message] of wishes) {
      const answer = await gateway.send({ ...hello, ...fields }, { headers });
      assert.equal(answer.status, status, JSON.stringify(fields));
      assert.match(String(answer.json.error['message']), message);
    }
    assert.equal(bad.requests.length, 0);
  });

  test('how long it waits, for a stream or for all, and never longer than the operator', async () => {
    await using world = await aGateway({ limits: { totalMs: 600 } });
    const { gateway, good } = world;
    good.script({ firstByteMs: 60_000 });
    const call = { ...hello, model: 'mini' };
    const waits: [object, Record<string, string>][] = [
      [{}, { 'x-litellm-timeout': '0.1' }],
      [{ stream: true }, { 'x-litellm-timeout': '60', 'x-litellm-stream-timeout': '0.1' }],
      [{ timeout: 0.1 }, {}],
      [{ timeout: 3_000 }, {}],
    ];
    for (const [fields, headers] of waits) {
      const began = performance.now();
      const { status } = await gateway.send({ ...call, ...fields }, { headers });
      assert.equal(status, 504);
      assert.ok(performance.now() - began < 3_000);
    }
  });

  test('that it cannot wait, which is nothing a deployment is left out for', async () => {
    await using world = await aGateway({ routing: { allowedFails: 0 } });
    const { gateway, good } = world;
    let calls = 0;
    good.script(() => (++calls === 1 ? { firstByteMs: 60_000 } : {}));
    const call = { ...hello, model: 'mini' };
    assert.equal((await gateway.send(call, { headers: { 'x-litellm-timeout': '0.05' } })).status, 504);
    assert.equal((await gateway.send(call)).status, 200);
  });
});

describe('the switches for tests', () => {
  test('are an administrator’s alone', async () => {
    await using world = await aGateway();
    for (const field of ['mock_response', 'mock_testing_fallbacks', 'mock_testing_context_fallbacks']) {
      const { status, json } = await world.gateway.send({ ...hello, [field]: field === 'mock_response' ? 'x' : true });
      assert.deepEqual([status, json.error['type']], [400, 'unsupported_field']);
    }
  });

  test('show where a call would go, without leaving a mark on what did not fail', async () => {
    const to = (model: string) => new Map([['mini', [model]]]);
    await using world = await aGateway({
      ...admin,
      routing: { retries: 3, fallbacks: to('large'), contextWindowFallbacks: to('gpt-4o'), allowedFails: 0 },
    });
    const { gateway, good, bad } = world;
    bad.script({});
    const by = async (fields: object) =>
      (await gateway.send({ ...hello, model: 'mini', ...fields })).headers['x-litellm-model-id'];
    assert.equal(await by({ mock_testing_fallbacks: true }), 'large');
    assert.equal(await by({ mock_testing_context_fallbacks: true }), 'gpt-4o');
    assert.equal(await by({ mock_testing_content_policy_fallbacks: true }), 'large');
    assert.equal(await by({}), 'mini');
    assert.ok(good.requests.every(({ text }) => !text.includes('mock_')));
  });

  test('answer without an upstream, at the price of the model', async () => {
    await using world = await aGateway(admin);
    const { gateway, bad } = world;
    const { json, headers } = await gateway.send({ ...hello, mock_response: 'As I say' });
    assert.match(JSON.stringify(json), /As I say/);
    assert.deepEqual([headers['x-litellm-model-id'], bad.requests.length], ['gpt-4o', 0]);
    assert.equal(gateway.outcome.status, 'success');
  });
});

test('an alias is another name of a model, which need not be listed', async () => {
  await using world = await aGateway({
    routing: {
      aliases: new Map([
        ['small', { model: 'mini', hidden: false }],
        ['secret', { model: 'mini', hidden: true }],
        ['dangling', { model: 'nothing', hidden: false }],
      ]),
    },
  });
  const { gateway, good } = world;
  for (const model of ['small', 'secret']) assert.equal((await gateway.send({ ...hello, model })).status, 200);
  assert.equal(good.requests[0]?.body['model'], 'mini-upstream');
  assert.equal((await gateway.send({ ...hello, model: 'dangling' })).status, 400);
  const listed = (await gateway.client.models.list()).data.map(({ id }) => id);
  assert.deepEqual(listed, ['gpt-4o', 'mini', 'large', 'small']);
});

test('an answer says how long it took, and how much of that was the gateway', async () => {
  await using world = await aGateway();
  const { gateway, good } = world;
  good.script({ firstByteMs: 100 });
  const { headers } = await gateway.send({ ...hello, model: 'mini' });
  const [whole, own] = ['x-litellm-response-duration-ms', 'x-litellm-overhead-duration-ms'].map((name) =>
    Number(headers[name]),
  );
  assert.ok(whole !== undefined && own !== undefined && whole >= 99 && own > 0 && own < whole - 90, `${whole} ${own}`);
  assert.equal(headers['x-litellm-model-api-base'], undefined);
});
