import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const request = (method: string, path: string, body?: unknown, key?: string) =>
  gateway.request(method, path, { body, ...(key === undefined ? {} : { key }) });
const post = async (path: string, body: unknown) => {
  const answer = await request('POST', path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const aKey = async (fields: object): Promise<string> => (await post('/key/generate', fields)).key;
const aModel = (name: string, info: object = {}, params: object = {}) =>
  post('/model/new', { model_name: name, litellm_params: { model: 'mock/x', ...params }, model_info: info });
const status = async (key: string, model: string) => (await gateway.chat(key, model)).status;
const idsOf = async (key: string, query = ''): Promise<string[]> =>
  (await request('GET', `/v1/models${query}`, undefined, key)).body.data.map(({ id }: { id: string }) => id);
const namesOf = async (key: string | undefined, path: string): Promise<string[]> => {
  const answer = await request('GET', path, undefined, key);
  assert.equal(answer.status, 200, answer.text);
  return answer.body.data.map(
    (each: { model_name?: string; model_group?: string }) => each.model_name ?? each.model_group,
  );
};

describe('an access group', () => {
  before(async () => {
    await aModel('plain');
    await aModel('beta-1', { access_groups: ['beta'] });
    await aModel('beta/*', { access_groups: ['beta', 'wild'] });
  });

  test('in the list of a key, a team or a user lets all of its models through, and no other', async () => {
    await post('/team/new', { team_id: 'beta-team', models: ['beta'] });
    await post('/user/new', { user_id: 'beta-user', models: ['beta'] });
    const keys = [
      await aKey({ models: ['beta'] }),
      await aKey({ team_id: 'beta-team' }),
      await aKey({ user_id: 'beta-user' }),
    ];
    for (const key of keys) {
      assert.equal(await status(key, 'beta-1'), 200);
      assert.equal(await status(key, 'beta/anything'), 200);
      assert.equal(await status(key, 'plain'), 403);
    }
    const wild = await aKey({ models: ['wild'] });
    assert.equal(await status(wild, 'beta/x'), 200);
    assert.equal(await status(wild, 'beta-1'), 403);
  });

  test('is listed where it is asked for, to whoever may call all of it', async () => {
    const beta = await aKey({ models: ['beta'] });
    assert.deepEqual(await idsOf(beta), ['beta-1']);
    assert.deepEqual(await idsOf(beta, '?include_model_access_groups=true'), ['beta-1', 'beta', 'wild']);
    assert.deepEqual(await idsOf(beta, '?only_model_access_groups=True'), ['beta', 'wild']);
    const one = await aKey({ models: ['beta-1'] });
    assert.deepEqual(await idsOf(one, '?include_model_access_groups=true'), ['beta-1']);
  });

  test('is made, shown, changed and deleted, and takes effect at once', async () => {
    const key = await aKey({ models: ['made'] });
    assert.equal(await status(key, 'plain'), 403);
    const made = await post('/access_group/new', { access_group: 'made', model_names: ['plain'] });
    assert.deepEqual(made, { access_group: 'made', model_names: ['plain'], deployment_count: 1, models_updated: 1 });
    assert.equal(await status(key, 'plain'), 200);
    assert.equal(
      (await request('POST', '/access_group/new', { access_group: 'made', model_names: ['plain'] })).status,
      409,
    );

    const changed = await request('PUT', '/access_group/made/update', { model_names: ['beta-1'] });
    assert.deepEqual(changed.body.model_names, ['beta-1']);
    assert.equal(changed.body.models_updated, 2);
    assert.equal(await status(key, 'plain'), 403);
    assert.equal(await status(key, 'beta-1'), 200);
    const { access_groups: groups } = (await request('GET', '/access_group/list')).body;
    assert.deepEqual(
      groups.map(({ access_group: name }: { access_group: string }) => name),
      ['beta', 'made', 'wild'],
    );

    const deleted = await gateway.gatewayctl('access-group delete made --yes', 'socket');
    assert.equal(deleted.exit, 0, deleted.err);
    assert.equal(await status(key, 'beta-1'), 403);
    assert.equal((await request('GET', '/access_group/made/info')).status, 404);
    assert.equal(await status(await aKey({ models: ['beta'] }), 'beta-1'), 200, 'the other group is as it was');
  });

  test('is not made of models nobody knows, and not of what the configuration has', async () => {
    const unknown = await gateway.gatewayctl('access-group create x --models nobody');
    assert.equal(unknown.exit, 3);
    const configured = await gateway.gatewayctl('access-group create x --models plain,mock-gpt');
    assert.equal(configured.exit, 6);
    assert.match(configured.err, /mock-gpt is set up in the configuration/);
    assert.match(configured.err, /model_info\.access_groups/);
    assert.equal((await request('GET', '/access_group/x/info')).status, 404, 'nothing half written');
  });
});

describe('a model of a team', () => {
  let own: string;
  let other: string;
  before(async () => {
    for (const id of ['red', 'blue'])
      await post('/team/new', { team_id: id, team_alias: `${id} team`, models: ['shared'] });
    await aModel('shared', {}, { mock_response: 'from everybody' });
    await aModel('shared', { id: 'red-1', team_id: 'red' }, { mock_response: 'from red' });
    await aModel('red-internal', { id: 'red-2', team_id: 'red', team_public_model_name: 'private' });
    own = await aKey({ team_id: 'red' });
    other = await aKey({ team_id: 'blue' });
  });
  const answerOf = async (key: string, model: string) =>
    (await gateway.chat(key, model)).body.choices?.[0].message.content;

  test('is called by its team alone, under its public name, and before everybody’s of that name', async () => {
    assert.equal(await answerOf(own, 'shared'), 'from red');
    assert.equal(await answerOf(other, 'shared'), 'from everybody');
    assert.equal(await answerOf(gateway.daemon.masterKey, 'shared'), 'from everybody');
    assert.equal(await status(own, 'private'), 200, 'also without standing in the team’s list');
    assert.equal(await status(own, 'red-internal'), 403);
    assert.equal(await status(other, 'private'), 403);
    assert.equal(await status(await aKey({}), 'private'), 400);
  });

  test('is shown to its team and to administrators', async () => {
    assert.deepEqual((await idsOf(own)).toSorted(), ['private', 'shared']);
    assert.deepEqual(await idsOf(other), ['shared']);
    assert.equal((await request('GET', '/v1/models/private', undefined, other)).status, 404);
    assert.equal((await request('GET', '/v1/models?team_id=red', undefined, other)).status, 403);
    assert.ok((await idsOf(gateway.daemon.masterKey, '?team_id=red')).includes('private'));
    assert.deepEqual((await namesOf(own, '/v2/model/info')).toSorted(), ['private', 'shared', 'shared']);
    assert.deepEqual(await namesOf(other, '/v1/model/info'), ['shared']);
    assert.ok((await namesOf(undefined, '/model/info')).includes('red-internal'));
    assert.equal((await request('GET', '/model/info?litellm_model_id=red-2', undefined, other)).status, 404);
  });

  test('is set up by whoever administers the team, without an address, a credential or a price', async () => {
    await post('/user/new', { user_id: 'ruth', user_role: 'internal_user' });
    await post('/team/member_add', { team_id: 'red', member: { role: 'admin', user_id: 'ruth' } });
    const ruth = await aKey({ user_id: 'ruth' });
    const asRuth = (info: object, params: object = {}) =>
      request(
        'POST',
        '/model/new',
        { model_name: 'by-ruth', litellm_params: { model: 'mock/x', ...params }, model_info: info },
        ruth,
      );
    for (const [info, params, param] of [
      [{}, {}, 'model_info.team_id'],
      [{ team_id: 'red' }, { api_base: 'http://127.0.0.1:9' }, 'litellm_params.api_base'],
      [{ team_id: 'red' }, { allow_private_network: true }, 'litellm_params.allow_private_network'],
      [{ team_id: 'red' }, { litellm_credential_name: 'any' }, 'litellm_params.litellm_credential_name'],
      [{ team_id: 'red' }, { input_cost_per_token: 0 }, 'litellm_params.input_cost_per_token'],
      [{ team_id: 'red' }, { api_key: 'os.environ/PATH' }, 'litellm_params.api_key'],
      [{ team_id: 'red', input_cost_per_token: 0 }, {}, 'model_info.input_cost_per_token'],
      [{ team_id: 'red', base_model: 'openai/gpt-4o-mini' }, {}, 'model_info.base_model'],
    ] as const) {
      const refused = await asRuth(info, params);
      assert.equal(refused.status, 403, `${param}: ${refused.text}`);
      assert.equal(refused.body.error.param, param);
    }
    // A team she does not belong to is one that is not there, to her.
    assert.equal((await asRuth({ team_id: 'blue' }, {})).status, 404);
    const made = await asRuth({ id: 'ruths', team_id: 'red' });
    assert.equal(made.status, 200, made.text);
    assert.equal(await status(own, 'by-ruth'), 200);
    const update = (id: string, body: object) => request('PATCH', `/model/${id}/update`, body, ruth);
    assert.equal((await update('ruths', { litellm_params: { api_base: 'http://127.0.0.1:9' } })).status, 403);
    assert.equal((await update('ruths', { model_info: { team_id: null } })).status, 403);
    assert.equal((await update('red-1', { litellm_params: { model: 'mock/y' } })).status, 200);
    const shared = (await namesOf(undefined, '/v2/model/info?model_name=plain')).length;
    assert.equal(shared, 1);
    assert.equal((await update('plain', { litellm_params: { model: 'mock/y' } })).status, 403);
    assert.equal((await request('POST', '/model/delete', { id: 'ruths' }, ruth)).status, 200);
  });

  test('is gone with its team, and a new team of the same name does not find it', async () => {
    await post('/team/delete', { team_ids: ['red'] });
    await post('/team/new', { team_id: 'red' });
    const later = await aKey({ team_id: 'red' });
    assert.equal(await status(later, 'private'), 400);
    assert.equal(await answerOf(later, 'shared'), 'from everybody');
    assert.equal((await request('GET', '/model/info?litellm_model_id=red-1')).status, 404);
  });

  test('is not made for a team that is not there, nor a public name without a team', async () => {
    for (const info of [{ team_id: 'nobody' }, { team_public_model_name: 'x' }]) {
      const answer = await request('POST', '/model/new', {
        model_name: 'x',
        litellm_params: { model: 'mock/x' },
        model_info: info,
      });
      assert.ok([400, 404].includes(answer.status), answer.text);
    }
  });

  test('goes when the row of its team goes, whoever deletes it', async () => {
    await post('/team/new', { team_id: 'green' });
    await aModel('green-1', { id: 'green-1', team_id: 'green' });
    await gateway.pool.query(`delete from gatewayctl.teams where id = 'green'`);
    assert.equal((await request('GET', '/model/info?litellm_model_id=green-1')).status, 404);
  });
});

describe('what is known of a model', () => {
  before(async () => {
    await aModel('catalogued', { id: 'catalogued', supports_vision: true }, { model: 'openai/gpt-4o' });
    await aModel(
      'priced',
      { id: 'priced', mode: 'chat', max_output_tokens: 100 },
      { model: 'openai/gpt-4o', input_cost_per_token: 1e-6 },
    );
    await aModel('open/*', { id: 'open' }, { model: 'openai/*' });
  });

  test('comes from the catalogue where the operator says nothing, as calls are booked', async () => {
    const infoOf = async (id: string) => (await request('GET', `/v1/model/info?litellm_model_id=${id}`)).body.data[0];
    const { model_info: info, ...rest } = await infoOf('catalogued');
    assert.partialDeepStrictEqual(info, {
      id: 'catalogued',
      db_model: true,
      key: 'gpt-4o',
      max_input_tokens: 128_000,
      input_cost_per_token: 0.0000025,
      output_cost_per_token: 0.00001,
      litellm_provider: 'openai',
      mode: 'chat',
      supports_vision: true,
    });
    assert.equal(rest.input_cost_per_million, 2.5);
    const { model_info: own } = await infoOf('priced');
    assert.partialDeepStrictEqual(own, { input_cost_per_token: 0.000001, max_output_tokens: 100, max_tokens: 100 });
  });

  test('is told of each public name by GET /model_group/info, patterns as they are', async () => {
    const { data } = (await request('GET', '/model_group/info')).body;
    const group = (name: string) => data.find((each: { model_group: string }) => each.model_group === name);
    assert.partialDeepStrictEqual(group('catalogued'), {
      providers: ['openai'],
      max_input_tokens: 128_000,
      input_cost_per_token: 0.0000025,
      mode: 'chat',
      tpm: null,
      rpm: null,
      supports_vision: true,
      supports_reasoning: null,
    });
    assert.ok(group('open/*'));
    const { out } = await gateway.gatewayctl('model group list --name catalogued -o tsv');
    assert.match(out, /^catalogued\topenai\tchat\t0\.0000025\t0\.00001$/m);
  });

  test('is told to a key of the models it may call alone, and not where they lead', async () => {
    const key = await aKey({ models: ['priced'] });
    for (const path of ['/model/info', '/v1/model/info', '/v2/model/info', '/model_group/info']) {
      assert.deepEqual(await namesOf(key, path), ['priced'], path);
    }
    await aModel('addressed', { id: 'addressed' }, { model: 'openai/x', api_base: 'https://example.com/v1' });
    const { body, text } = await request('GET', '/model/info', undefined, await aKey({ models: ['addressed'] }));
    assert.deepEqual(body.data[0].litellm_params, { model: 'openai/x' });
    assert.doesNotMatch(text, /example\.com/);
  });

  test('is refused where it would have no effect', async () => {
    const answer = await request('POST', '/model/new', {
      model_name: 'x',
      litellm_params: { model: 'mock/x' },
      model_info: { access_windows: [{ from: '09:00' }] },
    });
    assert.equal(answer.status, 400);
    assert.equal(answer.body.error.param, 'model_info.access_windows');
  });
});
