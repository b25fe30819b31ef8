import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { aStateDir, startGateway, until } from '../support/gateway.ts';

const config = `
model_list:
  - { model_name: quick, litellm_params: { model: mock/gpt } }
  - { model_name: slow, litellm_params: { model: mock/gpt, mock_latency_ms: 1500 } }
`;

const skip =
  spawnSync('prlimit', ['--version']).status !== 0 && process.env['CI'] !== 'true' && 'needs prlimit, of util-linux';

test(
  'a daemon whose journal cannot grow makes no call that could not be booked, and goes on by itself',
  { skip },
  async () => {
    await using opened = new AsyncDisposableStack();
    const directory = await aStateDir();
    opened.defer(() => rm(directory, { recursive: true, force: true }));
    await writeFile(`${directory}/config.yaml`, config);
    const gateway = opened.use(
      await startGateway({ ownProcess: true, args: ['--config', `${directory}/config.yaml`] }),
    );
    const { daemon, pool } = gateway;
    /** What the daemon writes to files from now on fails where it lies beyond so many bytes, as on a full disk. */
    const limitFiles = (bytes: string) =>
      promisify(execFile)('prlimit', ['--pid', String(daemon.child.pid), `--fsize=${bytes}:unlimited`]);

    const aKey = async (body: object): Promise<string> =>
      (await daemon.request('POST', '/key/generate', { body })).body.key;
    const [key, two] = [await aKey({}), await aKey({ max_parallel_requests: 2 })];
    const answered: string[] = [];
    const chat = async (model: string, by = key) => {
      const answer = await daemon.chat(by, model);
      if (answer.status === 200) answered.push(answer.headers.get('x-litellm-call-id') ?? '');
      return answer;
    };
    assert.equal((await chat('quick')).status, 200);
    const running = [chat('slow', two), chat('slow', two)];
    // Both are let in once a third is not.
    await until(async () => (await chat('quick', two)).status === 429);
    await limitFiles('1');
    await until(async () => (await chat('quick')).status === 503);
    for (let more = 0; more < 3; more++) {
      const refused = await chat('quick');
      assert.equal(refused.status, 503, refused.text);
      assert.equal(refused.body.error.type, 'ledger_unavailable');
      assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    }
    assert.equal((await daemon.request('GET', '/health/liveliness', { key: '' })).status, 200);
    for (const { status } of await Promise.all(running)) assert.equal(status, 200, 'it was let in before');
    await limitFiles('unlimited');
    await until(async () => (await chat('quick')).status === 200, 5_000);
    const booked = async () =>
      (await pool.query<{ request_id: string }>('select request_id from gatewayctl.spend_logs')).rows.map(
        ({ request_id: id }) => id,
      );
    await until(async () => (await booked()).length >= answered.length);
    assert.deepEqual((await booked()).toSorted(), answered.toSorted());
  },
);
