import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { asDatabaseTrouble } from '../../src/db/errors.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { generateSecret, hashSecret } from '../../src/kernel/secret.ts';
import { type Answer, aStateDir, type Daemon, startDaemon, until } from '../support/gateway.ts';
import { startPostgres } from '../support/postgres.ts';
import { startRelay } from '../support/postgres-relay.ts';

/** Two seconds are the goal, and the report says what it was; a machine with eight times the work it can do has been seen to take three. */
const backWithinMs = 4_000;

/** Whatever has been started when `before` fails is ended all the same: it would keep this file running. */
const started = new AsyncDisposableStack();
let postgres: Awaited<ReturnType<typeof startPostgres>>;
let relay: Awaited<ReturnType<typeof startRelay>>;
let daemon: Daemon;
let warm: string;

before(async () => {
  const [of, stateDir] = [await aDirectory(), await aDirectory()];
  // What it has acknowledged outlives its being killed, as it does for an operator.
  postgres = started.use(await startPostgres(of, { max_connections: '24', synchronous_commit: 'on' }));
  relay = started.use(await startRelay(postgres.url));
  const config = `${stateDir}/config.yaml`;
  await writeFile(config, 'model_list:\n  - { model_name: mock-gpt, litellm_params: { model: mock/gpt } }\n');
  daemon = await startDaemon({
    stateDir,
    databaseUrl: relay.url,
    args: ['--config', config],
    env: { GATEWAYCTL_MASTER_KEY: generateSecret('master'), GATEWAYCTL_AUTH_CACHE_TTL: '300s' },
  });
  started.defer(async () => void (await daemon.stop('SIGKILL')));
  warm = (await daemon.request('POST', '/key/generate', { body: { key_alias: 'warm' } })).body.key;
});
after(() => started.disposeAsync());

async function aDirectory(): Promise<string> {
  const directory = await aStateDir();
  started.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

interface Timed extends Answer {
  readonly ms: number;
}

async function timed(ask: () => Promise<Answer>): Promise<Timed> {
  const start = performance.now();
  const answer = await ask();
  return { ...answer, ms: performance.now() - start };
}

/** Calls that were answered, by the id that their row in the books has. */
const answered: string[] = [];

async function chat(key: string): Promise<Timed> {
  const answer = await timed(() => daemon.chat(key, 'mock-gpt'));
  if (answer.status === 200) answered.push(answer.headers.get('x-litellm-call-id') ?? '');
  return answer;
}
const list = () => timed(() => daemon.request('GET', '/key/list'));
const make = () => timed(() => daemon.request('POST', '/key/generate', { body: {} }));
const health = async (which: 'liveliness' | 'readiness') =>
  (await daemon.request('GET', `/health/${which}`, { key: '' })).status;
const said = (what: RegExp) => daemon.log.filter((line) => what.test(line)).length;

/** Keys that are in the database, and that the daemon has never met and never heard of. */
async function unseen(count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, () => generateSecret('virtual'));
  const hashes = keys.map((key) => `'${hashSecret(key)}'`).join(',');
  await postgres.query(
    `insert into gatewayctl.keys (id, token, name, created_at, created_by, updated_at, updated_by)
     select token, token, 'x', now(), 'test', now(), 'test' from unnest(array[${hashes}]) token`,
  );
  return keys;
}

function assertOurTrouble(answer: Timed, withinMs: number): void {
  assert.equal(answer.status, 503, answer.text);
  assert.ok(Number(answer.headers.get('retry-after')) >= 1);
  assert.ok(answer.ms < withinMs, `${answer.ms} ms`);
}

/** Known keys are served from before only when changes were heard of until then. */
async function isCalm(): Promise<void> {
  await until(() => said(/Changes are heard of again/) === said(/Changes cannot be heard of/));
  await until(async () => (await chat(warm)).status === 200 && (await health('readiness')) === 200);
}

async function isWellAgain(): Promise<number> {
  const start = performance.now();
  const [cold = ''] = await unseen(1);
  const isBack = async () => (await chat(cold)).status === 200 && (await make()).status === 200;
  await until(async () => (await isBack()) && (await health('readiness')) === 200);
  return performance.now() - start;
}

/** Known keys call, nobody else is let in or turned away, and the health routes say what is. */
async function assertIsAway(cold: readonly string[]): Promise<void> {
  for (let more = 0; more < 10; more++) {
    const known = await chat(warm);
    assert.equal(known.status, 200, known.text);
    assert.ok(known.ms < 1_000, `${known.ms} ms`);
  }
  for (const key of [...cold, generateSecret('virtual')]) assertOurTrouble(await chat(key), 1_000);
  for (const answer of await Promise.all([make(), list()])) {
    assertOurTrouble(answer, 1_000);
    assert.equal(answer.body.error.type, 'database_unreachable');
  }
  assert.equal(await health('liveliness'), 200);
  assert.equal(await health('readiness'), 503);
}

/** Connections that are asked for in a second, however many would like one. */
async function attemptsPerSecond(): Promise<number> {
  const [attempts, start] = [relay.attempts, performance.now()];
  await until(async () => {
    await Promise.all([chat(warm), chat(generateSecret('virtual')), make()]);
    return performance.now() - start > 1_000;
  });
  return (relay.attempts - attempts) / ((performance.now() - start) / 1_000);
}

describe('a database that', () => {
  const outages: readonly (readonly [what: string, begin: () => Promise<unknown>, end: () => Promise<unknown>])[] = [
    ['is stopped', () => postgres.stop(), () => postgres.start()],
    ['is killed', () => postgres.kill(), () => postgres.start()],
    ['stands still, with every process of it', () => postgres.pause(), () => postgres.resume()],
    ['is lost behind a router', async () => relay.silence(), async () => relay.mend()],
  ];
  for (const [what, begin, end] of outages) {
    test(`${what}: known keys go on, all else is our trouble at once, and it is used when it is back`, async (t) => {
      await isCalm();
      const cold = await unseen(3);
      const statuses = new Set<number>();
      await begin();
      try {
        // Those who come before anybody knows.
        const early = Promise.all([...Array.from({ length: 30 }, make), ...Array.from({ length: 30 }, list)]);
        await until(async () => {
          statuses.add((await chat(warm)).status);
          return (await health('readiness')) === 503;
        }, 5_000);
        // Ten seconds each, if nobody cut what hangs; 1.1 s on a quiet machine.
        for (const answer of await early) assertOurTrouble(answer, 9_000);
        await assertIsAway(cold);
      } finally {
        await end();
      }
      const backMs = await isWellAgain();
      t.diagnostic(`all is well ${Math.round(backMs)} ms after it is back`);
      assert.ok(backMs < backWithinMs, `${backMs} ms`);
      for (const key of [...cold, warm]) assert.equal((await chat(key)).status, 200);
      assert.deepEqual(
        [...statuses].filter((status) => status !== 200 && status !== 503),
        [],
      );
    });
  }
  test('answers slowly is used all the same, and known keys do not wait for it', async (t) => {
    await isCalm();
    const [cold = '', late = ''] = await unseen(2);
    relay.slow(150);
    try {
      const [known, looked, made] = await Promise.all([chat(warm), chat(cold), make()]);
      assert.deepEqual([known.status, looked.status, made.status], [200, 200, 200], made.text);
      assert.ok(looked.ms >= 150, `${looked.ms} ms`);
      assert.equal(await health('readiness'), 200);
      relay.slow(2_500);
      const [still, refused] = await Promise.all([chat(warm), chat(late)]);
      assert.equal(still.status, 200, still.text);
      assert.ok(still.ms < 1_500, `${still.ms} ms`);
      assertOurTrouble(refused, 2_450);
      t.diagnostic(`known ${Math.round(still.ms)} ms, unknown refused after ${Math.round(refused.ms)} ms`);
      assert.equal(await health('liveliness'), 200);
    } finally {
      relay.slow(0);
    }
    await until(async () => (await chat(late)).status === 200 && (await make()).status === 200, 5_000);
  });

  test('is read-only, as a standby is, lets every key call and refuses changes by that name', async () => {
    await isCalm();
    const [cold = ''] = await unseen(1);
    const setReadOnly = async (value: 'on' | 'off') => {
      await postgres.query(`alter system set default_transaction_read_only = ${value}`);
      await postgres.query('select pg_reload_conf()');
    };
    await setReadOnly('on');
    try {
      await until(async () => (await make()).status === 503);
      for (const key of [warm, cold]) assert.equal((await chat(key)).status, 200);
      assert.equal((await chat(generateSecret('virtual'))).status, 401, 'what is read is right');
      for (const change of [
        await make(),
        await timed(() => daemon.request('POST', '/key/block', { body: { key: cold } })),
      ]) {
        assertOurTrouble(change, 1_000);
        assert.equal(change.body.error.type, 'database_read_only');
      }
      assert.equal((await list()).status, 200);
      assert.deepEqual([await health('liveliness'), await health('readiness')], [200, 200]);
    } finally {
      await setReadOnly('off');
    }
    await until(async () => (await make()).status === 200, 5_000);
    assert.equal((await chat(cold)).status, 200, 'it was not blocked');
  });

  test('has no connection left for the daemon is stormed by nobody, and is used once it has', async (t) => {
    await isCalm();
    const cold = await unseen(2);
    // Lest it gets one again between two of theirs, and knows nobody from before.
    relay.shut();
    await using others = await postgres.takeEveryConnection();
    relay.mend();
    await until(async () => (await health('readiness')) === 503, 3_000);
    await assertIsAway(cold);
    const perSecond = await attemptsPerSecond();
    assert.ok(perSecond <= 7, `${perSecond} connections a second are asked for`);
    await others[Symbol.asyncDispose]();
    const backMs = await isWellAgain();
    t.diagnostic(`all is well ${Math.round(backMs)} ms after there is room; ${perSecond.toFixed(1)} attempts a second`);
    assert.ok(backMs < backWithinMs, `${backMs} ms`);
  });
});

test('every call that was answered through all of this is booked once', async () => {
  assert.ok(answered.length > 100, String(answered.length));
  const booked = async () =>
    (await postgres.query('select request_id from gatewayctl.spend_logs')).map((row) => String(row['request_id']));
  await until(async () => (await booked()).length >= answered.length);
  assert.deepEqual((await booked()).toSorted(), answered.toSorted());
});

for (const [code, type] of [
  ['25006', 'database_read_only'],
  ['53100', 'database_full'],
] as const) {
  test(`${code} is ${type}, and no outage`, () => {
    const trouble = asDatabaseTrouble(new Error('x', { cause: Object.assign(new Error('y'), { code }) }));
    assert.ok(trouble instanceof GatewayError);
    assert.deepEqual([trouble.status, trouble.type], [503, type]);
  });
}
