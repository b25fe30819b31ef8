import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
let directory: string;
let file: string;
before(async () => {
  gateway = await startGateway();
  directory = await mkdtemp(join(tmpdir(), 'gatewayctl-'));
  file = join(directory, 'config.yaml');
  await writeFile(file, 'model_list: [{ model_name: from-file, litellm_params: { model: mock/x } }]\n');
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

it('71: --config and GATEWAYCTL_CONFIG say in direct mode which deployments a configuration has', async () => {
  for (const outcome of [
    await gateway.gatewayctl(['model', 'list', '-o', 'tsv', '--config', file], 'embedded'),
    await gateway.gatewayctl(['-c', file, 'model', 'list', '-o', 'tsv'], 'database-url'),
    await gateway.gatewayctl('model list -o tsv', 'embedded', { env: { GATEWAYCTL_CONFIG: file } }),
  ]) {
    assert.equal(outcome.exit, 0, outcome.err);
    assert.match(outcome.out, /^from-file\t\w+\tmock\tmock\/x\tconfig$/m);
  }
});

it('71: --config reaches the commands that are no operations', async () => {
  const broken = join(directory, 'broken.yaml');
  await writeFile(broken, 'general_settings: { database_url: nowhere }\n');
  const { exit, err } = await gateway.gatewayctl(['migrate', 'status', '--config', broken], 'embedded');
  assert.equal(exit, 78);
  assert.match(err, /broken\.yaml:1:\d+/);
});

for (const way of ['server', 'socket'] as const) {
  it(`74: --config is refused by ${way}, where the daemon has a configuration of its own`, async () => {
    const { exit, out, err } = await gateway.gatewayctl(['model', 'list', '--config', file], way);
    assert.equal(exit, 2);
    assert.equal(out, '');
    assert.match(err, /--config is not for .* has a configuration of its own/);
    assert.match(err, /Leave --config out, or say --direct\./);
  });
}
