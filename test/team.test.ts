import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

const post = (path: string, body: unknown) => gateway.request('POST', path, { body });
const get = (path: string) => gateway.request('GET', path);
const aliasesOf = (teams: { team_alias: string }[]) => teams.map(({ team_alias: alias }) => alias);
const statusesOf = (answers: Answer[]) => answers.map(({ status }) => String(status)).toSorted();

for (const way of ways) {
  describe(`team, by ${way}`, () => {
    const run = (line: string) => gateway.gatewayctl(line, way);
    const json = async (line: string) => JSON.parse((await run(`${line} --json`)).out);

    test('create makes a team that get finds by its alias and by its id', async () => {
      const made = await run(
        `team create --alias ${way}-a --id ${way}-a-id --max-budget 500 --models gpt-4o,openai/* --metadata '{"floor":3}'`,
      );
      assert.equal(made.exit, 0, made.err);
      assert.match(made.err, new RegExp(`Team ${way}-a created`));
      const expected = {
        team_id: `${way}-a-id`,
        team_alias: `${way}-a`,
        max_budget: 500,
        spend: 0,
        models: ['gpt-4o', 'openai/*'],
        metadata: { floor: 3 },
        blocked: false,
        members_with_roles: [],
      };
      assert.partialDeepStrictEqual(await json(`team get ${way}-a`), expected);
      assert.partialDeepStrictEqual(await json(`team get ${way}-a-id`), expected);
    });

    test('create refuses an alias and an id that are taken', async () => {
      await run(`team create --alias ${way}-t --id ${way}-t-id`);
      const alias = await run(`team create --alias ${way}-t`);
      assert.equal(alias.exit, 6);
      assert.match(alias.err, new RegExp(`Team with alias '${way}-t' already exists`));
      const id = await run(`team create --id ${way}-t-id`);
      assert.equal(id.exit, 6);
      assert.match(id.err, new RegExp(`Team id = ${way}-t-id already exists. Please use a different team id.`));
    });

    test('update changes what is named, leaves the rest and clears with none', async () => {
      await run(`team create --alias ${way}-u --max-budget 5 --models gpt-4o`);
      assert.partialDeepStrictEqual(await json(`team update ${way}-u --models gpt-5`), {
        max_budget: 5,
        models: ['gpt-5'],
      });
      assert.partialDeepStrictEqual(await json(`team update ${way}-u --max-budget none`), {
        max_budget: null,
        models: ['gpt-5'],
      });
      const nothing = await run(`team update ${way}-u`);
      assert.equal(nothing.exit, 2);
      assert.match(nothing.err, /nothing to change/);
    });

    test('get says which team is not there, and how to find the others', async () => {
      const { exit, err } = await run('team get nobody');
      assert.equal(exit, 3);
      assert.match(err, /Team not found, passed team_id=nobody\nWhich teams there are: gatewayctl team list/);
    });

    test('members are added, changed and taken out', async () => {
      await run(`team create --alias ${way}-m`);
      const added = await run(`team member add ${way}-m ${way}-anna ${way}-ben@example.com --role admin`);
      assert.equal(added.exit, 0, added.err);
      const members = async () => (await json(`team get ${way}-m`)).members_with_roles;
      const namesOf = (all: { user_id: string; user_email: string | null; role: string }[]) =>
        all.map(({ user_id: id, user_email: email, role }) => `${email ?? id} ${role}`).toSorted();
      assert.deepEqual(namesOf(await members()), [`${way}-anna admin`, `${way}-ben@example.com admin`]);

      const again = await run(`team member add ${way}-m ${way}-anna`);
      assert.equal(again.exit, 6);
      assert.match(again.err, /is already in team/);

      assert.equal((await run(`team member update ${way}-m ${way}-anna --role user`)).exit, 0);
      assert.deepEqual(namesOf(await members()), [`${way}-anna user`, `${way}-ben@example.com admin`]);

      assert.equal((await run(`team member delete ${way}-m ${way}-anna`)).exit, 2, 'asks first');
      assert.equal((await run(`team member delete ${way}-m ${way}-anna --yes`)).exit, 0);
      assert.deepEqual(namesOf(await members()), [`${way}-ben@example.com admin`]);
      const gone = await run(`team member delete ${way}-m ${way}-anna --yes`);
      assert.equal(gone.exit, 3);
      assert.match(gone.err, /is not in team/);
    });

    test('block refuses all keys of the team, and unblock lets them work again', async () => {
      await run(`team create --alias ${way}-b`);
      const secret = (await run(`key generate --team ${way}-b -q`)).out.trim();
      assert.equal((await gateway.chat(secret, 'mock-gpt')).status, 200);
      await run(`team block ${way}-b`);
      const { body } = await gateway.chatUntil(401, secret);
      assert.match(body.error.message, /Team=.* is blocked. Update via `\/team\/unblock` if you're an admin./);
      await run(`team unblock ${way}-b`);
      await gateway.chatUntil(200, secret);
    });

    test('delete takes the keys of the team along, and nobody else’s', async () => {
      await run(`team create --alias ${way}-d --id ${way}-d-id`);
      const theirs = (await run(`key generate --team ${way}-d --alias ${way}-dk -q`)).out.trim();
      const other = (await run('key generate -q')).out.trim();
      assert.equal((await gateway.chat(theirs, 'mock-gpt')).status, 200);
      assert.equal((await run(`team delete ${way}-d --yes`)).exit, 2, 'the name must be typed');
      const { exit, err } = await run(`team delete ${way}-d --confirm ${way}-d`);
      assert.equal(exit, 0, err);
      assert.match(err, /1 deleted, with 1 keys/);
      assert.equal((await run(`key get ${way}-dk`)).exit, 3);
      await gateway.chatUntil(401, theirs);
      assert.equal((await gateway.chat(other, 'mock-gpt')).status, 200);
    });

    test('delete of several deletes all or none', async () => {
      await run(`team create --alias ${way}-n1`);
      assert.equal((await run(`team delete ${way}-n1 nobody --confirm ${way}-n1`)).exit !== 0, true);
      assert.equal((await run(`team get ${way}-n1`)).exit, 0);
    });

    test('list filters by member, organization and alias, and goes page by page', async () => {
      for (const name of ['l1', 'l2', 'l3']) {
        await run(`team create --alias ${way}-${name} --id ${way}-${name}`);
        await run(`team member add ${way}-${name} ${way}-lister`);
      }
      const list = (flags: string) => json(`team list ${flags}`);
      const first = await list(`--user ${way}-lister --limit 2 --sort team_alias --order asc`);
      assert.deepEqual(aliasesOf(first), [`${way}-l1`, `${way}-l2`]);
      const second = await list(`--user ${way}-lister --limit 2 --page 2 --sort team_alias --order asc`);
      assert.deepEqual(aliasesOf(second), [`${way}-l3`]);
      assert.deepEqual(aliasesOf(await list(`--alias ${way}-l2`)), [`${way}-l2`]);
      assert.deepEqual(await list('--org nobody'), []);
      assert.deepEqual(await list('--user nobody'), []);
    });
  });
}

describe('team, as LiteLLM’s clients ask for it', () => {
  test('POST /team/new answers with the team, its members among it', async () => {
    const { status, body } = await post('/team/new', {
      team_alias: 'wire-a',
      members_with_roles: [{ role: 'admin', user_id: 'wire-anna' }, { user_email: 'wire@example.com' }],
      max_budget: 12.5,
      // Known to LiteLLM, without effect here, and without a value.
      tpm_limit: null,
      tags: [],
      model_aliases: {},
    });
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, { team_alias: 'wire-a', max_budget: 12.5, spend: 0 });
    const roles = Object.fromEntries(
      body.members_with_roles.map((member: Record<string, string>) => [
        member['user_email'] ?? member['user_id'],
        member['role'],
      ]),
    );
    assert.deepEqual(roles, { 'wire-anna': 'admin', 'wire@example.com': 'user' });
  });

  test('an id that is taken is 400 with LiteLLM’s text', async () => {
    await post('/team/new', { team_id: 'wire-dup' });
    const { status, body } = await post('/team/new', { team_id: 'wire-dup' });
    assert.equal(status, 400);
    assert.equal(body.error.message, 'Team id = wire-dup already exists. Please use a different team id.');
    assert.equal(body.error.code, '400');
    assert.equal(body.error.param, 'team_id');
  });

  test('a field that does nothing here is refused by name, and so is one that nobody knows', async () => {
    const limit = await post('/team/new', { guardrails: ['pii'] });
    assert.equal(limit.status, 400);
    assert.equal(limit.body.error.type, 'unsupported_field');
    assert.equal(limit.body.error.param, 'guardrails');

    const typo = await post('/team/new', { max_bugdet: 1 });
    assert.equal(typo.status, 400);
    assert.partialDeepStrictEqual(typo.body.error, {
      message: 'Unknown field max_bugdet',
      param: 'max_bugdet',
      hint: 'Did you mean max_budget?',
    });
  });

  test('POST /team/update answers {team_id, data}: absent leaves, null clears, a list replaces', async () => {
    await post('/team/new', { team_id: 'wire-u', max_budget: 3, models: ['a'], metadata: { a: 1 } });
    const kept = await post('/team/update', { team_id: 'wire-u', metadata: { b: 2 } });
    assert.equal(kept.status, 200);
    assert.equal(kept.body.team_id, 'wire-u');
    assert.partialDeepStrictEqual(kept.body.data, { max_budget: 3, models: ['a'], metadata: { b: 2 } });
    assert.equal('a' in kept.body.data.metadata, false, 'metadata is replaced, not merged');
    const cleared = await post('/team/update', { team_id: 'wire-u', max_budget: null, models: [] });
    assert.partialDeepStrictEqual(cleared.body.data, { max_budget: null, models: [] });
  });

  test('an unknown team is 404 everywhere', async () => {
    const answers = [
      await get('/team/info?team_id=wire-nobody'),
      await post('/team/update', { team_id: 'wire-nobody', max_budget: 1 }),
      await post('/team/delete', { team_ids: ['wire-nobody'] }),
      await post('/team/block', { team_id: 'wire-nobody' }),
      await post('/team/member_add', { team_id: 'wire-nobody', member: { role: 'user', user_id: 'u' } }),
    ];
    for (const { status, body } of answers) {
      assert.equal(status, 404);
      assert.equal(body.error.message, 'Team not found, passed team_id=wire-nobody');
    }
  });

  test('an organization that is not there is 404, and no team is made', async () => {
    const { status, body } = await post('/team/new', { team_id: 'wire-orphan', organization_id: 'nobody' });
    assert.equal(status, 404);
    assert.equal(body.error.param, 'organization_id');
    assert.equal((await get('/team/info?team_id=wire-orphan')).status, 404);
  });

  test('POST /team/member_add takes one member or several and says what it did', async () => {
    await post('/team/new', { team_id: 'wire-m' });
    const one = await post('/team/member_add', { team_id: 'wire-m', member: { role: 'admin', user_id: 'wire-m1' } });
    assert.equal(one.status, 200);
    assert.partialDeepStrictEqual(one.body, {
      team_id: 'wire-m',
      updated_users: [{ user_id: 'wire-m1', user_email: null }],
      updated_team_memberships: [{ user_id: 'wire-m1', team_id: 'wire-m', spend: 0 }],
      members_with_roles: [{ user_id: 'wire-m1', role: 'admin' }],
    });
    const two = await post('/team/member_add', {
      team_id: 'wire-m',
      member: [
        { role: 'user', user_id: 'wire-m2' },
        { role: 'user', user_id: 'wire-m3' },
      ],
    });
    assert.deepEqual(two.body.updated_users, [
      { user_id: 'wire-m2', user_email: null },
      { user_id: 'wire-m3', user_email: null },
    ]);

    const twice = await post('/team/member_add', { team_id: 'wire-m', member: { role: 'user', user_id: 'wire-m2' } });
    assert.equal(twice.status, 400);
    assert.equal(twice.body.error.type, 'team_member_already_in_team');

    const update = await post('/team/member_update', { team_id: 'wire-m', user_id: 'wire-m2', role: 'admin' });
    assert.partialDeepStrictEqual(update.body, { team_id: 'wire-m', user_id: 'wire-m2', role: 'admin' });
    const unknown = await post('/team/member_update', { team_id: 'wire-m', user_id: 'wire-nobody', role: 'admin' });
    assert.ok([400, 404].includes(unknown.status));

    const removed = await post('/team/member_delete', { team_id: 'wire-m', user_id: 'wire-m1' });
    assert.equal(removed.status, 200);
    assert.deepEqual(
      removed.body.members_with_roles.map(({ user_id: id }: { user_id: string }) => id),
      ['wire-m2', 'wire-m3'],
    );
  });

  test('GET /team/info shows the team with its keys, and no secret of them', async () => {
    await post('/team/new', { team_id: 'wire-i', members_with_roles: [{ user_id: 'wire-i1' }] });
    const made = await post('/key/generate', { team_id: 'wire-i', key_alias: 'wire-ik' });
    const { status, text, body } = await get('/team/info?team_id=wire-i');
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, {
      team_id: 'wire-i',
      team_info: { team_id: 'wire-i', spend: 0 },
      keys: [{ key_alias: 'wire-ik', team_id: 'wire-i' }],
      team_memberships: [{ user_id: 'wire-i1', team_id: 'wire-i' }],
    });
    assert.ok(!text.includes(made.body.key));
    assert.equal((await get('/team/info')).status, 400);
  });

  test('a key’s user must be in its team', async () => {
    await post('/team/new', { team_id: 'wire-k' });
    await post('/user/new', { user_id: 'wire-ku', auto_create_key: false });
    const { status, body } = await post('/key/generate', { team_id: 'wire-k', user_id: 'wire-ku' });
    assert.equal(status, 400);
    assert.equal(body.error.message, 'User=wire-ku not assigned to team=wire-k');
  });

  test('POST /team/delete answers with what was deleted; a team named twice is deleted once', async () => {
    await post('/team/new', { team_id: 'wire-d' });
    const key = await post('/key/generate', { team_id: 'wire-d' });
    const { status, body } = await post('/team/delete', { team_ids: ['wire-d', 'wire-d'] });
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, { deleted_teams: [{ team_id: 'wire-d' }], deleted_keys: [key.body.token] });
    assert.equal(body.deleted_teams.length, 1);
    assert.equal((await get('/team/info?team_id=wire-d')).status, 404);
  });

  test('GET /team/list is LiteLLM’s older list: by alias, without pages', async () => {
    await post('/team/new', {
      team_id: 'wire-l2',
      team_alias: 'wire-l2',
      members_with_roles: [{ user_id: 'wire-lu' }],
    });
    await post('/team/new', {
      team_id: 'wire-l1',
      team_alias: 'wire-l1',
      members_with_roles: [{ user_id: 'wire-lu' }],
    });
    const { status, body } = await get('/team/list?user_id=wire-lu');
    assert.equal(status, 200);
    assert.deepEqual(aliasesOf(body), ['wire-l1', 'wire-l2']);
  });

  test('GET /v2/team/list has pages with a hard cap, and refuses what it does not know', async () => {
    const { body } = await get('/v2/team/list?page=1&page_size=2&sort_by=team_alias&sort_order=asc');
    assert.equal(body.teams.length, 2);
    assert.equal(body.page_size, 2);
    assert.equal(body.total_pages, Math.ceil(body.total / 2));
    assert.equal((await get('/v2/team/list?page_size=101')).status, 400);
    assert.equal((await get('/v2/team/list?page=0')).status, 400);
    assert.equal((await get('/v2/team/list?sort_by=password')).status, 400);
    assert.equal((await get('/v2/team/list?page=1&page=2')).status, 400);
    const typo = await get('/v2/team/list?team_aliass=x');
    assert.partialDeepStrictEqual(typo.body.error, { param: 'team_aliass', hint: 'Did you mean team_alias?' });
  });

  test('concurrent members and teams of one name leave exactly one of each', async () => {
    const made = await Promise.all(Array.from({ length: 6 }, () => post('/team/new', { team_alias: 'wire-race' })));
    assert.deepEqual(statusesOf(made), ['200', ...Array<string>(5).fill('400')]);
    const team_id = made.find(({ status }) => status === 200)?.body.team_id;
    const added = await Promise.all(
      Array.from({ length: 6 }, () => post('/team/member_add', { team_id, member: { user_id: 'wire-racer' } })),
    );
    assert.deepEqual(statusesOf(added), ['200', ...Array<string>(5).fill('400')]);
    for (const { status, body } of added)
      if (status === 400) assert.equal(body.error.type, 'team_member_already_in_team');
  });
});
