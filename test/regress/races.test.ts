import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request as open } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from '../keys/world.ts';
import { type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await makeWorld(gateway);
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: object) => gateway.request('POST', path, { body });

async function count(sql: string, values: readonly string[] = []): Promise<number> {
  const { rows } = await gateway.pool.query<{ count: number }>(`select count(*)::int as count from ${sql}`, [
    ...values,
  ]);
  return rows[0]?.count ?? 0;
}

const waiting = (ms = 5_000) =>
  until(
    async () =>
      (await count(`pg_stat_activity where wait_event_type = 'Lock' and query ilike '%insert into%keys%'`)) > 0,
    ms,
  );

/** Makes a key, which stands still just before its row is there, does something else meanwhile, and lets it go on. */
async function whileMaking(key: object, meanwhile: () => Promise<unknown>) {
  const client = await gateway.pool.connect();
  try {
    await client.query('begin');
    await client.query('lock table gatewayctl.keys in share mode');
    const making = post('/key/generate', key);
    await waiting();
    const other = meanwhile();
    // Either it is done before the key is there, or it waits for the key.
    await Promise.race([other, until(async () => (await count(`pg_locks where not granted`)) > 1)]);
    await client.query('rollback');
    return { made: await making, other: await other };
  } finally {
    client.release();
  }
}

describe('a key that is being made', () => {
  test('goes with the member who is taken out of its team at that moment', async () => {
    const left = { team_id: 'red', user_id: 'owner' };
    const { made } = await whileMaking({ ...left, key_alias: 'late' }, () => post('/team/member_delete', left));
    assert.ok([200, 403].includes(made.status), made.text);
    assert.equal(await count('gatewayctl.team_members where team_id = $1 and user_id = $2', ['red', 'owner']), 0);
    assert.equal(await count('gatewayctl.keys where team_id = $1 and user_id = $2', ['red', 'owner']), 0);
  });

  test('is not there, and no fault of ours, when its user is deleted at that moment', async () => {
    const gone = { user_id: 'stranger' };
    const { made } = await whileMaking(gone, () => post('/user/delete', { user_ids: ['stranger'] }));
    assert.ok([200, 404].includes(made.status), made.text);
    assert.equal(await count('gatewayctl.users where id = $1', ['stranger']), 0);
    assert.equal(await count('gatewayctl.keys where user_id = $1', ['stranger']), 0);
  });
});

/** Sends a change but for the end of its body, does something, and then sends the rest. */
async function whileSending(key: string, body: object, meanwhile: () => Promise<unknown>) {
  const whole = JSON.stringify(body);
  const sending = open(`${gateway.daemon.url}/key/generate`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': whole.length,
      expect: '100-continue',
    },
  });
  const answered = once(sending, 'response');
  sending.flushHeaders();
  await once(sending, 'continue');
  sending.write(whole.slice(0, -1));
  // The key is known already, so whoever asks is let in before another whole request has been answered.
  await gateway.request('GET', '/key/list');
  await meanwhile();
  sending.end(whole.slice(-1));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the event of this name brings
  const [response] = (await answered) as [IncomingMessage];
  return { status: response.statusCode, text: await text(response) };
}

describe('a change of which the end came late', () => {
  const endings: Readonly<Record<string, (alias: string, user: string) => readonly [path: string, body: object]>> = {
    'its key is blocked': (alias) => ['/key/block', { key: alias }],
    'its key has expired': (alias) => ['/key/update', { key: alias, expires: '2020-01-01T00:00:00Z' }],
    'its key has another secret': (alias) => ['/key/regenerate', { key: alias }],
    'its key is deleted': (alias) => ['/key/delete', { keys: [alias] }],
    'its user is blocked': (_, user) => ['/user/update', { user_id: user, blocked: true }],
  };
  for (const [index, [what, ending]] of Object.entries(endings).entries()) {
    test(`is not made when ${what} by then`, async () => {
      const [alias, user] = [`slow-${index}`, `slow-user-${index}`];
      const { key } = await world.made({ user_id: user, key_alias: alias });
      assert.equal((await world.as(key, '/key/info')).status, 200);
      const made = await whileSending(key, { key_alias: `${alias}-made` }, async () => {
        const answer = await post(...ending(alias, user));
        assert.equal(answer.status, 200, answer.text);
      });
      assert.equal(made.status, 401, made.text);
      assert.equal(await count('gatewayctl.keys where alias = $1', [`${alias}-made`]), 0);
    });
  }
});
