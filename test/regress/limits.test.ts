import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeWorld, type World } from '../keys/world.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
let world: World;
before(async () => {
  gateway = await startGateway();
  world = await makeWorld(gateway);
});
after(() => gateway[Symbol.asyncDispose]());

async function done(path: string, body: object): Promise<void> {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, answer.text);
}

test('SEC-27: whoever administers a team lowers what each member has, itself among them, and gives nobody a new window', async () => {
  await done('/team/update', {
    team_id: 'red',
    team_member_budget: 5,
    team_member_budget_duration: '30d',
    team_member_tpm_limit: 100,
    team_member_rpm_limit: 10,
  });
  const wider: Readonly<Record<string, readonly unknown[]>> = {
    team_member_budget: [6, null],
    team_member_budget_duration: ['1d', '1s', null],
    team_member_tpm_limit: [101, null],
    team_member_rpm_limit: [11, null],
  };
  for (const [field, values] of Object.entries(wider)) {
    for (const value of values) {
      const answer = await world.as('lead', '/team/update', { team_id: 'red', team_alias: 'renamed', [field]: value });
      assert.equal(answer.status, 403, `${field} ${String(value)}: ${answer.text}`);
      assert.equal(answer.body.error.param, field);
    }
  }
  const narrower = { team_member_budget: 4, team_member_budget_duration: '30d', team_member_rpm_limit: 9 };
  const lowered = await world.as('lead', '/team/update', { team_id: 'red', ...narrower });
  assert.equal(lowered.status, 200, lowered.text);
  assert.equal(lowered.body.data.team_alias, 'red-team');
  assert.equal((await world.as('boss', '/team/update', { team_id: 'red', team_member_budget: 6 })).status, 200);
});

test('a key that is called like the beginning of another’s hash is not blocked or deleted in its place', async () => {
  const bad = await world.made({ user_id: 'owner', key_alias: 'bad' });
  const beginning = bad.token.slice(0, 8);
  assert.equal((await world.as('owner', '/key/generate', { key_alias: beginning })).status, 200);
  for (const [path, body] of [
    ['/key/block', { key: beginning }],
    ['/key/delete', { keys: [beginning] }],
    ['/key/regenerate', { key: beginning }],
  ] as const) {
    const answer = await gateway.request('POST', path, { body });
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.body.error.type, 'ambiguous_key');
  }
  await done('/key/block', { key: bad.token.slice(0, 12) });
  assert.equal((await gateway.request('GET', '/key/info?key=bad')).body.info.blocked, true);
});
