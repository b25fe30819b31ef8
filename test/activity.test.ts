import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until, ways } from './support/gateway.ts';

let gateway: Gateway;
const keys: Record<string, { key: string; token: string }> = {};

const post = async (path: string, body: unknown) => {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const get = (path: string, of?: string) => gateway.request('GET', path, of === undefined ? {} : { key: keys[of]!.key });
const today = new Date().toISOString().slice(0, 10);

/** What one call costs: 10 tokens at 0.001 and 5 at 0.002. */
const one = 0.02;

/**
 * Two teams in the organization `acme`, one of no organization. Everybody calls once: `anna` and `lead` with keys of team
 * `red`, `ben` in `blue`, `cleo` in `far`, and a service without a user in `red`.
 */
before(async () => {
  gateway = await startGateway();
  await gateway.pool.query(
    `insert into gatewayctl.organizations (id, alias, created_at, created_by, updated_at, updated_by)
     values ('acme', 'Acme', now(), 't', now(), 't')`,
  );
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
  await post('/team/new', { team_id: 'red', team_alias: 'Red', organization_id: 'acme' });
  await post('/team/new', { team_id: 'blue', team_alias: 'Blue', organization_id: 'acme' });
  await post('/team/new', { team_id: 'far', team_alias: 'Far' });
  for (const [user, team, role] of [
    ['anna', 'red', 'user'],
    ['lead', 'red', 'admin'],
    ['ben', 'blue', 'user'],
    ['cleo', 'far', 'user'],
  ]) {
    await post('/team/member_add', { team_id: team, member: { user_id: user, role } });
    keys[user!] = await post('/key/generate', { key_alias: `of-${user}`, user_id: user, team_id: team });
  }
  await post('/user/new', { user_id: 'head', auto_create_key: false });
  await gateway.pool.query(
    `insert into gatewayctl.organization_members (organization_id, user_id, role, created_at)
     values ('acme', 'head', 'org_admin', now()), ('acme', 'ben', 'internal_user', now())`,
  );
  keys['head'] = await post('/key/generate', { user_id: 'head' });
  await post('/user/new', { user_id: 'watcher', user_role: 'proxy_admin_viewer', auto_create_key: false });
  keys['ben-own'] = await post('/key/generate', { user_id: 'ben' });
  keys['watcher'] = await post('/key/generate', { user_id: 'watcher' });
  keys['service'] = await post('/key/generate', { key_alias: 'service', team_id: 'red' });
  for (const name of ['anna', 'lead', 'ben', 'cleo', 'service']) {
    assert.equal((await gateway.chat(keys[name]!.key, 'priced')).status, 200);
  }
  await until(async () => (await get('/user/daily/activity')).body.metadata.total_api_requests === 5);
});
after(() => gateway[Symbol.asyncDispose]());

const entities = async (path: string, of?: string) => {
  const { status, body, text } = await get(path, of);
  assert.equal(status, 200, text);
  return Object.keys(body.results[0]?.breakdown.entities ?? {}).toSorted();
};

describe('daily activity, as LiteLLM’s clients ask for it', () => {
  test('has LiteLLM’s shape, and sums to the nano-dollar', async () => {
    const { body } = await get(`/user/daily/activity?user_id=anna&start_date=${today}&end_date=${today}`);
    const metrics = {
      spend: one,
      prompt_tokens: 10,
      completion_tokens: 5,
      cache_read_input_tokens: 0,
      cache_creation_input_tokens: 0,
      total_tokens: 15,
      successful_requests: 1,
      failed_requests: 0,
      api_requests: 1,
    };
    const plain = { metrics, metadata: {} };
    assert.partialDeepStrictEqual(body, {
      results: [
        {
          date: today,
          metrics,
          breakdown: {
            models: { priced: plain },
            model_groups: { priced: plain },
            providers: { mock: plain },
            api_keys: { [keys['anna']!.token]: { metrics, metadata: { key_alias: 'of-anna', team_id: 'red' } } },
            entities: { anna: { metrics, metadata: { alias: null } } },
          },
        },
      ],
      metadata: {
        total_spend: one,
        total_prompt_tokens: 10,
        total_completion_tokens: 5,
        total_tokens: 15,
        total_api_requests: 1,
        total_successful_requests: 1,
        total_failed_requests: 0,
        total_cache_read_input_tokens: 0,
        total_cache_creation_input_tokens: 0,
        page: 1,
        total_pages: 1,
        has_more: false,
      },
    });
  });

  test('narrows to a model, a key, teams and days, and refuses days that are none', async () => {
    assert.deepEqual((await get('/user/daily/activity?model=other')).body.results, []);
    const byKey = await get('/team/daily/activity?api_key=of-ben');
    assert.equal(byKey.body.metadata.total_api_requests, 1);
    assert.deepEqual(await entities('/team/daily/activity?team_ids=Red,far'), ['far', 'red']);
    assert.deepEqual(await entities('/organization/daily/activity?organization_ids=acme'), ['acme']);
    assert.deepEqual((await get('/user/daily/activity?start_date=2020-01-01&end_date=2020-02-01')).body.results, []);
    assert.equal((await get('/user/daily/activity?start_date=2020-02-01&end_date=2020-01-01')).status, 400);
    assert.equal((await get('/user/daily/activity?start_date=yesterday')).body.error.param, 'start_date');
    assert.equal((await get('/user/daily/activity/aggregated?start_date=2020-01-01&end_date=2021-01-02')).status, 400);
    assert.equal((await get('/team/daily/activity?team_ids=nowhere')).status, 404);
    assert.equal((await get('/team/daily/activity?exclude_team_ids=red')).status, 400);
  });

  test('comes in pages of days, the newest first, with the sums of all of them', async () => {
    await gateway.pool.query(
      `insert into gatewayctl.daily_spend
       select current_date - days, 'gone-key', 'far', 'cleo', '', 'old', 'mock', 1, 1, 0, 0, 1000000000, 1, 1
       from generate_series(1, 3) as days`,
    );
    const { body } = await get('/user/daily/activity?user_id=cleo&page=2&page_size=2');
    const days = body.results.map(({ date }: { date: string }) => date);
    assert.equal(days.length, 2);
    assert.deepEqual(days, days.toSorted().toReversed());
    assert.partialDeepStrictEqual(body.metadata, { total_spend: 3 + one, total_pages: 2, page: 2, has_more: false });
    assert.equal(body.results[0].breakdown.api_keys['gone-key'].metrics.failed_requests, 1, 'a key that is gone too');
    const whole = (await get('/user/daily/activity/aggregated?user_id=cleo')).body;
    assert.equal(whole.results.length, 4);
    assert.partialDeepStrictEqual(whole.metadata, { total_spend: 3 + one, total_pages: 1 });
    await gateway.pool.query(`delete from gatewayctl.daily_spend where model = 'old'`);
  });
});

describe('whose spend one sees', () => {
  const seen: Readonly<Record<string, { users: string[]; teams: string[]; calls: number }>> = {
    service: { users: [], teams: ['red'], calls: 1 },
    anna: { users: ['anna'], teams: ['red'], calls: 1 },
    ben: { users: ['ben'], teams: ['blue'], calls: 1 },
    lead: { users: ['anna', 'lead'], teams: ['red'], calls: 3 },
    head: { users: ['anna', 'ben', 'lead'], teams: ['blue', 'red'], calls: 4 },
    watcher: { users: ['anna', 'ben', 'cleo', 'lead'], teams: ['blue', 'far', 'red'], calls: 5 },
  };

  for (const [caller, { users, teams, calls }] of Object.entries(seen)) {
    test(`${caller}: its own, and what it is responsible for`, async () => {
      assert.deepEqual(await entities('/user/daily/activity', caller), users);
      assert.deepEqual(await entities('/team/daily/activity', caller), teams);
      assert.equal((await get('/user/daily/activity', caller)).body.metadata.total_api_requests, calls);
      assert.equal((await get('/spend/logs', caller)).body.length, calls);
      const report = (await get('/spend/report?group_by=team', caller)).body as { group: string; requests: number }[];
      assert.deepEqual(report.map(({ group }) => group).toSorted(), teams);
      assert.equal(
        report.reduce((sum, { requests }) => sum + requests, 0),
        calls,
      );
    });
  }

  test('a plain member sees of its team what it has spent there itself', async () => {
    const { body } = await get('/team/daily/activity?team_ids=red', 'anna');
    assert.equal(body.metadata.total_api_requests, 1);
    assert.equal((await get('/spend/logs?team_id=red', 'anna')).body.length, 1);
    assert.equal(
      (await get('/organization/daily/activity?organization_ids=acme', 'ben-own')).body.metadata.total_spend,
      one,
    );
  });

  test('what one may not know of is answered like what is not there, to the letter', async () => {
    const swaps: readonly (readonly [caller: string, path: string, there: string, nowhere: string])[] = [
      ['anna', '/spend/logs?user_id=', 'lead', 'nobody'],
      ['anna', '/user/daily/activity?user_id=', 'lead', 'nobody'],
      ['lead', '/spend/logs?user_id=', 'cleo', 'nobody'],
      ['head', '/user/daily/activity?user_id=', 'cleo', 'nobody'],
      ['anna', '/team/daily/activity?team_ids=', 'blue', 'nowhere'],
      ['head', '/team/daily/activity?team_ids=', 'far', 'nowhere'],
      ['cleo', '/organization/daily/activity?organization_ids=', 'acme', 'nowhere'],
      ['service', '/organization/daily/activity?organization_ids=', 'acme', 'nowhere'],
    ];
    for (const [caller, path, there, nowhere] of swaps) {
      const known = await get(path + there, caller);
      const unknown = await get(path + nowhere, caller);
      assert.equal(known.status, 404, `${caller} ${path}${there}: ${known.text}`);
      assert.equal(known.text.replaceAll(there, '*'), unknown.text.replaceAll(nowhere, '*'));
    }
    assert.equal((await get('/spend/logs?user_id=anna', 'lead')).body.length, 1);
  });

  test('get_spend_routes lets a key read all of it, and no more than that', async () => {
    await gateway.pool.query(
      `update gatewayctl.keys set permissions = '{"get_spend_routes": true}' where alias = 'service'`,
    );
    assert.equal((await get('/spend/logs', 'service')).body.length, 5);
    assert.equal((await get('/user/list', 'service')).body.users?.length ?? 0, 0);
    await gateway.pool.query(`update gatewayctl.keys set permissions = '{}' where alias = 'service'`);
    assert.equal((await get('/spend/logs', 'service')).body.length, 1);
  });
});

for (const way of ways) {
  test(`by ${way}: user, team and org activity are tables of days`, async () => {
    for (const [noun, calls] of [
      ['user', '5'],
      ['team', '5'],
      ['org', '4'],
    ]) {
      const { out, err, exit } = await gateway.gatewayctl(`${noun} activity --since 7d -o tsv`, way);
      assert.equal(exit, 0, err);
      const [day, requests, failed] = out.trim().split('\n').at(-1)!.split('\t');
      assert.deepEqual([day, requests, failed], [today, calls, '0']);
    }
  });
}

describe('what is spent under the names that clients put on their calls', () => {
  before(async () => {
    await post('/customer/new', { user_id: 'acme-42', alias: 'Acme' });
    const labelled = [
      ['anna', { user: 'acme-42', metadata: { tags: ['batch', 'night_shift'] } }],
      ['ben', { user: 'acme-42', metadata: { tags: ['batch', 'batch'] } }],
      ['service', { user: 'passer-by', metadata: { tags: ['batch'] } }],
    ] as const;
    for (const [name, more] of labelled) {
      assert.equal((await gateway.chat(keys[name]!.key, 'priced', more)).status, 200);
    }
    await until(async () => (await get('/user/daily/activity')).body.metadata.total_api_requests === 8);
  });

  test('a customer has its days, whether or not it was ever created', async () => {
    const { body } = await get('/customer/daily/activity');
    const { entities: customers, api_keys: used } = body.results[0].breakdown;
    assert.equal(customers['acme-42'].metrics.spend, 2 * one);
    assert.deepEqual(customers['acme-42'].metadata, { alias: 'Acme' });
    assert.deepEqual(Object.keys(customers).toSorted(), ['acme-42', 'passer-by']);
    assert.equal(used[keys['anna']!.token].metadata.key_alias, 'of-anna');
    const only = (await get('/end_user/daily/activity?end_user_ids=passer-by')).body;
    assert.partialDeepStrictEqual(only.metadata, { total_spend: one, total_api_requests: 1, total_tokens: 15 });
    assert.equal((await get('/customer/daily/activity?api_key=of-ben')).body.metadata.total_api_requests, 1);
    assert.equal((await get('/customer/daily/activity?exclude_end_user_ids=acme-42')).status, 400);
  });

  test('a tag counts once for a call, and a call under each of its tags', async () => {
    const { body } = await get('/tag/daily/activity?tags=batch,night_shift');
    const tags = body.results[0].breakdown.entities;
    assert.equal(tags['batch'].metrics.api_requests, 3);
    assert.equal(tags['night_shift'].metrics.spend, one);
    assert.equal(body.metadata.total_api_requests, 4);
    const summary = (await get('/tag/summary')).body.results;
    const counts = { successful_requests: 3, failed_requests: 0, total_requests: 3 };
    assert.deepEqual(summary[0], { tag: 'batch', unique_users: 2, ...counts, total_tokens: 45, total_spend: 3 * one });
    const found = async (query: string) =>
      (await get(`/tag/summary?${query}`)).body.results.map(({ tag }: { tag: string }) => tag);
    assert.deepEqual(await found('tag_filter=T_S'), ['night_shift'], 'the underscore stands for itself');
    assert.deepEqual(await found('tag_filters=batch&tag_filters=nowhere&tag_filter=night'), ['batch']);
    assert.deepEqual(await found('end_date=2020-01-01'), []);
  });

  test('only those see it who see everything', async () => {
    for (const path of [
      '/customer/daily/activity',
      '/end_user/daily/activity',
      '/tag/daily/activity',
      '/tag/summary',
    ]) {
      assert.equal((await get(path, 'watcher')).status, 200);
      for (const caller of ['anna', 'lead', 'head', 'service']) assert.equal((await get(path, caller)).status, 403);
    }
  });

  for (const way of ways) {
    test(`by ${way}: they are tables`, async () => {
      const lastLine = async (line: string) => {
        const { out, err, exit } = await gateway.gatewayctl(`${line} -o tsv`, way);
        assert.equal(exit, 0, err);
        return out.trim().split('\n').at(-1)!.split('\t').slice(0, 3);
      };
      assert.deepEqual(await lastLine('customer activity --of-customer acme-42 --since 7d'), [today, '2', '0']);
      assert.deepEqual(await lastLine('tag activity --of-tag batch'), [today, '3', '0']);
      assert.deepEqual(await lastLine('tag summary --containing night'), ['night_shift', '1', '1']);
    });
  }
});
