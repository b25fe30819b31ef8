import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type Answer, type Gateway, startGateway, until, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: object, key: string, caller?: string): Promise<Answer> =>
  gateway.request('POST', path, { body, headers: { 'idempotency-key': key }, ...(caller && { key: caller }) });

const count = async (sql: string): Promise<number> => {
  const { rows } = await gateway.pool.query<{ n: number }>(`select count(*)::int as n from gatewayctl.${sql}`);
  return rows[0]!.n;
};

async function anAdministrator(): Promise<string> {
  const user = await gateway.request('POST', '/user/new', { body: { user_role: 'proxy_admin' } });
  assert.equal(user.status, 200, user.text);
  return user.body.key;
}

describe('a change sent again with its Idempotency-Key', () => {
  test('is answered as the first time, a new secret included, and done once', async () => {
    const key = randomUUID();
    const first = await post('/key/generate', { key_alias: 'once', max_budget: 5 }, key);
    assert.equal(first.status, 200, first.text);
    assert.equal(first.headers.get('idempotent-replayed'), null);
    // The members in another order: a client that builds its JSON anew sends the same body.
    const again = await post('/key/generate', { max_budget: 5, key_alias: 'once' }, key);
    assert.deepEqual([again.status, again.text], [200, first.text]);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.match(again.body.key, /^sk-/);
    assert.equal(await count(`keys where alias = 'once'`), 1);
    assert.equal(await count(`audit_log where object_type = 'key' and after ->> 'key_alias' = 'once'`), 1);
  });

  test('is refused with another body or at another route, and nothing is done', async () => {
    const key = randomUUID();
    assert.equal((await post('/team/new', { team_id: 'first' }, key)).status, 200);
    for (const [path, body] of [
      ['/team/new', { team_id: 'second' }],
      ['/team/block', { team_id: 'first' }],
    ] as const) {
      const { status, body: answer } = await post(path, body, key);
      assert.deepEqual([status, answer.error.type], [409, 'idempotency_mismatch']);
    }
    assert.equal(await count(`teams where id = 'second' or blocked`), 0);
  });

  test('is a change of its own for another caller', async () => {
    const key = randomUUID();
    const [one, other] = [await anAdministrator(), await anAdministrator()];
    const answers = [];
    for (const caller of [one, other, undefined])
      answers.push(await post('/key/generate', { max_budget: 1 }, key, caller));
    assert.equal(new Set(answers.map(({ body }) => body.key)).size, 3);
    assert.deepEqual(new Set(answers.map(({ headers }) => headers.get('idempotent-replayed'))), new Set([null]));
    assert.equal((await post('/key/generate', { max_budget: 1 }, key, one)).text, answers[0]!.text);
  });

  test('runs when the first time had failed', async () => {
    const key = randomUUID();
    const body = { key_alias: 'late', team_id: 'not-yet' };
    assert.equal((await post('/key/generate', body, key)).status, 404);
    assert.equal((await gateway.request('POST', '/team/new', { body: { team_id: 'not-yet' } })).status, 200);
    const { status, headers } = await post('/key/generate', body, key);
    assert.deepEqual([status, headers.get('idempotent-replayed')], [200, null]);
  });

  test('is done once when twenty are sent at once', async () => {
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post('/key/generate', { key_alias: 'crowd' }, key)),
    );
    const done = answers.filter(({ status }) => status === 200);
    assert.equal(new Set(done.map(({ text }) => text)).size, 1);
    assert.equal(done.filter(({ headers }) => headers.get('idempotent-replayed') === null).length, 1);
    for (const { status, body } of answers) assert.ok(status === 200 || body.error.type === 'idempotency_in_progress');
    assert.equal(await count(`keys where alias = 'crowd'`), 1);
  });

  test('is told to come again while the first is still being made', async () => {
    const key = randomUUID();
    assert.equal((await gateway.request('POST', '/team/new', { body: { team_id: 'held' } })).status, 200);
    const holder = await gateway.pool.connect();
    try {
      await holder.query('begin');
      await holder.query(`select 1 from gatewayctl.teams where id = 'held' for update`);
      const first = post('/team/block', { team_id: 'held' }, key);
      await until(async () => (await count(`teams, pg_stat_activity where wait_event_type = 'Lock'`)) > 0);
      const second = await post('/team/block', { team_id: 'held' }, key);
      assert.deepEqual([second.status, second.body.error.type], [409, 'idempotency_in_progress']);
      assert.equal(second.headers.get('retry-after'), '1');
      await holder.query('rollback');
      assert.equal((await first).status, 200);
    } finally {
      holder.release();
    }
    assert.equal((await post('/team/block', { team_id: 'held' }, key)).headers.get('idempotent-replayed'), 'true');
  });

  test('is a new change after 24 hours, and expired rows go a hundred at a time', async () => {
    const key = randomUUID();
    const first = await post('/key/generate', {}, key);
    await gateway.pool.query(`update gatewayctl.idempotency_keys set expires_at = now() - interval '1 second'`);
    await gateway.pool.query(
      `insert into gatewayctl.idempotency_keys (id, salt, fingerprint, created_at, expires_at)
       select md5(n::text) || md5(n::text), '', '', now(), now() - interval '1 minute' from generate_series(1, 150) n`,
    );
    const expired = await count('idempotency_keys where expires_at <= now()');
    const second = await post('/key/generate', {}, key);
    assert.notEqual(second.body.key, first.body.key);
    assert.equal(await count('idempotency_keys where expires_at <= now()'), expired - 101);
  });
});

describe('the stored answer', () => {
  test('cannot be read from the database, and neither can the key it was sent with', async () => {
    const key = randomUUID();
    const { body } = await post('/key/generate', { key_alias: 'sealed', key: 'sk-chosen-by-its-owner-1' }, key);
    assert.equal(body.key, 'sk-chosen-by-its-owner-1');
    const { rows } = await gateway.pool.query<{ row: string }>(
      'select k::text as row from gatewayctl.idempotency_keys k',
    );
    for (const { row } of rows) {
      for (const secret of [key, 'sk-', 'sealed', body.token]) assert.ok(!row.includes(secret), row);
    }
  });
});

for (const [what, key] of [
  ['is empty', ''],
  ['is longer than 255 characters', 'x'.repeat(256)],
  ['has characters that are not ASCII', 'clé'],
] as const) {
  test(`a key that ${what} is refused, and nothing is done`, async () => {
    const { status, body } = await post('/team/new', { team_id: 'refused' }, key);
    assert.deepEqual([status, body.error.type], [400, 'invalid_idempotency_key']);
    assert.equal(await count(`teams where id = 'refused'`), 0);
  });
}

for (const way of ways) {
  test(`a command run again gives the same secret, by ${way}`, async () => {
    const line = `key generate --alias cli-${way} -q --idempotency-key`;
    const id = randomUUID();
    const first = await gateway.gatewayctl(`${line} ${id}`, way);
    const again = await gateway.gatewayctl(`${line} -`, way, { stdin: `${id}\n` });
    assert.equal(first.exit, 0, first.err);
    assert.deepEqual([again.exit, again.out], [0, first.out]);
    const other = await gateway.gatewayctl(`team create --id cli-${way} --idempotency-key ${id}`, way);
    assert.equal(other.exit, 6, other.err);
  });
}

test('a script that goes through the socket, and to the database when the daemon is gone, is one caller', async () => {
  const line = `key generate --alias moving -q --idempotency-key ${randomUUID()}`;
  const { out } = await gateway.gatewayctl(line, 'socket');
  assert.equal((await gateway.gatewayctl(line, 'embedded')).out, out);
});
