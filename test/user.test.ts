import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
const get = (path: string) => gateway.request('GET', path);
const idsOf = (users: { user_id: string }[]) => users.map(({ user_id: id }) => id);

for (const way of ways) {
  describe(`user, by ${way}`, () => {
    const run = (line: string) => gateway.gatewayctl(line, way);
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);

    test('create makes a user that get finds by id and by address, in any case of its letters', async () => {
      const made = await run(
        `user create --id ${way}-a --email ${way}.A@Example.com --alias 'Anna A.' --role internal_user --max-budget 20`,
      );
      assert.equal(made.exit, 0, made.err);
      const expected = {
        user_id: `${way}-a`,
        user_email: `${way}.A@Example.com`,
        user_alias: 'Anna A.',
        user_role: 'internal_user',
        max_budget: 20,
        spend: 0,
      };
      assert.partialDeepStrictEqual(await json(`user get ${way}-a`), expected);
      assert.partialDeepStrictEqual(await json(`user get ${way}.a@example.com`), expected);
    });

    test('create makes no key on the command line, and puts the user into teams', async () => {
      await run(`team create --alias ${way}-t --id ${way}-t`);
      const made = await json(`user create --id ${way}-k --teams ${way}-t`);
      assert.equal(made.key, null);
      assert.deepEqual(
        (await json(`team get ${way}-t`)).members_with_roles.map(({ user_id: id }: { user_id: string }) => id),
        [`${way}-k`],
      );
    });

    test('create refuses an id and an address that are taken, and makes nothing', async () => {
      await run(`user create --id ${way}-d --email ${way}-d@example.com`);
      const id = await run(`user create --id ${way}-d`);
      assert.equal(id.exit, 6);
      assert.match(id.err, new RegExp(`User with user_id ${way}-d already exists`));
      const email = await run(`user create --id ${way}-d2 --email ${way}-D@example.com`);
      assert.equal(email.exit, 6);
      assert.match(email.err, /already exists/);
      assert.equal((await run(`user get ${way}-d2`)).exit, 3);
    });

    test('update changes what is named and clears with none', async () => {
      await run(`user create --id ${way}-u --max-budget 5 --email ${way}-u@example.com`);
      assert.partialDeepStrictEqual(await json(`user update ${way}-u --role proxy_admin_viewer`), {
        max_budget: 5,
        user_role: 'proxy_admin_viewer',
        user_email: `${way}-u@example.com`,
      });
      assert.partialDeepStrictEqual(await json(`user update ${way}-u --max-budget none --email none`), {
        max_budget: null,
        user_email: null,
      });
      assert.equal((await run(`user update ${way}-u`)).exit, 2);
      const role = await run(`user update ${way}-u --role emperor`);
      assert.equal(role.exit, 2);
      assert.match(role.err, /proxy_admin/);
    });

    test('delete takes personal keys along', async () => {
      await run(`user create --id ${way}-p`);
      const secret = (await run(`key generate --user ${way}-p -q`)).out.trim();
      assert.equal((await gateway.chat(secret, 'mock-gpt')).status, 200);
      const { exit, err } = await run(`user delete ${way}-p --confirm ${way}-p`);
      assert.equal(exit, 0, err);
      assert.match(err, /1 deleted, with 1 keys/);
      await gateway.chatUntil(401, secret);
      assert.equal((await run(`user get ${way}-p`)).exit, 3);
    });

    test('delete refuses a user with keys of a team, unless it is told to cascade', async () => {
      await run(`team create --alias ${way}-ct`);
      await run(`team member add ${way}-ct ${way}-c`);
      await run(`key generate --team ${way}-ct --user ${way}-c --alias ${way}-ck`);
      const refused = await run(`user delete ${way}-c --confirm ${way}-c`);
      assert.equal(refused.exit, 6);
      assert.match(refused.err, new RegExp(`holds keys of a team: ${way}-ck`));
      assert.equal((await run(`key get ${way}-ck`)).exit, 0);
      assert.equal((await run(`user delete ${way}-c --cascade --confirm ${way}-c`)).exit, 0);
      assert.equal((await run(`key get ${way}-ck`)).exit, 3);
    });

    test('list filters by role, address and id', async () => {
      await run(`user create --id ${way}-l1 --email ${way}.l_1@example.com --role proxy_admin_viewer`);
      await run(`user create --id ${way}-l2 --email ${way}.lx2@example.com`);
      const list = async (flags: string) => idsOf(await json(`user list ${flags}`));
      assert.deepEqual(await list(`--email-contains ${way}.l_`), [`${way}-l1`], 'an underscore is an underscore');
      assert.deepEqual(await list(`--ids ${way}-l1,${way}-l2 --sort user_id`), [`${way}-l1`, `${way}-l2`]);
      assert.ok((await list('--role proxy_admin_viewer -n 100')).includes(`${way}-l1`));
      assert.deepEqual(await list('--email-contains %%%%%%%%'), []);
      const all = await run(`user list --all --email-contains ${way}.l -q`);
      assert.deepEqual(all.out.trim().split('\n').toSorted(), [`${way}-l1`, `${way}-l2`], all.err);
    });
  });
}

describe('user, as LiteLLM’s clients ask for it', () => {
  test('POST /user/new makes a key of the user too, which works', async () => {
    const { status, body } = await post('/user/new', { user_id: 'wire-a', user_email: 'wire-a@example.com' });
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, { user_id: 'wire-a', user_role: 'internal_user', max_budget: null });
    assert.match(body.key, /^sk-/);
    assert.equal((await gateway.chat(body.key, 'mock-gpt')).status, 200);
    assert.equal((await post('/user/new', { user_id: 'wire-b', auto_create_key: false })).body.key, null);
  });

  test('POST /user/new for a user that is there is 400', async () => {
    await post('/user/new', { user_id: 'wire-dup', auto_create_key: false });
    const { status, body } = await post('/user/new', { user_id: 'wire-dup' });
    assert.equal(status, 400);
    assert.equal(body.error.param, 'user_id');
  });

  test('a team that is not there undoes the user', async () => {
    const { status } = await post('/user/new', { user_id: 'wire-undone', teams: ['nobody'] });
    assert.equal(status, 404);
    assert.equal((await get('/user/info?user_id=wire-undone')).status, 404);
  });

  test('unknown and unserved fields are refused by name', async () => {
    const typo = await post('/user/new', { user_emial: 'x@example.com' });
    assert.partialDeepStrictEqual(typo.body.error, { param: 'user_emial', hint: 'Did you mean user_email?' });
    const password = await post('/user/new', { user_id: 'x', password: 'hunter22' });
    assert.equal(password.status, 400);
    assert.ok(!password.text.includes('hunter22'));
    assert.equal((await post('/user/new', { user_id: 'wire-null', password: null, permissions: {} })).status, 200);
  });

  test('GET /user/info shows the user with keys and teams', async () => {
    await post('/team/new', { team_id: 'wire-it', members_with_roles: [{ user_id: 'wire-i' }] });
    const key = await post('/key/generate', { user_id: 'wire-i', team_id: 'wire-it', key_alias: 'wire-ik' });
    const { status, body, text } = await get('/user/info?user_id=wire-i');
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, {
      user_id: 'wire-i',
      user_info: { user_id: 'wire-i', spend: 0 },
      keys: [{ key_alias: 'wire-ik' }],
      teams: [{ team_id: 'wire-it' }],
    });
    assert.ok(!text.includes(key.body.key));
    assert.equal((await get('/user/info?user_id=nobody')).status, 404);
  });

  test('POST /user/update by id or by address: absent leaves, null clears', async () => {
    await post('/user/new', { user_id: 'wire-u', user_email: 'wire-u@example.com', max_budget: 3 });
    const byId = await post('/user/update', { user_id: 'wire-u', models: ['a'] });
    assert.equal(byId.body.user_id, 'wire-u');
    assert.partialDeepStrictEqual(byId.body.data, { max_budget: 3, models: ['a'] });
    const byEmail = await post('/user/update', { user_email: 'WIRE-U@example.com', max_budget: null });
    assert.partialDeepStrictEqual(byEmail.body.data, { user_email: 'wire-u@example.com', max_budget: null });
    assert.equal((await post('/user/update', { user_id: 'nobody', max_budget: 1 })).status, 404);
    assert.equal((await post('/user/update', { max_budget: 1 })).status, 400);
  });

  test('the total of a list that is too long to count leads to its end and no further', async () => {
    const { pool } = gateway;
    await pool.query('alter table gatewayctl.users set (autovacuum_enabled = off)');
    await pool.query('analyze gatewayctl.users');
    await pool.query(
      `insert into gatewayctl.users (id, role, created_at, created_by, updated_at, updated_by)
       select 'many-' || i, 'proxy_admin_viewer', now(), 'test', now(), 'test' from generate_series(1, 10150) i`,
    );
    const page = async (number: number) =>
      (await get(`/user/list?role=proxy_admin_viewer&page_size=100&page=${number}`)).body;
    const { total } = await page(1);
    await pool.query('alter system set cpu_tuple_cost = 1000');
    await pool.query('select pg_reload_conf()');
    await until(async () => (await page(1)).total < total);
    const within = await page(101);
    assert.ok(within.total > 10_100, `page 101 of ${within.total} users`);
    const last = await page(Math.ceil(total / 100));
    await pool.query('alter system reset cpu_tuple_cost');
    await pool.query('select pg_reload_conf()');
    await pool.query(`delete from gatewayctl.users where id like 'many-%'`);
    assert.equal(last.total, total);
  });

  test('GET /user/list has pages', async () => {
    const { body } = await get('/user/list?page=1&page_size=2&sort_by=user_id&sort_order=desc');
    assert.equal(body.users.length, 2);
    assert.deepEqual(idsOf(body.users), idsOf(body.users).toSorted().toReversed());
    assert.equal(body.total_pages, Math.ceil(body.total / 2));
    const by = await get('/user/list?user_ids=wire-a,wire-u');
    assert.deepEqual(idsOf(by.body.users).toSorted(), ['wire-a', 'wire-u']);
    assert.equal((await get('/user/list?page_size=101')).status, 400);
  });

  test('POST /user/delete answers with what was deleted; one that is not there undoes all', async () => {
    await post('/user/new', { user_id: 'wire-d1', auto_create_key: false });
    assert.equal((await post('/user/delete', { user_ids: ['wire-d1', 'nobody'] })).status, 404);
    const { status, body } = await post('/user/delete', { user_ids: ['wire-d1', 'wire-d1'] });
    assert.equal(status, 200);
    assert.deepEqual(idsOf(body.deleted_users), ['wire-d1']);
  });

  test('one new user named by many at once is made once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post('/key/generate', { user_id: 'wire-new-racer' })),
    );
    for (const { status, text } of answers) assert.equal(status, 200, text);
    const { rows } = await gateway.pool.query(
      `select count(*)::int as n from gatewayctl.audit_log where object_type = 'user' and object_id = 'wire-new-racer'`,
    );
    assert.equal(rows[0].n, 1);
  });
});
