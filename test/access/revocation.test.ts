import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { type EmbeddedServer } from '../../src/db/embedded.ts';
import { generateSecret, hashSecret } from '../../src/kernel/secret.ts';
import { aStateDir, type Daemon, gatewayctl, startDaemon, startDaemonHere, until, words } from '../support/gateway.ts';
import { startRelay } from '../support/postgres-relay.ts';
import { skipWithoutRedis, startRedis } from '../support/redis.ts';
import { openCluster } from '../support/cluster.ts';

const masterKey = generateSecret('master');
const models = `
gatewayctl: {}
model_list:
  - model_name: mock-gpt
    litellm_params: { model: mock/gpt, mock_prompt_tokens: 1, mock_completion_tokens: 1 }
`;

let database: EmbeddedServer;
const directories: string[] = [];
let configFile: string;

before(async () => {
  directories.push(await aStateDir());
  database = await openCluster(directories[0]!);
  configFile = `${directories[0]}/config.yaml`;
  await writeFile(configFile, models);
});
after(async () => {
  await database[Symbol.asyncDispose]();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

/** Another daemon on the same database. Its cache lives long, so that nothing but being told can empty it. */
async function aDaemon(databaseUrl = database.url, env: Record<string, string> = {}, start = startDaemonHere) {
  const stateDir = await aStateDir();
  directories.push(stateDir);
  return start({
    stateDir,
    databaseUrl,
    args: ['--config', configFile],
    env: { GATEWAYCTL_MASTER_KEY: masterKey, GATEWAYCTL_AUTH_CACHE_TTL: '300s', ...env },
  });
}

/** A command in direct mode, which no daemon runs. */
async function direct(line: string): Promise<string> {
  const { out, err, exit } = await gatewayctl([...words(line), '--database-url', database.url]);
  assert.equal(exit, 0, err);
  return out.trim();
}

async function sql(statement: string, values: unknown[]): Promise<void> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(statement, values);
  await client.end();
}

const status = async (daemon: Daemon, key: string) => (await daemon.chat(key, 'mock-gpt')).status;

/** Milliseconds until every daemon answers with a status. */
async function msUntil(expected: number, key: string, daemons: readonly Daemon[]): Promise<number> {
  const start = performance.now();
  await Promise.all(daemons.map((daemon) => until(async () => (await status(daemon, key)) === expected, 5_000)));
  return performance.now() - start;
}

describe('two daemons on one database', () => {
  let daemons: [Daemon, Daemon];
  before(async () => {
    const first = await aDaemon(database.url, {}, startDaemon);
    daemons = [first, await aDaemon(database.url, {}, startDaemon)];
  });
  after(() => Promise.all(daemons.map((daemon) => daemon.stop())));

  test('a change made by a command in direct mode is in effect on both within a second', async (t) => {
    await direct('team create --id squad');
    const measured: Record<string, number> = {};
    const measure = async (what: string, expected: number, key: string, line: string) => {
      for (const daemon of daemons) assert.ok([200, 401, 403].includes(await status(daemon, key)));
      await direct(line);
      measured[what] = Math.max(measured[what] ?? 0, await msUntil(expected, key, daemons));
    };
    for (let round = 0; round < 3; round++) {
      const alias = `r${round}`;
      const key = await direct(`key generate --alias ${alias} --team squad -q`);
      await measure('key block', 401, key, `key block ${alias}`);
      await measure('key unblock', 200, key, `key unblock ${alias}`);
      await measure('key update', 403, key, `key update ${alias} --models other`);
      await measure('key update back', 200, key, `key update ${alias} --models mock-gpt`);
      await measure('team block', 401, key, 'team block squad');
      await measure('team unblock', 200, key, 'team unblock squad');
      await measure('key rotate', 401, key, `key rotate ${alias} --yes`);
      const last = await direct(`key rotate ${alias} --yes -q`);
      await measure('key delete', 401, last, `key delete ${alias} --yes`);
    }
    const slowest = Math.max(...Object.values(measured));
    t.diagnostic(
      `slowest of 3 rounds, ms after the command: ${JSON.stringify(measured, (_, ms) => (typeof ms === 'number' ? Math.round(ms) : ms))}`,
    );
    assert.ok(slowest < 1_000, `${slowest} ms`);
  });

  test('a change made through one daemon is in effect there at once, and on the other within a second', async () => {
    const [one, other] = daemons;
    const { body } = await one.request('POST', '/key/generate', { body: { key_alias: 'through-one' } });
    for (const daemon of daemons) assert.equal(await status(daemon, body.key), 200);
    await one.request('POST', '/key/delete', { body: { key_aliases: ['through-one'] } });
    assert.equal(await status(one, body.key), 401);
    assert.ok((await msUntil(401, body.key, [other])) < 1_000);
  });

  test('a change of whoever stands above a key is in effect on both within a second, however they are joined', async (t) => {
    const [one] = daemons;
    const post = async (path: string, body: object) => {
      const answer = await one.request('POST', path, { body });
      assert.equal(answer.status, 200, `${path}: ${answer.text}`);
      return answer.body;
    };
    await post('/organization/new', { organization_id: 'above', organization_alias: 'above' });
    await post('/organization/new', { organization_id: 'shut', organization_alias: 'shut' });
    await post('/organization/block', { organization_id: 'shut' });
    await post('/budget/new', { budget_id: 'shared' });
    await post('/team/new', { team_id: 'crew', organization_id: 'above' });
    await post('/user/new', { user_id: 'uma', organization_id: 'above', budget_id: 'shared', auto_create_key: false });
    await post('/team/member_add', { team_id: 'crew', member: { role: 'user', user_id: 'uma' } });
    await post('/model/new', {
      model_name: 'grouped',
      litellm_params: { model: 'mock/x' },
      model_info: { id: 'grouped', access_groups: ['group'] },
    });
    await post('/customer/new', { user_id: 'customer' });
    await post('/tag/new', { name: 'tag' });
    const make = async (body: object): Promise<string> => (await post('/key/generate', body)).key;
    const held: Readonly<Record<string, string>> = {
      'of a team': await make({ team_id: 'crew' }),
      'of a user': await make({ user_id: 'uma' }),
      'of a member': await make({ team_id: 'crew', user_id: 'uma' }),
      'of the organization': await make({ organization_id: 'above' }),
      'for a group': await make({ models: ['group'] }),
    };
    const call = async (daemon: Daemon, whose: string): Promise<number> => {
      const isGroup = whose === 'for a group';
      const more = isGroup ? { user: 'customer', metadata: { tags: ['tag'] } } : {};
      return (await daemon.chat(held[whose] ?? '', isGroup ? 'grouped' : 'mock-gpt', more)).status;
    };
    const all = ['of a team', 'of a user', 'of a member', 'of the organization'];
    const organization = { organization_id: 'above' };
    const user = { user_id: 'uma' };
    const changes: readonly (readonly [
      whose: readonly string[],
      status: number,
      change: readonly [string, object],
      back: readonly [string, object],
    ])[] = [
      [all, 401, ['/organization/block', organization], ['/organization/unblock', organization]],
      [
        all,
        403,
        ['/organization/update', { ...organization, models: ['other'] }],
        ['/organization/update', { ...organization, models: [] }],
      ],
      [
        all,
        429,
        ['/organization/update', { ...organization, rpm_limit: 1 }],
        ['/organization/update', { ...organization, rpm_limit: null }],
      ],
      [
        ['of a team', 'of a member'],
        401,
        ['/team/update', { team_id: 'crew', organization_id: 'shut' }],
        ['/team/update', { team_id: 'crew', organization_id: 'above' }],
      ],
      [
        ['of a user'],
        401,
        ['/user/update', { ...user, organization_id: 'shut' }],
        ['/user/update', { ...user, organization_id: 'above' }],
      ],
      [
        ['of a user', 'of a member'],
        401,
        ['/user/update', { ...user, blocked: true }],
        ['/user/update', { ...user, blocked: false }],
      ],
      [
        ['of a user', 'of a member'],
        403,
        ['/user/update', { ...user, user_role: 'internal_user_viewer' }],
        ['/user/update', { ...user, user_role: 'internal_user' }],
      ],
      [
        ['of a user'],
        429,
        ['/budget/update', { budget_id: 'shared', rpm_limit: 1 }],
        ['/budget/update', { budget_id: 'shared', rpm_limit: null }],
      ],
      [
        ['of a member'],
        429,
        ['/team/member_update', { team_id: 'crew', user_id: 'uma', rpm_limit: 1 }],
        ['/team/member_update', { team_id: 'crew', user_id: 'uma', rpm_limit: null }],
      ],
      [
        ['for a group'],
        403,
        ['/model/update', { model_info: { id: 'grouped', access_groups: [] } }],
        ['/model/update', { model_info: { id: 'grouped', access_groups: ['group'] } }],
      ],
      [
        ['for a group'],
        403,
        ['/customer/block', { user_ids: ['customer'] }],
        ['/customer/unblock', { user_ids: ['customer'] }],
      ],
      [
        ['for a group'],
        429,
        ['/tag/update', { name: 'tag', rpm_limit: 1 }],
        ['/tag/update', { name: 'tag', rpm_limit: null }],
      ],
    ];
    let slowest = 0;
    for (const [whose, expected, change, back] of changes) {
      for (const [next, [path, body]] of [
        [expected, change],
        [200, back],
      ] as const) {
        for (const each of whose) {
          for (const daemon of daemons)
            await until(async () => (await call(daemon, each)) === (next === 200 ? expected : 200));
        }
        await post(path, body);
        const start = performance.now();
        await Promise.all(
          whose.flatMap((each) =>
            daemons.map((daemon) => until(async () => (await call(daemon, each)) === next, 5_000)),
          ),
        ).catch((error: unknown) => {
          throw new Error(`${path} ${JSON.stringify(body)}: keys ${whose.join(', ')} are not answered with ${next}`, {
            cause: error,
          });
        });
        slowest = Math.max(slowest, performance.now() - start);
      }
    }
    await post('/team/member_delete', { team_id: 'crew', user_id: 'uma' });
    assert.ok((await msUntil(401, held['of a member'] ?? '', daemons)) < 1_000);
    t.diagnostic(`slowest: ${Math.round(slowest)} ms`);
    assert.ok(slowest < 1_000, `${slowest} ms`);
  });

  test('a key that both have refused works on both once it is made', async () => {
    const key = 'sk-refused-by-both-before-0001';
    for (const daemon of daemons) assert.equal(await status(daemon, key), 401);
    await daemons[0].request('POST', '/key/generate', { body: { key, key_alias: 'late' } });
    assert.ok((await msUntil(200, key, daemons)) < 1_000);
  });

  test('under fire a deleted key is refused within a second, and never works again', async () => {
    const key = await direct('key generate --alias fired-at -q');
    let lastSuccess = 0;
    const over = new AbortController();
    const fire = async (daemon: Daemon) => {
      while (!over.signal.aborted) {
        const startedAt = performance.now();
        if ((await status(daemon, key)) === 200) lastSuccess = Math.max(lastSuccess, startedAt);
      }
    };
    const firing = [...daemons, ...daemons].map(fire);
    await direct('key delete fired-at --yes');
    const deletedAt = performance.now();
    await msUntil(401, key, daemons);
    for (let more = 0; more < 40; more++) assert.equal(await status(daemons[more % 2]!, key), 401);
    over.abort();
    await Promise.all(firing);
    assert.ok(lastSuccess - deletedAt < 1_000, `${lastSuccess - deletedAt} ms`);
  });
});

describe('the database of a daemon', () => {
  test('is asked once for a key that many bring at once, never for one that is malformed, and not at all by a warm call', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    const key = await direct('key generate --alias counted -q');

    const answers = await Promise.all(Array.from({ length: 40 }, () => status(daemon, key)));
    assert.deepEqual(new Set(answers), new Set([200]));
    assert.equal(relay.lookups, 1, 'one look-up for forty calls');

    const mistyped = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`;
    for (const wrong of [mistyped, 'sk-gw1_short', `sk-gw1_${'0'.repeat(38)}`]) {
      assert.equal(await status(daemon, wrong), 401);
    }
    assert.equal(relay.lookups, 1, 'no look-up for malformed keys');

    const made = generateSecret('virtual');
    for (let more = 0; more < 5; more++) assert.equal(await status(daemon, made), 401);
    assert.equal(relay.lookups, 2, 'absence is remembered');

    const asked = relay.asked.length;
    for (let more = 0; more < 20; more++) assert.equal(await status(daemon, key), 200);
    const since = relay.asked
      .slice(asked)
      .filter((text) => !/^(select 1$|gatewayctl-book$|begin\b|commit$)/i.test(text));
    assert.deepEqual(since, [], 'only the ledger writes');
    assert.equal(relay.lookups, 2);
  });

  test('when it is gone gives 503 with Retry-After and never 401, where nothing may be served on; and all is well when it is back', async () => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url, { GATEWAYCTL_AUTH_STALE_MAX: '0' });
    const warm = await direct('key generate --alias warm -q');
    const cold = await direct('key generate --alias cold -q');
    assert.equal(await status(daemon, warm), 200);

    relay.cut();
    await until(async () => (await daemon.request('GET', '/health/readiness', { key: '' })).status === 503);
    for (const key of [cold, generateSecret('virtual'), warm]) {
      const answer = await daemon.chat(key, 'mock-gpt');
      assert.equal(answer.status, 503, answer.text);
      assert.ok(Number(answer.headers.get('retry-after')) >= 1);
    }
    const listing = await daemon.request('GET', '/key/list');
    assert.equal(listing.status, 503);
    assert.ok(listing.headers.get('retry-after'));
    assert.equal((await daemon.request('GET', '/health/liveliness', { key: '' })).status, 200);

    await direct('key delete warm --yes');
    relay.mend();
    await until(async () => (await status(daemon, cold)) === 200, 5_000);
    assert.equal(await status(daemon, warm), 401, 'what was deleted meanwhile is refused');
    await until(async () => (await daemon.request('GET', '/health/readiness', { key: '' })).status === 200);
  });

  test('when it falls silent a deleted key is refused within a second all the same', async (t) => {
    await using relay = await startRelay(database.url);
    await using daemon = await aDaemon(relay.url);
    const key = await direct('key generate --alias unheard -q');
    assert.equal(await status(daemon, key), 200);
    relay.silence();
    await direct('key delete unheard --yes');
    const start = performance.now();
    // A call that has to ask waits for the silent database; what counts is when the cache was last believed.
    await until(() => daemon.log.some((line) => /Changes cannot be heard of/.test(line)), 3_000);
    const ms = performance.now() - start;
    t.diagnostic(`noticed after ${Math.round(ms)} ms`);
    assert.ok(ms < 1_500, `${ms} ms`);
    relay.mend();
    await until(async () => (await status(daemon, key)) === 401, 5_000);
  });

  test('may be spoken to by others: an announcement of theirs does no harm', async () => {
    await using daemon = await aDaemon();
    for (const payload of ['', 'no json', 'null', '7', '{"entity":"moon"}', '{"entity":"key","hashes":"x"}']) {
      await sql('select pg_notify($1, $2)', ['gatewayctl', payload]);
    }
    const key = await direct('key generate --alias after-noise -q');
    await until(async () => (await status(daemon, key)) === 200);
    await direct('key delete after-noise --yes');
    assert.ok((await msUntil(401, key, [daemon])) < 2_000);
  });
});

describe('daemons that share a Redis', { skip: skipWithoutRedis }, () => {
  test('read what another has looked up, and forget it together', async () => {
    await using redis = await startRedis();
    await using relay = await startRelay(database.url);
    const env = { GATEWAYCTL_REDIS_URL: redis.url };
    await using one = await aDaemon(database.url, env);
    await using other = await aDaemon(relay.url, env);
    let key = '';
    // More than one key where Redis did not have it yet, or was late once on a busy machine: then PostgreSQL is asked.
    await until(async () => {
      key = generateSecret('virtual');
      // Without an announcement: for some seconds after one, only the database is believed.
      await sql(
        `insert into gatewayctl.keys (id, token, name, alias, created_at, created_by, updated_at, updated_by)
         values ($1, $1, 'x', $1, now(), 'test', now(), 'test')`,
        [hashSecret(key)],
      );
      assert.equal(await status(one, key), 200);
      const { lookups } = relay;
      assert.equal(await status(other, key), 200);
      return relay.lookups === lookups;
    });
    await using late = await aDaemon(relay.url, env);
    const { lookups } = relay;
    assert.equal(await status(late, key), 200);
    assert.equal(relay.lookups, lookups + 1, 'what was read before it began to listen is not believed');
    await direct(`key delete ${hashSecret(key)} --yes`);
    assert.ok((await msUntil(401, key, [one, other, late])) < 1_000);
  });

  test('refuse a deleted key within a second when Redis has stopped, and also when it comes back with what it knew', async () => {
    await using redis = await startRedis();
    const env = { GATEWAYCTL_REDIS_URL: redis.url };
    await using one = await aDaemon(database.url, env);
    await using other = await aDaemon(database.url, env);
    const key = await direct('key generate --alias frozen -q').catch(() => direct('key generate --alias frozen -q'));
    for (const daemon of [one, other]) assert.equal(await status(daemon, key), 200);
    let kept: string[] = [];
    // The answer does not wait until Redis has it.
    await until(async () => {
      kept = (await redis.ask('keys gatewayctl*')).split('\r\n').filter((line) => line.startsWith('gatewayctl'));
      return kept.length === 1;
    });
    const snapshot = /\r\n([\s\S]*)\r\n/.exec(await redis.ask(`get ${kept[0]}`))?.[1];
    assert.ok(snapshot);

    redis.pause();
    await direct('key delete frozen --yes');
    assert.ok((await msUntil(401, key, [one, other])) < 1_000);
    redis.resume();
    // As if neither deletion had arrived, or another daemon had put it back.
    await redis.ask(`set ${kept[0]} ${JSON.stringify(JSON.stringify(JSON.parse(snapshot.split('\r\n')[0] ?? '')))}`);
    for (let more = 0; more < 10; more++)
      for (const daemon of [one, other]) assert.equal(await status(daemon, key), 401);

    // Nor does one that starts now believe it.
    await using late = await aDaemon(database.url, env);
    assert.equal(await status(late, key), 401);
  });

  test('serve on without it', async () => {
    const redis = await startRedis();
    await using daemon = await aDaemon(database.url, { GATEWAYCTL_REDIS_URL: redis.url });
    await redis[Symbol.asyncDispose]();
    const key = await direct('key generate --alias alone -q');
    assert.equal(await status(daemon, key), 200);
    await direct('key delete alone --yes');
    assert.ok((await msUntil(401, key, [daemon])) < 1_000);
  });
});
