import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

interface Row {
  readonly actor: string;
  readonly via: string;
  readonly changed_by: string | null;
  readonly action: string;
  readonly object_type: string;
  readonly object_id: string;
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly xmin: string;
}

/** What a piece of work has left in the audit log, in order. */
async function audited(work: () => Promise<unknown>): Promise<Row[]> {
  const { rows: known } = await gateway.pool.query<{ id: string }>('select id from gatewayctl.audit_log');
  await work();
  const { rows } = await gateway.pool.query<Row>(
    'select *, xmin::text from gatewayctl.audit_log where id <> all($1) order by at, object_type, object_id, action',
    [known.map(({ id }) => id)],
  );
  return rows;
}

const said = (rows: readonly Row[]) => rows.map(({ action, object_type: type, object_id: id }) => [action, type, id]);

/** Every command that changes something, and the rows it leaves. They run one after the other, each on what those before left. */
const changes: readonly (readonly [line: string, rows: readonly (readonly [action: string, type: string])[]])[] = [
  ['team create --alias t --id t --max-budget 5', [['created', 'team']]],
  ['team update t --max-budget none', [['updated', 'team']]],
  ['team block t', [['blocked', 'team']]],
  ['team unblock t', [['unblocked', 'team']]],
  ['user create --id u --email u@example.com', [['created', 'user']]],
  ['user update u --max-budget 3', [['updated', 'user']]],
  [
    'team member add t u new-WAY',
    [
      ['created', 'team_member'],
      ['created', 'team_member'],
      ['created', 'user'],
    ],
  ],
  ['team member update t u --role admin', [['updated', 'team_member']]],
  ['key generate --alias k --team t --user u', [['created', 'key']]],
  ['key update k --max-budget 2', [['updated', 'key']]],
  ['key block k', [['blocked', 'key']]],
  ['key unblock k', [['unblocked', 'key']]],
  ['key rotate k --grace 1h --yes', [['rotated', 'key']]],
  ['team member delete t new-WAY --yes', [['deleted', 'team_member']]],
  ['key delete k --yes', [['deleted', 'key']]],
  ['model create m --provider-model mock/m --info {"id":"m"}', [['created', 'model']]],
  ['model update m --provider-model mock/m2', [['updated', 'model']]],
  ['model delete m --yes', [['deleted', 'model']]],
  ['key generate --alias with-team --team t', [['created', 'key']]],
  [
    'team delete t --confirm t',
    [
      ['deleted', 'key'],
      ['deleted', 'team'],
    ],
  ],
  ['user delete u --confirm u', [['deleted', 'user']]],
];

for (const way of ways) {
  describe(`audit, by ${way}`, () => {
    for (const [template, rows] of changes) {
      const line = template.replace('WAY', way);
      test(`${line.split(' ', 3).join(' ')} leaves its row`, async () => {
        const left = await audited(async () => {
          const { exit, err } = await gateway.gatewayctl(line.split(' '), way);
          assert.equal(exit, 0, err);
        });
        assert.deepEqual(
          left.map(({ action, object_type: type }) => [action, type]),
          rows,
        );
        assert.equal(new Set(left.map(({ xmin }) => xmin)).size, 1, 'one transaction');
        const who = {
          server: ['master', 'api-master'],
          socket: ['admin-socket', 'admin-socket'],
          'database-url': ['tester@host', 'cli-direct'],
          embedded: ['tester@host', 'cli-direct'],
        }[way];
        for (const row of left) {
          assert.deepEqual([row.actor, row.via], who);
          assert.equal(row.before === null, row.action === 'created');
          assert.equal(row.after === null, row.action === 'deleted');
        }
      });
    }

    test('what fails leaves none', async () => {
      await gateway.gatewayctl(`team create --id ${way}-taken`, way);
      for (const [line, exit] of [
        [`team create --id ${way}-taken`, 6],
        [`user create --id ${way}-orphan --org nobody`, 3],
        [`user create --id ${way}-undone --teams nobody`, 3],
        [`team member add ${way}-taken one two one`, 6],
        [`key delete nobody --yes`, 3],
        [`team delete ${way}-taken nobody --confirm ${way}-taken --confirm nobody`, undefined],
      ] as const) {
        const left = await audited(async () => {
          const outcome = await gateway.gatewayctl(line, way);
          if (exit === undefined) assert.notEqual(outcome.exit, 0);
          else assert.equal(outcome.exit, exit, outcome.err);
        });
        assert.deepEqual(said(left), [], line);
      }
    });
  });
}

describe('the audit log', () => {
  test('says what changed, from what to what', async () => {
    await gateway.gatewayctl('key generate --alias diff --max-budget 5');
    const [row] = await audited(() => gateway.gatewayctl('key update diff --max-budget 7.5'));
    assert.equal(row?.before?.['max_budget'], 5);
    assert.equal(row?.after?.['max_budget'], 7.5);
  });

  test('names whom a caller says it acts for', async () => {
    const [row] = await audited(() =>
      gateway.request('POST', '/team/new', {
        body: { team_id: 'for-anna' },
        headers: { 'litellm-changed-by': 'anna' },
      }),
    );
    assert.equal(row?.changed_by, 'anna');
    assert.equal(row?.actor, 'master');
  });

  test('names the user of an administrator’s key', async () => {
    await gateway.gatewayctl('user create --id chief --role proxy_admin');
    const key = (await gateway.gatewayctl('key generate --user chief -q')).out.trim();
    const [row] = await audited(() => gateway.request('POST', '/team/new', { key, body: { team_id: 'by-chief' } }));
    assert.deepEqual([row?.actor, row?.via], ['chief', 'api-key']);
  });

  test('holds no secret: neither a key nor that of a provider', async () => {
    const own = 'sk-chosen-by-the-operator-0001';
    const made = [
      (await gateway.request('POST', '/key/generate', { body: { key: own, key_alias: 'own' } })).body.key,
      (await gateway.gatewayctl('key generate --alias secret -q')).out.trim(),
      (await gateway.gatewayctl('key rotate secret --yes -q')).out.trim(),
      (await gateway.request('POST', '/user/new', { body: { user_id: 'with-key' } })).body.key,
    ];
    assert.equal(made[0], own);
    const provider = [
      'sk-provider-secret-0002',
      'sk-provider-secret-0003',
      'canary-of-a-cloud-0004',
      'canary-of-a-cloud-renewed-0005',
    ];
    const tour: readonly (readonly [method: string, path: string, body: object])[] = [
      ['POST', '/model/new', { model_name: 'x', litellm_params: { model: 'openai/x', api_key: provider[0] } }],
      ['PATCH', '/model/by-canary/update', { litellm_params: { api_key: provider[1] } }],
      ['POST', '/model/delete', { id: 'by-canary' }],
      ['POST', '/credentials', { credential_name: 'c', credential_values: { api_key: provider[2] } }],
      ['PATCH', '/credentials/c', { credential_values: { api_key: provider[3] } }],
      ['DELETE', '/credentials/c', {}],
      ['POST', '/key/block', { key: own }],
      ['POST', '/key/update', { key: own, max_budget: 5 }],
      ['POST', '/key/delete', { keys: [own] }],
    ];
    for (const [method, path, body] of tour) {
      const named = path === '/model/new' ? { ...body, model_info: { id: 'by-canary' } } : body;
      const { status, text } = await gateway.request(method, path, { body: named });
      assert.equal(status, 200, `${path}: ${text}`);
    }
    await gateway.request('POST', '/key/generate', { key: 'sk-refused-secret-0006', body: {} });
    const { rows } = await gateway.pool.query('select to_jsonb(a)::text as text from gatewayctl.audit_log a');
    const log = rows.map(({ text }: { text: string }) => text).join('\n');
    for (const secret of [...made, ...provider, 'sk-refused-secret-0006', gateway.daemon.masterKey]) {
      assert.ok(secret.length > 20 && !log.includes(secret));
    }
  });
});

describe('the audit log, as it is read', () => {
  for (const way of ways) {
    test(`list shows the newest change first and filters by object and actor, by ${way}`, async () => {
      const run = (line: string) => gateway.gatewayctl(line, way);
      const made = JSON.parse((await run(`team create --alias read-${way} --json`)).out);
      await run(`team update read-${way} --max-budget 7`);
      const entries = JSON.parse((await run(`audit list --object team --object-id ${made.team_id} --json`)).out);
      assert.deepEqual(
        entries.map(({ action }: { action: string }) => action),
        ['updated', 'created'],
      );
      const shown = JSON.parse((await run(`audit show ${entries[0].id} --json`)).out);
      assert.equal(shown.before.max_budget, null);
      assert.equal(shown.after.max_budget, 7);
      const mine = JSON.parse((await run(`audit list --actor ${entries[0].actor} --since 1h --json`)).out);
      assert.ok(mine.some(({ id }: { id: string }) => id === entries[0].id));
      assert.equal((await run('audit list --actor nobody-at-all')).out, '');
      assert.equal((await run('audit show no-such-entry')).exit, 3);
    });
  }

  test('a change by the admin socket bears the name its caller claims', async () => {
    const made = JSON.parse((await gateway.gatewayctl('team create --alias claimed --json', 'socket')).out);
    const [entry] = JSON.parse((await gateway.gatewayctl(`audit list --object-id ${made.team_id} --json`)).out);
    assert.equal(entry.actor, 'admin-socket');
    assert.equal(entry.changed_by, 'tester@host');
  });

  test('a key that is no administrator’s does not read it', async () => {
    const secret = (await gateway.gatewayctl('key generate -q')).out.trim();
    assert.equal((await gateway.request('GET', '/audit', { key: secret })).status, 403);
  });
});
