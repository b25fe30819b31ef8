import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Pool } from 'pg';
import { generateSecret } from '../../src/kernel/secret.ts';
import { openCluster } from '../support/cluster.ts';
import { aStateDir, type Daemon, startDaemon, until } from '../support/gateway.ts';

const nano = 1e9;
const max = 0.01;
/** A hundred tokens of an answer, and a prompt that is guessed high. */
const worst = 0.00026;

test('a budget that two daemons share is used up and not passed, while one of them is killed and comes back', async () => {
  await using opened = new AsyncDisposableStack();
  const aDirectory = async () => {
    const path = await aStateDir();
    opened.defer(() => rm(path, { recursive: true, force: true }));
    return path;
  };
  const directory = await aDirectory();
  const database = opened.use(await openCluster(directory));
  const config = join(directory, 'config.json');
  const priced = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6, mock_latency_ms: 20 };
  const model_list = [10, 90].map((tokens) => ({
    model_name: `mock-${tokens}`,
    litellm_params: { model: 'mock/gpt', mock_completion_tokens: tokens, ...priced },
  }));
  await writeFile(config, JSON.stringify({ model_list }));
  const env = {
    GATEWAYCTL_MASTER_KEY: generateSecret('master'),
    GATEWAYCTL_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  };
  const start = (stateDir: string) =>
    startDaemon({ stateDir, databaseUrl: database.url, args: ['--config', config], env });
  const daemons: Daemon[] = [];
  opened.defer(async () => void (await Promise.all(daemons.map((daemon) => daemon.stop()))));
  for (let index = 0; index < 2; index++) daemons.push(await start(await aDirectory()));
  const [first, second] = daemons as [Daemon, Daemon];
  const made = await first.request('POST', '/team/new', { body: { team_id: 'shared', max_budget: max } });
  assert.equal(made.status, 200, made.text);
  const { key } = (await first.request('POST', '/key/generate', { body: { team_id: 'shared' } })).body;

  const call = (daemon: Daemon, index: number) =>
    daemon.chat(key, index % 3 === 0 ? 'mock-90' : 'mock-10', { max_tokens: 100 }).then(
      ({ status, text }) => (status === 200 || status === 429 ? status : text),
      () => 'broken',
    );
  const calls = Array.from({ length: 120 }, (_, index) => call(index % 2 === 0 ? first : second, index));
  // Which of them is, depends on who asks first.
  await Promise.any(calls.map(async (answered) => assert.equal(await answered, 200)));
  await second.stop('SIGKILL');
  const again = await start(second.stateDir);
  daemons.push(again);
  const answers = new Set(await Promise.all(calls));
  assert.deepEqual(
    [...answers].filter((answer) => typeof answer === 'string' && answer !== 'broken'),
    [],
  );

  let refused = 0;
  await until(async () => {
    const each = Array.from({ length: 6 }, (_, index) => call(index % 2 === 0 ? first : again, index));
    const found = await Promise.all(each);
    refused = found.every((status) => status === 429) ? refused + 1 : 0;
    return refused === 10;
  }, 30_000);
  await Promise.all([first.stop(), again.stop()]);

  const pool = new Pool({ connectionString: database.url });
  opened.defer(() => pool.end());
  const { rows } = await pool.query(
    `select (select sum(spend) from gatewayctl.spend_logs) as rows, (select spend from gatewayctl.teams where id = 'shared') as team,
            (select count(*)::int from gatewayctl.lease_holders) as holders`,
  );
  const spent = Number(rows[0].rows) / nano;
  assert.ok(spent <= max, `${spent} of ${max}`);
  assert.ok(spent > max - worst, `${spent} of ${max}`);
  assert.equal(rows[0].team, rows[0].rows);
  assert.equal(rows[0].holders, 0, 'who ends in order gives all back');
});
