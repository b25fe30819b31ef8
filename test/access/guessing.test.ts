import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { generateSecret } from '../../src/kernel/secret.ts';
import { type Gateway, startGateway, until } from '../support/gateway.ts';

describe('somebody who guesses keys', () => {
  let gateway: Gateway;
  let key: string;
  before(async () => {
    gateway = await startGateway({ env: { GATEWAYCTL_AUTH_CACHE_TTL: '300s' } });
    key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
    assert.equal((await list(key)).status, 200);
  });
  after(() => gateway[Symbol.asyncDispose]());

  const list = (secret: string) => gateway.request('GET', '/v1/models', { key: secret });
  test('is told to wait before the database is asked, while good keys pass', async () => {
    const statuses = new Map<number, number>();
    let last = await list(generateSecret('virtual'));
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => list(generateSecret('virtual'))));
      for (const answer of answers) {
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 429) last = answer;
      }
    }
    assert.deepEqual(new Set(statuses.keys()), new Set([401, 429]));
    assert.ok(statuses.get(429)! > 150, JSON.stringify([...statuses]));
    assert.equal(last.body.error.type, 'too_many_failed_credentials');
    assert.ok(Number(last.headers.get('retry-after')) >= 1);
    assert.equal((await list(key)).status, 200, 'a cached key');
    assert.equal((await list(gateway.daemon.masterKey)).status, 200, 'the master key');
  });

  test('may go on when the time has passed', async () => {
    await until(async () => (await list(generateSecret('virtual'))).status === 401, 5_000);
  });
});
