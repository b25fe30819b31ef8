import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { build, type Who, type World } from '../teams/world.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await build(gateway);
});
after(() => gateway[Symbol.asyncDispose]());

interface Attempt {
  readonly method?: 'GET';
  readonly path: string;
  readonly body?: (team: string, user: string) => object;
}

/** Every route on which a team or a member is named. */
const attempts: readonly Attempt[] = [
  { method: 'GET', path: '/team/info' },
  { method: 'GET', path: '/team/permissions_list' },
  { method: 'GET', path: '/team/member_list' },
  { path: '/team/update', body: (team_id) => ({ team_id, team_alias: 'taken' }) },
  { path: '/team/delete', body: (team_id) => ({ team_ids: [team_id] }) },
  { path: '/team/block', body: (team_id) => ({ team_id }) },
  { path: '/team/unblock', body: (team_id) => ({ team_id }) },
  { path: '/team/member_add', body: (team_id, user_id) => ({ team_id, member: { user_id, role: 'admin' } }) },
  { path: '/team/bulk_member_add', body: (team_id, user_id) => ({ team_id, members: [{ user_id }] }) },
  { path: '/team/member_update', body: (team_id, user_id) => ({ team_id, user_id, role: 'admin' }) },
  { path: '/team/member_delete', body: (team_id, user_id) => ({ team_id, user_id }) },
  { path: '/team/model/add', body: (team_id) => ({ team_id, models: ['gpt-4o'] }) },
  { path: '/team/model/delete', body: (team_id) => ({ team_id, models: ['gpt-4o'] }) },
  { path: '/team/permissions_update', body: (team_id) => ({ team_id, team_member_permissions: ['/key/info'] }) },
];

const attempt = (who: Who, { method, path, body }: Attempt, [team, user]: readonly [string, string]) =>
  method === 'GET'
    ? world.ask(who, 'GET', `${path}?team_id=${team}`)
    : world.ask(who, 'POST', path, body?.(team, user) ?? {});

const stateOf = async (): Promise<unknown> => {
  const { rows } = await gateway.pool.query(
    `select (select json_agg(t order by t.id) from gatewayctl.teams t) as teams,
            (select json_agg(m order by m.team_id, m.user_id) from gatewayctl.team_members m) as members,
            (select count(*) from gatewayctl.users) as users, (select count(*) from gatewayctl.audit_log where object_type <> 'operation') as audited`,
  );
  return rows;
};

describe('GHSA-qqcv-vg9f-5rr3, CVE-2024-5710: a team is managed by nobody from outside', () => {
  for (const who of ['lead-2', 'member-2', 'head-2', 'stranger', 'service-1'] as const) {
    test(`${who} learns and changes nothing of the first team: the answers are those of a team that is not there`, async () => {
      const unchanged = await stateOf();
      for (const each of attempts) {
        for (const user of ['member-1', 'member-2', 'nobody']) {
          const there = await attempt(who, each, ['team-1', user]);
          const absent = await attempt(who, each, ['team-0', user]);
          // A key without a user may ask for no change at all, whatever it names.
          assert.equal(
            there.status,
            who === 'service-1' && each.method !== 'GET' ? 403 : 404,
            `${each.path}: ${there.text}`,
          );
          assert.equal(there.text.replaceAll('team-1', 'team-0'), absent.text);
        }
      }
      assert.deepEqual(await stateOf(), unchanged);
    });
  }

  test('a member, and whoever may only look, changes nothing of its own team and sees nobody but itself there', async () => {
    const unchanged = await stateOf();
    for (const who of ['member-1', 'viewer', 'watcher'] as const) {
      for (const each of attempts.filter(({ method }) => method !== 'GET')) {
        const { status, text } = await attempt(who, each, ['team-1', 'lead-1']);
        assert.equal(status, 403, `${who} ${each.path}: ${text}`);
      }
    }
    const refused = await world.ask('member-1', 'POST', '/team/block', { team_id: 'team-1' });
    assert.equal(
      refused.body.error.message,
      'Call not allowed. User not proxy admin OR team admin. route=/team/block, team_id=team-1',
    );
    assert.deepEqual(await stateOf(), unchanged);
    for (const who of ['member-1', 'viewer'] as const) {
      const info = await world.ask(who, 'GET', '/team/info?team_id=team-1');
      assert.equal(info.status, 200);
      const lists = [await world.ask(who, 'GET', '/v2/team/list'), await world.ask(who, 'GET', '/team/list')];
      for (const { text } of [info, ...lists]) assert.ok(!/lead-1|service-1/.test(text), text);
      assert.deepEqual(
        info.body.team_memberships.map(({ user_id: user }: { user_id: string }) => user),
        [who],
      );
      assert.equal((await world.ask(who, 'GET', '/team/member_list?team_id=team-1')).status, 403);
    }
  });

  test('lists hold the teams of the caller, and another’s are refused', async () => {
    const idsOf = async (who: Who) =>
      (await world.ask(who, 'GET', '/v2/team/list')).body.teams.map(({ team_id: team }: { team_id: string }) => team);
    assert.deepEqual(await idsOf('lead-1'), ['team-1']);
    assert.deepEqual(await idsOf('head-2'), ['team-2']);
    assert.deepEqual(await idsOf('stranger'), []);
    assert.deepEqual(await idsOf('watcher'), ['team-2', 'team-1']);
    const other = await world.ask('lead-1', 'GET', '/team/list?user_id=member-2');
    assert.equal(other.status, 403);
    assert.match(other.body.error.message, /^Only admin users can query all teams\/other teams\. Your user role=/);
  });

  test('a team is shown with the keys that its caller may look at one by one, and with no administrator’s', async () => {
    await world.post('/user/new', { user_id: 'boss', user_role: 'proxy_admin', auto_create_key: false });
    await world.post('/team/member_add', { team_id: 'team-1', member: { user_id: 'boss' } });
    const { token } = await world.post('/key/generate', { team_id: 'team-1', user_id: 'boss' });
    await world.post('/key/generate', { team_id: 'team-1', user_id: 'member-1' });
    const hashes = (keys: { token: string }[]) => keys.map((key) => key.token).toSorted();
    for (const who of ['lead-1', 'head-1', 'member-1', 'watcher', 'master'] as const) {
      const { body: list } = await world.ask(who, 'GET', '/key/list?team_id=team-1&size=100');
      assert.equal(list.keys.includes(token), who === 'watcher' || who === 'master', who);
      const { body: info } = await world.ask(who, 'GET', '/team/info?team_id=team-1');
      assert.deepEqual(hashes(info.keys), list.keys.toSorted(), who);
      const { body: teams } = await world.ask(who, 'GET', '/team/list');
      const team = teams.find((each: { team_id: string }) => each.team_id === 'team-1');
      assert.deepEqual(hashes(team?.keys ?? []), team ? list.keys.toSorted() : [], who);
    }
  });

  test('nobody brings people of another organization into a team, or learns whether they are there', async () => {
    for (const who of ['lead-1', 'head-1'] as const) {
      const add = (user_id: string) =>
        world.ask(who, 'POST', '/team/member_add', { team_id: 'team-1', member: { user_id } });
      const foreign = await add('member-2');
      assert.equal(foreign.status, 400, foreign.text);
      if (who === 'lead-1') {
        assert.equal(foreign.text.replaceAll('member-2', 'nobody'), (await add('nobody')).text);
      }
    }
    const named = (path: string, user_id: string) =>
      world.ask('lead-1', 'POST', path, { team_id: 'team-1', user_id, role: 'user' });
    const removed = (user_id: string) =>
      world.ask('lead-1', 'POST', '/team/member_delete', { team_id: 'team-1', user_id });
    const update = await named('/team/member_update', 'member-2');
    assert.equal(update.text.replaceAll('member-2', 'nobody'), (await named('/team/member_update', 'nobody')).text);
    assert.equal((await removed('member-2')).text.replaceAll('member-2', 'nobody'), (await removed('nobody')).text);
  });
});

describe('SEC-28: the scope of a key bounds its user', () => {
  test('with a key of one team nobody touches another, though it administers both', async () => {
    await world.post('/team/new', { team_id: 'second', members_with_roles: [{ user_id: 'lead-1', role: 'admin' }] });
    const { key } = await world.post('/key/generate', { team_id: 'team-1', user_id: 'lead-1' });
    const update = (team_id: string) =>
      gateway.request('POST', '/team/update', { key, body: { team_id, metadata: { by: 'key of team-1' } } });
    assert.equal((await update('team-1')).status, 200);
    assert.equal((await update('second')).status, 404);
    assert.equal((await gateway.request('GET', '/team/info?team_id=second', { key })).status, 404);
    const { body } = await gateway.request('GET', '/v2/team/list', { key });
    assert.deepEqual(
      body.teams.map(({ team_id: id }: { team_id: string }) => id),
      ['team-1'],
    );
    assert.equal((await world.ask('lead-1', 'POST', '/team/update', { team_id: 'second', metadata: {} })).status, 200);
  });
});

describe('a team goes or stays as a whole', () => {
  test('members and keys that are added while the team is deleted leave nothing behind', async () => {
    for (let round = 0; round < 8; round++) {
      const team_id = `race-${round}`;
      await world.post('/team/new', { team_id });
      const add = (user_id: string) =>
        gateway.request('POST', '/team/member_add', { body: { team_id, member: { user_id } } });
      const answers = await Promise.all([
        add(`racer-${round}-1`),
        gateway.request('POST', '/key/generate', { body: { team_id } }),
        gateway.request('POST', '/team/delete', { body: { team_ids: [team_id] } }),
        gateway.request('POST', '/key/generate', { body: { team_id } }),
        add(`racer-${round}-2`),
      ]);
      for (const { status, text } of answers) assert.ok([200, 404].includes(status), `${status} ${text}`);
      assert.equal(answers[2]?.status, 200);
      const { rows } = await gateway.pool.query(
        `select (select count(*)::int from gatewayctl.team_members where team_id = $1) as members,
                (select count(*)::int from gatewayctl.keys where team_id = $1) as keys,
                (select count(*)::int from gatewayctl.deleted_teams where id = $1) as kept,
                (select count(*)::int from gatewayctl.deleted_keys where team_id = $1) as kept_keys`,
        [team_id],
      );
      const made = answers.filter(({ status, body }) => status === 200 && body.key !== undefined).length;
      assert.deepEqual(rows, [{ members: 0, keys: 0, kept: 1, kept_keys: made }]);
    }
  });

  test('whoever is taken out of a team has lost it with the answer: role, keys and all', async () => {
    await world.post('/team/new', { team_id: 'left', members_with_roles: [{ user_id: 'lead-1', role: 'admin' }] });
    const { key } = await world.post('/key/generate', { team_id: 'left', user_id: 'lead-1' });
    assert.equal((await gateway.chat(key, 'mock-gpt')).status, 200);
    assert.equal(
      (await world.ask('lead-1', 'POST', '/team/update', { team_id: 'left', metadata: { a: 1 } })).status,
      200,
    );
    const { deleted_keys: gone } = await world.post('/team/member_delete', { team_id: 'left', user_id: 'lead-1' });
    assert.equal(gone.length, 1);
    assert.equal(
      (await world.ask('lead-1', 'POST', '/team/update', { team_id: 'left', metadata: { a: 2 } })).status,
      404,
    );
    assert.equal((await gateway.chat(key, 'mock-gpt')).status, 401);
  });
});
