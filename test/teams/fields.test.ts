import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { aStateDir, type Gateway, startGateway, ways } from '../support/gateway.ts';
import { build, type Who, type World } from './world.ts';

let gateway: Gateway;
let world: World;
let directory: string;
before(async () => {
  directory = await aStateDir();
  const file = join(directory, 'config.yaml');
  await writeFile(file, 'litellm_settings: {default_internal_user_params: {available_teams: [open, Open by alias]}}\n');
  gateway = await startGateway({ args: ['--config', file] });
  world = await build(gateway);
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const everything = {
  soft_budget: 4,
  max_budget: 5,
  budget_duration: '30d',
  tpm_limit: 1_000,
  rpm_limit: 10,
  max_parallel_requests: 3,
  model_max_budget: { 'gpt-4o': { budget_limit: 2, time_period: '1d' } },
  model_rpm_limit: { 'gpt-4o': 5 },
  model_tpm_limit: { 'gpt-4o': 500 },
  rpm_limit_type: 'guaranteed_throughput',
  tpm_limit_type: 'best_effort_throughput',
  model_aliases: { fast: 'gpt-4o-mini' },
  tags: ['prod'],
  team_member_permissions: ['/key/info', '/key/generate'],
  team_member_budget: 1,
  team_member_budget_duration: '1d',
  team_member_rpm_limit: 2,
  team_member_tpm_limit: 200,
  team_member_key_duration: '7d',
  metadata: { floor: 3 },
  models: ['gpt-4o'],
};

describe('the fields of a team', () => {
  test('everything that is given to a new team is in its answers, and null takes it away', async () => {
    const given = { ...everything, budget_limits: [{ budget_duration: '1d', max_budget: 2 }] };
    const made = await world.post('/team/new', { team_id: 'full', ...given });
    assert.partialDeepStrictEqual(made, everything);
    assert.partialDeepStrictEqual(made.budget_limits[0], { budget_duration: '1d', max_budget: 2 });
    assert.partialDeepStrictEqual(made.litellm_model_table, { model_aliases: { fast: 'gpt-4o-mini' } });
    assert.match(made.budget_reset_at, /^\d{4}-\d{2}-01T00:00:00/);
    const { body: info } = await gateway.request('GET', '/team/info?team_id=full');
    assert.partialDeepStrictEqual(info.team_info, everything);
    assert.deepEqual(info.team_info.team_member_budget_table, {
      max_budget: 1,
      budget_duration: '1d',
      tpm_limit: 200,
      rpm_limit: 2,
    });
    const cleared = Object.keys(everything).filter((name) => !['metadata', 'models'].includes(name));
    const nulls = Object.fromEntries(cleared.map((name) => [name, null]));
    const { data } = await world.post('/team/update', { team_id: 'full', budget_limits: null, ...nulls });
    for (const name of cleared) assert.ok(data[name] === null || Object.keys(data[name]).length === 0, name);
    assert.deepEqual([data.budget_limits, data.litellm_model_table, data.models], [[], null, ['gpt-4o']]);
  });

  test('what cannot be is refused by name, and nothing of it is kept', async () => {
    for (const [field, value] of [
      ['team_member_permissions', ['/team/delete']],
      ['team_member_key_duration', 'soon'],
      ['rpm_limit_type', 'dynamic'],
      ['tpm_limit', -1],
      ['members', ['anna']],
      ['guardrails', ['pii']],
    ] as const) {
      const { status, body } = await gateway.request('POST', '/team/new', { body: { team_id: 'bad', [field]: value } });
      assert.equal(status, 400, field);
      assert.ok(body.error.param.startsWith(field), body.error.param);
    }
    assert.equal((await gateway.request('GET', '/team/info?team_id=bad')).status, 404);
  });

  test('teams are not guaranteed more than their organization has, and a deleted team is kept as a record', async () => {
    await gateway.pool.query(`update gatewayctl.organizations set rpm_limit = 100 where id = 'org-2'`);
    const guaranteed = { organization_id: 'org-2', rpm_limit_type: 'guaranteed_throughput' };
    await world.post('/team/new', { team_id: 'g-1', rpm_limit: 70, ...guaranteed });
    const tooMuch = await gateway.request('POST', '/team/new', {
      body: { team_id: 'g-2', rpm_limit: 31, ...guaranteed },
    });
    assert.equal(tooMuch.status, 400);
    assert.match(
      tooMuch.body.error.message,
      /Allocated RPM limit=70 \+ Team RPM limit=31 is greater than organization RPM/,
    );
    await world.post('/team/new', { team_id: 'g-2', rpm_limit: 30, ...guaranteed });
    assert.equal((await world.ask('head-2', 'POST', '/team/delete', { team_ids: ['g-1'] })).status, 200);
    const { rows } = await gateway.pool.query(
      `select record ->> 'rpm_limit' as rpm, deleted_by, length(deleted_by_api_key) as hash from gatewayctl.deleted_teams`,
    );
    assert.deepEqual(rows, [{ rpm: '70', deleted_by: 'head-2', hash: 64 }]);
  });
});

describe('who may change which field', () => {
  const update = async (who: Who, body: object) => {
    const answer = await world.ask(who, 'POST', '/team/update', { team_id: 'team-1', ...body });
    return answer.status === 200 ? 'done' : `${answer.status} ${answer.body.error.param}`;
  };

  test('its administrator sets what is its own, lowers limits and touches nothing above', async () => {
    await world.post('/team/update', { team_id: 'team-1', soft_budget: 40, rpm_limit: 100, models: ['gpt-4o', 'o3'] });
    for (const [change, outcome] of [
      [{ team_alias: 'First', metadata: { by: 'lead' }, team_member_budget: 3 }, 'done'],
      [{ max_budget: 45, rpm_limit: 90, models: ['gpt-4o'], soft_budget: 30 }, 'done'],
      [{ max_budget: 46 }, '403 max_budget'],
      [{ max_budget: null }, '403 max_budget'],
      [{ rpm_limit: null }, '403 rpm_limit'],
      [{ soft_budget: 31 }, '403 soft_budget'],
      [{ models: [] }, '403 models'],
      [{ models: ['gpt-4o', 'o3'] }, '403 models'],
      [{ metadata: { stolen: true }, budget_duration: '1d' }, '403 budget_duration'],
      [{ tags: ['free'] }, '403 tags'],
      [{ blocked: true }, '403 blocked'],
      [{ organization_id: 'org-2' }, '403 organization_id'],
      [{ organization_id: null }, '403 organization_id'],
    ] as const) {
      assert.equal(await update('lead-1', change), outcome, JSON.stringify(change));
    }
    const { body } = await gateway.request('GET', '/team/info?team_id=team-1');
    assert.partialDeepStrictEqual(body.team_info, {
      max_budget: 45,
      metadata: { by: 'lead' },
      organization_id: 'org-1',
    });
    const added = await world.ask('lead-1', 'POST', '/team/model/add', { team_id: 'team-1', models: ['o3'] });
    assert.equal(added.body.error.param, 'models');
  });

  test('an organization’s administrator makes, changes and deletes its teams within what the organization has', async () => {
    const make = (who: Who, body: object) => world.ask(who, 'POST', '/team/new', body);
    const made = await make('head-1', { team_id: 'of-head', organization_id: 'org-1', max_budget: 100 });
    assert.deepEqual(
      made.body.members_with_roles.map(({ user_id: id, role }: Record<string, string>) => `${id} ${role}`),
      ['head-1 admin'],
    );
    assert.equal((await make('head-1', { organization_id: 'org-1', max_budget: 101 })).body.error.param, 'max_budget');
    for (const [who, body] of [
      ['head-1', { organization_id: 'org-2' }],
      ['head-1', {}],
      ['lead-1', { organization_id: 'org-1' }],
      ['stranger', {}],
      ['viewer', {}],
    ] as const) {
      assert.equal((await make(who, body)).status, 403, `${who} ${JSON.stringify(body)}`);
    }
    assert.equal(await update('head-1', { max_budget: 90, budget_duration: '30d', tags: ['prod'] }), 'done');
    assert.equal(await update('head-1', { max_budget: 101 }), '403 max_budget');
    assert.equal(await update('head-1', { organization_id: 'org-2' }), '403 organization_id');
    assert.equal((await world.ask('head-1', 'POST', '/team/block', { team_id: 'of-head' })).status, 200);
    assert.equal((await world.ask('head-1', 'POST', '/team/delete', { team_ids: ['of-head'] })).status, 200);
  });
});

describe('members', () => {
  test('have limits of their own, else those of the team', async () => {
    await world.post('/team/new', { team_id: 'm', max_budget: 20, team_member_budget: 2, team_member_rpm_limit: 5 });
    const added = await world.post('/team/member_add', {
      team_id: 'm',
      member: [{ user_id: 'm-1' }, { user_id: 'm-2' }],
      max_budget_in_team: 7,
      budget_duration: '1d',
    });
    assert.partialDeepStrictEqual(added.updated_team_memberships[1], {
      user_id: 'm-2',
      max_budget_in_team: 7,
      litellm_budget_table: { max_budget: 7, budget_duration: '1d', rpm_limit: 5 },
    });
    const over = await gateway.request('POST', '/team/member_update', {
      body: { team_id: 'm', user_id: 'm-2', max_budget_in_team: 21 },
    });
    assert.equal(over.body.error.param, 'max_budget_in_team');
    const own = await world.post('/team/member_update', { team_id: 'm', user_id: 'm-2', max_budget_in_team: null });
    assert.partialDeepStrictEqual(own, { max_budget_in_team: null, litellm_budget_table: { max_budget: 2 } });
  });

  test('are added by the hundred, and the answer says of each what became of it', async () => {
    await world.post('/team/new', { team_id: 'bulk', organization_id: 'org-1' });
    await world.post('/team/member_add', { team_id: 'bulk', member: { user_id: 'lead-1', role: 'admin' } });
    const members = [{ user_id: 'member-1' }, { user_id: 'lead-1' }, { user_email: 'nobody@example.com' }];
    const { body } = await world.ask('lead-1', 'POST', '/team/bulk_member_add', { team_id: 'bulk', members });
    assert.partialDeepStrictEqual(body, { total_requested: 3, successful_additions: 1, failed_additions: 2 });
    assert.deepEqual(
      body.results.map(({ success, error }: { success: boolean; error: string }) => success || error),
      [true, 'User lead-1 is already in team bulk', 'No user "nobody@example.com" that could be in team bulk'],
    );
    const everybody = { team_id: 'bulk', all_users: true };
    assert.equal((await world.ask('head-1', 'POST', '/team/bulk_member_add', everybody)).status, 403);
    const all = await world.post('/team/bulk_member_add', everybody);
    assert.equal(all.updated_team.members_count, all.total_requested);
  });

  test('make keys that end when the team says, where it lets them and they say nothing else', async () => {
    const rules = { team_member_key_duration: '7d', team_member_permissions: ['/key/generate'] };
    await world.post('/team/new', { team_id: 'short', members_with_roles: [{ user_id: 'member-1' }], ...rules });
    const daysOf = async (who: Who, body: object) => {
      const answer = await world.ask(who, 'POST', '/key/generate', { team_id: 'short', ...body });
      assert.equal(answer.status, 200, answer.text);
      const { expires } = answer.body;
      return expires === null ? null : Math.round((Date.parse(expires) - Date.now()) / 86_400_000);
    };
    assert.equal(await daysOf('member-1', {}), 7);
    assert.equal(await daysOf('member-1', { duration: '2d' }), 2);
    assert.equal(await daysOf('master', {}), null);
  });

  test('join by themselves the teams that are open to everybody, and no others', async () => {
    await world.post('/team/new', { team_id: 'open' });
    await world.post('/team/new', { team_id: 'open-2', team_alias: 'Open by alias', organization_id: 'org-2' });
    await world.post('/team/new', { team_id: 'shut' });
    const seen = async () => {
      const { body } = await world.ask('stranger', 'GET', '/team/available');
      return body.map(({ team_id: id }: { team_id: string }) => id);
    };
    assert.deepEqual(await seen(), ['open-2', 'open']);
    const ask = async (team_id: string, member: object, more: object = {}) =>
      (await world.ask('stranger', 'POST', '/team/member_add', { team_id, member, ...more })).status;
    assert.equal(await ask('shut', { user_id: 'stranger' }), 404);
    assert.equal(await ask('open', { user_id: 'stranger', role: 'admin' }), 404);
    assert.equal(await ask('open', { user_id: 'member-1' }), 404);
    assert.equal(await ask('open', { user_id: 'stranger' }, { max_budget_in_team: 10 }), 404);
    assert.equal(await ask('open', { user_email: 'stranger@example.com' }), 200);
    assert.deepEqual(await seen(), ['open-2']);
  });

  test('are taken out with their keys, which are the team’s where the team keeps them', async () => {
    await world.post('/team/new', { team_id: 'out', members_with_roles: [{ user_id: 'o-1' }, { user_id: 'o-2' }] });
    for (const user_id of ['o-1', 'o-2'])
      await world.post('/key/generate', { team_id: 'out', user_id, key_alias: user_id });
    const gone = await world.post('/team/member_delete', { team_id: 'out', user_id: 'o-1' });
    assert.equal(gone.deleted_keys.length, 1);
    const kept = await world.post('/team/member_delete', { team_id: 'out', user_id: 'o-2', keep_keys: true });
    assert.deepEqual(kept.deleted_keys, []);
    const { body } = await gateway.request('GET', '/team/info?team_id=out');
    assert.deepEqual(
      body.keys.map(({ key_alias: alias, user_id: user }: Record<string, unknown>) => [alias, user]),
      [['o-2', null]],
    );
  });
});

for (const way of ways) {
  test(`a person administers a team by ${way}`, async () => {
    const run = async (line: string) => {
      const { exit, out, err } = await gateway.gatewayctl(line, way);
      assert.equal(exit, 0, `${line}: ${err}`);
      return out;
    };
    const json = async (line: string) => JSON.parse(await run(`${line} --json`));
    const team = `cli-${way}`;
    await run(`team create --alias ${team} --models gpt-4o --model-aliases fast=gpt-4o,slow=o3 --max-budget 10`);
    await run(`team member add ${team} ${way}-1 --max-budget 2 --budget-duration 7d`);
    await run(`team member update ${team} ${way}-1 --role admin --max-budget 3`);
    assert.partialDeepStrictEqual(await json(`team member list ${team}`), [{ role: 'admin', max_budget_in_team: 3 }]);
    await run(`team model add ${team} o3`);
    await run(`team model remove ${team} gpt-4o --yes`);
    await run(`team permission set ${team} /key/info /key/generate`);
    assert.deepEqual((await json(`team permission list ${team}`)).team_member_permissions, [
      '/key/info',
      '/key/generate',
    ]);
    await run(`team update ${team} --member-budget 1 --budget-duration 30d --model-aliases none --rpm-limit 60`);
    await run(`key generate --team ${team}`);
    assert.partialDeepStrictEqual(await json(`team get ${team}`), {
      models: ['o3'],
      model_aliases: {},
      team_member_budget: 1,
      rpm_limit: 60,
      members_count: 1,
      keys_count: 1,
    });
    assert.match(await run(`team list --alias ${team} -o table --header`), /ALIAS.*ID.*ORG.*BUDGET.*MEMBERS.*KEYS/);
    const rehearsed = await json(`team delete ${team} --dry-run`);
    assert.deepEqual(
      rehearsed.changes.map(
        ({ object_type: type, before: was }: { object_type: string; before: Record<string, unknown> }) =>
          type === 'team' ? `team of ${String(was['members_count'])}` : type,
      ),
      ['key', 'team of 1'],
    );
    await run(`team delete ${team} --confirm ${team}`);
  });
}
