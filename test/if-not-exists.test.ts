import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const count = async (table: string, where: string): Promise<number> => {
  const { rows } = await gateway.pool.query<{ n: number }>(
    `select count(*)::int as n from gatewayctl.${table} where ${where}`,
  );
  return rows[0]!.n;
};

const argvOf = (line: string) => line.split(' ');

/**
 * Lines that say what is there already, as it was made by the first of them, and lines that differ from it, with what is
 * said of the difference. WAY stands for the way, so that each has objects of its own.
 */
const objects = [
  {
    same: [
      'key generate --alias WAY --team T-WAY --models b,a --max-budget 25 --expires 90d --metadata {"a":{"b":[1]}}',
      'key generate --alias WAY --team t-WAY --models a,b --max-budget 25.00 --expires 90d',
      'key generate --alias WAY',
      'key generate --alias WAY --metadata {"a":{"b":[1]}} --org none',
    ],
    differing: [
      ['key generate --alias WAY --max-budget 50', 'max_budget: wanted 50, is 25'],
      ['key generate --alias WAY --models a --max-budget none', 'max_budget: wanted none, is 25'],
      ['key generate --alias WAY --models a --max-budget 25', 'models: wanted ["a"], is ["b","a"]'],
      ['key generate --alias WAY --team none', 'team_id: wanted none, is t-WAY'],
      ['key generate --alias WAY --expires never', 'duration: wanted none, is 20'],
      ['key generate --alias WAY --expires 2030-01-01', 'expires: wanted 2030-01-01T00:00:00.000Z, is 20'],
      ['key generate --alias WAY --user nobody', 'user_id: wanted nobody, is none'],
      ['key generate --alias WAY --metadata {"a":1}', 'metadata: wanted {"a":1}, is {"a":{"b":[1]}}'],
    ],
    isThere: ['keys', `alias = 'WAY'`],
  },
  {
    same: [
      'team create --alias x-WAY --max-budget 5 --models m',
      'team create --alias x-WAY',
      'team create --alias x-WAY --models m --max-budget 5',
    ],
    differing: [
      ['team create --alias x-WAY --id other-WAY', 'team_id: wanted other-WAY, is '],
      ['team create --alias x-WAY --blocked', 'blocked: wanted true, is false'],
    ],
    isThere: ['teams', `alias = 'x-WAY'`],
  },
  {
    same: [
      'user create --id u-WAY --email WAY@example.com --teams t-WAY --role internal_user',
      'user create --id u-WAY --teams T-WAY',
      'user create --email WAY@EXAMPLE.com',
    ],
    differing: [
      ['user create --id u-WAY --role proxy_admin', 'user_role: wanted proxy_admin, is internal_user'],
      ['user create --email WAY@example.com --id v-WAY', 'user_id: wanted v-WAY, is u-WAY'],
      ['user create --id u-WAY --teams x-WAY', 'teams: wanted ['],
    ],
    isThere: ['users', `id = 'u-WAY'`],
  },
  {
    same: [
      'model create m-WAY --provider-model openai/gpt --api-base http://127.0.0.1:9/v1/ --allow-private-network --api-key @KEYFILE --params {"cache_read_input_token_cost":0.5} --insecure-argv',
      'model create m-WAY --provider-model gpt --api-base http://127.0.0.1:9/v1 --allow-private-network --api-key @KEYFILE',
      'model create m-WAY --params {"model":"openai/gpt","cache_read_input_token_cost":0.5}',
    ],
    differing: [
      ['model create m-WAY --provider-model mock/other', 'model: wanted mock/other, is openai/gpt'],
      ['model create m-WAY --api-key os.environ/OTHER', 'api_key: differs'],
      ['model create m-WAY --info {"mode":"embedding"}', 'model_info.mode: wanted embedding, is chat'],
    ],
    isThere: ['models', `name = 'm-WAY'`],
  },
] as const;

for (const way of ways) {
  describe(`a command with --if-not-exists, by ${way}`, () => {
    let keyFile: string;
    before(async () => {
      const { mkdtemp, writeFile } = await import('node:fs/promises');
      keyFile = `${await mkdtemp(`${gateway.stateDir}/x-`)}/key`;
      await writeFile(keyFile, 'sk-upstream-key-of-somebody\n', { mode: 0o600 });
      const { exit, err } = await gateway.gatewayctl(`team create --id t-${way} --alias T-${way}`, way);
      assert.equal(exit, 0, err);
    });
    const run = (line: string) =>
      gateway.gatewayctl(
        [...argvOf(line.replaceAll('KEYFILE', keyFile).replaceAll('WAY', way)), '--if-not-exists'],
        way,
      );

    for (const { same, differing, isThere } of objects) {
      const command = same[0].split(' ', 2).join(' ');
      test(`${command} makes it once, and says afterwards that it is there`, async () => {
        for (const [index, line] of same.entries()) {
          const { exit, out, err } = await run(`${line} -o json`);
          assert.equal(exit, 0, `${line}: ${err}`);
          assert.equal(JSON.parse(out).created, index === 0, line);
          if (index > 0) assert.match(err, /is there already, with these values; nothing was changed/);
          assert.doesNotMatch(index > 0 ? out : '', /sk-gw1_[0-9A-Za-z]{38}/);
        }
        const [table, where] = isThere;
        assert.equal(await count(table, where.replace('WAY', way)), 1);
      });

      test(`${command} refuses other values and lists them`, async () => {
        for (const [line, said] of differing) {
          const { exit, out, err } = await run(line);
          assert.deepEqual([exit, out], [6, ''], line);
          assert.ok(err.includes(said.replaceAll('WAY', way)), `${line}: ${err}`);
          assert.doesNotMatch(err, /sk-upstream/);
        }
      });
    }

    test('prints nothing in place of a secret that cannot be shown again', async () => {
      for (const flags of ['-q', '', '-o env']) {
        const { exit, out, err } = await run(`key generate --alias WAY ${flags}`.trim());
        assert.deepEqual([exit, out], [0, ''], flags);
        assert.match(err, /is there already.*cannot be shown again/);
      }
      const made = await run('key generate --alias WAY-new -q');
      assert.match(made.out, /^sk-gw1_\w{38}\n$/);
    });

    test('needs a name', async () => {
      for (const line of ['key generate --max-budget 5', 'team create', 'user create']) {
        const { exit, err } = await run(line);
        assert.equal(exit, 9, err);
        assert.match(err, /if_not_exists needs a name/);
      }
    });
  });
}

describe('if_not_exists over HTTP', () => {
  for (const [path, body, table, where] of [
    ['/key/generate', { key_alias: 'race' }, 'keys', `alias = 'race'`],
    ['/team/new', { team_alias: 'race' }, 'teams', `alias = 'race'`],
    ['/user/new', { user_id: 'race' }, 'users', `id = 'race'`],
    ['/model/new', { model_name: 'race', litellm_params: { model: 'mock/race' } }, 'models', `name = 'race'`],
  ] as const) {
    test(`ten at once to ${path} make one`, async () => {
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => gateway.request('POST', path, { body: { ...body, if_not_exists: true } })),
      );
      for (const { status, text } of answers) assert.equal(status, 200, text);
      assert.equal(answers.filter((answer) => answer.body.created === true).length, 1);
      assert.equal(await count(table, where), 1);
    });
  }

  test('finds what somebody made meanwhile without asking', async () => {
    const asked = Array.from({ length: 8 }, (_, index) =>
      gateway.request('POST', '/key/generate', {
        body: { key_alias: 'mixed', ...(index % 2 && { if_not_exists: true }) },
      }),
    );
    const answers = await Promise.all(asked);
    assert.equal(await count('keys', `alias = 'mixed'`), 1);
    for (const [index, { status }] of answers.entries()) if (index % 2) assert.equal(status, 200);
    assert.equal(answers.filter(({ body }) => typeof body.key === 'string').length, 1);
  });

  test('compares members as people, in any order', async () => {
    const members = [{ user_id: 'm1', role: 'admin' }, { user_email: 'm2@example.com' }];
    const make = (list: object[]) =>
      gateway.request('POST', '/team/new', {
        body: { team_id: 'members', members_with_roles: list, if_not_exists: true },
      });
    assert.equal((await make(members)).body.created, true);
    assert.equal((await make(members.toReversed())).body.created, false);
    const { status, body } = await make(members.slice(1));
    assert.deepEqual(
      [status, body.error.type, body.error.param],
      [409, 'exists_with_other_values', 'members_with_roles'],
    );
  });

  test('answers LiteLLM as before where it was not asked for', async () => {
    const made = await gateway.request('POST', '/team/new', { body: { team_id: 'plain' } });
    assert.ok(!('created' in made.body));
    assert.equal((await gateway.request('POST', '/team/new', { body: { team_id: 'plain' } })).status, 400);
    const { body } = await gateway.request('POST', '/team/block', { body: { team_id: 'plain', if_not_exists: true } });
    assert.equal(body.error.type, 'unknown_field');
  });

  test('never shows or takes a secret for another', async () => {
    const key = 'sk-a-key-of-ones-own-1';
    const make = (given: string) =>
      gateway.request('POST', '/key/generate', { body: { key_alias: 'own', key: given, if_not_exists: true } });
    assert.equal((await make(key)).body.key, key);
    assert.equal((await make(key)).body.key, null);
    const { status, body, text } = await make('sk-a-key-of-ones-own-2');
    assert.deepEqual([status, body.error.message], [409, 'The key exists with other values: key: differs']);
    assert.ok(!text.includes('own-2'));
  });
});
