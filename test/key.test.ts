import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

for (const way of ways) {
  describe(`key, by ${way}`, () => {
    const gatewayctl = (line: string) => gateway.gatewayctl(line, way);

    test('generate writes the key and nothing else, so that a script can capture it', async () => {
      const { out, err, exit } = await gatewayctl(`key generate --alias ${way}-plain`);
      assert.match(out, /^sk-gw1_[0-9A-Za-z]{38}\n$/);
      assert.match(err, /created/);
      assert.equal(exit, 0);
    });

    test('get finds a key by its alias', async () => {
      await gatewayctl(`key generate --alias ${way}-a --models gpt-5,openai/* --max-budget 5.25 --expires 90d`);
      const { out } = await gatewayctl(`key get ${way}-a --json`);
      assert.partialDeepStrictEqual(JSON.parse(out), {
        key_alias: `${way}-a`,
        models: ['gpt-5', 'openai/*'],
        max_budget: 5.25,
        spend: 0,
        blocked: false,
      });
    });

    test('generate refuses an alias that is taken, and says how to go on', async () => {
      await gatewayctl(`key generate --alias ${way}-twice`);
      const { out, err, exit } = await gatewayctl(`key generate --alias ${way}-twice`);
      assert.equal(out, '');
      assert.match(err, /already exists/);
      assert.match(err, new RegExp(`gatewayctl key rotate ${way}-twice`));
      assert.equal(exit, 6);
    });

    test('update changes what is named and clears with none', async () => {
      await gatewayctl(`key generate --alias ${way}-u --max-budget 5`);
      assert.equal((await gatewayctl(`key update ${way}-u --max-budget none --models gpt-4o`)).exit, 0);
      const { out } = await gatewayctl(`key get ${way}-u --json`);
      assert.partialDeepStrictEqual(JSON.parse(out), { max_budget: null, models: ['gpt-4o'] });
    });

    test('update edits the list of models, and no edit that would mean something else', async () => {
      await gatewayctl(`key generate --alias ${way}-m --models a,openai/*`);
      const { exit } = await gatewayctl(`key update ${way}-m --add-model b,c --remove-model a`);
      assert.equal(exit, 0);
      assert.equal((await gatewayctl(`key update ${way}-m --add-model d --add-model b`)).exit, 0);
      const models = async () => JSON.parse((await gatewayctl(`key get ${way}-m --json`)).out).models as string[];
      assert.deepEqual(await models(), ['openai/*', 'b', 'c', 'd']);
      const refused = async (flags: string) => {
        const edit = await gatewayctl(`key update ${way}-m ${flags}`);
        assert.equal(edit.exit, 9, edit.err);
        return edit.err;
      };
      assert.match(await refused('--remove-model openai/gpt-5'), /not in the list/);
      assert.match(await refused('--remove-model openai/*,b,c,d'), /an empty list is all/);
      assert.match(await refused('--models x --add-model y'), /one of them/);
      assert.deepEqual(await models(), ['openai/*', 'b', 'c', 'd']);
      await gatewayctl(`key update ${way}-m --models none`);
      assert.match(await refused('--add-model x'), /may call every model/);
    });

    test('list shows what is not rotated as it should be', async () => {
      for (const name of ['due', 'later', 'off']) await gatewayctl(`key generate --alias ${way}-${name}`);
      await gateway.pool.query(
        `update gatewayctl.keys set auto_rotate = true, rotation_interval = '30d', blocked = alias like '%-off',
           key_rotation_at = case when alias like '%-later' then now() + interval '1 day' else now() - interval '1 h' end
         where alias = any ($1)`,
        [['due', 'later', 'off'].map((name) => `${way}-${name}`)],
      );
      const { out } = await gatewayctl(`key list --rotation-due --alias ${way}-* --columns key_alias -o tsv`);
      assert.equal(out.trim(), `${way}-due`);
      assert.equal((await gatewayctl('key list --rotation-due --status deleted')).exit, 9);
    });

    test('block and unblock', async () => {
      await gatewayctl(`key generate --alias ${way}-b`);
      await gatewayctl(`key block ${way}-b`);
      assert.equal(JSON.parse((await gatewayctl(`key get ${way}-b --json`)).out).status, 'blocked');
      await gatewayctl(`key unblock ${way}-b`);
      assert.equal(JSON.parse((await gatewayctl(`key get ${way}-b --json`)).out).status, 'active');
    });

    test('rotate with a grace lets old and new secret work', async () => {
      const old = (await gatewayctl(`key generate --alias ${way}-r -q`)).out.trim();
      const next = (await gatewayctl(`key rotate ${way}-r --grace 1h --yes -q`)).out.trim();
      assert.notEqual(next, old);
      assert.equal((await gateway.chat(old, 'mock-gpt')).status, 200);
      assert.equal((await gateway.chat(next, 'mock-gpt')).status, 200);
    });

    test('rotate without a grace also ends the secrets that an earlier rotation left working', async () => {
      const first = (await gatewayctl(`key generate --alias ${way}-r2 -q`)).out.trim();
      await gatewayctl(`key rotate ${way}-r2 --grace 1h --yes -q`);
      assert.equal((await gateway.chat(first, 'mock-gpt')).status, 200);
      await gatewayctl(`key rotate ${way}-r2 --yes -q`);
      await gateway.chatUntil(401, first);
    });

    test('rotate without a grace ends the old secret', async () => {
      const old = (await gatewayctl(`key generate --alias ${way}-r0 -q`)).out.trim();
      assert.equal((await gateway.chat(old, 'mock-gpt')).status, 200);
      await gatewayctl(`key rotate ${way}-r0 --yes -q`);
      await gateway.chatUntil(401, old);
    });

    test('delete needs a yes where nobody can be asked, and then deletes', async () => {
      const secret = (await gatewayctl(`key generate --alias ${way}-d -q`)).out.trim();
      assert.equal((await gatewayctl(`key delete ${way}-d`)).exit, 2);
      assert.equal((await gatewayctl(`key delete ${way}-d --yes`)).exit, 0);
      assert.equal((await gatewayctl(`key get ${way}-d`)).exit, 3);
      await gateway.chatUntil(401, secret);
    });
  });
}

describe('key, as LiteLLM’s clients ask for it', () => {
  const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
  const get = (path: string) => gateway.request('GET', path);

  test('POST /key/generate answers with the key, its hash and its fields', async () => {
    const { status, body } = await post('/key/generate', {
      key_alias: 'wire-a',
      duration: '30d',
      models: ['gpt-4o'],
      max_budget: 0.000000001,
      metadata: { camelCase: { snake_case: 1 } },
      tpm_limit: null,
      permissions: {},
    });
    assert.equal(status, 200);
    assert.match(body.key, /^sk-gw1_[0-9A-Za-z]{38}$/);
    assert.match(body.token, /^[0-9a-f]{64}$/);
    assert.equal(body.token_id, body.token);
    assert.partialDeepStrictEqual(body, {
      key_alias: 'wire-a',
      models: ['gpt-4o'],
      max_budget: 1e-9,
      metadata: { camelCase: { snake_case: 1 } },
      spend: 0,
    });
    assert.ok(Math.abs(Date.parse(body.expires) - Date.now() - 30 * 86_400_000) < 60_000);
  });

  test('an alias that is taken is 400 with LiteLLM’s text', async () => {
    await post('/key/generate', { key_alias: 'wire-dup' });
    const { status, body } = await post('/key/generate', { key_alias: 'wire-dup' });
    assert.equal(status, 400);
    assert.partialDeepStrictEqual(body.error, {
      message: "Key with alias 'wire-dup' already exists. Unique key aliases across all keys are required.",
      type: 'bad_request_error',
      param: 'key_alias',
      code: '400',
    });
  });

  test('a key of one’s own must begin with sk- and be free', async () => {
    const wrong = await post('/key/generate', { key: 'pk-1234567890123456789' });
    assert.equal(wrong.status, 400);
    assert.match(wrong.body.error.message, /LiteLLM Virtual Key must start with 'sk-'/);
    const own = 'sk-a-key-of-my-own-0001';
    assert.equal((await post('/key/generate', { key: own })).body.key, own);
    const again = await post('/key/generate', { key: own });
    assert.equal(again.status, 400);
    assert.ok(!again.text.includes(own));
  });

  test('POST /key/update and GET /key/info take the key, its hash and its alias; null clears, and -1 is for ever', async () => {
    const { key, token } = (await post('/key/generate', { key_alias: 'wire-u', max_budget: 3, duration: '1h' })).body;
    for (const named of [key, token, 'wire-u']) {
      const { status, body } = await get(`/key/info?key=${named}`);
      assert.equal(status, 200);
      assert.equal(body.info.key_alias, 'wire-u');
      assert.ok(!JSON.stringify(body).includes(key));
    }
    const kept = await post('/key/update', { key, models: ['a'] });
    assert.partialDeepStrictEqual(kept.body, { models: ['a'], max_budget: 3 });
    const cleared = await post('/key/update', { key: token, max_budget: null, duration: '-1' });
    assert.partialDeepStrictEqual(cleared.body, { max_budget: null, expires: null });
    assert.equal((await post('/key/update', { key: 'nobody', max_budget: 1 })).status, 404);
    assert.equal((await post('/key/update', { key, max_budget: -1 })).status, 400);
  });

  test('edits of a list of models at the same time do not undo each other', async () => {
    const { token } = (await post('/key/generate', { models: ['m'] })).body;
    const names = Array.from({ length: 12 }, (_, index) => `m${index}`);
    const edits = await Promise.all(names.map((name) => post('/key/update', { key: token, add_models: [name] })));
    assert.deepEqual(
      edits.map(({ status }) => status),
      names.map(() => 200),
    );
    assert.deepEqual(new Set((await get(`/key/info?key=${token}`)).body.info.models), new Set(['m', ...names]));
  });

  test('budget windows can be sent back as they were read, and reset_at can be no other moment', async () => {
    const budget = { budget_duration: '30d', max_budget: 2 };
    const made = (await post('/key/generate', { budget_limits: [budget] })).body;
    const again = await post('/key/update', { key: made.token, budget_limits: made.budget_limits });
    assert.deepEqual(again.body.budget_limits, made.budget_limits);
    const other = { ...budget, reset_at: '2026-01-01T00:00:00Z' };
    const { status, body } = await post('/key/update', { key: made.token, budget_limits: [other] });
    assert.equal(status, 400);
    assert.equal(body.error.param, 'budget_limits.0.reset_at');
  });

  test('POST /key/{key}/regenerate gives a new secret, in the path or in the body', async () => {
    const { key } = (await post('/key/generate', { key_alias: 'wire-r' })).body;
    const byPath = await post(`/key/${key}/regenerate`, { grace_period: '1h' });
    assert.equal(byPath.status, 200);
    assert.notEqual(byPath.body.key, key);
    for (const secret of [key, byPath.body.key]) assert.equal((await gateway.chat(secret, 'mock-gpt')).status, 200);
    const byBody = await post('/key/regenerate', { key: byPath.body.key, new_key: 'sk-chosen-for-the-rotation-1' });
    assert.equal(byBody.body.key, 'sk-chosen-for-the-rotation-1');
    assert.equal((await gateway.chat(byPath.body.key, 'mock-gpt')).status, 401);
    assert.equal((await post('/key/nobody/regenerate', {})).status, 404);
  });

  test('POST /key/delete by key, hash or alias; one that is not there undoes all, none at all is refused', async () => {
    const made = await Promise.all(
      ['x', 'y', 'z'].map((name) => post('/key/generate', { key_alias: `wire-d${name}` })),
    );
    const [x, y] = made.map(({ body }) => body);
    assert.equal((await post('/key/delete', { keys: [x.key, 'nobody'] })).status, 404);
    assert.equal((await post('/key/delete', { keys: [] })).status, 400);
    const { status, body } = await post('/key/delete', { keys: [x.key, y.token, x.token], key_aliases: ['wire-dz'] });
    assert.equal(status, 200);
    assert.deepEqual(
      body.deleted_keys,
      made.map((each) => each.body.token as string),
    );
  });

  test('GET /key/list gives hashes, or whole keys when asked for, page by page', async () => {
    const hashes = await get('/key/list?size=2&include_team_keys=false');
    assert.equal(hashes.body.keys.length, 2);
    for (const hash of hashes.body.keys) assert.match(hash, /^[0-9a-f]{64}$/);
    assert.equal(hashes.body.total_pages, Math.ceil(hashes.body.total_count / 2));
    const whole = await get('/key/list?return_full_object=True&key_alias=wire-u');
    assert.partialDeepStrictEqual(whole.body.keys, [{ key_alias: 'wire-u' }]);
    assert.equal((await get('/key/list?size=101')).status, 400);
    assert.equal((await get('/key/list?colour=blue')).body.error.type, 'unknown_field');
  });
});

test('reports that take long hold up no change', async () => {
  const holder = await gateway.pool.connect();
  try {
    await holder.query('begin; lock table gatewayctl.daily_spend in access exclusive mode');
    const path = '/user/daily/activity?start_date=2026-01-01&end_date=2026-01-02';
    const reports = Promise.all(Array.from({ length: 30 }, () => gateway.request('GET', path)));
    await until(async () => {
      const { rows } = await gateway.pool.query<{ waiting: number }>(
        `select count(*)::int as waiting from pg_stat_activity where wait_event_type = 'Lock'`,
      );
      return rows[0]!.waiting >= 5;
    });
    assert.equal((await gateway.request('POST', '/key/generate', { body: {} })).status, 200);
    await holder.query('commit');
    assert.deepEqual([...new Set((await reports).map(({ status }) => status))], [200]);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
});

test('a burst of keys for one team waits its turn, and calls of models go on meanwhile', async () => {
  const post = (path: string, body: object) => gateway.request('POST', path, { body });
  await post('/team/new', { team_id: 'busy' });
  const { body: fresh } = await post('/key/generate', {});
  const holder = await gateway.pool.connect();
  try {
    await holder.query(`begin; select 1 from gatewayctl.teams where id = 'busy' for update`);
    const burst = Promise.all(Array.from({ length: 210 }, () => post('/key/generate', { team_id: 'busy' })));
    await until(async () => {
      const { rows } = await gateway.pool.query<{ waiting: number }>(
        `select count(*)::int as waiting from pg_stat_activity where wait_event_type = 'Lock'`,
      );
      return rows[0]!.waiting >= 5;
    });
    // A key nobody has asked for yet has to be looked up in the database.
    const answer = await gateway.chat(fresh.key, 'mock-gpt');
    assert.equal(answer.status, 200, answer.text);
    await holder.query('commit');
    const statuses = (await burst).map(({ status }) => status);
    assert.deepEqual([...new Set(statuses)], [200]);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
});
