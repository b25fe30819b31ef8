import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Gateway, startGateway } from './support/gateway.ts';

let gateway: Gateway;
/** The key of who administers the organization `north`, and of who administers `south`. */
const heads: Record<string, string> = {};

before(async () => {
  gateway = await startGateway();
  for (const organization of ['north', 'south']) {
    await post('/organization/new', { organization_id: organization, organization_alias: organization });
    await post('/team/new', { team_id: `${organization}-team`, organization_id: organization });
    await person(`${organization}-head`, organization, 'org_admin');
    await person(`${organization}-user`, organization, 'internal_user');
    heads[organization] = (await post('/key/generate', { user_id: `${organization}-head` }))['key'] ?? '';
    await post('/key/generate', { key_alias: `${organization}-key`, team_id: `${organization}-team` });
  }
  await post('/budget/new', { budget_id: 'shared', max_budget: 1 });
});
after(() => gateway[Symbol.asyncDispose]());

async function post(path: string, body: object): Promise<Record<string, string>> {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, `${path}: ${answer.text}`);
  return answer.body;
}

async function person(id: string, organization: string, role: string): Promise<void> {
  await post('/user/new', { user_id: id, auto_create_key: false });
  await post('/organization/member_add', { organization_id: organization, member: { user_id: id, role } });
}

interface Entry {
  readonly id: string;
  readonly action: string;
  readonly object_type: string;
  readonly object_id: string;
  readonly organization_ids: readonly string[];
  readonly after: { readonly key_alias?: string; readonly organization_id?: string } | null;
}

async function seen(organization: string, filter = ''): Promise<readonly Entry[]> {
  const answer = await gateway.request('GET', `/audit?size=100${filter}`, { key: heads[organization] ?? '' });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.total_count, answer.body.entries.length);
  return answer.body.entries;
}

const objects = (entries: readonly Entry[]) =>
  entries
    .map((entry) => `${entry.action} ${entry.object_type} ${entry.after?.key_alias ?? entry.object_id}`)
    .toSorted();

test('the administrator of an organization reads what was done to it, its teams, members and keys, and nothing else', async () => {
  for (const organization of ['north', 'south']) {
    assert.deepEqual(objects(await seen(organization)), [
      `created key ${organization}-key`,
      `created organization ${organization}`,
      `created organization_member ${organization}/${organization}-head`,
      `created organization_member ${organization}/${organization}-user`,
      `created team ${organization}-team`,
    ]);
  }
});

test('what happens to a member is read by the administrators of its organizations, its deletion too', async () => {
  await post('/user/new', { user_id: 'both', auto_create_key: false, organization_id: 'north' });
  await post('/organization/member_add', {
    organization_id: 'south',
    member: { user_id: 'both', role: 'internal_user' },
  });
  await post('/user/update', { user_id: 'both', user_alias: 'Bo' });
  await post('/user/delete', { user_ids: ['both'] });
  const of = async (organization: string) => objects(await seen(organization, '&object_type=user&object_id=both'));
  assert.deepEqual(await of('north'), ['created user both', 'deleted user both', 'updated user both']);
  assert.deepEqual(await of('south'), ['deleted user both', 'updated user both']);
});

test('what an administrator of the gateway is or holds stays out of sight', async () => {
  await person('chief', 'north', 'internal_user');
  await post('/user/update', { user_id: 'chief', user_role: 'proxy_admin' });
  await post('/team/member_add', { team_id: 'north-team', member: { user_id: 'chief', role: 'user' } });
  const { token } = await post('/key/generate', { team_id: 'north-team', user_id: 'chief' });
  const { body } = await gateway.request('GET', '/audit?object_type=key&size=1');
  assert.equal(body.entries[0].after.token, token);
  assert.deepEqual(body.entries[0].organization_ids, []);
  assert.deepEqual(await seen('north', `&object_type=key&object_id=${body.entries[0].object_id}`), []);
  assert.deepEqual(await seen('north', '&object_type=user&object_id=chief'), []);
});

test('the keys of a deleted team go with it in what its organization reads', async () => {
  await post('/team/new', { team_id: 'brief', organization_id: 'north' });
  await post('/key/generate', { key_alias: 'brief-key', team_id: 'brief' });
  await post('/team/delete', { team_ids: ['brief'] });
  const deleted = await seen('north', '&action=deleted');
  assert.deepEqual(
    deleted
      .filter(({ object_type: type }) => type !== 'user')
      .map(({ object_type: type }) => type)
      .toSorted(),
    ['key', 'team'],
  );
  assert.equal((await seen('south', '&action=deleted')).filter(({ object_type: type }) => type !== 'user').length, 0);
});

test('a team that moves is seen by both organizations on its way, and then by the new one', async () => {
  await post('/team/new', { team_id: 'mover', organization_id: 'north' });
  await post('/team/update', { team_id: 'mover', organization_id: 'south' });
  await post('/team/block', { team_id: 'mover' });
  const of = async (organization: string) => objects(await seen(organization, '&object_id=mover'));
  assert.deepEqual(await of('north'), ['created team mover', 'updated team mover']);
  assert.deepEqual(await of('south'), ['blocked team mover', 'updated team mover']);
});

test('an entry of another organization is not there, and whoever administers none is refused', async () => {
  const [foreign] = await seen('south', '&object_type=team');
  const read = (id: string, key: string) => gateway.request('GET', `/audit/info?id=${id}`, { key });
  const { status, body } = await read(foreign?.id ?? '', heads['north'] ?? '');
  assert.equal(status, 404);
  const absent = await read('no-such', heads['north'] ?? '');
  assert.equal(JSON.stringify(absent.body), JSON.stringify(body).replaceAll(foreign?.id ?? '', 'no-such'));
  const { key = '' } = await post('/key/generate', { user_id: 'north-user' });
  for (const path of ['/audit', `/audit/info?id=${foreign?.id}`]) {
    assert.equal((await gateway.request('GET', path, { key })).status, 403);
  }
});

test('an administrator reads everything, or what concerns one organization', async () => {
  const { out } = await gateway.gatewayctl('audit list --org south --object team --json');
  const entries: Entry[] = JSON.parse(out);
  assert.ok(entries.length > 0);
  for (const { organization_ids: ids } of entries) assert.ok(ids.includes('south'));
});

test('whose administrators may read an entry is part of its place in the chain', async () => {
  assert.equal((await gateway.gatewayctl('audit verify')).exit, 0);
  const client = await gateway.pool.connect();
  try {
    await client.query('alter table gatewayctl.audit_log disable trigger audit_log_append_only');
    await client.query(`update gatewayctl.audit_log set organization_ids = '{south}' where object_id = 'north-team'`);
  } finally {
    client.release();
  }
  const { exit, err } = await gateway.gatewayctl('audit verify');
  assert.equal(exit, 1);
  assert.match(err, /entry .* was changed/);
});
