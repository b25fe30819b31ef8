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
  await gateway.gatewayctl('model create llama --provider-model mock/llama');
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
  ] as const) {
    for (const where of ['', '--direct ']) {
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
