import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { aStateDir, type Gateway, startGateway } from '../support/gateway.ts';

let directory: string;
let gateway: Gateway;

before(async () => {
  directory = await aStateDir();
  const config = join(directory, 'config.json');
  const priced = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6, mock_completion_tokens: 50 };
  await writeFile(
    config,
    JSON.stringify({
      model_list: [{ model_name: 'mock-gpt', litellm_params: { model: 'mock/gpt', ...priced } }],
      litellm_settings: { max_budget: 0.0005, budget_duration: '30d' },
    }),
  );
  gateway = await startGateway({ args: ['--config', config] });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test('a budget of the gateway holds for every caller, those without a budget and the master key among them', async () => {
  const keys = [
    (await gateway.gatewayctl('key generate -q')).out.trim(),
    (await gateway.gatewayctl('key generate --max-budget 10 -q')).out.trim(),
    gateway.daemon.masterKey,
  ];
  const statuses: number[] = [];
  for (let call = 0; call < 12; call++) {
    const { status } = await gateway.chat(keys[call % keys.length] ?? '', 'mock-gpt', { max_tokens: 60 });
    statuses.push(status);
  }
  const served = statuses.filter((status) => status === 200).length;
  assert.deepEqual(statuses, [...Array<number>(served).fill(200), ...Array<number>(12 - served).fill(429)]);
  assert.ok(served >= 3 && served <= 4, String(served));
  for (const key of keys) {
    const refused = await gateway.chat(key, 'mock-gpt', { max_tokens: 60 });
    assert.equal(refused.body.error.type, 'budget_exceeded');
    assert.match(refused.body.error.message, /Current cost: 0\.000\d+, Max budget: 0\.0005/);
  }
});
