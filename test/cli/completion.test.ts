import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
  await gateway.gatewayctl('team create --id t-1 --alias platform');
  await gateway.gatewayctl('user create --id anna');
  await gateway.gatewayctl('key generate --alias first -q');
  // The first use of the database in this process also loads what it takes, and TAB does not wait for that.
  await gateway.gatewayctl('key list', 'embedded');
  await gateway.gatewayctl('model create llama --provider-model mock/llama --access-groups beta');
  await gateway.gatewayctl('org create --alias acme');
  await gateway.gatewayctl('budget create small --max-budget 5');
  await gateway.gatewayctl('tag create batch');
  await gateway.gatewayctl('customer create shop-1');
  await gateway.gatewayctl('credential create openai --value-stdin api_key', 'server', {
    stdin: 'sk-provider-abcdefgh',
  });
});
after(() => gateway[Symbol.asyncDispose]());

describe('completion of what exists', () => {
  for (const [words, name] of [
    ['key get ', 'first'],
    ['key delete ', 'first'],
    ['key list --alias ', 'first'],
    ['key list --team ', 'platform'],
    ['team get ', 'platform'],
    ['team delete p', 'platform'],
    ['team member add platform ', 'anna'],
    ['user update ', 'anna'],
    ['model get l', 'llama'],
    ['org get ', 'acme'],
    ['org member add a', 'acme'],
    ['key generate --org ', 'acme'],
    ['user list --orgs ', 'acme'],
    ['budget update ', 'small'],
    ['user create --budget ', 'small'],
    ['tag delete ', 'batch'],
    ['key generate --tags other,', 'other,batch'],
    ['customer block ', 'shop-1'],
    ['credential delete ', 'openai'],
    ['model create x --credential ', 'openai'],
    ['access-group get ', 'beta'],
  ] as const) {
    // The way is the same for every noun: both are gone for the first of them only.
    for (const where of words.startsWith('key get') || words.startsWith('team') ? ['', '--direct '] : ['']) {
      it(`104: offers ${name} after ${where}${words}`, async () => {
        const line = `gatewayctl --state-dir ${gateway.stateDir} ${where}${words}`;
        // On a busy machine an answer can come after the 800 ms that TAB waits; then there is none.
        const offered = new RegExp(`^values\n[^]*^${name} ?$`, 'm');
        await until(async () => {
          const { out, exit } = await gateway.gatewayctl(['__complete', 'bash', line, ' ', '9'], 'socket');
          assert.equal(exit, 0);
          return offered.test(out);
        });
      });
    }
  }
});

describe('names of what exists', () => {
  for (const [line, name] of [
    ['key list --team platfrom', 'platform'],
    ['key generate --team platfrom', 'platform'],
    ['team member delete platfrom anna --yes', 'platform'],
    ['org get acm', 'acme'],
    ['team create --org acm', 'acme'],
    ['user create --budget smal', 'small'],
    ['credential get opnai', 'openai'],
  ] as const) {
    for (const way of ['server', 'embedded'] as const) {
      it(`83: ${line} by ${way} asks whether ${name} was meant`, async () => {
        const { exit, err } = await gateway.gatewayctl(line, way);
        assert.equal(exit, 3);
        assert.match(err, new RegExp(`Did you mean ${name}\\?`));
      });
    }
  }

  it('27: every member of a key can be chosen from a list of keys', async () => {
    const { out, err } = await gateway.gatewayctl('key list --fields key_alias,rpm_limit,deleted_at --json');
    assert.deepEqual(JSON.parse(out), [{ key_alias: 'first', rpm_limit: null, deleted_at: null }], err);
    const columns = await gateway.gatewayctl('key list --columns key_alias,rpm_limit -o csv');
    assert.equal(columns.out, 'key_alias,rpm_limit\nfirst,\n');
  });
});
