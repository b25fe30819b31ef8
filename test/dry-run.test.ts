import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { type Gateway, startGateway, type Way, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

/** A sum over every row of every table but those in which a running daemon notes what it holds. */
async function checksum(): Promise<string> {
  const { rows: tables } = await gateway.pool.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relnamespace = 'gatewayctl'::regnamespace and c.relkind = 'r'
       and c.relname not in ('budget_leases', 'lease_holders') order by 1`,
  );
  assert.ok(tables.length > 10);
  const sums = tables.map(
    ({ name }) =>
      `select '${name}' as name, md5(coalesce(string_agg(t::text, E'\\n' order by t::text), '')) as sum from ${name} t`,
  );
  const { rows } = await gateway.pool.query(sums.join(' union all '));
  return JSON.stringify(rows);
}

async function heard(work: () => Promise<unknown>): Promise<string[]> {
  const client = new Client({ connectionString: gateway.databaseUrl });
  await client.connect();
  const payloads: string[] = [];
  client.on('notification', ({ payload = '' }) => payloads.push(payload));
  await client.query('listen gatewayctl');
  await work();
  await client.query('select 1');
  await client.end();
  return payloads;
}

/** Every kind of change, each with the objects it reaches. */
const changes = (way: Way): readonly (readonly [line: string, reaches: readonly string[]])[] => [
  ['key generate --alias new --max-budget 5', ['created key']],
  [`key generate --alias new --team t --user new-${way}`, []],
  ['key update k --max-budget 9', ['updated key']],
  ['key block k', ['blocked key']],
  ['key unblock k', ['unblocked key']],
  ['key rotate k --grace 1h', ['rotated key']],
  ['key delete k', ['deleted key']],
  ['team create --alias new', ['created team']],
  ['team update t --max-budget 9', ['updated team']],
  ['team block t', ['blocked team']],
  ['team unblock t', ['unblocked team']],
  ['team member add t new-user', ['created team_member', 'created user']],
  ['team member update t u --role admin', ['updated team_member']],
  ['team member delete t u', ['deleted key', 'deleted team_member']],
  ['team member delete t u --keep-keys', ['deleted team_member', 'updated key']],
  ['team member add-all t --all-users', ['created team_member']],
  ['team model add t gpt-x', ['updated team']],
  ['team model delete t gpt-4o', ['updated team']],
  ['team permission set t /key/generate', ['updated team']],
  ['user block u', ['blocked user']],
  ['user unblock u', ['unblocked user']],
  [`user bulk-update --users {"user_id":"u","max_budget":3}`, ['updated user']],
  ['key reset-spend k --to 0', ['updated key']],
  ['team delete t', ['deleted key', 'deleted key', 'deleted team']],
  ['user create --id new', ['created user']],
  ['user update u --max-budget 3', ['updated user']],
  ['user delete u --cascade', ['deleted key', 'deleted user']],
  ['model create new --provider-model mock/new', ['created model']],
  ['model update m --provider-model mock/m2', ['updated model']],
  ['model delete m', ['deleted model']],
  ['access-group create new --models m', ['updated model']],
  ['access-group update g --models m,n', ['updated model']],
  ['access-group delete g', ['updated model']],
  ['credential create new --value-env api_key=PATH', ['created credential']],
  ['credential update c --info {"a":1}', ['updated credential']],
  ['credential delete c', ['deleted credential']],
  ['budget create new --max-budget 5', ['created budget']],
  ['budget update b --max-budget 9', ['updated budget']],
  ['budget delete b', ['deleted budget']],
  ['customer create new', ['created customer']],
  ['customer update c --max-budget 9', ['updated customer']],
  ['customer block c new', ['blocked customer', 'created customer']],
  ['customer unblock c', ['unblocked customer']],
  ['customer delete c', ['deleted customer']],
  ['tag create new', ['created tag']],
  ['tag update g --max-budget 9', ['updated tag']],
  ['tag delete g', ['deleted tag']],
  ['org create --alias new', ['created organization']],
  ['org update o --max-budget 9', ['updated organization']],
  ['org block o', ['blocked organization']],
  ['org unblock o', ['unblocked organization']],
  ['org delete o --cascade', ['deleted key', 'deleted organization', 'deleted team', 'updated user']],
  ['org member add o new-user', ['created organization_member', 'created user']],
  ['org member update o home --role org_admin', ['updated organization_member']],
  ['org member delete o home', ['deleted organization_member', 'updated user']],
  ['invitation create u', ['created invitation']],
  ['jwt mapping create client_id other --key k2', ['created jwt_key_mapping']],
  ['jwt mapping update jm --key k2', ['updated jwt_key_mapping']],
  ['jwt mapping delete jm', ['deleted jwt_key_mapping']],
  ['invitation delete i', ['deleted invitation']],
  ['passthrough create /new http://127.0.0.1:9', ['created pass_through_endpoint']],
  ['passthrough update /through --cost-per-request 1', ['updated pass_through_endpoint']],
  ['passthrough delete /through', ['deleted pass_through_endpoint']],
  [`cache delete ${'a'.repeat(64)}`, ['deleted cached_answer']],
  ['cache flush', ['deleted cached_answer']],
  [
    'key callback set k langfuse --value-env langfuse_public_key=PATH --value-env langfuse_secret_key=PATH',
    ['updated key_logging'],
  ],
  ['key callback disable k', ['updated key_logging']],
  [
    'team callback set t langfuse --value-env langfuse_public_key=PATH --value-env langfuse_secret_key=PATH',
    ['updated team_logging'],
  ],
  ['team callback disable t', ['updated team_logging']],
  ['spend body redact asked', ['deleted spend_log_body']],
];

describe('a rehearsed command', () => {
  before(async () => {
    for (const line of [
      'team create --id t --max-budget 5 --models gpt-4o,gpt-5',
      'user create --id u',
      'team member add t u',
      'key generate --alias k --team t --user u --max-budget 5',
      'key generate --alias k2 --team t',
      'passthrough create /through http://127.0.0.1:9',
      'model create m --provider-model mock/m --info {"id":"m"}',
      'model create n --provider-model mock/n --access-groups g',
      'access-group update g --models m',
      'credential create c --value-env api_key=PATH',
      'budget create b',
      'customer create c',
      'tag create g',
      'jwt mapping create client_id nightly --key k',
      'org create --id o --alias o',
      'team create --id ot --org o',
      'key generate --alias ok --team ot',
      'user create --id home --org o',
    ]) {
      const { exit, err } = await gateway.gatewayctl(line.split(' '));
      assert.equal(exit, 0, err);
    }
    await gateway.pool.query(
      `insert into gatewayctl.spend_log_bodies (request_id, created_at, request) values ('asked', now(), 'sealed')`,
    );
    await gateway.pool.query(`update gatewayctl.jwt_key_mappings set id = 'jm'`);
    await gateway.pool.query(
      `insert into gatewayctl.invitations (id, user_id, expires_at, created_at, created_by, updated_at, updated_by)
       values ('i', 'u', now() + interval '1 day', now(), 'test', now(), 'test')`,
    );
  });

  for (const way of ways) {
    test(`shows every object it would change, announces nothing and leaves every table as it was, by ${way}`, async () => {
      const untouched = await checksum();
      const payloads = await heard(async () => {
        for (const [line, reaches] of changes(way)) {
          const run = await gateway.gatewayctl(`${line} --dry-run -o json --idempotency-key dry-run-${way}`, way);
          if (reaches.length === 0) {
            assert.equal(run.exit, 9, line);
            continue;
          }
          assert.equal(run.exit, 0, `${line}: ${run.err}`);
          assert.match(run.err, /Nothing was changed\. It would be: \d/);
          const { dry_run: isDryRun, changes: listed, counts } = JSON.parse(run.out);
          assert.equal(isDryRun, true);
          const said = listed.map((each: Record<string, string>) => `${each['action']} ${each['object_type']}`);
          assert.deepEqual(said.toSorted(), reaches, line);
          assert.equal(
            counts.reduce((sum: number, each: { count: number }) => sum + each.count, 0),
            reaches.length,
          );
          assert.doesNotMatch(run.out, /sk-gw1_[0-9A-Za-z]{38}/, line);
        }
      });
      assert.deepEqual(payloads, []);
      assert.equal(await checksum(), untouched);
      assert.equal((await heard(() => gateway.gatewayctl('key unblock k', way))).length, 1, 'a real change is heard');
    });
  }

  test('covers every operation that changes something and has a command', async () => {
    const { operations } = await import('../src/operations.ts');
    const { isReading } = await import('../src/kernel/operation.ts');
    const tried = changes('server').map(([line]) => line);
    const left = operations
      .filter((operation) => operation.cli && !isReading(operation))
      .map(({ command }) => command.join(' '))
      .filter((command) => !tried.some((line) => `${line} `.startsWith(`${command} `)));
    assert.deepEqual(left, []);
  });

  test('prints a line for each object with what changes in it', async () => {
    const { out, err } = await gateway.gatewayctl('key update k --max-budget 9 --dry-run');
    const [action, type, , change] = out.trimEnd().split('\t');
    assert.deepEqual([action, type, change], ['updated', 'key', 'max_budget: 5 -> 9']);
    assert.match(err, /Nothing was changed\. It would be: 1 key updated\./);
    const table = await gateway.gatewayctl('team delete t --dry-run -o table');
    assert.match(table.out, /^ACTION +TYPE +ID +CHANGE\n/);
    assert.equal(table.out.trimEnd().split('\n').length, 4);
  });

  test('looks first for what exists when it is told to', async () => {
    const run = (line: string) => gateway.gatewayctl(`${line} --if-not-exists --dry-run`);
    const there = await run('team create --id t --max-budget 5');
    assert.deepEqual([there.exit, there.out], [0, '']);
    assert.match(there.err, /Nothing was changed\. There is nothing to change\./);
    assert.equal((await run('team create --id t --max-budget 6')).exit, 6);
    assert.match((await run('team create --id t9')).out, /^created\tteam\tt9\t/);
  });

  test('fails as the change would, and needs something to change', async () => {
    for (const [line, exit] of [
      ['team create --id t --dry-run', 6],
      ['key update nobody --max-budget 1 --dry-run', 3],
      ['key update k --dry-run', 2],
      ['key list --dry-run', 2],
    ] as const) {
      const run = await gateway.gatewayctl(line);
      assert.equal(run.exit, exit, run.err);
      assert.equal(run.out, '');
    }
  });
});

test('a rehearsed block leaves a key at work', async () => {
  const { body } = await gateway.request('POST', '/key/generate', { body: { key_alias: 'works' } });
  assert.equal((await gateway.chat(body.key, 'mock-gpt')).status, 200);
  for (const [path, fields] of [
    ['/key/block?dry_run=true', { key: 'works' }],
    ['/key/block', { key: 'works', dry_run: true }],
  ] as const) {
    const blocked = await gateway.request('POST', path, { body: fields });
    assert.deepEqual([blocked.status, blocked.body.dry_run], [200, true], blocked.text);
  }
  assert.equal((await gateway.chat(body.key, 'mock-gpt')).status, 200);
  const { body: refused } = await gateway.request('POST', '/key/block', { body: { key: 'works', dry_run: 'yes' } });
  assert.equal(refused.error.param, 'dry_run');
  const { status } = await gateway.request('GET', '/key/list?dry_run=true');
  assert.equal(status, 400);
});
