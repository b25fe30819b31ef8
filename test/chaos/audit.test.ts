import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rm } from 'node:fs/promises';
import { Pool } from 'pg';
import { aStateDir, type Daemon, gatewayctl, startDaemon, until } from '../support/gateway.ts';
import { openCluster } from '../support/cluster.ts';

test('three times kill -9 while keys are made: every key has its entry, every entry its key, and the chains hold', async (t) => {
  await using opened = new AsyncDisposableStack();
  const stateDir = await aStateDir();
  opened.defer(() => rm(stateDir, { recursive: true, force: true }));
  const database = opened.use(await openCluster(stateDir));
  const pool = new Pool({ connectionString: database.url, max: 1 });
  opened.defer(() => pool.end());

  const acknowledged: string[] = [];
  for (let round = 0; round < 3; round++) {
    const daemon = await startDaemon({ stateDir });
    const wanted = acknowledged.length + 40 + round * 17;
    const clients = Array.from({ length: 8 }, () => makeKeys(daemon, acknowledged));
    await until(() => acknowledged.length >= wanted);
    await daemon.stop('SIGKILL');
    await Promise.all(clients);
  }
  // What was committed when the connection broke is being ended by the server.
  await until(async () => {
    const { rows } = await pool.query(
      `select 1 from pg_stat_activity where application_name like 'gatewayctl-serve%' and datname = current_database()`,
    );
    return rows.length === 0;
  });

  const made = await idsOf(pool, `select id from gatewayctl.keys`);
  const entries = await idsOf(pool, `select object_id as id from gatewayctl.audit_log where object_type = 'key'`);
  assert.deepEqual(entries, made);
  assert.equal(new Set(entries).size, entries.length);
  const known = new Set(await idsOf(pool, `select token as id from gatewayctl.keys`));
  assert.deepEqual(
    acknowledged.filter((token) => !known.has(token)),
    [],
  );
  t.diagnostic(`${acknowledged.length} keys acknowledged, ${made.length} made`);
  const verified = await gatewayctl(`audit verify --state-dir ${stateDir}`);
  assert.equal(verified.exit, 0, verified.err);
});

/** Until the daemon is gone. */
async function makeKeys({ request }: Daemon, acknowledged: string[]): Promise<void> {
  for (;;) {
    const answer = await request('POST', '/key/generate', { body: {} }).catch(() => undefined);
    if (!answer) return;
    assert.equal(answer.status, 200, answer.text);
    acknowledged.push(answer.body.token);
  }
}

const idsOf = async (pool: Pool, sql: string): Promise<string[]> =>
  (await pool.query<{ id: string }>(sql)).rows.map(({ id }) => id).toSorted();
