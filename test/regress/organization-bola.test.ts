import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, type Gateway, startGateway } from '../support/gateway.ts';

/** Two organizations with an administrator and a member each; whoever is of one asks for everything of the other. */
let gateway: Gateway;
const keys: Record<string, string> = {};

const call = (key: string, method: string, path: string, body?: unknown): Promise<Answer> =>
  gateway.request(method, path, { key, ...(body !== undefined && { body }) });

before(async () => {
  gateway = await startGateway();
  const post = async (path: string, body: unknown) => {
    const answer = await gateway.request('POST', path, { body });
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  };
  for (const name of ['a', 'b']) {
    await post('/organization/new', { organization_id: `org-${name}`, organization_alias: `alias-${name}` });
    await post('/organization/member_add', {
      organization_id: `org-${name}`,
      member: [
        { role: 'org_admin', user_id: `admin-${name}` },
        { role: 'internal_user', user_id: `member-${name}` },
      ],
    });
    await post('/team/new', { team_id: `team-${name}`, organization_id: `org-${name}` });
    for (const who of ['admin', 'member']) {
      keys[`${who}-${name}`] = (await post('/key/generate', { user_id: `${who}-${name}` })).key;
    }
  }
  // Of A, and stronger than A's administrator elsewhere: none of it may count in B.
  await post('/team/member_add', { team_id: 'team-a', member: { role: 'admin', user_id: 'member-a' } });
  keys['bound-a'] = (await post('/key/generate', { user_id: 'admin-a', organization_id: 'org-a' })).key;
  keys['service'] = (await post('/key/generate', {})).key;
});
after(() => gateway[Symbol.asyncDispose]());

/** An organization in the place of ID; those that only administrators may ask come out as 403 whatever the object. */
const scoped: readonly (readonly [method: string, path: string, body?: object])[] = [
  ['GET', '/organization/info?organization_id=ID'],
  ['GET', '/organization/member_list?organization_id=ID'],
  ['POST', '/organization/member_add', { organization_id: 'ID', member: { role: 'internal_user', user_id: 'new' } }],
  [
    'PATCH',
    '/organization/member_update',
    { organization_id: 'ID', user_id: 'member-b', role: 'internal_user_viewer' },
  ],
  ['POST', '/organization/member_update', { organization_id: 'ID', user_id: 'member-b', role: 'internal_user_viewer' }],
  ['DELETE', '/organization/member_delete', { organization_id: 'ID', user_id: 'member-b' }],
  ['POST', '/organization/member_delete', { organization_id: 'ID', user_id: 'member-b' }],
];

const forAdmins: readonly (readonly [method: string, path: string, body: object])[] = [
  ['POST', '/organization/new', { organization_alias: 'ID' }],
  ['PATCH', '/organization/update', { organization_id: 'ID', max_budget: 1 }],
  ['POST', '/organization/update', { organization_id: 'ID', max_budget: 1 }],
  ['DELETE', '/organization/delete', { organization_ids: ['ID'], cascade: true }],
  ['POST', '/organization/delete', { organization_ids: ['ID'], cascade: true }],
  ['POST', '/organization/block', { organization_id: 'ID' }],
  ['POST', '/organization/unblock', { organization_id: 'ID' }],
];

const naming = (id: string, body: object | undefined): unknown =>
  body && JSON.parse(JSON.stringify(body).replaceAll('ID', id));

/** What differs when nothing but the name does. */
const bare = ({ text }: Answer, id: string): string =>
  text.replaceAll(id, 'NAME').replaceAll(/"request_id":"[^"]*"/g, '');

async function everything(): Promise<string> {
  const { rows } = await gateway.pool.query(
    `select (select json_agg(o order by id) from gatewayctl.organizations o)::text as o,
            (select json_agg(m order by user_id) from gatewayctl.organization_members m)::text as m,
            (select json_agg(u order by id) from gatewayctl.users u)::text as u`,
  );
  return JSON.stringify(rows);
}

describe('somebody of one organization', () => {
  for (const who of ['admin-a', 'member-a', 'bound-a', 'service']) {
    test(`${who} meets another as one that does not exist, to the letter, and changes nothing`, async () => {
      const untouched = await everything();
      for (const other of ['org-b', 'alias-b']) {
        for (const [method, path, body] of scoped) {
          const key = keys[who] ?? '';
          const unseen = await call(key, method, path.replace('ID', other), naming(other, body));
          const absent = await call(key, method, path.replace('ID', 'nobody'), naming('nobody', body));
          const expected = who === 'service' && method !== 'GET' ? 403 : 404;
          assert.equal(unseen.status, expected, `${method} ${path}: ${unseen.text}`);
          assert.equal(bare(unseen, other), bare(absent, 'nobody'), `${method} ${path}`);
        }
        for (const [method, path, body] of forAdmins) {
          const { status } = await call(keys[who] ?? '', method, path, naming(other, body));
          assert.equal(status, 403, `${method} ${path}`);
        }
      }
      assert.equal(await everything(), untouched);
    });

    test(`${who} finds no other in a list`, async () => {
      const key = keys[who] ?? '';
      const own = who === 'service' ? [] : ['org-a'];
      const ids = (rows: { organization_id: string }[]) => rows.map(({ organization_id: id }) => id);
      assert.deepEqual(ids((await call(key, 'GET', '/organization/list')).body), own);
      const { body: page } = await call(key, 'GET', '/v2/organization/list');
      assert.deepEqual([ids(page.organizations), page.total], [own, own.length]);
      for (const filter of ['org_id=org-b', 'org_alias=alias-b']) {
        const { body } = await call(key, 'GET', `/v2/organization/list?${filter}`);
        assert.deepEqual([body.organizations, body.total], [[], 0], filter);
      }
      const several = await call(key, 'POST', '/organization/info', { organizations: ['org-a', 'org-b', 'nobody'] });
      assert.deepEqual(ids(several.body), own);
    });
  }

  test('does not draw another’s user, or an administrator, into its own', async () => {
    await gateway.request('POST', '/user/new', { body: { user_id: 'boss', user_role: 'proxy_admin' } });
    await gateway.request('POST', '/user/new', { body: { user_id: 'free', user_email: 'free@example.com' } });
    const untouched = await everything();
    for (const person of [
      { user_id: 'member-b' },
      { user_id: 'admin-b' },
      { user_id: 'boss' },
      { user_id: 'free' },
      { user_email: 'free@example.com' },
    ]) {
      const { status } = await call(keys['admin-a'] ?? '', 'POST', '/organization/member_add', {
        organization_id: 'org-a',
        member: { role: 'internal_user', ...person },
      });
      assert.equal(status, 403, JSON.stringify(person));
    }
    assert.equal(await everything(), untouched);
  });

  test('cannot tell another’s user from nobody by the members of its own', async () => {
    const remove = (user_id: string) =>
      call(keys['admin-a'] ?? '', 'DELETE', '/organization/member_delete', { organization_id: 'org-a', user_id });
    const update = (user_id: string) =>
      call(keys['admin-a'] ?? '', 'PATCH', '/organization/member_update', {
        organization_id: 'org-a',
        user_id,
        role: 'internal_user',
      });
    for (const ask of [remove, update]) {
      const [theirs, nobody] = [await ask('member-b'), await ask('nobody')];
      assert.deepEqual([theirs.status, nobody.status], [404, 404]);
      assert.equal(bare(theirs, 'member-b'), bare(nobody, 'nobody'));
    }
  });

  test('sees no more of its own by a key that is bound to another organization or team', async () => {
    for (const owner of [{ organization_id: 'org-b' }, { team_id: 'team-a' }]) {
      const { body } = await gateway.request('POST', '/key/generate', {
        body: { user_id: 'team_id' in owner ? 'member-a' : 'admin-a', ...owner },
      });
      assert.equal((await call(body.key, 'GET', '/organization/info?organization_id=org-a')).status, 404);
      assert.deepEqual((await call(body.key, 'GET', '/organization/list')).body, []);
    }
  });
});
