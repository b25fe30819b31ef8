import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until, ways } from './support/gateway.ts';

let gateway: Gateway;
let key: { key: string; token: string };

/** What two calls at these prices and counts cost: 10 x 0.001 + 5 x 0.002, twice. */
const spent = 0.04;

before(async () => {
  gateway = await startGateway();
  await post('/model/new', {
    model_name: 'priced',
    litellm_params: {
      model: 'mock/priced',
      mock_prompt_tokens: 10,
      mock_completion_tokens: 5,
      input_cost_per_token: 0.001,
      output_cost_per_token: 0.002,
    },
  });
  await post('/team/new', { team_id: 'spenders', team_alias: 'Spenders', members_with_roles: [{ user_id: 'anna' }] });
  key = (await post('/key/generate', { key_alias: 'spender', team_id: 'spenders', user_id: 'anna' })).body;
  for (const stream of [false, true]) {
    assert.equal((await gateway.chat(key.key, 'priced', { stream, user: 'customer-7' })).status, 200);
  }
  await until(async () => (await get('/key/info?key=spender')).body.info.spend === spent);
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
const get = (path: string) => gateway.request('GET', path);

for (const way of ways) {
  describe(`spend, by ${way}`, () => {
    const run = (line: string) => gateway.gatewayctl(line, way);
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);

    test('is on the key, its team and its user, to the nano-dollar', async () => {
      assert.equal((await json('key get spender')).spend, spent);
      assert.equal((await json('team get spenders')).spend, spent);
      assert.equal((await json('user get anna')).spend, spent);
    });

    test('logs lists the calls, and filters by what they have', async () => {
      const rows = await json('spend logs --key spender');
      assert.equal(rows.length, 2);
      for (const row of rows) {
        assert.partialDeepStrictEqual(row, {
          api_key: key.token,
          team_id: 'spenders',
          user: 'anna',
          end_user: 'customer-7',
          model_group: 'priced',
          model: 'priced',
          custom_llm_provider: 'mock',
          status: 'success',
          http_status: 200,
          prompt_tokens: 10,
          completion_tokens: 5,
          total_tokens: 15,
          spend: 0.02,
        });
      }
      assert.deepEqual(
        rows.map(({ stream }: { stream: boolean }) => stream),
        [true, false],
        'the newest first',
      );
      assert.deepEqual(await json(`spend logs --request-id ${rows[0].request_id}`), [rows[0]]);
      assert.equal((await json('spend logs --team Spenders --user anna --model priced --since 1h')).length, 2);
      assert.equal((await json('spend logs --key spender -n 1')).length, 1);
      assert.deepEqual(await json('spend logs --since 2027-01-01'), []);
      assert.deepEqual(await json('spend logs --until 2020-01-01'), []);
      assert.deepEqual(await json('spend logs --user nobody'), []);
    });

    test('report adds up by each thing that calls have in common', async () => {
      const sum = {
        requests: 2,
        failed_requests: 0,
        prompt_tokens: 20,
        completion_tokens: 10,
        spend: spent,
      };
      const byKey = await json('spend report');
      assert.partialDeepStrictEqual(byKey, [{ ...sum, label: 'spender' }]);
      assert.partialDeepStrictEqual(await json('spend report --by team'), [
        { ...sum, group: 'spenders', label: 'Spenders' },
      ]);
      assert.partialDeepStrictEqual(await json('spend report --by user'), [{ ...sum, group: 'anna' }]);
      assert.partialDeepStrictEqual(await json('spend report --by model'), [{ ...sum, group: 'priced' }]);
      assert.partialDeepStrictEqual(await json('spend report --by provider'), [{ ...sum, group: 'mock' }]);
      const today = new Date().toISOString().slice(0, 10);
      assert.deepEqual(
        (await json('spend report --by day --since 48h')).map(({ group }: { group: string }) => group),
        [today],
      );
      assert.deepEqual(await json('spend report --until 2020-01-01'), []);
    });

    test('a moment or a key that is none is refused by name', async () => {
      const since = await run('spend logs --since tomorrow');
      assert.equal(since.exit, 2);
      assert.match(since.err, /--since: "tomorrow"/);
      assert.equal((await run('spend logs --key nobody')).exit, 3);
      assert.equal((await run('spend report --by colour')).exit, 2);
      assert.notEqual((await run('spend logs -n 1001')).exit, 0);
    });
  });
}

describe('spend, as LiteLLM’s clients ask for it', () => {
  test('GET /spend/logs by key, by its hash and by its secret, by request and by day', async () => {
    for (const named of ['spender', key.token, key.key]) {
      const { status, body } = await get(`/spend/logs?api_key=${named}`);
      assert.equal(status, 200);
      assert.equal(body.length, 2);
    }
    const day = new Date().toISOString().slice(0, 10);
    const next = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    assert.equal((await get(`/spend/logs?start_date=${day}&end_date=${next}&summarize=false`)).body.length, 2);
    assert.equal((await get(`/spend/logs?end_date=${day}`)).body.length, 0);
    assert.equal((await get('/spend/logs?start_date=yesterday')).status, 400);
  });

  test('GET /spend/logs sums up days where both ends are given, as LiteLLM does, and lists calls when told to', async () => {
    const day = new Date().toISOString().slice(0, 10);
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    const dates = `start_date=${yesterday}&end_date=${day}`;
    const { body } = await get(`/spend/logs?${dates}&api_key=spender`);
    assert.deepEqual(body, [
      { startTime: yesterday, spend: 0, users: {}, models: {} },
      { startTime: day, spend: spent, users: { anna: spent }, models: { priced: spent }, [key.token]: spent },
    ]);
    assert.deepEqual((await get(`/spend/logs?${dates}&summarize=true&model=other`)).body[1].models, {});
    assert.equal((await get(`/spend/logs?${dates}&summarize=true&request_id=x`)).status, 400);
    const later = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    assert.equal((await get(`/spend/logs?start_date=${day}&end_date=${later}&summarize=false`)).body.length, 2);
    assert.equal((await get('/spend/logs?summarize=false')).status, 200);
  });

  test('what a deleted key has spent stays in the logs and the report', async () => {
    const gone = (await post('/key/generate', { key_alias: 'gone' })).body;
    assert.equal((await gateway.chat(gone.key, 'priced')).status, 200);
    await until(async () => (await get('/key/info?key=gone')).body.info.spend === 0.02);
    await post('/key/delete', { key_aliases: ['gone'] });
    const { rows } = await gateway.pool.query('select spend from gatewayctl.spend_logs where api_key = $1', [
      gone.token,
    ]);
    assert.deepEqual(rows, [{ spend: '20000000' }]);
    const report = (await get('/spend/report?group_by=key')).body;
    assert.equal(report.length, 2);
    assert.equal(report[1].spend, 0.02);
  });
});
