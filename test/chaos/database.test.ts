import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { aStateDir, gatewayctl, startDaemon, until } from '../support/gateway.ts';

test('a daemon whose embedded PostgreSQL is killed starts it again, without anybody else, and has lost nothing', async () => {
  const stateDir = await aStateDir();
  try {
    await using daemon = await startDaemon({ stateDir });
    const { out } = await gatewayctl(`key generate --alias first -q --state-dir ${stateDir}`);
    const key = out.trim();
    assert.equal((await daemon.chat(key, 'mock-gpt')).status, 200);

    const file = join(stateDir, 'postgres/data/postmaster.pid');
    const pid = Number.parseInt(await readFile(file, 'utf8'), 10);
    process.kill(pid, 'SIGKILL');
    const statuses = new Set<number>();
    await until(async () => {
      const { status } = await daemon.chat(key, 'mock-gpt');
      statuses.add(status);
      return status === 200 && Number.parseInt(await readFile(file, 'utf8'), 10) !== pid;
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
