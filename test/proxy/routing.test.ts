import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { Call } from '../../src/metering/call.ts';
import type { Deployment } from '../../src/models/deployment.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { type Answer, Gateway, aDeployment, eventsOf, hello, until } from './gateway.ts';
import { startUpstream, type Upstream, type UpstreamScript } from './upstream.ts';

const failing = (status: number, error: object = {}, headers = {}): UpstreamScript => ({
  status,
  headers,
  answer: { error: { message: 'No', ...error } },
});

const at = (id: string, { url }: Pick<Upstream, 'url'>, given: Partial<Deployment> = {}): Deployment =>
  aDeployment({ id, apiBase: url, ...given });

/** Nobody listens there. */
async function deadEnd(): Promise<{ url: string }> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return { url: `http://127.0.0.1:${port}/v1` };
}

describe('a call that an upstream fails', () => {
  for (const [what, script, firstByteMs] of [
    ['is rate limited', failing(429, {}, { 'retry-after': '30' }), 5_000],
    ['answers 500', failing(500), 5_000],
    ['answers 503', failing(503), 5_000],
    ['refuses our credentials', failing(401), 5_000],
    ['does not know the model', failing(404, { code: 'model_not_found' }), 5_000],
    ['hangs up', { cutAfter: 0 }, 5_000],
    ['answers what is no answer', { answer: 'what?' }, 5_000],
    ['says nothing', { firstByteMs: 60_000 }, 150],
    ['stops in the middle of its answer', { silentAfter: 20 }, 5_000],
  ] as const) {
    test(`is answered by another deployment when the first one ${what}`, async () => {
      await using bad = await startUpstream(script);
      await using good = await startUpstream();
      await using gateway = await Gateway.start({
        deployments: [at('bad', bad, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
        routing: { retries: 1 },
        limits: { firstByteMs, idleMs: 300 },
      });
      const answer = await gateway.send(hello);
      assert.deepEqual(
        [answer.status, answer.headers['x-litellm-model-id'], bad.requests.length, good.requests.length],
        [200, 'good', 1, 1],
      );
    });
  }

  test('is answered by another deployment when the first one speaks no TLS', async () => {
    await using upstream = await startUpstream();
    const encrypted = { url: upstream.url.replace('http:', 'https:') };
    await using gateway = await Gateway.start({
      deployments: [at('tls', encrypted, { params: { order: 1 } }), at('good', upstream, { params: { order: 2 } })],
      routing: { retries: 1 },
    });
    assert.equal((await gateway.send(hello)).headers['x-litellm-model-id'], 'good');
    assert.equal(gateway.outcome.status, 'success');
  });

  test('is answered by another deployment when nobody listens at the first one', async () => {
    await using good = await startUpstream();
    const dead = await deadEnd();
    await using gateway = await Gateway.start({
      deployments: [at('dead', dead, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
      routing: { retries: 1 },
    });
    const { status, headers } = await gateway.send({ ...hello, stream: true });
    assert.deepEqual([status, headers['x-litellm-model-id']], [200, 'good']);
    // What cost nothing leaves its row to the attempt that answered.
    const { start } = gateway.bookings[0]!;
    assert.deepEqual([gateway.outcome.status, start.deployment.id, start.attempts], ['success', 'good', 2]);
  });

  test('goes nowhere else once its client has left, whatever it waited for meanwhile', async () => {
    await using bad = await startUpstream(failing(500));
    await using good = await startUpstream();
    const isLeft = Promise.withResolvers<void>();
    let waits = 0;
    let redirects = 0;
    const outcomes: string[] = [];
    const call: Call = {
      kept: () => undefined,
      // The second attempt is refused for a moment.
      redirect: () => {
        if (++redirects === 1) throw new GatewayError('unavailable', 'budget_unavailable', 'Held by others');
      },
      reserved: 0n,
      checkpoint: () => undefined,
      settle: ({ error }) => {
        outcomes.push(error ?? 'success');
        return { cost: 0n, priceSource: 'catalogue', keySpend: undefined };
      },
    };
    await using gateway = await Gateway.start({
      deployments: [at('bad', bad, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
      routing: { retries: 1 },
      metering: {
        // Of the first attempt, of the second one, and then of the second one again.
        prepare: () => (++waits === 3 ? isLeft.promise : undefined),
        cover: () => (redirects === 1 ? Promise.resolve() : undefined),
        begin: () => call,
      },
    });
    gateway.open(hello).catch(() => undefined);
    await until('the second attempt waits', () => waits === 3);
    gateway.hangUp();
    await until('the client has left', () => gateway.clients === 0);
    // By then it is known that there is nothing to hang up on.
    await new Promise(setImmediate);
    isLeft.resolve();
    await until('the call is booked', () => outcomes.length > 0);
    assert.deepEqual([outcomes, good.requests.length], [['client_disconnected'], 0]);
  });

  test('is told by the name of its row when no other attempt may be made', async () => {
    await using slow = await startUpstream({ firstByteMs: 60_000 });
    await using good = await startUpstream();
    const rows: string[] = [];
    const call: Call = {
      kept: () => undefined,
      redirect: () => assert.fail('a paid attempt leaves its row to nobody'),
      reserved: 0n,
      checkpoint: () => undefined,
      settle: () => ({ cost: 0n, priceSource: 'catalogue', keySpend: undefined }),
    };
    await using gateway = await Gateway.start({
      deployments: [at('slow', slow, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
      routing: { retries: 1 },
      limits: { firstByteMs: 150 },
      metering: {
        prepare: () => undefined,
        cover: () => undefined,
        begin: ({ requestId }) => {
          if (rows.length > 0) throw new GatewayError('limited', 'budget_exceeded', 'The first attempt took it all');
          rows.push(requestId);
          return call;
        },
      },
    });
    const { status, headers } = await gateway.send(hello);
    assert.deepEqual([status, headers['x-litellm-call-id']], [504, rows[0]]);
  });

  test('has a row for each attempt that may be billed, and one for the answer', async () => {
    await using slow = await startUpstream({ firstByteMs: 60_000 });
    await using good = await startUpstream();
    await using gateway = await Gateway.start({
      deployments: [at('slow', slow, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
      routing: { retries: 1 },
      limits: { firstByteMs: 150 },
    });
    const { headers } = await gateway.send(hello);
    const booked = gateway.bookings.map(({ start, outcomes }) => [
      start.deployment.id,
      start.attempts,
      outcomes.map(({ status, usage }) => [status, usage?.completionTokens]),
    ]);
    assert.deepEqual(booked, [
      ['slow', 1, [['interrupted', 0]]],
      ['good', 2, [['success', 3]]],
    ]);
    const [lost, paid] = gateway.bookings.map(({ start }) => start.requestId);
    assert.notEqual(lost, paid);
    // Whom the client, the upstream and the books name the same.
    assert.equal(headers['x-litellm-call-id'], paid);
    assert.deepEqual(
      [slow, good].map(({ requests }) => requests[0]?.headers['x-request-id']),
      [lost, paid],
    );
  });

  test('waits as long as its only upstream asks before it is tried there again', async () => {
    await using upstream = await startUpstream();
    let calls = 0;
    upstream.script(() => (++calls === 1 ? failing(429, {}, { 'retry-after': '1' }) : {}));
    await using gateway = await Gateway.start({ deployments: [at('only', upstream)], routing: { retries: 2 } });
    const began = performance.now();
    const { status } = await gateway.send(hello);
    assert.deepEqual([status, calls, performance.now() - began >= 990], [200, 2, true]);
  });

  test('is not waited for longer than any call may take', async () => {
    await using upstream = await startUpstream(failing(429, {}, { 'retry-after': '30' }));
    await using gateway = await Gateway.start({
      deployments: [at('only', upstream)],
      routing: { retries: 2 },
      limits: { totalMs: 5_000 },
    });
    const { status, headers } = await gateway.send(hello);
    assert.deepEqual([status, headers['retry-after'], upstream.requests.length], [429, '30', 1]);
    assert.equal(gateway.outcome.status, 'failure');
  });

  test('is not waited for longer than a minute, though a call may take ten: its place is for others', async () => {
    await using upstream = await startUpstream(failing(429, {}, { 'retry-after': '61' }));
    await using gateway = await Gateway.start({ deployments: [at('only', upstream)], routing: { retries: 2 } });
    const { status, headers } = await gateway.send(hello);
    assert.deepEqual([status, headers['retry-after'], upstream.requests.length], [429, '61', 1]);
  });

  for (const [what, retryAfter] of [
    ['at once', '0'],
    ['in the past', 'Wed, 21 Oct 2015 07:28:00 GMT'],
    ['never, or so it seems', '-5'],
  ] as const) {
    test(`is left alone for a moment by an upstream that says ${what}`, async () => {
      await using upstream = await startUpstream(failing(503, {}, { 'retry-after': retryAfter }));
      await using gateway = await Gateway.start({ deployments: [at('only', upstream)], routing: { retries: 1 } });
      const began = performance.now();
      const { status } = await gateway.send(hello);
      assert.deepEqual([status, upstream.requests.length, performance.now() - began >= 370], [503, 2, true]);
    });
  }

  test('is given up at once when its client leaves while it waits', async () => {
    await using upstream = await startUpstream(failing(503, {}, { 'retry-after': '20' }));
    await using gateway = await Gateway.start({ deployments: [at('only', upstream)], routing: { retries: 2 } });
    const waiting = gateway.open(hello).catch(() => undefined);
    await until('the first attempt', () => upstream.answered === 1);
    gateway.hangUp();
    await waiting;
    await until('it is over', () => gateway.proxy.inFlight === 0);
    assert.deepEqual(
      [gateway.outcome.status, gateway.outcome.usage, upstream.requests.length],
      ['failure', undefined, 1],
    );
  });

  test('is not tried again when the request is at fault, or when something has reached the client', async () => {
    await using upstream = await startUpstream(failing(400));
    await using gateway = await Gateway.start({
      deployments: [at('one', upstream), at('two', upstream)],
      routing: { retries: 3, fallbacks: new Map([['gpt-4o', ['gpt-4o']]]) },
    });
    assert.equal((await gateway.send(hello)).status, 400);
    upstream.script({ cutAfter: 300 });
    const cut = await gateway.send({ ...hello, stream: true });
    assert.match(eventsOf(cut.text).at(-2) ?? '', /upstream_interrupted/);
    assert.equal(upstream.requests.length, 2);
  });
});

describe('a deployment that fails', () => {
  test('is left out for a while, and one call finds out whether it works again', async () => {
    await using flaky = await startUpstream(failing(500));
    await using good = await startUpstream();
    await using gateway = await Gateway.start({
      deployments: [at('flaky', flaky, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
      routing: { retries: 1, allowedFails: 1, cooldownMs: 300 },
    });
    const answeredBy = async (): Promise<unknown> => (await gateway.send(hello)).headers['x-litellm-model-id'];
    for (let call = 0; call < 5; call++) assert.equal(await answeredBy(), 'good');
    assert.equal(flaky.requests.length, 2, 'one failure was allowed');

    flaky.script({ firstByteMs: 200 });
    const arrived = () => flaky.requests.length + good.requests.length;
    let probe: Promise<Answer>;
    do {
      const before = arrived();
      probe = gateway.send(hello);
      await until('the call arrives', () => arrived() > before);
    } while (flaky.requests.length === 2);
    assert.equal(await answeredBy(), 'good', 'the others do not wait for the probe');
    assert.equal((await probe).headers['x-litellm-model-id'], 'flaky');
    assert.equal(await answeredBy(), 'flaky');
  });

  test('is left out at once when it refuses our credentials, and not at all when it is alone', async () => {
    await using bad = await startUpstream(failing(401));
    await using good = await startUpstream();
    const first = at('bad', bad, { params: { order: 1 } });
    await using gateway = await Gateway.start({
      deployments: [first, at('good', good, { params: { order: 2 } }), { ...first, id: 'alone', name: 'alone' }],
      routing: { retries: 1 },
    });
    for (let call = 0; call < 3; call++) assert.equal((await gateway.send(hello)).status, 200);
    assert.equal(bad.requests.length, 1);
    for (let call = 0; call < 3; call++) assert.equal((await gateway.send({ ...hello, model: 'alone' })).status, 502);
    assert.equal(bad.requests.length, 4);
  });

  test('is not left out for refusing one caller’s requests while it answers others, and is when it refuses all', async () => {
    await using picky = await startUpstream();
    picky.script(({ text }) => (text.includes('Hi') ? {} : failing(403, { message: 'No access' })));
    await using good = await startUpstream();
    await using gateway = await Gateway.start({
      deployments: [at('picky', picky, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
      routing: { retries: 1, allowedFails: 2 },
    });
    const refused = { ...hello, messages: [{ role: 'user', content: 'Bad' }] };
    const answeredBy = async (body: object) => (await gateway.send(body)).headers['x-litellm-model-id'];
    assert.equal(await answeredBy(hello), 'picky');
    for (let call = 0; call < 5; call++) assert.equal(await answeredBy(refused), 'good');
    assert.equal(await answeredBy(hello), 'picky', 'whoever is answered is not let down for others');

    picky.script(failing(403));
    await using other = await Gateway.start({
      deployments: [at('picky', picky, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
      routing: { retries: 1, allowedFails: 2 },
    });
    picky.requests.length = 0;
    for (let call = 0; call < 5; call++) assert.equal((await other.send(hello)).status, 200);
    assert.equal(picky.requests.length, 3, 'two failures were allowed');
  });

  test('is left out at once for a 403 that says that its credential is bad', async () => {
    const codes = [
      failing(403, {}, { 'x-amzn-errortype': 'UnrecognizedClientException:http://internal.amazon.com/' }),
      failing(403, { status: 'PERMISSION_DENIED', details: [{ reason: 'CONSUMER_SUSPENDED' }] }),
      failing(403, { code: 'invalid_api_key' }),
    ];
    for (const script of codes) {
      await using bad = await startUpstream(script);
      await using good = await startUpstream();
      await using gateway = await Gateway.start({
        deployments: [at('bad', bad, { params: { order: 1 } }), at('good', good, { params: { order: 2 } })],
        routing: { retries: 1 },
      });
      for (let call = 0; call < 3; call++) assert.equal((await gateway.send(hello)).status, 200);
      assert.equal(bad.requests.length, 1);
    }
  });

  test('leaves a call without any of them to be told when to come again', async () => {
    await using bad = await startUpstream(failing(429, {}, { 'retry-after': '20' }));
    await using gateway = await Gateway.start({
      deployments: [at('one', bad), at('two', bad)],
      routing: { retries: 3 },
    });
    assert.equal((await gateway.send(hello)).status, 429);
    const { status, headers, json } = await gateway.send(hello);
    assert.deepEqual([status, json.error['type'], bad.requests.length], [429, 'no_deployments_available', 2]);
    assert.ok(Number(headers['retry-after']) > 15);
  });
});

describe('fallbacks', () => {
  const models = (bad: Upstream, good: Upstream) => [
    at('bad', bad),
    at('large', good, { name: 'large' }),
    at('mild', good, { name: 'mild' }),
    at('other', good, { name: 'other' }),
  ];
  const settings = {
    fallbacks: new Map([
      ['gpt-4o', ['other']],
      ['*', ['mild']],
    ]),
    contextWindowFallbacks: new Map([['gpt-4o', ['large']]]),
    contentPolicyFallbacks: new Map([['gpt-4o', ['mild']]]),
  };

  for (const [what, script, by] of [
    ['a failure', failing(500), 'other'],
    ['a prompt that is too long', failing(400, { code: 'context_length_exceeded' }), 'large'],
    ['what a policy forbids', failing(400, { code: 'content_policy_violation' }), 'mild'],
  ] as const) {
    test(`after ${what} are those for it`, async () => {
      await using bad = await startUpstream(script);
      await using good = await startUpstream();
      await using gateway = await Gateway.start({ deployments: models(bad, good), routing: settings });
      const { status, headers } = await gateway.send(hello);
      assert.deepEqual([status, headers['x-litellm-model-id'], headers['x-litellm-model-group']], [200, by, by]);
      const { start } = gateway.bookings[0]!;
      assert.deepEqual([start.model, start.deployment.id, start.attempts], [by, by, 2]);
    });
  }

  test('go only where the key may, in order, and the failure is answered when there is none left', async () => {
    await using bad = await startUpstream(failing(503));
    await using good = await startUpstream();
    let allowed = ['gpt-4o', 'mild'];
    await using gateway = await Gateway.start({
      deployments: models(bad, good),
      routing: { fallbacks: new Map([['gpt-4o', ['other', 'unknown', 'mild']]]) },
      decide: (_, { model }) => {
        if (allowed.includes(model)) return model;
        throw new GatewayError('forbidden', 'key_model_access_denied', 'No');
      },
    });
    assert.equal((await gateway.send(hello)).headers['x-litellm-model-id'], 'mild');
    allowed = ['gpt-4o', 'unknown'];
    const { status, headers } = await gateway.send(hello);
    assert.deepEqual([status, headers['x-litellm-model-id'], good.requests.length], [503, 'bad', 1]);
  });
});

test('whatever upstreams do, each request that one may bill has one row, and each call one answer', async () => {
  const behaviours: readonly UpstreamScript[] = [
    {},
    {},
    failing(500),
    failing(429, {}, { 'retry-after-ms': '1' }),
    failing(400),
    { cutAfter: 30 },
    { answer: 'what?' },
    { firstByteMs: 400 },
  ];
  await using one = await startUpstream();
  await using two = await startUpstream();
  await using other = await startUpstream();
  const billed: unknown[] = [];
  let turn = 0;
  for (const upstream of [one, two, other]) {
    upstream.script(({ headers }) => {
      // Each meets each, in an order without a period that the choice has too.
      const script = behaviours[(turn++ * 7 + (turn % 5)) % behaviours.length] ?? {};
      if (script.status === undefined) billed.push(headers['x-request-id']);
      return script;
    });
  }
  await using gateway = await Gateway.start({
    deployments: [at('one', one), at('two', two), at('other', other, { name: 'other' })],
    routing: { retries: 2, cooldownMs: 5, fallbacks: new Map([['gpt-4o', ['other']]]) },
    limits: { firstByteMs: 150, idleMs: 150 },
  });
  const answers = await Promise.all(
    Array.from({ length: 120 }, (_, call) => gateway.send({ ...hello, stream: call % 3 === 0 })),
  );
  assert.ok(answers.every(({ complete }) => complete));
  assert.ok(answers.some(({ headers }) => headers['x-litellm-attempted-fallbacks'] === '1'));
  const rows = gateway.bookings.map(({ start: { requestId }, outcomes }) => ({ requestId, outcomes }));
  assert.ok(
    rows.every(({ outcomes }) => outcomes.length === 1),
    'each row is settled once',
  );
  const ids = rows.map(({ requestId }) => requestId);
  assert.equal(new Set(ids).size, ids.length, 'no id has two rows');
  const paid = new Map(rows.flatMap(({ requestId, outcomes: [only] }) => (only?.usage ? [[requestId, only]] : [])));
  assert.deepEqual(
    billed.filter((id) => !paid.has(String(id))),
    [],
  );
  // Whoever did not answer in time may have worked on it: what it would have said, nobody knows.
  const guessed = [...paid].filter(([id, { error }]) => !billed.includes(id) && error !== 'upstream_timeout');
  assert.deepEqual(guessed, []);
  for (const { headers } of answers) assert.ok(ids.includes(String(headers['x-litellm-call-id'])));
});
