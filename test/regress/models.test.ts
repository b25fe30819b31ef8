import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeWorld, type World } from '../keys/world.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await makeWorld(gateway);
});
after(() => gateway[Symbol.asyncDispose]());

async function make(id: string, params: object, info: object = {}): Promise<void> {
  const body = {
    model_name: id,
    litellm_params: { model: 'openai/gpt-4o-mini', ...params },
    model_info: { id, team_id: 'red', ...info },
  };
  const answer = await gateway.request('POST', '/model/new', { body });
  assert.equal(answer.status, 200, answer.text);
}

test('PR #27878: a team’s administrator calls no other model by what administrators set up for one', async () => {
  const credential = { credential_name: 'house', credential_values: { api_key: 'sk-house-0123456789' } };
  assert.equal((await gateway.request('POST', '/credentials', { body: credential })).status, 200);
  await make('priced', { api_key: 'sk-red-0123456789', input_cost_per_token: 0, output_cost_per_token: 0 });
  await make('elsewhere', { api_key: 'sk-red-0123456789', api_base: 'https://example.com/v1' });
  await make('lent', { litellm_credential_name: 'house' });
  await make('named', { api_key: 'os.environ/HOUSE_KEY' });
  await make('own', { api_key: 'sk-red-0123456789' });
  for (const id of ['priced', 'elsewhere', 'lent', 'named']) {
    for (const path of ['/model/update', `/model/${id}/update`]) {
      const body = {
        litellm_params: { model: 'openai/o1-pro' },
        ...(path === '/model/update' && { model_info: { id } }),
      };
      const method = path === '/model/update' ? 'POST' : 'PATCH';
      const answer = await gateway.request(method, path, { key: world.keys['lead'] ?? '', body });
      assert.equal(answer.status, 403, `${id}: ${answer.text}`);
      assert.equal(answer.body.error.param, 'litellm_params.model');
    }
  }
  const own = { model_info: { id: 'own' }, litellm_params: { model: 'openai/o1-pro' } };
  assert.equal((await world.as('lead', '/model/update', own)).status, 200);
  const same = { model_info: { id: 'lent', mode: 'chat' }, litellm_params: { model: 'openai/gpt-4o-mini' } };
  assert.equal((await world.as('lead', '/model/update', same)).status, 200);
});

test('a team that goes with its organization takes its models along, and the rehearsal and the audit say so', async () => {
  await gateway.request('POST', '/organization/new', { body: { organization_id: 'gone', organization_alias: 'gone' } });
  await gateway.request('POST', '/team/new', { body: { team_id: 'doomed', organization_id: 'gone' } });
  await make('doomed-model', { api_key: 'sk-red-0123456789' }, { team_id: 'doomed' });
  const body = { organization_ids: ['gone'], cascade: true };
  const rehearsed = await gateway.request('POST', '/organization/delete', { body: { ...body, dry_run: true } });
  const deleted = { action: 'deleted', object_type: 'model', object_id: 'doomed-model' };
  const changes: { action: string; object_type: string; object_id: string }[] = rehearsed.body.changes;
  assert.ok(
    changes.some((each) => Object.entries(deleted).every(([name, value]) => Reflect.get(each, name) === value)),
    rehearsed.text.slice(0, 500),
  );
  assert.equal((await gateway.request('POST', '/organization/delete', { body })).status, 200);
  const { rows } = await gateway.pool.query(
    `select (select count(*)::int from gatewayctl.models where id = 'doomed-model') as models,
            (select count(*)::int from gatewayctl.audit_log where object_id = 'doomed-model' and action = 'deleted') as audited`,
  );
  assert.deepEqual(rows, [{ models: 0, audited: 1 }]);
});
