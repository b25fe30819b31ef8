import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const call = (method: string, path: string, body?: unknown, key?: string) =>
  gateway.request(method, path, { ...(body !== undefined && { body }), ...(key !== undefined && { key }) });
const post = (path: string, body: unknown, key?: string) => call('POST', path, body, key);
const get = (path: string, key?: string) => call('GET', path, undefined, key);

async function keyOf(userId: string): Promise<string> {
  const { body } = await post('/key/generate', { user_id: userId });
  return body.key;
}

for (const way of ways.slice(0, 2)) {
  describe(`organization, by ${way}`, () => {
    const run = (line: string) => gateway.gatewayctl(line.replaceAll('WAY', way), way);
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);

    test('is created, found by alias and id, changed in what is named only, blocked and unblocked', async () => {
      await run('budget create shared-WAY --rpm-limit 7');
      const made = await run(
        'org create --alias acme-WAY --id acme-WAY-id --max-budget 500 --budget-duration 1mo --tpm-limit 1000 --budget shared-WAY --models gpt-4o',
      );
      assert.equal(made.exit, 0, made.err);
      const expected = {
        organization_alias: `acme-${way}`,
        max_budget: 500,
        budget_duration: '1mo',
        tpm_limit: 1000,
        models: ['gpt-4o'],
        litellm_budget_table: { budget_id: `shared-${way}`, rpm_limit: 7 },
        team_count: 0,
        blocked: false,
      };
      assert.partialDeepStrictEqual(await json('org get acme-WAY'), expected);
      assert.partialDeepStrictEqual(await json('organization get acme-WAY-id'), expected);
      const changed = await json('org update acme-WAY --max-budget none --budget none');
      assert.partialDeepStrictEqual(changed, { max_budget: null, litellm_budget_table: null, tpm_limit: 1000 });
      assert.equal((await json('org block acme-WAY')).blocked, true);
      assert.equal((await json('org unblock acme-WAY')).blocked, false);
      assert.equal((await run('org create --alias acme-WAY')).exit, 6);
      assert.equal((await run('org create --alias acme-WAY --if-not-exists')).exit, 0);
      assert.equal((await run('org create --alias acme-WAY --max-budget 1 --if-not-exists')).exit, 6);
      assert.equal((await run('org create --alias other-WAY --budget nobody')).exit, 3);
      assert.equal((await run('org get other-WAY')).exit, 3);
      assert.deepEqual(
        (await json('org list --alias acme-WAY')).map((each: Record<string, unknown>) => each['organization_id']),
        [`acme-${way}-id`],
      );
    });

    test('has members, who are added, changed and taken out', async () => {
      await run('org create --alias crew-WAY');
      const added = await run('org member add crew-WAY anna-WAY ben-WAY@example.com --role org_admin --max-budget 5');
      assert.equal(added.exit, 0, added.err);
      const said = async () =>
        (await json('org member list crew-WAY')).map(
          ({
            user_email: email,
            user_id: id,
            user_role: role,
            max_budget: max,
          }: Record<string, string | number | null>) => `${email ?? id} ${role} ${max}`,
        );
      assert.deepEqual((await said()).toSorted(), [`anna-${way} org_admin 5`, `ben-${way}@example.com org_admin 5`]);
      assert.equal((await run('org member add crew-WAY anna-WAY')).exit, 6);
      const update = await run('org member update crew-WAY ben-WAY@example.com --role internal_user --max-budget none');
      assert.equal(update.exit, 0, update.err);
      assert.equal((await run('org member update crew-WAY anna-WAY')).exit, 2, 'nothing to change');
      assert.equal((await run('org member delete crew-WAY anna-WAY')).exit, 2, 'asks first');
      assert.equal((await run('org member delete crew-WAY anna-WAY --yes')).exit, 0);
      assert.deepEqual(await said(), [`ben-${way}@example.com internal_user null`]);
      assert.equal((await run('org member delete crew-WAY anna-WAY --yes')).exit, 3);
    });

    test('is deleted when it is empty, and with all it holds by --cascade', async () => {
      for (const line of [
        'org create --alias full-WAY --id full-WAY',
        'team create --id team-WAY --org full-WAY',
        'user create --id home-WAY --org full-WAY',
      ]) {
        const { exit, err } = await run(line);
        assert.equal(exit, 0, err);
      }
      const secret = (await run('key generate --team team-WAY -q')).out.trim();
      const own = (await run('key generate --org full-WAY -q')).out.trim();
      assert.equal((await gateway.chat(secret, 'mock-gpt')).status, 200);
      const full = await run(`org delete full-WAY --confirm full-${way}`);
      assert.equal(full.exit, 6);
      assert.match(full.err, /has 1 team, 1 key and 1 member\n/);
      const rehearsed = await json(`org delete full-WAY --cascade --dry-run --confirm full-${way}`);
      assert.deepEqual(
        rehearsed.changes.map((each: Record<string, string>) => `${each['action']} ${each['object_type']}`).toSorted(),
        ['deleted key', 'deleted key', 'deleted organization', 'deleted team', 'updated user'],
      );
      assert.equal((await run('org delete full-WAY --cascade --yes')).exit, 2, 'the name must be typed');
      const gone = await run(`org delete full-WAY --cascade --confirm full-${way}`);
      assert.equal(gone.exit, 0, gone.err);
      assert.equal((await run('team get team-WAY')).exit, 3);
      for (const key of [secret, own]) await gateway.chatUntil(401, key);
      assert.equal((await json('user get home-WAY')).organization_id, null);
    });
  });
}

describe('organization, as LiteLLM’s clients ask for it', () => {
  test('POST /organization/new answers the row; an alias that is taken is 400', async () => {
    const { status, body } = await post('/organization/new', {
      organization_alias: 'wire',
      max_budget: 3,
      model_rpm_limit: { 'gpt-4o': 5 },
      object_permission: null,
    });
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, {
      organization_alias: 'wire',
      max_budget: 3,
      model_rpm_limit: { 'gpt-4o': 5 },
    });
    const again = await post('/organization/new', { organization_alias: 'wire' });
    assert.deepEqual([again.status, again.body.error.param], [400, 'organization_alias']);
    const nameless = await post('/organization/new', {});
    assert.deepEqual([nameless.status, nameless.body.error.param], [400, 'organization_alias']);
  });

  test('PATCH and POST update it, DELETE and POST delete it, GET and POST show it', async () => {
    for (const [update, remove] of [
      ['PATCH', 'DELETE'],
      ['POST', 'POST'],
    ] as const) {
      const { body } = await post('/organization/new', { organization_alias: `by-${update}` });
      const id: string = body.organization_id;
      const updated = await call(update, '/organization/update', { organization_id: id, metadata: { a: 1 } });
      assert.deepEqual([updated.status, updated.body.metadata], [200, { a: 1 }]);
      assert.equal((await get(`/organization/info?organization_id=${id}`)).body.organization_id, id);
      const { body: several } = await post('/organization/info', { organizations: [id, 'nobody'] });
      assert.deepEqual(
        several.map((each: { organization_id: string }) => each.organization_id),
        [id],
      );
      const { body: all } = await get('/organization/list');
      assert.equal(all[0].organization_id, id);
      const deleted = await call(remove, '/organization/delete', { organization_ids: [id, id] });
      assert.deepEqual([deleted.status, deleted.body.length], [200, 1]);
      assert.equal((await get(`/organization/info?organization_id=${id}`)).status, 404);
    }
  });

  test('a home is a membership, and goes with it', async () => {
    const org = (await post('/organization/new', { organization_alias: 'home' })).body.organization_id;
    await post('/user/new', { user_id: 'homer', organization_id: org, auto_create_key: false });
    await post('/user/new', { user_id: 'mover', auto_create_key: false });
    await post('/user/update', { user_id: 'mover', organization_id: org });
    const { body } = await get(`/organization/info?organization_id=${org}`);
    const roles = body.members.map((each: Record<string, string>) => `${each['user_id']} ${each['user_role']}`);
    assert.deepEqual(roles, ['homer internal_user', 'mover internal_user']);
    const { status } = await call('DELETE', '/organization/member_delete', { organization_id: org, user_id: 'homer' });
    assert.equal(status, 200);
    assert.equal((await get('/user/info?user_id=homer')).body.user_info.organization_id, null);
  });

  test('member_add takes one or several, and says what it did', async () => {
    const org = (await post('/organization/new', { organization_alias: 'several' })).body.organization_id;
    const { status, body } = await post('/organization/member_add', {
      organization_id: org,
      member: [
        { role: 'org_admin', user_id: 'm1' },
        { role: 'internal_user', user_email: 'm2@example.com' },
      ],
      max_budget_in_organization: 4,
    });
    assert.equal(status, 200);
    assert.deepEqual(
      body.updated_organization_memberships.map((each: Record<string, unknown>) => [
        each['user_role'],
        each['max_budget'],
      ]),
      [
        ['org_admin', 4],
        ['internal_user', 4],
      ],
    );
    assert.deepEqual(body.updated_users[0], { user_id: 'm1', user_email: null });
    const twice = await post('/organization/member_add', {
      organization_id: org,
      member: { role: 'org_admin', user_id: 'm1' },
    });
    assert.equal(twice.status, 400);
    assert.equal((await post('/organization/member_add', { organization_id: org })).status, 400);
  });
});

describe('an administrator of an organization', () => {
  let org: string;
  let admin: string;
  let member: string;
  before(async () => {
    org = (await post('/organization/new', { organization_alias: 'ruled', max_budget: 10 })).body.organization_id;
    await post('/organization/member_add', {
      organization_id: org,
      member: [
        { role: 'org_admin', user_id: 'ruler' },
        { role: 'org_admin', user_id: 'other-ruler' },
        { role: 'internal_user', user_id: 'ruled' },
      ],
    });
    [admin, member] = [await keyOf('ruler'), await keyOf('ruled')];
    await post('/team/new', { team_id: 'ruled-in', organization_id: org, members_with_roles: [{ user_id: 'ruled' }] });
    await post('/team/new', { team_id: 'ruled-out', organization_id: org });
  });
  const seen = async (key: string) => {
    const { body } = await get(`/organization/info?organization_id=${org}`, key);
    return [
      body.members.map((each: { user_id: string }) => each.user_id),
      body.teams.map((each: { team_id: string }) => each.team_id),
    ];
  };

  test('sees all of it; a plain member itself and its own teams', async () => {
    assert.deepEqual(await seen(admin), [
      ['other-ruler', 'ruled', 'ruler'],
      ['ruled-in', 'ruled-out'],
    ]);
    assert.deepEqual(await seen(member), [['ruled'], ['ruled-in']]);
    const { body } = await get(`/organization/member_list?organization_id=${org}`, member);
    assert.deepEqual([body.total, body.members[0].user_id], [1, 'ruled']);
  });

  test('manages members below its own role, within what the organization has', async () => {
    const add = (fields: object, key = admin) =>
      post('/organization/member_add', { organization_id: org, ...fields }, key);
    const added = await add({ member: { role: 'internal_user', user_id: 'hired' }, max_budget_in_organization: 9 });
    assert.equal(added.status, 200, added.text);
    for (const [fields, param] of [
      [{ member: { role: 'org_admin', user_id: 'friend' } }, 'role'],
      [
        { member: { role: 'internal_user', user_id: 'friend' }, max_budget_in_organization: 11 },
        'max_budget_in_organization',
      ],
    ] as const) {
      const { status, body } = await add(fields);
      assert.deepEqual([status, body.error.type, body.error.param], [403, 'field_not_allowed', param]);
    }
    assert.equal((await get('/user/info?user_id=friend')).status, 404, 'nothing was written');
    const update = (user_id: string, role: string, key = admin) =>
      call('PATCH', '/organization/member_update', { organization_id: org, user_id, role }, key);
    assert.equal((await update('hired', 'internal_user_viewer')).status, 200);
    assert.equal((await update('hired', 'org_admin')).status, 403);
    assert.equal((await update('other-ruler', 'internal_user')).status, 403);
    assert.equal((await update('hired', 'internal_user', member)).status, 403);
    const remove = (user_id: string, key = admin) =>
      call('DELETE', '/organization/member_delete', { organization_id: org, user_id }, key);
    assert.equal((await remove('other-ruler')).status, 403);
    assert.equal((await remove('hired', member)).status, 403);
    assert.equal((await remove('hired')).status, 200);
  });

  test('does not change the organization itself', async () => {
    for (const [method, path, body] of [
      ['PATCH', '/organization/update', { organization_id: org, max_budget: 99 }],
      ['DELETE', '/organization/delete', { organization_ids: [org] }],
      ['POST', '/organization/block', { organization_id: org }],
      ['POST', '/organization/new', { organization_alias: 'mine' }],
    ] as const) {
      assert.equal((await call(method, path, body, admin)).status, 403, path);
    }
  });
});

describe('an organization by its alias', () => {
  test('is found wherever another object names it', async () => {
    await post('/organization/new', { organization_id: 'named-1', organization_alias: 'Named' });
    const run = async (line: string) => {
      const { out, err, exit } = await gateway.gatewayctl(line);
      assert.equal(exit, 0, `${line}: ${err}`);
      return out;
    };
    await run('team create --id named-team --org Named');
    await run('team create --id named-team --org Named --if-not-exists');
    await run('key generate --alias named-key --org Named');
    await run('user create --id named-user --org Named');
    await run('user create --id named-other --orgs Named');
    assert.match(await run('team list --org Named -o name'), /^named-team$/m);
    assert.match(await run('key list --org Named --columns key_alias'), /^named-key$/m);
    assert.match(await run('user list --orgs Named -o name'), /^named-other\nnamed-user$|^named-user\nnamed-other$/m);
    assert.match(await run('audit list --org Named --object team -o tsv'), /named-team/);
    await run('org activity --of-org Named');
  });
});
