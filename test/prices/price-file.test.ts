import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { aStateDir, gatewayctl, type Gateway, startGateway, until } from '../support/gateway.ts';

let directory: string;
let gateway: Gateway;
let key: string;
const priceFile = () => join(directory, 'prices.json');

const config = `
gatewayctl: {}
model_list:
  - model_name: filed
    litellm_params: { model: mock/filed, mock_prompt_tokens: 10, mock_completion_tokens: 5 }
  - model_name: own
    litellm_params: { model: mock/filed, mock_prompt_tokens: 10, mock_completion_tokens: 5, input_cost_per_token: 1, output_cost_per_token: 0 }
  - model_name: unknown
    litellm_params: { model: openai/nobody-knows-it, api_key: none }
  - model_name: listed
    litellm_params: { model: openai/gpt-4o, api_key: none }
`;

const fileOf = (input: number) =>
  JSON.stringify({
    sample_spec: { input_cost_per_token: 'US dollars' },
    'mock/filed': { input_cost_per_token: input, output_cost_per_token: 0.002, litellm_provider: 'mock' },
  });

before(async () => {
  directory = await aStateDir();
  await writeFile(join(directory, 'config.yaml'), config);
  gateway = await startGateway({
    args: ['--config', join(directory, 'config.yaml')],
    env: { GATEWAYCTL_PRICE_FILE: priceFile() },
  });
  key = (await gateway.gatewayctl('key generate -q', 'socket')).out.trim();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** A command of the machine the daemon is on, that asks neither the daemon nor a database. */
const prices = (line: string) =>
  gatewayctl(`prices ${line} --config ${join(directory, 'config.yaml')} --state-dir ${directory}`, {
    env: { GATEWAYCTL_PRICE_FILE: priceFile() },
  });

async function rowOfCall(model: string) {
  const { headers } = await gateway.chat(key, model);
  const id = headers.get('x-litellm-call-id');
  let row: { spend: number; price_source: string; price_version: string | null } | undefined;
  await until(async () => {
    [row] = (await gateway.request('GET', `/spend/logs?request_id=${id}`)).body;
    return row !== undefined;
  });
  return row;
}

test('a price file that is put there prices calls within a second, and each row says by which edition', async () => {
  assert.partialDeepStrictEqual(await rowOfCall('filed'), { spend: 0, price_source: 'unpriced', price_version: null });
  await writeFile(join(directory, 'new.json'), fileOf(0.001));
  const { err, exit } = await prices(`update --from ${join(directory, 'new.json')}`);
  assert.equal(exit, 0, err);
  const version = /file [0-9a-f]{12}/.exec(err)?.[0];
  await until(async () => (await rowOfCall('filed'))?.price_source === 'price_file', 2_000);
  assert.partialDeepStrictEqual(await rowOfCall('filed'), { spend: 0.02, price_version: version });
  const own = await rowOfCall('own');
  assert.partialDeepStrictEqual(own, { spend: 10, price_source: 'model_info' });
  assert.match(own?.price_version ?? '', /^model [0-9a-f]{12}$/);
  const info = (await gateway.request('GET', '/model/info')).body.data;
  assert.equal(
    info.find((each: { model_name: string }) => each.model_name === 'filed').model_info.input_cost_per_token,
    0.001,
  );
});

test('a file with a price that is none is refused whole, by command and by a running daemon', async () => {
  const good = await readFile(priceFile(), 'utf8');
  await writeFile(join(directory, 'bad.json'), fileOf(-1).replace('0.002', '"much"'));
  const { err, exit } = await prices(`update --from ${join(directory, 'bad.json')}`);
  assert.equal(exit, 78);
  assert.match(err, /input_cost_per_token of model mock\/filed is not a price/);
  assert.equal(await readFile(priceFile(), 'utf8'), good);

  await writeFile(priceFile(), fileOf(-1));
  await until(() => gateway.daemon.log.some((line) => line.includes('the prices of before are kept')));
  assert.partialDeepStrictEqual(await rowOfCall('filed'), { spend: 0.02 });
  await writeFile(priceFile(), good);
});

test('a rehearsal and diff show what a file would change, and change nothing', async () => {
  await writeFile(join(directory, 'dearer.json'), fileOf(0.003));
  const changes = [{ model: 'mock/filed', change: 'changed', before: '1000 / 2000', after: '3000 / 2000' }];
  const diff = await prices(`diff --from ${join(directory, 'dearer.json')} --json`);
  assert.deepEqual([diff.exit, JSON.parse(diff.out)], [1, changes]);
  const rehearsed = await prices(`update --from ${join(directory, 'dearer.json')} --dry-run --json`);
  assert.deepEqual([rehearsed.exit, JSON.parse(rehearsed.out)], [0, changes]);
  assert.match(rehearsed.err, /Nothing was changed/);
  assert.equal(await readFile(priceFile(), 'utf8'), fileOf(0.001));
  assert.equal((await prices(`diff --from ${priceFile()}`)).exit, 0);
});

test('check names the models of the configuration that have no price', async () => {
  const { out, exit } = await prices('check --json');
  assert.deepEqual(
    [exit, JSON.parse(out)],
    [1, [{ model: 'unknown', upstream: 'openai/nobody-knows-it', problem: 'has no price' }]],
  );
});

test('list and show say what a model costs, and who says so', async () => {
  const [shown] = JSON.parse((await prices('show listed --json')).out);
  assert.equal(shown.model, 'openai/gpt-4o');
  assert.match(shown.version, /^genai-prices \d/);
  assert.ok(shown.input > 0 && shown.output > shown.input);
  const [filed] = JSON.parse((await prices('show filed --json')).out);
  assert.partialDeepStrictEqual(filed, { source: 'price_file', input: 1_000, output: 2_000 });
  const list = JSON.parse((await prices('list --provider anthropic --json')).out);
  assert.ok(list.length > 5);
  assert.ok(list.every(({ model }: { model: string }) => model.startsWith('anthropic/')));
  const unknown = await prices('show openai/nobody-knows-it');
  assert.equal(unknown.exit, 1);
  assert.match(unknown.err, /No price is known.*\n.*prices list/);
});
