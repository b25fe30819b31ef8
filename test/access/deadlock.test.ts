import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
let other: Client;
before(async () => {
  gateway = await startGateway();
  other = new Client({ connectionString: gateway.databaseUrl });
  await other.connect();
});
after(async () => {
  await other.end();
  await gateway[Symbol.asyncDispose]();
});

/** Whether somebody waits for a lock that another transaction holds. */
const isWaiting = async (): Promise<boolean> => {
  const { rows } = await gateway.pool.query('select 1 from pg_locks where not granted');
  return rows.length > 0;
};

test('a change that PostgreSQL ends because of a deadlock is made again, and nobody hears of it', async () => {
  const post = (path: string, body: object) => gateway.request('POST', path, { body });
  await post('/team/new', { team_id: 'crossed' });
  const { key } = (await post('/key/generate', { team_id: 'crossed' })).body;
  const { rows } = await gateway.pool.query(`select id from gatewayctl.keys where team_id = 'crossed'`);
  // The ledger books key by key, then team by team; a deletion has the team first.
  await other.query('begin');
  await other.query('select 1 from gatewayctl.keys where id = $1 for update', [rows[0].id]);
  const deletion = post('/team/delete', { team_ids: ['crossed'] });
  await until(isWaiting);
  await other.query(`update gatewayctl.teams set spend = spend + 1 where id = 'crossed'`);
  await other.query('commit');
  const { status, text } = await deletion;
  assert.equal(status, 200, text);
  assert.equal((await gateway.chat(key, 'mock-gpt')).status, 401);
});
