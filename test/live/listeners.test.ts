import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import type { Principal } from '../../src/access/principal.ts';
import { openLive } from '../../src/live/open.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { aDeployment, aPrincipal, Gateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { until } from '../support/gateway.ts';

const live = openLive({ now: () => new Date(), version: '1.2.3' });
const everything = {
  type: 'opened',
  daemon: { host: 'here', pid: 1, version: '1.2.3', started_at: new Date().toISOString() },
  key_id: null,
  team_id: null,
  user_id: null,
  model: null,
  status: null,
  errors: false,
};
let upstream: Upstream;
let gateway: Gateway;
let caller: Principal = aPrincipal;
before(async () => {
  upstream = await startUpstream();
  gateway = await Gateway.start({
    deployments: [aDeployment({ apiBase: upstream.url })],
    onEnded: live.tell,
    authenticate: () => caller,
  });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const daemon = live.of((look) => gateway.proxy.visit(look));
const call = (model = 'gpt-4o') => gateway.send({ model, messages: [{ role: 'user', content: 'a secret question' }] });
const may = () => Promise.resolve({});

test('a listener that takes nothing holds up no call, and is told how many lines it has lost', async () => {
  const slow = daemon.follow(everything, may);
  const fast = daemon.follow(everything, may);
  let taken = '';
  fast.on('data', (text: string) => (taken += text));
  const amount = 700;
  for (let done = 0; done < amount; done += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => call('none')));
    assert.ok(answers.every(({ status }) => status === 400));
  }
  const linesOf = (text: string) =>
    text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]));
  await until(() => linesOf(taken).length === 1 + amount);
  assert.ok(linesOf(taken).every(({ type }) => type !== 'skipped'));

  let late = '';
  slow.on('data', (text: string) => (late += text));
  await until(() => linesOf(late).some(({ type }) => type === 'skipped'));
  const lines = linesOf(late);
  const told = lines.filter(({ type }) => type === 'call').length;
  assert.ok(told >= 400 && told < amount, String(told));
  assert.equal(lines.find(({ type }) => type === 'skipped')?.['count'], amount - told);
  // What comes after that is told again, and after the gap.
  await call('none');
  await until(() => linesOf(late).at(-1)?.['type'] === 'call' && linesOf(late).length === lines.length + 1);
  slow.destroy();
  fast.destroy();
});

test('no more than sixteen follow at once, and whoever leaves makes room', () => {
  const listeners = Array.from({ length: 16 }, () => daemon.follow(everything, may));
  const tooMany = (thrown: unknown) => thrown instanceof GatewayError && thrown.type === 'too_many_listeners';
  assert.throws(() => daemon.follow(everything, may), tooMany);
  listeners[3]?.destroy();
  return until(() => {
    try {
      daemon.follow(everything, may).destroy();
      return true;
    } catch (thrown) {
      if (tooMany(thrown)) return false;
      throw thrown;
    }
  }).finally(() => listeners.forEach((listener) => listener.destroy()));
});

test('a listener that may no longer listen is shut out, and not for a database that is away', async () => {
  const answers = [
    () => Promise.reject(new GatewayError('unavailable', 'database_unreachable', 'The database does not answer')),
    () => Promise.reject(new GatewayError('forbidden', 'admin_only', 'No longer')),
  ];
  const strict = openLive({ now: () => new Date(), version: '1', recheckMs: 20 });
  const asked: number[] = [];
  const listener = strict
    .of(() => {})
    .follow(everything, () => {
      asked.push(0);
      return (answers[asked.length - 1] ?? may)();
    });
  const text = (await listener.toArray()).join('');
  assert.equal(asked.length, 2);
  assert.match(text, /"type":"closed","reason":"admin_only"/);
});

test('the memory of a minute is bounded: keys without a place are summed as others, and names of nothing are one', async () => {
  const names = Array.from({ length: 320 }, () => randomUUID());
  for (const name of names) {
    caller = { ...aPrincipal, keyId: name, alias: `alias-${name}` };
    await call(`made-up-${name}`);
  }
  caller = aPrincipal;
  const look = (by: 'key' | 'model') => daemon.usage({ by, window: 60, sort: 'requests', limit: 300 });
  const { rows, rowsInAll, others, total } = look('key');
  assert.equal(rowsInAll, 300);
  assert.equal(rows.reduce((sum, { requests }) => sum + requests, 0) + others.requests, total.requests);
  assert.ok(others.requests >= 20);
  assert.deepEqual(
    look('model').rows.map(({ id }) => id),
    [null],
  );
});
