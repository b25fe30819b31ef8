import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { type Gateway, gatewayctl, type Outcome, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  for (const way of ways) {
    const made = await gateway.gatewayctl(
      `team create --id ${way} --metadata {"b":1.50,"aa":[1e21,-0,{"10":"é","9":null}]}`,
      way,
    );
    assert.equal(made.exit, 0, made.err);
    await gateway.gatewayctl(`team update ${way} --max-budget 7`, way);
  }
  // A command on the database itself knows no chain, and takes the first that is free.
  for (const budget of [8, 9, 10]) await gateway.gatewayctl(`team update embedded --max-budget ${budget}`, 'embedded');
  assert.equal((await rows()).filter(({ chain }) => chain === 0).length, 8, 'what is tampered with below');
});
after(() => gateway[Symbol.asyncDispose]());

interface Broken {
  readonly key_id: string;
  readonly chain: number;
  readonly seq: number | null;
  readonly id: string | null;
  readonly problem: string;
}

async function verified(): Promise<{ ok: boolean; entries: number; broken: Broken[]; [name: string]: unknown }> {
  return (await gateway.request('GET', '/audit/verify')).body;
}

/** Changes the tables as an attacker who owns them does, asks, and puts everything back. */
async function tampered<T>(sql: readonly string[], ask: () => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: gateway.databaseUrl });
  await client.connect();
  try {
    await client.query('set search_path to gatewayctl; set session_replication_role = replica');
    await client.query('create table kept_log as table audit_log; create table kept_heads as table audit_heads');
    await client.query('create table kept_keys as table audit_keys');
    for (const statement of sql) await client.query(statement);
    return await ask();
  } finally {
    for (const table of ['log', 'heads', 'keys']) {
      await client.query(`delete from audit_${table}; insert into audit_${table} table kept_${table}`);
      await client.query(`drop table kept_${table}`);
    }
    await client.end();
  }
}

const rows = async (): Promise<{ id: string; key_id: string; chain: number; seq: string }[]> =>
  (await gateway.pool.query('select id, key_id, chain, seq from gatewayctl.audit_log order by chain, seq')).rows;

describe('audit verify', () => {
  for (const way of ways) {
    test(`finds everything as it was written, by ${way}`, async () => {
      const { exit, out, err } = await gateway.gatewayctl('audit verify --json', way);
      assert.equal(exit, 0, err);
      const { ok, entries, chains, unkeyed, before_chains: earlier, broken } = JSON.parse(out);
      assert.deepEqual(
        { ok, entries, unkeyed, earlier, broken },
        { ok: true, entries: 11, unkeyed: 0, earlier: 0, broken: [] },
      );
      assert.equal(chains, 16);
    });
  }

  const where = `(chain, seq) = (0, 3)`;
  const forged = [
    [`id = 'another'`, 'altered'],
    [`at = at + interval '1 microsecond'`, 'altered'],
    [`actor = 'somebody'`, 'altered'],
    [`via = 'api-key'`, 'altered'],
    [`changed_by = 'somebody'`, 'altered'],
    [`action = 'blocked'`, 'altered'],
    [`object_type = 'key'`, 'altered'],
    [`object_id = 'another'`, 'altered'],
    [`before = '{"a":1}'`, 'altered'],
    [`after = after || '{"team_alias":"another"}'`, 'altered'],
    [`after = null`, 'altered'],
    [`request_id = 'another'`, 'altered'],
    [`client = '192.0.2.1'`, 'altered'],
    [`hash = sha256('another')`, 'altered'],
    [`organization_ids = '{north}'`, 'altered'],
    [`seq = 1000`, 'missing'],
    [`chain = 15`, 'missing'],
    [`key_id = null`, 'missing'],
    [`key_id = 'another'`, 'missing'],
  ] as const;

  test('knows every column', async () => {
    const { rows: columns } = await gateway.pool.query(
      `select column_name as name from information_schema.columns where table_schema = 'gatewayctl' and table_name = 'audit_log'`,
    );
    const named = new Set(forged.map(([change]) => change.split(' ', 1)[0]));
    assert.deepEqual(
      columns.map(({ name }) => name).filter((name) => !named.has(name)),
      [],
    );
  });

  for (const [change, problem] of forged) {
    test(`names a row of which somebody said ${change}`, async () => {
      const { ok, broken } = await tampered([`update audit_log set ${change} where ${where}`], verified);
      assert.equal(ok, false);
      const flaw = broken.find(({ chain, key_id: id }) => chain === 0 && id !== 'another');
      assert.deepEqual([flaw?.problem, flaw?.seq], [problem, 3]);
      if (problem === 'altered' && !change.startsWith('id')) {
        assert.equal(flaw?.id, (await rows()).find(({ chain, seq }) => chain === 0 && seq === '3')?.id);
      }
    });
  }

  const others = [
    ['a row that was deleted', [`delete from audit_log where ${where}`], 'missing', 3],
    [
      'two rows that changed places',
      [
        `update audit_log set seq = -1 where ${where}`,
        `update audit_log set seq = 3 where (chain, seq) = (0, 4)`,
        `update audit_log set seq = 4 where (chain, seq) = (0, -1)`,
      ],
      'moved',
      3,
    ],
    [
      'a row that was deleted, with those behind it moved up',
      [
        `delete from audit_log where ${where}`,
        ...[4, 5, 6, 7, 8].map((seq) => `update audit_log set seq = ${seq - 1} where (chain, seq) = (0, ${seq})`),
      ],
      'altered',
      3,
    ],
    ['an end that was cut off', [`delete from audit_log where chain = 0 and seq >= 6`], 'cut_off', 6],
    [
      'an end that was cut off, with its head set back',
      [
        `update audit_heads set seq = 5, hash = (select hash from audit_log where (chain, seq) = (0, 5)) where chain = 0`,
        `delete from audit_log where chain = 0 and seq > 5`,
      ],
      'head_altered',
      null,
    ],
    ['a head that was set back', [`update audit_heads set seq = 5 where chain = 0`], 'unexpected', 6],
    [
      'a row that was added',
      [
        `insert into audit_log select 'new', at, actor, via, changed_by, action, object_type, object_id, before, after,
         request_id, client, key_id, chain, 9, hash from audit_log where ${where}`,
      ],
      'altered',
      9,
    ],
    ['a head that is gone', [`delete from audit_heads where chain = 0`], 'head_missing', null],
    [
      'a chain that is gone',
      [`delete from audit_log where chain = 0`, `delete from audit_heads where chain = 0`],
      'head_missing',
      null,
    ],
    ['a head without its rows', [`delete from audit_log where chain = 0`], 'cut_off', 1],
    ['a key that is gone', [`delete from audit_keys`], 'key_unknown', null],
    [
      'a row without a key',
      [
        `insert into audit_heads select '', chain, seq, hash, mac from audit_heads`,
        `insert into audit_log select 'forged', now(), actor, via, changed_by, action, object_type, object_id, before, after,
           request_id, client, '', 0, 1, hash from audit_log where ${where}`,
      ],
      'altered',
      1,
    ],
  ] as const;

  for (const [what, sql, problem, seq] of others) {
    test(`names ${what}`, async () => {
      const { ok, broken } = await tampered(sql, verified);
      assert.equal(ok, false);
      const flaw = broken.find((each) => each.chain === 0 && (problem !== 'altered' || each.problem === problem));
      assert.deepEqual([flaw?.problem, flaw?.seq], [problem, seq], JSON.stringify(broken));
    });
  }

  test('ends with 1 and says which entry it is, and what was done to it', async () => {
    const [first] = await rows();
    const { exit, err, out } = await tampered([`update audit_log set actor = 'x' where (chain, seq) = (0, 1)`], () =>
      gateway.gatewayctl('audit verify'),
    );
    assert.equal(exit, 1);
    assert.match(err, new RegExp(`chain 0 of key ${first?.key_id}: row 1, entry ${first?.id}, was changed`));
    assert.match(out, /^false\t/);
  });

  test('is for administrators and for whoever may look at everything', async () => {
    const keyOf = async (role: string) => {
      await gateway.gatewayctl(`user create --id ${role} --role ${role}`);
      return (await gateway.gatewayctl(`key generate --user ${role} -q`)).out.trim();
    };
    for (const [role, status] of [
      ['proxy_admin', 200],
      ['proxy_admin_viewer', 200],
      ['internal_user', 403],
    ] as const) {
      assert.equal((await gateway.request('GET', '/audit/verify', { key: await keyOf(role) })).status, status, role);
    }
  });

  test('is not disturbed by changes that are being made, few or many at once', async () => {
    await gateway.gatewayctl('team create --id busy');
    const client = async () => {
      for (let n = 0; n < 30; n++) {
        const { status, text } = await gateway.request('POST', '/key/generate', { body: { team_id: 'busy' } });
        assert.equal(status, 200, text);
      }
    };
    const changes = Promise.all(Array.from({ length: 7 }, client));
    for (let round = 0; round < 5; round++) assert.deepEqual((await verified()).broken, []);
    await changes;
    const used = new Set((await rows()).map(({ chain }) => chain));
    assert.ok(used.size > 1, 'changes at once are in different chains');
    const { entries } = await verified();
    await gateway.gatewayctl('team delete busy --confirm busy');
    const { entries: more, broken } = await verified();
    assert.deepEqual([more, broken], [entries + 211, []]);
  });

  test('a chain that was tampered with is never continued, and without any other nothing is changed', async () => {
    await tampered([`update audit_heads set seq = seq - 1 where chain = 0`], async () => {
      const [{ max }] = (await gateway.pool.query('select max(seq) from gatewayctl.audit_log where chain = 0')).rows;
      assert.equal((await gateway.request('POST', '/team/new', { body: { team_id: 'elsewhere' } })).status, 200);
      assert.deepEqual((await gateway.pool.query('select max(seq) from gatewayctl.audit_log where chain = 0')).rows, [
        { max },
      ]);
    });
    await tampered([`update audit_heads set seq = seq + 1`], async () => {
      const refused = await gateway.request('POST', '/team/new', { body: { team_id: 'nowhere' } });
      assert.deepEqual([refused.status, refused.body.error.type], [500, 'audit_chain_broken']);
      assert.equal((await gateway.request('GET', '/team/info?team_id=nowhere')).status, 404);
    });
    await tampered([`delete from audit_heads`], async () => {
      const refused = await gateway.request('POST', '/team/new', { body: { team_id: 'nowhere' } });
      assert.deepEqual([refused.status, refused.body.error.type], [500, 'audit_chain_broken']);
    });
  });

  test('an entry can be neither changed nor deleted while the triggers stand', async () => {
    for (const sql of [
      `update gatewayctl.audit_log set actor = 'x'`,
      `delete from gatewayctl.audit_log where false`,
      `truncate gatewayctl.audit_log`,
      `delete from gatewayctl.audit_heads`,
      `truncate gatewayctl.audit_keys`,
    ]) {
      await assert.rejects(
        gateway.pool.query(sql),
        /on gatewayctl\.audit_\w+ is refused: the audit log can only be added to/,
      );
    }
  });

  test('a command without the encryption key changes nothing, and reads', async () => {
    const environment = { env: { GATEWAYCTL_ENCRYPTION_KEY_FILE: '' } };
    const refused = await gateway.gatewayctl('team create --id keyless', 'database-url', environment);
    assert.equal(refused.exit, 78, refused.err);
    assert.match(refused.err, /GATEWAYCTL_ENCRYPTION_KEY_FILE/);
    assert.equal((await gateway.gatewayctl('audit list', 'database-url', environment)).exit, 0);
    const asked = await gateway.gatewayctl('audit verify', 'database-url', environment);
    assert.equal(asked.exit, 1);
    assert.match(asked.err, /nothing under it can be checked/);
  });
});

/** Commands on a database of their own, on the server of the gateway. */
async function aDatabase(name: string, keyFile?: string) {
  await gateway.pool.query(`create database ${name}`);
  const url = gateway.databaseUrl.replace(/\/\/([^/]*)\/[^?]*/, `//$1/${name}`);
  const on = (line: string, file = keyFile): Promise<Outcome> =>
    gatewayctl(line, {
      env: {
        GATEWAYCTL_DATABASE_URL: url,
        ...(file !== undefined && { GATEWAYCTL_ENCRYPTION_KEY_FILE: file }),
      },
    });
  const migrated = await on('migrate up');
  assert.equal(migrated.exit, 0, migrated.err);
  return {
    run: on,
    verify: async (file = keyFile) => JSON.parse((await on('audit verify --json', file)).out),
    async query(sql: string) {
      const client = new Client({ connectionString: url });
      await client.connect();
      try {
        await client.query(sql);
      } finally {
        await client.end();
      }
    },
  };
}

async function aKeyFile(name: string): Promise<string> {
  const path = join(gateway.stateDir, name);
  await writeFile(path, randomBytes(32).toString('base64'), { mode: 0o600 });
  return path;
}

describe('the chains of other databases', () => {
  test('a dump takes them along, and what was restored is as it was written', async () => {
    const file = join(gateway.stateDir, 'dump.jsonl');
    assert.equal((await gateway.gatewayctl(`db dump ${file}`, 'embedded')).exit, 0);
    const { entries } = await verified();
    const restored = await aDatabase('restored', join(gateway.stateDir, 'encryption-key'));
    const rehearsed = await restored.run(`db restore ${file} --dry-run`);
    assert.equal(rehearsed.exit, 0, rehearsed.err);
    const done = await restored.run(`db restore ${file}`);
    assert.equal(done.exit, 0, done.err);
    assert.equal(rehearsed.err, `Nothing was changed. It would be: ${done.err.trim()}\n`);
    assert.match(done.err, /^[1-9]\d* rows restored\.$/m);
    const again = await restored.run(`db restore ${file} --dry-run`);
    assert.equal(again.exit, 6, again.err);
    assert.equal((await restored.run('migrate up --dry-run')).out, '');
    const found = await restored.verify();
    assert.deepEqual([found.ok, found.entries], [true, entries]);
    assert.equal((await restored.run('team create --id after-restore')).exit, 0);
    const continued = await restored.verify();
    assert.deepEqual([continued.ok, continued.entries], [true, entries + 1]);
  });

  test('entries from before there were chains are counted, and not vouched for', async () => {
    const old = await aDatabase('old', await aKeyFile('old-key'));
    await old.query(`insert into gatewayctl.audit_log (id, at, actor, via, action, object_type, object_id)
                     values ('old', now(), 'anna', 'cli-direct', 'created', 'team', 't')`);
    assert.equal((await old.run('team create --id t')).exit, 0);
    const { ok, entries, before_chains: earlier, broken } = await old.verify();
    assert.deepEqual(broken, []);
    assert.deepEqual({ ok, entries, earlier }, { ok: true, entries: 1, earlier: 1 });
  });

  test('without an encryption key entries are chained without one, and counted; from the first key on, each needs it', async () => {
    const keyless = await aDatabase('keyless');
    await keyless.run('team create --id one');
    await keyless.run('team create --id two');
    const without = await keyless.verify();
    assert.deepEqual([without.ok, without.entries, without.unkeyed], [true, 2, 2]);

    const file = await aKeyFile('first-key');
    assert.equal((await keyless.run('team create --id three', file)).exit, 0);
    const mixed = await keyless.verify(file);
    assert.deepEqual([mixed.ok, mixed.entries, mixed.unkeyed], [true, 3, 2]);
    assert.equal((await keyless.run('team create --id four')).exit, 78);

    // Whoever may write to the database can compute all of it.
    const heads = `gatewayctl.audit_heads`;
    await keyless.query(`create table kept as select * from ${heads} where key_id <> '';
      set session_replication_role = replica; delete from ${heads} where key_id <> ''`);
    assert.equal((await keyless.run('team create --id forged')).exit, 0);
    await keyless.query(`insert into ${heads} table kept`);
    const forged = await keyless.verify(file);
    assert.deepEqual(
      forged.broken.map(({ problem, key_id: id }: Broken) => [problem, id]),
      [['key_missing', '']],
    );
  });

  test('a changed encryption key leaves everything to be checked with the new one alone', async () => {
    const [first, second] = [await aKeyFile('key-1'), await aKeyFile('key-2')];
    const rotated = await aDatabase('rotated', first);
    await rotated.run('team create --id before');
    const turned = await rotated.run(`crypto rotate --new-key-file ${second}`);
    assert.equal(turned.exit, 0, turned.err);
    assert.equal((await rotated.run('team create --id after', second)).exit, 0);
    const { ok, entries } = await rotated.verify(second);
    assert.deepEqual([ok, entries], [true, 3]);
    const old = await rotated.verify(first);
    assert.deepEqual(
      old.broken.map(({ problem }: Broken) => problem),
      ['key_unknown'],
    );
  });
});
