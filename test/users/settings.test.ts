import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadYaml, refusal } from '../config/support.ts';
import { aStateDir, type Gateway, startGateway, ways } from '../support/gateway.ts';

const config = `
litellm_settings:
  max_internal_user_budget: 9
  internal_user_budget_duration: 1mo
  default_internal_user_params: {user_role: internal_user_viewer, budget_duration: 7d, models: [gpt-4o]}
`;

let gateway: Gateway;
let env: Record<string, string>;
before(async () => {
  const place = await aStateDir();
  await writeFile(join(place, 'config.yaml'), config);
  env = { GATEWAYCTL_CONFIG: join(place, 'config.yaml') };
  gateway = await startGateway({ env });
});
after(() => gateway[Symbol.asyncDispose]());

const asConfigured = { user_role: 'internal_user_viewer', max_budget: 9, budget_duration: '7d', models: ['gpt-4o'] };

for (const way of ways) {
  test(`a new user has by ${way} what the configuration says, where its maker says nothing`, async () => {
    const json = async (line: string) => JSON.parse((await gateway.gatewayctl(`${line} --json`, way, { env })).out);
    assert.partialDeepStrictEqual(await json(`user create --id ${way}-a`), asConfigured);
    const said = '--role internal_user --max-budget 50 --models gpt-4o,o3 --budget-duration 1d';
    assert.partialDeepStrictEqual(await json(`user create --id ${way}-b ${said}`), {
      user_role: 'internal_user',
      max_budget: 50,
      budget_duration: '1d',
      models: ['gpt-4o', 'o3'],
    });
    assert.partialDeepStrictEqual(await json(`user create --id ${way}-c --role proxy_admin`), {
      max_budget: null,
      models: [],
    });
    await json(`key generate --user ${way}-d`);
    assert.partialDeepStrictEqual(await json(`user get ${way}-d`), asConfigured, 'also one made by its name');
  });
}

test('what is wrong in it is refused with its place', () => {
  const wrong = `litellm_settings:
  max_internal_user_budget: much
  default_internal_user_params: {max_budgett: 5, user_role: emperor}
`;
  const { shown } = refusal(() => loadYaml(wrong));
  assert.match(shown, /2:29: max_internal_user_budget: .*number/i);
  assert.match(shown, /3:\d+: unknown key "max_budgett" \(did you mean max_budget\?\)/);
  assert.match(shown, /user_role: Invalid option/);
  assert.deepEqual(loadYaml(config).warnings, []);
});
