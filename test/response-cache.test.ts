import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Answer, type Gateway, startGateway, until } from './support/gateway.ts';
import { skipWithoutRedis, startRedis } from './support/redis.ts';

type Reply = (response: ServerResponse, count: number) => void;

const completion = (count: number) => ({
  id: `chatcmpl-${count}`,
  object: 'chat.completion',
  model: 'upstream',
  choices: [{ index: 0, message: { role: 'assistant', content: `answer ${count}` }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
});

const chunk = (delta: object, finish: string | null, more: object = {}): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }], ...more })}\n\n`;

const usageChunk = `data: ${JSON.stringify({ id: 'c', choices: [], usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } })}\n\n`;

/** Says how often it was asked, in its answers. */
async function startUpstream() {
  const bodies: Record<string, unknown>[] = [];
  const plain: Reply = (response, count) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion(count)));
  const upstream = { bodies, plain, reply: plain, url: '', close: () => server.close() };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (bytes: Buffer) => chunks.push(bytes));
    request.on('end', () => {
      bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
      upstream.reply(response, bodies.length);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  upstream.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return upstream;
}

const isHit = ({ headers }: Answer): boolean => headers.get('x-litellm-cache-hit') === 'true';
const says = ({ body }: Answer): unknown => body?.choices?.[0]?.message?.content;

let upstream: Awaited<ReturnType<typeof startUpstream>>;
before(async () => {
  upstream = await startUpstream();
});
after(() => upstream.close());

/** A gateway with a model, at a dollar for a token, and what its tests ask of it. */
async function aGateway(env: Record<string, string>) {
  const gateway: Gateway = await startGateway({
    env: { GATEWAYCTL_RESPONSE_CACHE: 'true', GATEWAYCTL_NUM_RETRIES: '0', ...env },
  });
  const admin = async (path: string, body: object): Promise<Answer['body']> => {
    const answer = await gateway.request('POST', path, { body });
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer.body;
  };
  await admin('/model/new', {
    model_name: 'gpt',
    litellm_params: { model: 'openai/upstream', api_base: upstream.url, api_key: 'sk-1', allow_private_network: true },
    model_info: { input_cost_per_token: 0.001, output_cost_per_token: 0.001 },
  });
  let questions = 0;
  return {
    gateway,
    admin,
    aKey: async (fields: object = {}): Promise<string> => (await admin('/key/generate', fields)).key,
    /** One nobody has asked. */
    aQuestion: (): object => ({ messages: [{ role: 'user', content: `question ${++questions}` }] }),
    ask: (key: string, fields: object, headers: Record<string, string> = {}): Promise<Answer> =>
      gateway.request('POST', '/v1/chat/completions', { key, body: { model: 'gpt', ...fields }, headers }),
  };
}

describe('In the memory of a daemon', () => {
  let world: Awaited<ReturnType<typeof aGateway>>;
  before(async () => {
    world = await aGateway({ GATEWAYCTL_RESPONSE_CACHE_ANSWER_SIZE: '4KiB' });
  });
  after(() => world.gateway[Symbol.asyncDispose]());

  test('The same question of the same tenant is answered once, and costs once', async () => {
    const { admin, aKey, ask, gateway } = world;
    const { team_id } = await admin('/team/new', {});
    const [one, mate, stranger] = [await aKey({ team_id }), await aKey({ team_id }), await aKey()];
    const asked = upstream.bodies.length;
    const first = await ask(one, { messages: [{ role: 'user', content: 'hi' }], temperature: 0.5, metadata: { a: 1 } });
    const second = await ask(mate, { temperature: 0.5, messages: [{ content: 'hi', role: 'user' }], metadata: {} });
    assert.equal(first.status, 200, first.text);
    assert.equal(second.text, first.text);
    assert.deepEqual([isHit(first), isHit(second)], [false, true]);
    assert.match(first.headers.get('x-litellm-cache-key') ?? '', /^[0-9a-f]{64}$/);
    assert.equal(second.headers.get('x-litellm-cache-key'), first.headers.get('x-litellm-cache-key'));
    assert.equal(Number(second.headers.get('x-litellm-response-cost')), 0);
    const [took, overhead] = ['response', 'overhead'].map((name) =>
      Number(second.headers.get(`x-litellm-${name}-duration-ms`) ?? Number.NaN),
    );
    assert.ok(took !== undefined && took > 0 && took === overhead, 'all of it is the gateway’s');
    assert.equal(upstream.bodies.length, asked + 1);

    const others = [
      await ask(one, { messages: [{ role: 'user', content: 'hi' }], temperature: 0.6 }),
      await ask(one, { messages: [{ role: 'user', content: 'hi' }], temperature: 0.5, an_unknown_member: true }),
      await ask(stranger, { messages: [{ role: 'user', content: 'hi' }], temperature: 0.5 }),
    ];
    assert.deepEqual(others.map(isHit), [false, false, false]);
    assert.equal(upstream.bodies.length, asked + 4);

    await until(async () => {
      const { body } = await gateway.request('GET', `/spend/logs?team_id=${team_id}`);
      return body.length === 4;
    });
    const { body } = await gateway.request('GET', `/spend/logs?team_id=${team_id}`);
    const rows = (body as Record<string, unknown>[]).filter(({ cache_hit }) => cache_hit === 'True');
    assert.deepEqual(
      rows.map(({ spend, total_tokens, status }) => ({ spend, total_tokens, status })),
      [{ spend: 0, total_tokens: 15, status: 'success' }],
    );
    assert.equal((body as Record<string, unknown>[]).find((row) => row['cache_hit'] === 'False')?.['spend'], 0.015);
  });

  test('Whoever may not call is not told what the cache holds', async () => {
    const { admin, aKey, aQuestion, ask } = world;
    const { team_id } = await admin('/team/new', {});
    const asks = aQuestion();
    const asked = await ask(await aKey({ team_id }), asks);
    assert.equal(asked.status, 200);
    const [blocked, elsewhere, poor, limited] = await Promise.all(
      [{}, { models: ['other'] }, { max_budget: 0.000001 }, { rpm_limit: 0 }].map((more) => aKey({ team_id, ...more })),
    );
    assert.ok(blocked && elsewhere && poor && limited);
    await admin('/key/block', { key: blocked });
    const refused = await Promise.all([blocked, elsewhere, poor, limited].map((key) => ask(key, asks)));
    assert.deepEqual(
      refused.map(({ status }) => status),
      [401, 403, 429, 429],
    );
    for (const answer of refused) {
      assert.equal(answer.headers.get('x-litellm-cache-key'), null);
      assert.ok(!answer.text.includes('answer '));
    }
  });

  test('A client says what it wants of the cache, and the upstream hears nothing of it', async () => {
    const { aKey, aQuestion, ask } = world;
    const key = await aKey();
    const asks = aQuestion();
    const kept = await ask(key, { ...asks, cache: { 'no-store': true } });
    const first = await ask(key, { ...asks, cache: { ttl: 60 } });
    assert.notEqual(says(kept), says(first), 'what was not to be kept is not there');
    const cases: [fields: object, headers: Record<string, string>, hit: boolean][] = [
      [{ cache: {} }, {}, true],
      [{ cache: { 's-maxage': 60 } }, {}, true],
      [{ cache: { namespace: 'mine' } }, {}, false],
      [{ cache: { namespace: 'mine' } }, {}, true],
      [{}, { 'cache-control': 'no-cache' }, false],
      [{}, { 'cache-control': 'max-age=0, something-else' }, false],
      [{ cache: { 'no-cache': true } }, {}, false],
      [{ cache: { 'no-store': true } }, {}, true],
    ];
    for (const [fields, headers, hit] of cases) {
      const answer = await ask(key, { ...asks, ...fields }, headers);
      assert.equal(isHit(answer), hit, JSON.stringify([fields, headers]));
    }
    const short = aQuestion();
    await ask(key, { ...short, cache: { ttl: 0.001 } });
    await until(async () => !isHit(await ask(key, { ...short, cache: { ttl: 0.001 } })));
    for (const body of upstream.bodies) assert.ok(!('cache' in body));
    for (const cache of [true, { 'no-cahe': true }, { ttl: '60' }, { ttl: -1 }, { namespace: 1 }]) {
      const { status, body } = await ask(key, { ...asks, cache });
      assert.equal(status, 400, JSON.stringify(cache));
      assert.match(body.error.param, /^cache/);
    }
  });

  test('Only whole answers are kept, and a stream comes back as a stream', async () => {
    const { aKey, aQuestion, ask } = world;
    const key = await aKey();
    const asks = aQuestion();
    const opening = chunk({ role: 'assistant', content: 'Hel' }, null);
    const replies: [name: string, Reply][] = [
      ['failed', (response) => response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{}}')],
      [
        'cut',
        (response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' }).write(opening);
          setTimeout(() => response.destroy(), 20);
        },
      ],
      [
        'too large',
        (response) =>
          response
            .writeHead(200, { 'content-type': 'text/event-stream' })
            .end(`${opening}${chunk({ content: 'x'.repeat(5_000) }, 'stop')}${usageChunk}data: [DONE]\n\n`),
      ],
    ];
    for (const [name, reply] of replies) {
      upstream.reply = reply;
      assert.ok(!isHit(await ask(key, { ...asks, stream: true })), name);
    }
    upstream.reply = (response) =>
      response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(`${opening}${chunk({ content: 'lo' }, 'stop')}${usageChunk}data: [DONE]\n\n`);
    const first = await ask(key, { ...asks, stream: true });
    upstream.reply = upstream.plain;
    const again = await ask(key, { ...asks, stream: true });
    assert.deepEqual([isHit(first), isHit(again)], [false, true]);
    assert.equal(again.text, first.text);
    assert.ok(again.text.endsWith('data: [DONE]\n\n') && !again.text.includes('usage'));
    assert.match(again.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.ok(!isHit(await ask(key, asks)), 'a plain answer is another');
  });

  test('Another order of what is to be written is another question, and so is the same of a model that was changed', async () => {
    const { admin, aKey, aQuestion, ask } = world;
    const key = await aKey();
    const question = aQuestion();
    const written = (...names: string[]) => {
      const properties = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
      const schema = { type: 'object', properties };
      return { ...question, response_format: { type: 'json_schema', json_schema: { name: 'it', schema } } };
    };
    const first = await ask(key, written('why', 'verdict'));
    assert.deepEqual(
      [isHit(await ask(key, written('why', 'verdict'))), isHit(await ask(key, written('verdict', 'why')))],
      [true, false],
    );
    const id = first.headers.get('x-litellm-model-id');
    await admin('/model/update', { model_info: { id }, litellm_params: { model: 'openai/another' } });
    await until(async () => !isHit(await ask(key, written('why', 'verdict'))));
    assert.equal(upstream.bodies.at(-1)?.['model'], 'another');
  });

  test('An administrator asks for it, and lets it forget', async () => {
    const { aKey, aQuestion, ask, gateway } = world;
    const key = await aKey();
    const [one, other] = [aQuestion(), aQuestion()];
    const name = (await ask(key, one)).headers.get('x-litellm-cache-key') ?? '';
    await ask(key, other);
    assert.deepEqual((await gateway.request('GET', '/cache/ping')).body, {
      status: 'healthy',
      cache_type: 'local',
      ping_response: true,
    });
    assert.equal((await gateway.request('POST', '/cache/flushall', { key })).status, 403);
    assert.equal((await gateway.request('POST', '/cache/flushall?dry_run=true')).body.dry_run, true);
    assert.equal((await gateway.request('POST', '/cache/delete', { body: { keys: [name] } })).status, 200);
    assert.deepEqual([isHit(await ask(key, one)), isHit(await ask(key, other))], [false, true]);
    const { exit, err } = await gateway.gatewayctl('cache flush --yes', 'socket');
    assert.equal(exit, 0, err);
    assert.equal(isHit(await ask(key, other)), false);
  });
});

test(
  'Answers in a Redis are there for every daemon, sealed, and nobody waits for it',
  { skip: skipWithoutRedis },
  async () => {
    await using redis = await startRedis();
    const world = await aGateway({
      GATEWAYCTL_RESPONSE_CACHE_REDIS_URL: redis.url,
      GATEWAYCTL_RESPONSE_CACHE_MODE: 'default_off',
      GATEWAYCTL_RESPONSE_CACHE_ANSWER_SIZE: '8KiB',
    });
    await using _ = world.gateway;
    const { aKey, aQuestion, ask, gateway } = world;
    const key = await aKey();
    const asks = { ...aQuestion(), cache: { 'use-cache': true } };
    const name = (await ask(key, asks)).headers.get('x-litellm-cache-key') ?? '';
    await until(async () => isHit(await ask(key, asks)));
    assert.equal(
      (await ask(key, { ...asks, cache: {} })).headers.get('x-litellm-cache-key'),
      null,
      'it was not asked for',
    );
    assert.equal((await gateway.request('GET', '/cache/ping')).body.cache_type, 'redis');

    const stored = await redis.ask('keys gatewayctl:answers:*');
    const place = /gatewayctl:answers:\S+/.exec(stored)?.[0] ?? '';
    assert.ok(place.endsWith(name));
    const sealed = await redis.ask(`get ${place}`);
    assert.ok(!sealed.includes('answer') && !sealed.includes('question'));
    const otherAsks = { ...aQuestion(), cache: { 'use-cache': true } };
    const otherName = (await ask(key, otherAsks)).headers.get('x-litellm-cache-key') ?? '';
    await until(async () => isHit(await ask(key, otherAsks)));
    // Another's answer, an end cut off, no text at all, and far too much of it.
    const text = /"value":"([\w.-]+)"/.exec(sealed.replaceAll('\\"', '"'))?.[1] ?? '';
    assert.ok(text.length > 100);
    for (const forged of [text, text.slice(0, -8), 'x', 'a.'.padEnd(30_000, 'A')]) {
      await redis.ask(`set ${place.replace(name, otherName)} '${JSON.stringify({ value: forged })}'`);
      const answer = await ask(key, otherAsks);
      assert.deepEqual([answer.status, isHit(answer)], [200, false]);
      await until(async () => isHit(await ask(key, otherAsks)));
    }
    redis.pause();
    const away = await ask(key, asks);
    assert.deepEqual([away.status, isHit(away)], [200, false]);
    await until(async () => (await gateway.request('GET', '/cache/ping')).status === 503);
    redis.resume();
    await until(async () => isHit(await ask(key, asks)));
  },
);
