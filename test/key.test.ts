import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, ways } from './support/gateway.ts';

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

for (const way of ways) {
  describe(`key, by ${way}`, () => {
    const gatewayctl = (line: string) => gateway.gatewayctl(line, way);

    test('generate writes the key and nothing else, so that a script can capture it', async () => {
      const { out, err, exit } = await gatewayctl(`key generate --alias ${way}-plain`);
      assert.match(out, /^sk-gw1_[0-9A-Za-z]{38}\n$/);
      assert.match(err, /created/);
      assert.equal(exit, 0);
    });

    test('get finds a key by its alias', async () => {
      await gatewayctl(`key generate --alias ${way}-a --models gpt-5,openai/* --max-budget 5.25 --expires 90d`);
      const { out } = await gatewayctl(`key get ${way}-a --json`);
      assert.partialDeepStrictEqual(JSON.parse(out), {
        key_alias: `${way}-a`,
        models: ['gpt-5', 'openai/*'],
        max_budget: 5.25,
        spend: 0,
        blocked: false,
      });
    });

    test('generate refuses an alias that is taken, and says how to go on', async () => {
      await gatewayctl(`key generate --alias ${way}-twice`);
      const { out, err, exit } = await gatewayctl(`key generate --alias ${way}-twice`);
      assert.equal(out, '');
      assert.match(err, /already exists/);
      assert.match(err, new RegExp(`gatewayctl key rotate ${way}-twice`));
      assert.equal(exit, 6);
    });

    test('update changes what is named and clears with none', async () => {
      await gatewayctl(`key generate --alias ${way}-u --max-budget 5`);
      assert.equal((await gatewayctl(`key update ${way}-u --max-budget none --models gpt-4o`)).exit, 0);
      const { out } = await gatewayctl(`key get ${way}-u --json`);
      assert.partialDeepStrictEqual(JSON.parse(out), { max_budget: null, models: ['gpt-4o'] });
    });

    test('block and unblock', async () => {
      await gatewayctl(`key generate --alias ${way}-b`);
      await gatewayctl(`key block ${way}-b`);
      assert.equal(JSON.parse((await gatewayctl(`key get ${way}-b --json`)).out).status, 'blocked');
      await gatewayctl(`key unblock ${way}-b`);
      assert.equal(JSON.parse((await gatewayctl(`key get ${way}-b --json`)).out).status, 'active');
    });

    test('rotate with a grace lets old and new secret work', async () => {
      const old = (await gatewayctl(`key generate --alias ${way}-r -q`)).out.trim();
      const next = (await gatewayctl(`key rotate ${way}-r --grace 1h --yes -q`)).out.trim();
      assert.notEqual(next, old);
      assert.equal((await gateway.chat(old, 'mock-gpt')).status, 200);
      assert.equal((await gateway.chat(next, 'mock-gpt')).status, 200);
    });

    test('rotate without a grace ends the old secret', async () => {
      const old = (await gatewayctl(`key generate --alias ${way}-r0 -q`)).out.trim();
      assert.equal((await gateway.chat(old, 'mock-gpt')).status, 200);
      await gatewayctl(`key rotate ${way}-r0 --yes -q`);
      await gateway.chatUntil(401, old);
    });

    test('delete needs a yes where nobody can be asked, and then deletes', async () => {
      const secret = (await gatewayctl(`key generate --alias ${way}-d -q`)).out.trim();
      assert.equal((await gatewayctl(`key delete ${way}-d`)).exit, 2);
      assert.equal((await gatewayctl(`key delete ${way}-d --yes`)).exit, 0);
      assert.equal((await gatewayctl(`key get ${way}-d`)).exit, 3);
      await gateway.chatUntil(401, secret);
    });
  });
}
