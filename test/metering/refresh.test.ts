import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGateway } from '../support/gateway.ts';

test('what an administrator says a key or a team has spent counts from the next call on', async () => {
  await using gateway = await startGateway();
  const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
  await post('/model/new', {
    model_name: 'priced',
    litellm_params: { model: 'mock/priced', input_cost_per_token: 0.000_001, output_cost_per_token: 0.000_002 },
  });
  await post('/team/new', { team_id: 'crew', max_budget: 10 });
  const { key } = (await post('/key/generate', { key_alias: 'member', team_id: 'crew', max_budget: 10 })).body;
  assert.equal((await gateway.chat(key, 'priced')).status, 200);

  // Nothing but the announcement of a change tells the daemon of this.
  for (const [table, id, change, path] of [
    ['keys', `alias = 'member'`, { key, metadata: { changed: 1 } }, '/key/update'],
    ['teams', `id = 'crew'`, { team_id: 'crew', metadata: { changed: 1 } }, '/team/update'],
  ] as const) {
    await gateway.pool.query(`update gatewayctl.${table} set spend = 10000000000 where ${id}`);
    assert.equal((await post(path, change)).status, 200);
    assert.equal((await gateway.chatUntil(429, key, 'priced')).body.error.type, 'budget_exceeded');
    await gateway.pool.query(`update gatewayctl.${table} set spend = 0 where ${id}`);
    assert.equal((await post(path, change)).status, 200);
    await gateway.chatUntil(200, key, 'priced');
  }
});
