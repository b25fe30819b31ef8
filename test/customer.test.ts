import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown, key?: string) =>
  gateway.request('POST', path, { body, ...(key !== undefined && { key }) });
const get = (path: string, key?: string) => gateway.request('GET', path, key === undefined ? {} : { key });

for (const way of ways.slice(0, 2)) {
  test(`customer is created, shown, changed, blocked and deleted, by ${way}`, async () => {
    const run = (line: string) => gateway.gatewayctl(line.replaceAll('WAY', way), way);
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);
    await run('budget create c-WAY --rpm-limit 9');
    const made = await run('customer create a-WAY --max-budget 2.5 --budget-duration 1d --tpm-limit 90');
    assert.equal(made.exit, 0, made.err);
    const expected = { user_id: `a-${way}`, max_budget: 2.5, budget_duration: '1d', tpm_limit: 90, blocked: false };
    assert.partialDeepStrictEqual(await json('customer get a-WAY'), expected);
    assert.partialDeepStrictEqual(await json('end-user update a-WAY --max-budget none --budget c-WAY'), {
      max_budget: null,
      tpm_limit: 90,
      litellm_budget_table: { budget_id: `c-${way}`, rpm_limit: 9 },
    });
    assert.equal((await run('budget delete c-WAY --yes')).exit, 6, 'a customer shares it');
    const both = await run('customer update a-WAY --max-budget 1 --budget c-WAY');
    assert.equal(both.exit, 9);
    assert.match(both.err, /Both max_budget and budget_id were given/);
    assert.equal((await run('customer create a-WAY')).exit, 6);
    assert.equal((await run('customer create a-WAY --tpm-limit 90 --if-not-exists')).exit, 0);
    assert.equal((await run('customer create a-WAY --tpm-limit 91 --if-not-exists')).exit, 6);
    const blocked = await json('customer block a-WAY unseen-WAY');
    assert.deepEqual(
      blocked.map((each: Record<string, unknown>) => [each['user_id'], each['blocked']]),
      [
        [`a-${way}`, true],
        [`unseen-${way}`, true],
      ],
    );
    assert.equal((await json('customer unblock a-WAY'))[0].blocked, false);
    assert.equal((await run('customer unblock nobody')).exit, 3);
    assert.equal((await run('customer delete a-WAY nobody --yes')).exit, 3, 'all or none');
    assert.equal((await run('customer get a-WAY')).exit, 0);
    assert.equal((await run('customer delete a-WAY')).exit, 2, 'asks first');
    assert.equal((await run('customer delete a-WAY --yes')).exit, 0);
    assert.equal((await run('customer get a-WAY')).exit, 3);
  });
}

describe('customer, as LiteLLM’s clients ask for it', () => {
  for (const prefix of ['/customer', '/end_user']) {
    test(`${prefix}/* makes, shows, blocks, lists and deletes`, async () => {
      const id = `wire${prefix.replace('/', '-')}`;
      const made = await post(`${prefix}/new`, { user_id: id, alias: 'W', allowed_model_region: null });
      assert.equal(made.status, 200);
      assert.partialDeepStrictEqual(made.body, { user_id: id, alias: 'W', spend: 0, litellm_budget_table: null });
      const again = await post(`${prefix}/new`, { user_id: id });
      assert.equal(again.status, 400);
      assert.partialDeepStrictEqual(again.body.error, { type: 'bad_request', param: 'user_id' });
      assert.match(again.body.error.message, new RegExp(`^Customer already exists, passed user_id=${id}`));
      assert.equal((await get(`${prefix}/info?end_user_id=${id}`)).body.user_id, id);
      assert.equal((await get(`${prefix}/info?end_user_id=nobody`)).status, 404);
      const blocked = await post(`${prefix}/block`, { user_ids: [id, id] });
      assert.deepEqual([blocked.body.blocked_users.length, blocked.body.blocked_users[0].blocked], [1, true]);
      assert.equal((await get(`${prefix}/list`)).body[0].user_id, id);
      const gone = await post(`${prefix}/delete`, { user_ids: [id] });
      assert.deepEqual(gone.body, { deleted_customers: 1, message: `Successfully deleted customers with ids: ${id}` });
    });
  }

  test('two budgets are 422, a budget that is not there 404, and what is not served is refused by name', async () => {
    await post('/budget/new', { budget_id: 'one' });
    const two = await post('/customer/new', { user_id: 'two', budget_id: 'one', max_budget: 1 });
    assert.equal(two.status, 422);
    const none = await post('/customer/new', { user_id: 'two', budget_id: 'nobody' });
    assert.deepEqual([none.status, none.body.error.param], [404, 'budget_id']);
    const { status, body } = await post('/customer/new', { user_id: 'two', default_model: 'eu' });
    assert.deepEqual([status, body.error.type, body.error.param], [400, 'unsupported_field', 'default_model']);
    const elsewhere = await post('/customer/new', { user_id: 'two', allowed_model_region: 'mars' });
    assert.deepEqual([elsewhere.status, elsewhere.body.error.param], [400, 'allowed_model_region']);
    assert.equal((await get('/customer/info?end_user_id=two')).status, 404, 'nothing was written');
  });

  test('is for administrators, and every change stands in the audit log', async () => {
    const { body } = await post('/user/new', { user_id: 'plain' });
    for (const { status } of [
      await get('/customer/list', body.key),
      await get('/customer/info?end_user_id=x', body.key),
      await post('/customer/new', { user_id: 'mine' }, body.key),
      await post('/end_user/block', { user_ids: ['x'] }, body.key),
    ])
      assert.equal(status, 403);
    await post('/customer/new', { user_id: 'logged' });
    await post('/customer/block', { user_ids: ['logged', 'new-one'] });
    await post('/customer/delete', { user_ids: ['logged'] });
    const { rows } = await gateway.pool.query(
      `select action, object_id from gatewayctl.audit_log
       where object_type = 'customer' and object_id in ('logged', 'new-one')`,
    );
    assert.deepEqual(rows.map(({ action, object_id: id }) => `${action} ${id}`).toSorted(), [
      'blocked logged',
      'created logged',
      'created new-one',
      'deleted logged',
    ]);
  });
});
