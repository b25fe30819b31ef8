import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startUpstream, type Upstream } from './proxy/upstream.ts';
import { type Gateway, startGateway, until, ways } from './support/gateway.ts';

let gateway: Gateway;
let upstream: Upstream;
let key: string;
before(async () => {
  upstream = await startUpstream({ text: 'hello' });
  gateway = await startGateway({ env: { UPSTREAM_TEST_KEY: 'sk-from-the-environment' } });
  key = (await gateway.gatewayctl('key generate -q')).out.trim();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
const get = (path: string) => gateway.request('GET', path);
const lastAuthorization = () => upstream.requests.at(-1)?.headers.authorization;

/** All that the database has of a model, as text. */
async function kept(name: string): Promise<string> {
  const { rows } = await gateway.pool.query(
    `select to_jsonb(m)::text || coalesce((select string_agg(to_jsonb(a)::text, '') from gatewayctl.audit_log a
       where a.object_id = m.id), '') as text from gatewayctl.models m where name = $1`,
    [name],
  );
  return rows.map(({ text }: { text: string }) => text).join('');
}

for (const way of ways) {
  describe(`model, by ${way}`, () => {
    const run = (line: string, stdin = '') => gateway.gatewayctl(line, way, { stdin });
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);

    test('create puts an upstream behind a name, and the daemon sends calls there', async () => {
      const made = await run(
        `model create ${way}-a --provider-model openai/up-1 --api-base ${upstream.url} --allow-private-network --api-key -`,
        'sk-very-secret-provider-key\n',
      );
      assert.equal(made.exit, 0, made.err);
      assert.match(made.err, new RegExp(`Model ${way}-a now leads to openai/up-1`));
      const { body } = await gateway.chatUntil(200, key, `${way}-a`);
      assert.equal(body.choices[0].message.content, 'hello');
      assert.equal(upstream.requests.at(-1)?.body['model'], 'up-1');
      assert.equal(lastAuthorization(), 'Bearer sk-very-secret-provider-key');
    });

    test('the upstream’s key is in no answer, and not in plain text in the database', async () => {
      await run(`model create ${way}-s --provider-model openai/x --api-key -`, 'sk-another-secret-of-a-provider\n');
      for (const line of [`model get ${way}-s`, `model list --name ${way}-s`, `model update ${way}-s --params {}`]) {
        const { out, err } = await run(`${line} --json`);
        assert.ok(!`${out}${err}`.includes('another-secret'), line);
        assert.ok(!out.includes('api_key'), line);
      }
      const text = await kept(`${way}-s`);
      assert.match(text, /gwenc:2:/);
      assert.ok(!text.includes('another-secret'));
    });

    test('os.environ/NAME is kept as it is and read by the daemon', async () => {
      await run(
        `model create ${way}-env --provider-model openai/x --api-base ${upstream.url} --allow-private-network --api-key os.environ/UPSTREAM_TEST_KEY`,
      );
      assert.match(await kept(`${way}-env`), /os\.environ\/UPSTREAM_TEST_KEY/);
      await gateway.chatUntil(200, key, `${way}-env`);
      assert.equal(lastAuthorization(), 'Bearer sk-from-the-environment');
    });

    test('update changes what is named, and none clears it', async () => {
      await run(`model create ${way}-u --provider-model mock/one --input-cost-per-token 0.5 --info '{"mode":"chat"}'`);
      const changed = await json(`model update ${way}-u --provider-model mock/two`);
      assert.equal(changed.upstream, 'mock/two');
      assert.partialDeepStrictEqual(changed, {
        litellm_params: { model: 'mock/two', input_cost_per_token: 0.5 },
        model_info: { mode: 'chat', db_model: true },
      });
      const cleared = await json(`model update ${way}-u --input-cost-per-token none`);
      assert.equal('input_cost_per_token' in cleared.litellm_params, false);
      const nothing = await run(`model update ${way}-u`);
      assert.equal(nothing.exit, 2);
    });

    test('several upstreams may share a name; then a change wants an id', async () => {
      const ids = [];
      for (const upstreamModel of ['mock/a', 'mock/b']) {
        ids.push((await run(`model create ${way}-two --provider-model ${upstreamModel} -q`)).out.trim());
      }
      assert.equal((await json(`model get ${way}-two`)).length, 2);
      const ambiguous = await run(`model delete ${way}-two --yes`);
      assert.equal(ambiguous.exit, 9);
      assert.match(ambiguous.err, /More than one deployment is called/);
      assert.equal((await run(`model delete ${ids[0]} --yes`)).exit, 0);
      assert.equal((await json(`model get ${way}-two`)).length, 1);
    });

    test('delete asks first, and then the daemon knows the model no more', async () => {
      await run(`model create ${way}-d --provider-model mock/d`);
      await gateway.chatUntil(200, key, `${way}-d`);
      assert.equal((await run(`model delete ${way}-d`)).exit, 2);
      assert.equal((await run(`model delete ${way}-d --yes`)).exit, 0);
      assert.equal((await run(`model get ${way}-d`)).exit, 3);
      await until(async () => (await gateway.chat(key, `${way}-d`)).status >= 400);
    });

    test('a provider that is not served, and a model nobody knows, are refused by name', async () => {
      const provider = await run('model create x --provider-model watsonx/granite');
      assert.equal(provider.exit, 9);
      assert.match(provider.err, /provider that is not served yet/);
      const none = await run('model create x');
      assert.match(none.err, /model create needs --provider-model/);
      const unknown = await run('model get nobody');
      assert.equal(unknown.exit, 3);
      assert.match(unknown.err, /No model "nobody"/);
    });

    // Beside a database of the operator's there is no built-in model, and a command knows no daemon's file.
    if (way === 'database-url') return;

    test('what is set up outside the database is listed and not changed', async () => {
      assert.partialDeepStrictEqual(await json('model get mock-gpt'), [{ model_name: 'mock-gpt', source: 'builtin' }]);
      const { exit, err } = await run('model update mock-gpt --provider-model mock/x');
      assert.equal(exit, 6);
      assert.match(err, /is set up in the configuration/);
    });
  });
}

describe('model, as LiteLLM’s clients ask for it', () => {
  test('POST /model/new is in effect when it is answered', async () => {
    const { status, body } = await post('/model/new', {
      model_name: 'wire-new',
      litellm_params: {
        model: 'openai/up-2',
        api_base: upstream.url,
        allow_private_network: true,
        api_key: 'sk-wire-secret-key-0',
      },
      model_info: { id: 'wire-new-id', mode: 'chat', anything: { goes: 1 } },
    });
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, {
      model_name: 'wire-new',
      model_id: 'wire-new-id',
      model_info: { id: 'wire-new-id', mode: 'chat', anything: { goes: 1 } },
    });
    assert.ok(!JSON.stringify(body).includes('wire-secret'));
    assert.equal((await gateway.chat(key, 'wire-new')).status, 200);
  });

  test('changes one after the other leave the daemon with the last one', async () => {
    await post('/model/new', {
      model_name: 'wire-last',
      litellm_params: { model: 'mock/x' },
      model_info: { id: 'wire-last' },
    });
    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        post('/model/update', { litellm_params: { mock_response: `r${index}` }, model_info: { id: 'wire-last' } }),
      ),
    );
    const { body } = await get('/model/info?litellm_model_id=wire-last');
    const last = body.data[0].litellm_params.mock_response;
    const answer = await gateway.chat(key, 'wire-last');
    assert.equal(answer.body.choices[0].message.content, last);
  });

  test('an id that is taken is 400', async () => {
    const model = { model_name: 'wire-dup', litellm_params: { model: 'mock/x' }, model_info: { id: 'wire-dup' } };
    await post('/model/new', model);
    const { status, body } = await post('/model/new', model);
    assert.equal(status, 400);
    assert.equal(body.error.message, 'A deployment with id wire-dup already exists');
  });

  test('PATCH /model/{id}/update changes a part, and POST /model/update by model_info.id too', async () => {
    await post('/model/new', {
      model_name: 'wire-p',
      litellm_params: { model: 'mock/x', mock_response: 'one', input_cost_per_token: 0.25 },
      model_info: { id: 'wire-p' },
    });
    const patched = await gateway.request('PATCH', '/model/wire-p/update', {
      body: { litellm_params: { mock_response: 'two' } },
    });
    assert.equal(patched.status, 200);
    assert.partialDeepStrictEqual(patched.body.litellm_params, { mock_response: 'two', input_cost_per_token: 0.25 });
    assert.equal((await gateway.chat(key, 'wire-p')).body.choices[0].message.content, 'two');

    const posted = await post('/model/update', {
      model_name: 'wire-p2',
      litellm_params: { input_cost_per_token: null },
      model_info: { id: 'wire-p' },
    });
    assert.equal(posted.body.model_name, 'wire-p2');
    assert.equal('input_cost_per_token' in posted.body.litellm_params, false);
    assert.equal((await gateway.request('PATCH', '/model/nobody/update', { body: { model_name: 'x' } })).status, 404);
    assert.equal((await post('/model/update', { litellm_params: { mock_response: 'x' } })).status, 400);
  });

  test('a parameter without effect is refused by name', async () => {
    const { status, body } = await post('/model/new', {
      model_name: 'wire-x',
      litellm_params: { model: 'mock/x', organization: 'x' },
    });
    assert.equal(status, 400);
    assert.equal(body.error.param, 'litellm_params.organization');
  });

  test('GET /model/info, /v1/model/info and /v2/model/info list deployments without their keys', async () => {
    await post('/model/new', {
      model_name: 'wire-list',
      litellm_params: {
        model: 'openai/x',
        api_key: 'sk-not-to-be-seen-1',
        api_base: 'http://127.0.0.1:9/v1',
        allow_private_network: true,
      },
    });
    for (const path of ['/model/info', '/v1/model/info', '/v2/model/info?model_name=wire-list']) {
      const { status, body, text } = await get(path);
      assert.equal(status, 200, path);
      const found = body.data.find(({ model_name: name }: { model_name: string }) => name === 'wire-list');
      assert.partialDeepStrictEqual(found, {
        litellm_params: { model: 'openai/x', api_base: 'http://127.0.0.1:9/v1', allow_private_network: true },
        model_info: { db_model: true },
      });
      assert.ok(!text.includes('not-to-be-seen'), path);
    }
  });

  test('pages run on from what the configuration has to what the database has', async () => {
    const names = new Set<string>();
    const { body } = await get('/v2/model/info?size=1');
    for (let page = 1; page <= body.total_pages; page++) {
      const { data } = (await get(`/v2/model/info?size=1&page=${page}`)).body;
      assert.equal(data.length, 1);
      names.add(data[0].model_id);
    }
    assert.equal(names.size, body.total_count);
  });

  test('POST /model/delete by id', async () => {
    await post('/model/new', {
      model_name: 'wire-del',
      litellm_params: { model: 'mock/x' },
      model_info: { id: 'wire-del' },
    });
    assert.equal((await post('/model/delete', { id: 'wire-del' })).status, 200);
    assert.equal((await post('/model/delete', { id: 'wire-del' })).status, 404);
    assert.equal((await gateway.chat(key, 'wire-del')).status >= 400, true);
  });
});
