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
  test(`tag is created, shown, changed and deleted, by ${way}`, async () => {
    const run = (line: string) => gateway.gatewayctl(line.replaceAll('WAY', way), way);
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);
    await run('budget create t-WAY --max-parallel 2');
    const made = await run(
      'tag create batch-WAY --description "Over night" --max-budget 100 --soft-budget 80 --budget-duration 1d --budget t-WAY',
    );
    assert.equal(made.exit, 0, made.err);
    assert.partialDeepStrictEqual(await json('tag get batch-WAY'), {
      name: `batch-${way}`,
      description: 'Over night',
      max_budget: 100,
      soft_budget: 80,
      spend: 0,
      litellm_budget_table: { budget_id: `t-${way}`, max_parallel_requests: 2 },
    });
    const changed = await json('tag update batch-WAY --max-budget none --rpm-limit 5');
    assert.partialDeepStrictEqual(changed, { max_budget: null, soft_budget: 80, rpm_limit: 5 });
    assert.equal((await run('tag create batch-WAY')).exit, 6);
    const there = await run('tag create batch-WAY --rpm-limit 5 --if-not-exists');
    assert.equal(there.exit, 0, there.err);
    const other = await run('tag create batch-WAY --rpm-limit 6 --if-not-exists');
    assert.equal(other.exit, 6);
    assert.match(other.err, /rpm_limit: wanted 6, is 5/);
    assert.deepEqual(
      (await json('tag list')).map((each: Record<string, unknown>) => each['name']).includes(`batch-${way}`),
      true,
    );
    assert.equal((await run('tag delete batch-WAY')).exit, 2, 'asks first');
    assert.equal((await run('tag delete batch-WAY --yes')).exit, 0);
    assert.equal((await run('tag delete batch-WAY --yes')).exit, 3);
  });
}

describe('tag, as LiteLLM’s clients ask for it', () => {
  test('POST /tag/new, /tag/update and /tag/delete answer a message and the tag', async () => {
    const made = await post('/tag/new', { name: 'wire', max_budget: 3, models: [] });
    assert.partialDeepStrictEqual(made.body, { message: 'Tag wire created successfully', tag: { max_budget: 3 } });
    const again = await post('/tag/new', { name: 'wire' });
    assert.deepEqual([again.status, again.body.error.param], [400, 'name']);
    const { body: updated } = await post('/tag/update', { name: 'wire', description: 'a wire' });
    assert.partialDeepStrictEqual(updated.tag, { max_budget: 3, description: 'a wire' });
    const { body: several } = await post('/tag/info', { names: ['wire', 'nobody'] });
    assert.deepEqual(Object.keys(several), ['wire']);
    assert.equal((await post('/tag/info', { names: ['nobody'] })).status, 404);
    assert.equal((await get('/tag/list')).body[0].name, 'wire');
    const routed = await post('/tag/new', { name: 'routed', models: ['gpt-4o'] });
    assert.deepEqual([routed.status, routed.body.error.type], [400, 'unsupported_field']);
    assert.equal((await post('/tag/delete', { name: 'wire' })).body.tag.name, 'wire');
    const { rows } = await gateway.pool.query(
      `select action from gatewayctl.audit_log where object_type = 'tag' and object_id = 'wire'`,
    );
    assert.deepEqual(rows.map(({ action }) => String(action)).toSorted(), ['created', 'deleted', 'updated']);
  });

  test('is for administrators; whoever sees everything may read', async () => {
    await post('/tag/new', { name: 'seen' });
    const keyOf = async (user_id: string, user_role: string) =>
      (await post('/user/new', { user_id, user_role })).body.key as string;
    const viewer = await keyOf('viewer', 'proxy_admin_viewer');
    const plain = await keyOf('plain', 'internal_user');
    assert.equal((await post('/tag/info', { names: ['seen'] }, viewer)).status, 200);
    assert.equal((await post('/tag/info', { names: ['seen'] }, plain)).status, 403);
    for (const key of [viewer, plain]) assert.equal((await post('/tag/delete', { name: 'seen' }, key)).status, 403);
  });
});
