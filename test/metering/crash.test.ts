import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Metering } from '../../src/metering/metering.ts';
import { aDatabase, aDirectory, aPrincipal, enroll } from './support.ts';

const child = fileURLToPath(new URL('crash-child.ts', import.meta.url));
const rounds = 8;

/** Runs the child until it has said so many lines, kills it, and answers with everything it said. */
async function runAndKill(lines: number, ...args: string[]): Promise<string[]> {
  const daemon = spawn(process.execPath, [child, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said: string[] = [];
  for await (const line of createInterface({ input: daemon.stdout })) {
    said.push(line);
    if (said.length === lines) daemon.kill('SIGKILL');
  }
  if (daemon.signalCode === null) await once(daemon, 'exit');
  assert.equal(daemon.signalCode, 'SIGKILL');
  return said;
}

test('a process killed at any moment loses no call it has settled, charges those it left open, and doubles none', async () => {
  await using database = await aDatabase();
  const principal = aPrincipal();
  await enroll(database.pool, principal);
  const journalPath = join(await aDirectory(), 'spend.db');

  const said: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const lines = 100 + Math.floor(Math.random() * 1_500);
    said.push(...(await runAndKill(lines, database.url, journalPath, principal.keyId, String(round))));
  }
  const last = await Metering.open({ journalPath, pool: database.pool, now: () => new Date(), log: () => undefined });
  await last[Symbol.asyncDispose]();
  assert.equal(last.backlog, 0);

  const { rows } = await database.pool.query<{ request_id: string; status: string; spend: string }>(
    'select request_id, status, spend from gatewayctl.spend_logs',
  );
  const booked = new Map(rows.map((row) => [row.request_id, row]));
  assert.equal(booked.size, rows.length, 'every call has one row');
  for (const line of said) {
    const [what, id = ''] = line.split(' ');
    // A call left open costs its prompt, which is all that is known of it: 100 tokens at a thousand nano-dollars.
    const [status, spend] = what === 'settled' ? ['success', '20000'] : ['interrupted', '100000'];
    assert.partialDeepStrictEqual(booked.get(id), { status, spend }, line);
  }
  // One call a round may have been settled, or begun, without a chance to say so.
  assert.ok(rows.length - said.length <= rounds, `${rows.length} rows for ${said.length} lines`);

  const total = rows.reduce((sum, { spend }) => sum + BigInt(spend), 0n);
  const { rows: sums } = await database.pool.query<{ spend: string }>(
    'select spend from gatewayctl.keys union all select sum(spend) from gatewayctl.daily_spend',
  );
  assert.deepEqual(
    sums.map(({ spend }) => BigInt(spend)),
    [total, total],
  );
});
