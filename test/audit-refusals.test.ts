import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

interface Refused {
  readonly actor: string;
  readonly via: string;
  readonly action: string;
  readonly object_id: string;
  readonly client: string | null;
  readonly request_id: string | null;
  readonly after: Record<string, unknown>;
}

const refused = async (where: string): Promise<Refused[]> =>
  (
    await gateway.pool.query(
      `select * from gatewayctl.audit_log where object_type = 'operation' and ${where} order by at, id`,
    )
  ).rows;

async function aKeyOf(user: string, role: string): Promise<string> {
  await gateway.gatewayctl(`user create --id ${user} --role ${role}`);
  return (await gateway.gatewayctl(`key generate --user ${user} -q`)).out.trim();
}

/** A request from one of the addresses that this machine has. */
function from(localAddress: string, key: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const headers = { authorization: `Bearer ${key}` };
  request(`${gateway.daemon.url}/key/list`, { localAddress, headers }, (response) => {
    response.resume();
    response.on('end', () => resolve(response.statusCode));
  })
    .on('error', reject)
    .end();
  return promise;
}

describe('the audit log', () => {
  test('keeps what an authenticated caller was refused, with the request it was', async () => {
    const key = await aKeyOf('curious', 'internal_user');
    const answer = await gateway.request('POST', '/model/new', {
      key,
      body: { model_name: 'x', litellm_params: { model: 'mock/x' } },
    });
    assert.equal(answer.status, 403);
    const [row, ...more] = await refused(`actor = 'curious'`);
    assert.deepEqual(more, []);
    const { via, action, object_id: id, client, request_id: requestId, after: why } = row ?? assert.fail();
    assert.deepEqual(
      { via, action, id, client, requestId, error: why['error'] },
      {
        via: 'api-key',
        action: 'denied',
        id: 'POST /model/new',
        client: '127.0.0.1',
        requestId: answer.headers.get('x-request-id'),
        error: answer.body.error.type,
      },
    );
  });

  test('keeps an attempt with a credential that is none, which it masks', async () => {
    const secret = 'sk-nobody-has-this-one-0001';
    const answer = await gateway.request('GET', '/team/info?team_id=secret-in-the-query', { key: secret });
    assert.equal(answer.status, 401);
    const [row] = await refused(`request_id = '${answer.headers.get('x-request-id')}'`);
    assert.deepEqual([row?.actor, row?.via, row?.action], ['anonymous', 'api-anonymous', 'unauthenticated']);
    assert.equal(row?.object_id, 'GET /team/info');
    assert.deepEqual(row?.after, { error: answer.body.error.type, credential: 'sk-…0001' });
    assert.ok(!JSON.stringify(row).includes(secret) && !JSON.stringify(row).includes('secret-in-the-query'));
  });

  test('has a row for a key that was blocked or is over', async () => {
    const blocked = (await gateway.gatewayctl('key generate --alias blocked -q')).out.trim();
    await gateway.gatewayctl('key block blocked');
    assert.equal((await gateway.request('GET', '/key/list', { key: blocked })).status, 401);
    const [row] = await refused(`after ->> 'error' = 'key_blocked'`);
    assert.equal(row?.after['credential'], `sk-gw1_…${blocked.slice(-4)}`);
  });

  test('has none for a request that is only wrong, nor for one for a model', async () => {
    const known = (await refused('true')).length;
    assert.equal((await gateway.request('POST', '/team/new', { body: { no_such_field: 1 } })).status, 400);
    assert.equal((await gateway.request('GET', '/team/info?team_id=nobody')).status, 404);
    assert.equal((await gateway.chat('sk-nobody-has-this-one-0002', 'mock-gpt')).status, 401);
    assert.equal((await refused('true')).length, known);
  });

  test('is listed by what was done, by the way it came, with the request and the address', async () => {
    const listed = async (line: string) => JSON.parse((await gateway.gatewayctl(`audit list ${line} --json`)).out);
    const denied = await listed('--action denied');
    assert.ok(denied.length > 0);
    assert.ok(denied.every(({ action }: { action: string }) => action === 'denied'));
    assert.equal(denied[0].client, '127.0.0.1');
    const anonymous = await listed('--via api-anonymous --object operation --since 1h');
    assert.ok(anonymous.length > 0);
    assert.ok(anonymous.every(({ via }: { via: string }) => via === 'api-anonymous'));
    await gateway.gatewayctl('team create --id by-socket', 'socket');
    const made = await gateway.request('POST', '/team/new', { body: { team_id: 'by-request' } });
    const [entry] = await listed('--object-id by-request --action created');
    assert.equal(entry.request_id, made.headers.get('x-request-id'));
    const [local] = await listed('--via admin-socket');
    assert.equal(local.client, null);
    assert.match(local.request_id, /^[0-9a-f-]{36}$/);
    assert.equal((await gateway.gatewayctl('audit list --action eaten')).exit, 2);
  });

  test('is not filled by a flood: ten rows for a caller, sixty in all, and then one that counts', async () => {
    const key = await aKeyOf('stubborn', 'internal_user');
    for (let round = 0; round < 15; round++) {
      assert.equal((await gateway.request('GET', '/audit', { key })).status, 403);
    }
    for (let host = 2; host < 10; host++) {
      for (let round = 0; round < 12; round++) {
        assert.equal(await from(`127.0.0.${host}`, 'sk-nobody-has-this-one-0003'), 401);
      }
    }
    assert.equal((await refused(`actor = 'stubborn'`)).length, 10);
    const anonymous = `action = 'unauthenticated'`;
    assert.equal((await refused(`${anonymous} and client = '127.0.0.2'`)).length, 10);
    assert.equal((await refused(anonymous)).length, 60);

    assert.equal(await gateway.daemon.stop(), 0);
    const rest = await refused(`object_id = 'any'`);
    const told = rest.map(({ action, actor, client, after: { count } }) => [action, actor, client, count]);
    assert.ok(told.some((each) => each.join() === 'denied,stubborn,127.0.0.1,5'));
    assert.ok(told.some((each) => each.join() === 'unauthenticated,anonymous,127.0.0.2,2'));
    const counted = rest.filter(({ action }) => action === 'unauthenticated').map(({ after: more }) => more['count']);
    const attempts = 2 + 8 * 12;
    assert.equal(60 + counted.reduce((sum: number, each) => sum + Number(each), 0), attempts);
    assert.equal((await gateway.gatewayctl('audit verify', 'embedded')).exit, 0);
  });
});
