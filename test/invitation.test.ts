import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Gateway, startGateway } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown, key?: string) =>
  gateway.request('POST', path, { body, ...(key !== undefined && { key }) });
const get = (path: string) => gateway.request('GET', path);

test('an invitation is for a user there is, for seven days, and is accepted within them or not at all', async () => {
  await post('/user/new', { user_id: 'anna', auto_create_key: false });
  assert.equal((await post('/invitation/new', { user_id: 'nobody' })).status, 404);
  const { status, body } = await post('/invitation/new', { user_id: 'anna' });
  assert.equal(status, 200);
  assert.partialDeepStrictEqual(body, { user_id: 'anna', is_accepted: false, accepted_at: null });
  assert.equal(Date.parse(body.expires_at) - Date.parse(body.created_at), 7 * 86_400_000);
  const accept = (is_accepted: boolean) => post('/invitation/update', { invitation_id: body.id, is_accepted });
  assert.equal((await accept(true)).body.is_accepted, true);
  assert.notEqual((await get(`/invitation/info?invitation_id=${body.id}`)).body.accepted_at, null);
  assert.equal((await accept(false)).body.accepted_at, null);
  await gateway.pool.query('update gatewayctl.invitations set expires_at = now() where id = $1', [body.id]);
  const late = await accept(true);
  assert.deepEqual([late.status, late.body.error.type], [400, 'invitation_expired']);
  assert.equal((await get('/invitation/info?invitation_id=nobody')).status, 404);
  assert.equal((await post('/invitation/delete', { invitation_id: body.id })).status, 200);
  assert.equal((await post('/invitation/delete', { invitation_id: body.id })).status, 404);
});

test('the command line makes one, finds the open one again, shows and deletes it', async () => {
  const run = (line: string) => gateway.gatewayctl(line);
  await run('user create --id ben --email ben@example.com');
  const made = await run('invitation create ben -q');
  assert.equal(made.exit, 0, made.err);
  const again = await run('invitation create BEN@example.com --if-not-exists -q');
  assert.deepEqual([again.exit, again.out], [0, made.out]);
  const id = made.out.trim();
  assert.equal(JSON.parse((await run(`invitation get ${id} --json`)).out).user_id, 'ben');
  assert.equal((await run(`invitation delete ${id}`)).exit, 2, 'asks first');
  assert.equal((await run(`invitation delete ${id} --yes`)).exit, 0);
  assert.equal((await run(`invitation get ${id}`)).exit, 3);
});

test('it is for administrators, and goes with its user', async () => {
  const { body: plain } = await post('/user/new', { user_id: 'plain' });
  assert.equal((await post('/invitation/new', { user_id: 'plain' }, plain.key)).status, 403);
  await post('/user/new', { user_id: 'gone', auto_create_key: false });
  const { body } = await post('/invitation/new', { user_id: 'gone' });
  await post('/user/delete', { user_ids: ['gone'] });
  assert.equal((await get(`/invitation/info?invitation_id=${body.id}`)).status, 404);
});
