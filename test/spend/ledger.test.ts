import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { bin, cleanEnv, type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
const keys: Record<string, { key: string; token: string; token_id: string }> = {};
const today = new Date().toISOString().slice(0, 10);
/** What one call costs: 10 tokens at 0.001 and 5 at 0.002. */
const one = 0.02;
const both = ['server', 'embedded'] as const;

const post = async (path: string, body: unknown) => {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const get = async (path: string, of?: string) =>
  gateway.request('GET', path, of === undefined ? {} : { key: keys[of]!.key });
const run = (line: string, way: (typeof both)[number] = 'server', stdin = '') =>
  gateway.gatewayctl(line, way, { stdin });
const json = async (line: string) => {
  const { out, err, exit } = await run(`${line} --json`);
  assert.equal(exit, 0, err);
  return JSON.parse(out);
};

/** Five calls of red's key, two of blue's: two models, a customer with a name that a spreadsheet would run, two tags. */
before(async () => {
  gateway = await startGateway();
  const prices = { input_cost_per_token: 0.001, output_cost_per_token: 0.002 };
  for (const [name, upstream] of [
    ['large', 'large-2026-01-01'],
    ['small', 'small'],
  ]) {
    const params = { model: `mock/${upstream}`, mock_prompt_tokens: 10, mock_completion_tokens: 5, ...prices };
    await post('/model/new', { model_name: name, litellm_params: params });
  }
  for (const team of ['red', 'blue']) {
    await post('/team/new', {
      team_id: team,
      team_alias: team.toUpperCase(),
      members_with_roles: [{ user_id: `u-${team}`, role: 'user' }],
    });
    keys[team] = await post('/key/generate', {
      key_alias: `of-${team}`,
      team_id: team,
      user_id: `u-${team}`,
      max_budget: 100,
      budget_duration: '1d',
    });
  }
  await post('/tag/new', { name: 'batch' });
  for (const [index, model] of ['large', 'large', 'large', 'large', 'small', 'small', 'small'].entries()) {
    const team = index < 5 ? 'red' : 'blue';
    const more = { user: '=cmd()', metadata: { tags: ['batch', team] } };
    assert.equal((await gateway.chat(keys[team]!.key, model, more)).status, 200);
  }
  await until(async () => (await get('/global/spend')).body.spend === 7 * one);
  await post('/customer/new', { user_id: '=cmd()' });
});
after(() => gateway[Symbol.asyncDispose]());

describe('calls are read on page by page', () => {
  test('by the cursor, which nothing that is booked meanwhile disturbs', async () => {
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body, status } = await get(`/spend/logs/v2?page_size=3&cursor=${encodeURIComponent(cursor)}`);
      assert.equal(status, 200);
      seen.push(...body.data.map((row: { request_id: string }) => row.request_id));
      cursor = body.next_cursor;
      assert.equal(body.total, 7);
    } while (cursor);
    assert.equal(new Set(seen).size, 7);
    assert.deepEqual(
      (await json('spend logs')).map((row: { request_id: string }) => row.request_id),
      seen,
    );
    const byNumber = await get('/spend/logs/v2?page_size=3&page=3');
    assert.deepEqual(
      byNumber.body.data.map((row: { request_id: string }) => row.request_id),
      seen.slice(6),
    );
    assert.equal((await get('/spend/logs/v2?page_size=100&page=101')).body.error.param, 'page');
    assert.equal((await get('/spend/logs?cursor=yesterday')).body.error.param, 'cursor');
  });

  test('narrowed by customer, status and cost, and to what one may see', async () => {
    assert.equal((await json("spend logs --customer '=cmd()' --status success --min-spend 0.02")).length, 7);
    assert.equal((await json('spend logs --min-spend 0.021')).length, 0);
    assert.equal((await get('/spend/logs/v2', 'blue')).body.total, 2);
    assert.equal((await get('/spend/logs/v2?page_size=1', 'blue')).body.data.length, 1);
    assert.deepEqual(
      (await get('/spend/keys', 'blue')).body.map(({ key_alias: alias }: { key_alias: string }) => alias),
      ['of-blue'],
    );
    assert.deepEqual(
      (await get('/spend/users', 'blue')).body.map(({ user_id: id }: { user_id: string }) => id),
      ['u-blue'],
    );
    for (const path of ['/global/spend', '/spend/tags', '/spend/verify', '/global/spend/report']) {
      assert.equal((await get(path, 'blue')).status, 403, path);
    }
  });
});

describe('LiteLLM’s sums', () => {
  test('are those of the calls, however they are asked for', async () => {
    const hash = keys['red']!.token;
    const answers: Readonly<Record<string, unknown>> = {
      '/global/spend': { spend: 7 * one, max_budget: 0 },
      '/global/spend/logs': [{ date: today, spend: 7 * one }],
      '/global/spend/keys?limit=1': [{ api_key: hash, key_alias: 'of-red', total_spend: 5 * one }],
      '/global/spend/teams': {
        daily_spend: [{ date: today, RED: 5 * one, BLUE: 2 * one }],
        teams: ['RED', 'BLUE'],
        total_spend_per_team: [
          { team_id: 'RED', total_spend: 5 * one },
          { team_id: 'BLUE', total_spend: 2 * one },
        ],
      },
      '/global/spend/models': [
        { model: 'large', total_spend: 4 * one },
        { model: 'small', total_spend: 3 * one },
      ],
      '/global/spend/provider': [{ provider: 'mock', spend: 7 * one }],
      '/global/spend/tags?tags=batch,blue': {
        spend_per_tag: [
          { name: 'batch', spend: 7 * one, log_count: 7 },
          { name: 'blue', spend: 2 * one, log_count: 2 },
        ],
      },
      '/global/spend/all_tag_names': { tag_names: ['batch', 'blue', 'red'] },
      '/spend/tags?limit=1': [{ individual_request_tag: 'batch', log_count: 7, total_spend: 7 * one }],
      '/global/spend/report?group_by=team': [
        {
          group_by_day: today,
          teams: [
            {
              team_name: 'RED',
              total_spend: 5 * one,
              metadata: [{ model: 'large', api_key: hash, spend: 4 * one, total_tokens: 60 }, { model: 'small' }],
            },
            { team_name: 'BLUE', total_spend: 2 * one },
          ],
        },
      ],
      '/global/spend/report?customer_id=%3Dcmd()': [{ customers: [{ customer: '=cmd()', total_spend: 7 * one }] }],
      '/global/spend/report?group_by=api_key&api_key=of-red': [
        {
          api_key: hash,
          total_cost: 5 * one,
          total_input_tokens: 50,
          total_output_tokens: 25,
          model_details: [{ model: 'large' }, { model: 'small' }],
        },
      ],
    };
    for (const [path, expected] of Object.entries(answers)) {
      const { body, status } = await get(path);
      assert.equal(status, 200, path);
      assert.partialDeepStrictEqual(body, expected, path);
    }
    assert.partialDeepStrictEqual(await post('/global/spend/end_users', { api_key: 'of-blue' }), [
      { end_user: '=cmd()', total_count: 2, total_spend: 2 * one },
    ]);
  });

  test('a call is priced as it would be booked', async () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5 };
    assert.equal((await post('/spend/calculate', { completion_response: { model: 'large', usage } })).cost, one);
    const counted = await post('/spend/calculate', { model: 'small', messages: [{ role: 'user', content: 'hello' }] });
    assert.equal(counted.cost, counted.prompt_tokens / 1_000);
    const unknown = await gateway.request('POST', '/spend/calculate', {
      body: { model: 'nobody/knows', messages: [] },
    });
    assert.deepEqual([unknown.status, unknown.body.error.type], [400, 'unpriced_model']);
    const line = 'spend calculate --model large --answer -';
    assert.equal(JSON.parse((await run(`${line} --json`, 'server', JSON.stringify({ usage }))).out).cost, one);
  });
});

describe('spend report', () => {
  test('by several things at once, from sums of days or from calls, with the same sums', async () => {
    const rows = await json('spend report --by team,model --since 30d');
    assert.partialDeepStrictEqual(rows, [
      { team: 'red', team_name: 'RED', model: 'large', requests: 4, spend: 4 * one },
      { team: 'blue', model: 'small', requests: 2, spend: 2 * one },
      { team: 'red', model: 'small', requests: 1, spend: one },
    ]);
    assert.equal(rows.length, 3, 'and no row of sums among what a program reads');
    const byCustomer = await json('spend report --by customer,team,month');
    assert.partialDeepStrictEqual(byCustomer, [
      { customer: '=cmd()', team: 'red', month: today.slice(0, 7), spend: 5 * one },
      { team: 'blue', spend: 2 * one },
    ]);
    assert.partialDeepStrictEqual(await json('spend report --by upstream_model'), [
      { group: 'large-2026-01-01' },
      { group: 'small' },
    ]);
    assert.partialDeepStrictEqual(await json('spend report --by tag --tag blue'), [{ group: 'blue', spend: 2 * one }]);
    assert.partialDeepStrictEqual(await json('spend report --by day,key --key of-red --top 1 --totals'), [
      { day: today, key_name: 'of-red', spend: 5 * one },
      { group: 'total', is_total: true, spend: 5 * one },
    ]);
    assert.equal((await run('spend report --by team,team')).exit, 9);
    const { body } = await get('/spend/report?group_by=team,customer', 'blue');
    assert.deepEqual(
      body.map(({ team }: { team: string }) => team),
      ['blue'],
    );
  });

  test('a person sees all of it in one more row, and on a terminal bars that fit', async () => {
    const { out } = await run('spend report --by team,model -o table');
    assert.match(out, /^TEAM +MODEL +REQUESTS/);
    assert.match(out, /\ntotal +- +7 .*\$0\.14\n$/);
    const flags = ['--server', gateway.daemon.url];
    const env = cleanEnv({ GATEWAYCTL_KEY: gateway.daemon.masterKey, GATEWAYCTL_FORCE_TTY: '100', NO_COLOR: '1' });
    const drawn = await promisify(execFile)(process.execPath, [bin, 'spend', 'report', '--by', 'team', ...flags], {
      env,
    });
    const [, red = '', blue = '', total = ''] = drawn.stdout.split('\n');
    const bar = (line: string) => /█*$/.exec(line)![0].length;
    assert.ok(bar(red) >= 6 && red.length <= 100, red);
    assert.equal(bar(blue), Math.round(bar(red) * 0.4));
    assert.equal(bar(total), 0);
    const narrow = { env: { ...env, GATEWAYCTL_FORCE_TTY: '60' } };
    const cut = await promisify(execFile)(process.execPath, [bin, 'spend', 'report', '--by', 'team', ...flags], narrow);
    assert.ok(
      cut.stdout.split('\n').every((line) => line.length <= 60 && !line.includes('█')),
      cut.stdout,
    );
  });
});

describe('spend export', () => {
  for (const way of both) {
    test(`by ${way}: every call, in a file that is whole or not there`, async () => {
      const file = join(gateway.stateDir, `spend-${way}.csv`);
      const { exit, err } = await run(`spend export --since 1d --team red --out ${file}`, way);
      assert.equal(exit, 0, err);
      const [header = '', ...lines] = (await readFile(file, 'utf8')).trimEnd().split('\n');
      assert.equal(lines.length, 5);
      assert.match(header, /^request_id,start_time,/);
      assert.ok(
        lines.every((line) => line.includes(`,'=cmd(),`)),
        'no formula for a spreadsheet to run',
      );
      const missing = await run(`spend export --out ${join(gateway.stateDir, 'nowhere', 'spend.csv')}`, way);
      assert.equal(missing.exit, 73);
      assert.equal((await run(`spend export --team nobody --out ${file}`, way)).exit, 3);
      const left = (await readdir(gateway.stateDir)).filter((name) => name.endsWith('.part'));
      assert.deepEqual(left, []);
    });
  }

  test('in pages, none twice, as lines of JSON with the members that are asked for', async () => {
    await gateway.pool.query(
      `insert into gatewayctl.spend_logs
       select request_id || n, created_at - make_interval(secs => n / 4 * 0.001), started_at, first_byte_at, call_type, key_id, api_key, team_id, user_id,
              organization_id, end_user, 'flood', upstream_model, model_id, provider, stream, status, http_status, error, prompt_tokens,
              completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_estimated, spend, price_source
         from (select * from gatewayctl.spend_logs limit 1) as sample, generate_series(1, 2500) n`,
    );
    const { out } = await run('spend export --format jsonl --model flood --columns request_id,spend');
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(Object.keys(rows[0]), ['request_id', 'spend']);
    assert.equal(new Set(rows.map(({ request_id: id }) => id)).size, 2_500);
    assert.equal(rows.length, 2_500);
    await gateway.pool.query(`delete from gatewayctl.spend_logs where model = 'flood'`);
  });
});

describe('spend verify', () => {
  test('finds everything in order, also while calls are booked', async () => {
    const calls = Array.from({ length: 60 }, async () => gateway.chat(keys['red']!.key, 'small'));
    const verdicts = [];
    for (let round = 0; round < 5; round++) verdicts.push((await get('/spend/verify')).body);
    await Promise.all(calls);
    for (const verdict of verdicts) assert.deepEqual(verdict.differences, []);
    await until(async () => (await get('/spend/verify')).body.pending === 0);
    const { body } = await get('/spend/verify');
    assert.partialDeepStrictEqual(body, { is_valid: true, set_aside: 0, days: 1 });
    for (const way of both) {
      const { exit, err } = await run('spend verify', way);
      assert.equal(exit, 0, err);
      assert.match(err, way === 'server' ? /0 calls wait in the journal/ : /the journal cannot be read here/);
    }
  });

  test('compares what was at one moment, whatever changes before it is done', async () => {
    const [holding, watching] = [await gateway.pool.connect(), await gateway.pool.connect()];
    const spent = (amount: number) =>
      watching.query(`update gatewayctl.keys set spend = spend + $1 where alias = 'of-red'`, [amount]);
    try {
      // It has begun, and waits here for what it reads next.
      await holding.query('begin; lock table gatewayctl.daily_spend in access exclusive mode');
      const verdict = run('spend verify');
      await until(async () => {
        const { rows } = await watching.query(`select from pg_stat_activity where wait_event_type = 'Lock'
          and query like '%daily_spend%' and pid <> pg_backend_pid() and state = 'active'`);
        return rows.length > 0;
      });
      await spent(1);
      await holding.query('rollback');
      assert.equal((await verdict).exit, 0, (await verdict).out);
    } finally {
      await spent(-1);
      holding.release(true);
      watching.release();
    }
    assert.equal((await run('spend verify')).exit, 0);
  });

  const breaks: readonly (readonly [check: string, entity: string, statement: string])[] = [
    ['calls', 'key', `update gatewayctl.daily_spend set spend = spend - 1 where model = 'large'`],
    ['calls', 'key', `update gatewayctl.daily_spend set cache_read_tokens = 1 where model = 'large'`],
    ['calls', 'customer', `delete from gatewayctl.daily_customer_spend where model = 'large'`],
    ['calls', 'tag', `update gatewayctl.daily_tag_spend set requests = requests + 1 where tag = 'blue'`],
    ['calls', 'key', `delete from gatewayctl.spend_logs where model = 'large'`],
    ['total', 'key', `update gatewayctl.keys set spend = spend + 1 where alias = 'of-red'`],
    ['total', 'team', `update gatewayctl.teams set spend = spend - 1 where id = 'blue'`],
    ['total', 'user', `update gatewayctl.users set spend = spend + 1 where id = 'u-blue'`],
    ['total', 'member', `update gatewayctl.team_members set spend = spend + 1 where user_id = 'u-blue'`],
    ['total', 'customer', `update gatewayctl.customers set spend = 1000000000000 where id = '=cmd()'`],
    ['total', 'tag', `update gatewayctl.tags set spend = spend - 1 where name = 'batch'`],
    [
      'window',
      'key',
      `update gatewayctl.budget_windows set spend = spend + 1 where id = (select id from gatewayctl.keys where alias = 'of-red')`,
    ],
  ];

  test('names what does not add up, to the nano-dollar, and ends with 1', async () => {
    for (const [check, entity, statement] of breaks) {
      const client = await gateway.pool.connect();
      try {
        // Kept apart in tables of their own, to be put back.
        const table = /gatewayctl\.(\w+)/.exec(statement)![1]!;
        await client.query(`create table kept as select * from gatewayctl.${table}`);
        assert.ok((await client.query(statement)).rowCount! > 0, statement);
        const { out, exit } = await run('spend verify -o csv --columns check,entity,difference');
        assert.equal(exit, 1, statement);
        assert.ok(
          out.split('\n').some((line) => line.startsWith(`${check},${entity},`)),
          `${statement}\n${out}`,
        );
        await client.query(
          `begin; set local session_replication_role = replica; delete from gatewayctl.${table}; insert into gatewayctl.${table} select * from kept; commit; drop table kept`,
        );
      } finally {
        client.release();
      }
    }
    assert.equal((await run('spend verify')).exit, 0);
  });

  test('a total that an administrator has set is told apart', async () => {
    const { key_id: id } = (await json('spend logs --key of-blue'))[0];
    await gateway.pool.query(`update gatewayctl.keys set budget_duration = null where id = $1`, [id]);
    assert.equal(
      (await gateway.request('POST', `/key/${keys['blue']!.token}/reset_spend`, { body: { reset_to: 0 } })).status,
      200,
    );
    const { body } = await get('/spend/verify');
    assert.equal(body.is_valid, true);
    assert.partialDeepStrictEqual(body.differences, [
      { check: 'total', entity: 'key', id, set_by_administrator: true },
    ]);
  });
});

describe('spend reconcile', () => {
  const seconds = Date.parse(today) / 1_000;
  const page = (results: unknown[], more = {}) => ({
    object: 'page',
    has_more: false,
    data: [{ object: 'bucket', start_time: seconds, end_time: seconds + 86_400, results }],
    ...more,
  });
  const reconcile = async (text: string, more = '') => {
    const { out, exit, err } = await run(`spend reconcile - ${more} -o json`, 'server', text);
    return { exit, err, rows: exit === 2 || exit === 9 ? [] : JSON.parse(out) };
  };

  test('OpenAI’s usage and costs agree, or differ by so much', async () => {
    const usage = page([{ model: 'large-2026-01-01', input_tokens: 40, output_tokens: 20, num_model_requests: 4 }]);
    assert.deepEqual(await reconcile(JSON.stringify(usage)).then(({ exit, rows }) => [exit, rows]), [0, []]);
    const costs = page([
      { amount: { value: 0.05, currency: 'usd' }, line_item: 'large-2026-01-01, input' },
      { amount: { value: 0.05, currency: 'usd' }, line_item: 'large-2026-01-01, output' },
    ]);
    const { exit, rows } = await reconcile(JSON.stringify(costs));
    assert.equal(exit, 1);
    assert.deepEqual(rows, [
      {
        day: today,
        model: 'large',
        request_id: null,
        figure: 'cost',
        provider: 0.1,
        booked: 0.08,
        difference: -0.02,
        percent: -20,
        agrees: false,
      },
    ]);
    assert.equal((await reconcile(JSON.stringify(costs), '--tolerance 20')).exit, 0);
    const whole = await reconcile(JSON.stringify(costs), '--provider mock');
    assert.deepEqual(
      whole.rows.map(({ model }: { model: string }) => model),
      ['large', 'small'],
      'also what the file lacks',
    );
    assert.equal((await reconcile(JSON.stringify({ ...usage, has_more: true }))).exit, 9, 'a part is no account');
  });

  test('Anthropic’s usage and its costs in cents', async () => {
    const usage = {
      model: 'large',
      uncached_input_tokens: 10,
      cache_read_input_tokens: 20,
      cache_creation: { ephemeral_5m_input_tokens: 10 },
      output_tokens: 20,
    };
    const bucket = (results: unknown[]) =>
      JSON.stringify({ data: [{ starting_at: `${today}T00:00:00Z`, results }], has_more: false });
    assert.equal((await reconcile(bucket([usage]))).exit, 0);
    assert.equal((await reconcile(bucket([{ currency: 'USD', amount: '8.00', model: 'large' }]))).exit, 0);
    assert.equal((await reconcile(bucket([{ currency: 'USD', amount: '8.01', model: 'large' }]))).exit, 1);
  });

  test('any CSV by its columns, and request by request', async () => {
    const csv = `Date;,When,SKU,Amount\r\nx,${today},"large, input","$0.06"\r\ny,${today},large,0.02\r\n`;
    assert.equal((await reconcile(csv, '--map day=When,model=SKU,cost=Amount')).exit, 0);
    assert.equal((await reconcile(csv, '--map day=Nowhere')).exit, 9);
    const [first, second] = await json('spend logs --model large');
    const file = join(gateway.stateDir, 'bill.csv');
    await writeFile(
      file,
      `date,request_id,cost\n${today},${first.request_id},0.02\n${today},${second.request_id},0.03\n${today},nobody,1\n`,
    );
    const { out, exit } = await run(`spend reconcile ${file} -o csv --columns request_id,difference`);
    assert.equal(exit, 1);
    assert.deepEqual(
      out.trimEnd().split('\n').toSorted(),
      ['nobody,-1', 'request_id,difference', `${second.request_id},-0.01`].toSorted(),
    );
  });
});

describe('budget simulate', () => {
  for (const way of both) {
    test(`by ${way}: whom a budget would have stopped, when, and what that had saved`, async () => {
      const calls = (await json('spend logs --model large')).toReversed();
      const { out, exit, err } = await run('budget simulate --limit 0.05 --last 1d --window 1d --by key --json', way);
      assert.equal(exit, 0, err);
      const cut = JSON.parse(out).find(({ label }: { label: string }) => label === 'of-red');
      assert.partialDeepStrictEqual(cut, { window_start: `${today}T00:00:00.000Z`, cut_at: calls[3].end_time });
      assert.equal(cut.refused_spend, Math.round((cut.spend - 0.06) * 1e9) / 1e9);
      assert.equal(cut.refused_requests, Math.round(cut.spend / one) - 3);
      assert.deepEqual(
        JSON.parse((await run('budget simulate --limit 50 --last 1d --by customer --json', way)).out),
        [],
      );
      assert.equal((await run('budget simulate --limit 1 --last 30d --window 1m', way)).exit, 9);
    });
  }
});

describe('calls are booked anew by the prices of today', () => {
  const spentBy = async (team: string): Promise<number[]> => {
    const [key, owner] = [await get(`/key/info?key=${keys[team]!.token}`), await get(`/team/info?team_id=${team}`)];
    return [key.body.info.spend, owner.body.team_info.spend];
  };
  const setPrice = async (model: string, input: number) => {
    const { data } = (await get('/model/info')).body;
    const { id } = data.find((each: { model_name: string }) => each.model_name === model).model_info;
    await post('/model/update', { model_info: { id }, litellm_params: { input_cost_per_token: input } });
  };
  const near = (found: readonly number[], expected: readonly number[]) =>
    assert.deepEqual(
      found.map((each) => each.toFixed(9)),
      expected.map((each) => each.toFixed(9)),
    );

  test('once, whoever asks how often, and every sum stays that of its calls', async () => {
    const [key, team] = await spentBy('red');
    await setPrice('large', 0.003);
    const rehearsed = await json('spend reprice --since 1d --dry-run');
    const large = rehearsed.find((row: { model: string }) => row.model === 'large');
    assert.deepEqual([large.rows, large.changed, large.skipped], [4, 4, null]);
    near([large.before, large.after, large.difference], [4 * one, 4 * 0.04, 4 * 0.02]);
    near(await spentBy('red'), [key!, team!]);

    const [first, second] = await Promise.all([
      json('spend reprice --since 1d'),
      run('spend reprice --since 1d', 'embedded'),
    ]);
    assert.equal(second.exit, 0, second.err);
    near(await spentBy('red'), [key! + 0.08, team! + 0.08]);
    assert.equal((await run('spend verify', 'server')).exit, 0, 'rows, days, totals and windows agree');
    assert.ok(first.every(({ changed }: { changed: number }) => changed === 0 || changed === 4));
    assert.ok((await json('spend reprice --since 1d')).every(({ changed }: { changed: number }) => changed === 0));
    const { rows } = await gateway.pool.query(
      `select count(*) from gatewayctl.audit_log where object_type = 'spend' and before ->> 'spend' <> after ->> 'spend'`,
    );
    assert.equal(rows[0].count, '1', 'one entry of the audit log');
  });

  test('a page after the other, and a daemon refuses by the new spend at once', async () => {
    const { rows: first } = await gateway.pool.query(`select sum(spend) as sum from gatewayctl.spend_logs`);
    await setPrice('large', 10);
    const body = { start_date: new Date(Date.now() - 86_400_000).toISOString(), limit: 3 };
    let cursor: string | null = null;
    let pages = 0;
    do {
      const page: { next_cursor: string | null } = await post('/spend/reprice', { ...body, ...(cursor && { cursor }) });
      cursor = page.next_cursor;
      pages++;
    } while (cursor !== null);
    assert.ok(pages >= 3);
    const { rows: last } = await gateway.pool.query(`select sum(spend) as sum from gatewayctl.spend_logs`);
    assert.equal(BigInt(last[0].sum) - BigInt(first[0].sum), 4n * 99_970_000_000n);
    await until(async () => (await gateway.chat(keys['red']!.key, 'small')).status === 429);
    await setPrice('large', 0.001);
    assert.equal((await run('spend reprice --since 1d')).exit, 0);
    await until(async () => (await gateway.chat(keys['red']!.key, 'small')).status === 200);
    await until(async () => (await run('spend verify')).exit === 0);
  });

  test('in the windows of budgets by model too, of patterns and of what an alias stands for', async () => {
    const limit = { budget_limit: 100, time_period: '30d' };
    const { key } = await post('/key/generate', {
      key_alias: 'by-model',
      aliases: { mine: 'large' },
      model_max_budget: { 'lar*': limit, large: limit, small: limit },
    });
    assert.equal((await gateway.chat(key, 'mine')).status, 200);
    const windows = async () => {
      const { rows } = await gateway.pool.query(
        `select model, spend from gatewayctl.budget_windows
          where id = (select id from gatewayctl.keys where alias = 'by-model') order by model`,
      );
      return rows;
    };
    const having = (spend: string) => ['lar*', 'large'].map((model) => ({ model, spend }));
    await until(async () => (await windows()).length === 2);
    assert.deepEqual(await windows(), having('20000000'));
    assert.equal((await run('spend verify')).exit, 0, 'they count what they mean');
    await setPrice('large', 0.003);
    assert.equal((await run('spend reprice --since 1d')).exit, 0);
    assert.deepEqual(await windows(), having('40000000'));
    await setPrice('large', 0.001);
    assert.equal((await run('spend reprice --since 1d')).exit, 0);
    assert.deepEqual(await windows(), having('20000000'));
    assert.equal((await run('spend verify')).exit, 0);
  });

  test('what nobody reported the usage of, or has no price today, keeps its cost', async () => {
    await gateway.pool.query(
      `insert into gatewayctl.spend_logs (request_id, created_at, started_at, call_type, key_id, api_key, model, upstream_model,
         model_id, provider, stream, status, http_status, prompt_tokens, completion_tokens, cache_read_tokens,
         cache_write_tokens, reasoning_tokens, usage_estimated, spend, price_source)
       select name, now(), now(), call_type, 'gone', 'gone', 'old', 'nothing-knows-it', 'gone', 'mock', false, 'success', 200,
              tokens, 0, 0, 0, 0, estimated, 5, source
         from (values ('r1', 'chat_completion', 5, true, 'unpriced'), ('r2', 'chat_completion', 5, false, 'model_info'),
                      ('r3', 'pass_through_endpoint', 5, false, 'model_info'), ('r4', 'chat_completion', 5, false, 'catalogue'))
              as t (name, call_type, tokens, estimated, source)`,
    );
    const [row] = await json('spend reprice --since 1d --model old');
    assert.equal(row.changed, 0);
    assert.deepEqual(row.skipped.split(', ').toSorted(), [
      '1 estimated',
      '1 no_deployment',
      '1 per_request',
      '1 unpriced',
    ]);
    await gateway.pool.query(`delete from gatewayctl.spend_logs where key_id = 'gone'`);
  });
});
