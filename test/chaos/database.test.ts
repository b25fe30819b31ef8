import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { absent } from '../../src/db/embedded-failure.ts';
import { postmasterPid } from '../support/postgres.ts';
import { aStateDir, gatewayctl, startDaemon, until } from '../support/gateway.ts';

test('a daemon whose embedded PostgreSQL is killed starts it again, without anybody else, and has lost nothing', async () => {
  const stateDir = await aStateDir();
  try {
    await using daemon = await startDaemon({ stateDir });
    const { out } = await gatewayctl(`key generate --alias first -q --state-dir ${stateDir}`);
    const key = out.trim();
    assert.equal((await daemon.chat(key, 'mock-gpt')).status, 200);

    const pid = await postmasterPid(stateDir);
    process.kill(pid, 'SIGKILL');
    const statuses = new Set<number>();
    await until(async () => {
      const { status } = await daemon.chat(key, 'mock-gpt');
      statuses.add(status);
      // A known key is served before PostgreSQL is back, and while it starts there is no such file.
      const another = await postmasterPid(stateDir).catch(absent);
      return status === 200 && another !== undefined && another !== pid;
    });
    // A key that cannot be looked up is not a bad key.
    assert.ok(
      [...statuses].every((status) => status === 200 || status === 503),
      [...statuses].join(),
    );
    await until(async () => {
      const logs = await gatewayctl(`spend logs --key first --json --state-dir ${stateDir}`);
      return JSON.parse(logs.out || '[]').length >= 2;
    });
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
});
