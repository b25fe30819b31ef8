import assert from 'node:assert/strict';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { aStateDir, type Daemon, type Gateway, startDaemon, startGateway, until } from './support/gateway.ts';
import { startUpstream, type Upstream } from './proxy/upstream.ts';

/** A configuration whose model answers with a word, so that a call shows which one is in use. */
const saying = (word: string, more = ''): string => `
model_list:
  - {model_name: word, litellm_params: {model: mock/word, mock_response: "${word}"}, model_info: {id: word}}
${more}`;

const wordOf = ({ body }: { body: { choices?: { message: { content: string } }[] } }): string | undefined =>
  body.choices?.[0]?.message.content;

describe('a daemon that is told to read its configuration again', () => {
  let directory: string;
  let path: string;
  let gateway: Gateway;
  let upstream: Upstream;
  let key: string;
  before(async () => {
    directory = await aStateDir();
    path = join(directory, 'config.yaml');
    await writeFile(path, saying('first'));
    upstream = await startUpstream();
    gateway = await startGateway({
      ownProcess: true,
      args: ['--config', path],
      env: { GATEWAYCTL_WATCH_CONFIG: 'false', GATEWAYCTL_NUM_RETRIES: '0' },
    });
    key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key as string;
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const logged = (text: string): string[] => gateway.daemon.log.filter((line) => line.includes(text));
  const hangUp = () => gateway.daemon.child.kill('SIGHUP');
  const says = (word: string) => until(async () => wordOf(await gateway.chat(key, 'word')) === word);
  const reload = (...flags: string[]) => gateway.gatewayctl(['daemon', 'reload', ...flags], 'socket');

  test('takes it on within a second, twenty times under load, and no call fails', async () => {
    const over = new AbortController();
    const failures: unknown[] = [];
    const times: number[] = [];
    let calls = 0;
    const caller = async () => {
      while (!over.signal.aborted) {
        const answer = await gateway.chat(key, 'word');
        calls++;
        if (answer.status !== 200) failures.push(answer.text);
      }
    };
    const callers = [caller(), caller(), caller(), caller()];
    try {
      for (let round = 1; round <= 20; round++) {
        await writeFile(path, saying(`round ${round}`));
        hangUp();
        if (round % 5 === 0) hangUp();
        const begun = performance.now();
        await says(`round ${round}`);
        times.push(performance.now() - begun);
      }
    } finally {
      over.abort();
      await Promise.all(callers);
    }
    assert.deepEqual(failures, []);
    // The median, because whoever shares the machine may hold up a single one.
    assert.ok(
      (times.toSorted((one, other) => one - other)[10] ?? Number.NaN) < 1_000,
      times.map(Math.round).join(', '),
    );
    assert.ok(calls > 100, `${calls} calls were made meanwhile`);
  });

  test('refuses one with anything wrong in it whole, says where, and goes on', async () => {
    await writeFile(path, saying('good'));
    assert.equal((await reload()).exit, 0);
    const broken = `${saying('bad', '  - {model_name: other, litellm_params: {model: mock/x}}')}\nrouter_settings:\n  num_retrys: 3\n`;
    await writeFile(path, broken);
    const outcome = await reload();
    assert.equal(outcome.exit, 9);
    assert.match(outcome.err, /config\.yaml:6:3: .*num_retrys/);
    assert.equal(logged('The configuration was not reloaded').length, 1);
    hangUp();
    await until(() => logged('The configuration was not reloaded').length === 2);
    assert.match(logged('The configuration was not reloaded').at(-1) ?? '', /config\.yaml:6:3/);
    assert.equal(wordOf(await gateway.chat(key, 'word')), 'good');
    assert.equal((await gateway.chat(key, 'other')).status, 400);
    assert.equal((await gateway.request('GET', '/health/readiness', { key: '' })).status, 200);
    await rm(path);
    assert.match((await reload()).err, /there is no such file/);
    assert.equal(wordOf(await gateway.chat(key, 'word')), 'good');
  });

  test('names what a restart is needed for, and takes on the rest', async () => {
    await writeFile(
      path,
      saying(
        'rest',
        'gatewayctl:\n  port: 4999\n  max_calls: 7\n  log_level: debug\nlitellm_settings: {callbacks: [jsonl]}\ncallback_settings: {jsonl: {path: calls.jsonl}}\n',
      ),
    );
    // The port was chosen on the command line, so the file's does not matter.
    const outcome = await reload('-o', 'json');
    assert.deepEqual(JSON.parse(outcome.out), {
      models: 1,
      needs_restart: ['gatewayctl.max_calls', 'litellm_settings.callbacks'],
    });
    assert.match(logged('take effect with the next start').at(-1) ?? '', /gatewayctl\.max_calls/);
    assert.equal(wordOf(await gateway.chat(key, 'word')), 'rest');
    await writeFile(path, saying('rest'));
    assert.match((await reload()).err, /Reloaded\.\n/);
  });

  test('takes on aliases, fallbacks, pass-through endpoints and what holds for new keys', async () => {
    const settings = `
  - {model_name: down, litellm_params: {model: openai/down, api_base: "http://127.0.0.1:9", api_key: sk-upstream-0123456789}, model_info: {id: down}}
router_settings:
  model_group_alias: {nickname: word}
  fallbacks: [{down: [word]}]
litellm_settings:
  default_key_generate_params: {max_budget: 7}
general_settings:
  pass_through_endpoints: [{path: /outside, target: "${upstream.url}/inside"}]
`;
    await writeFile(path, saying('all of it', settings));
    assert.equal((await reload()).exit, 0);
    assert.equal(wordOf(await gateway.chat(key, 'nickname')), 'all of it');
    assert.equal((await gateway.chat(key, 'down')).headers.get('x-litellm-model-id'), 'word');
    const made = await gateway.request('POST', '/key/generate', { body: {} });
    assert.equal(made.body.max_budget, 7);
    assert.equal((await gateway.request('POST', '/outside', { body: {} })).status, 200);
    assert.equal(upstream.requests.at(-1)?.path, '/v1/inside');
    const shown = await gateway.request('GET', '/model/info');
    assert.deepEqual(
      (shown.body.data as { model_name: string }[]).map(({ model_name: name }) => name),
      ['word', 'down'],
    );
    await writeFile(path, saying('without'));
    assert.equal((await reload()).exit, 0);
    assert.equal((await gateway.chat(key, 'nickname')).status, 400);
    assert.equal((await gateway.request('POST', '/outside', { body: {} })).status, 404);
  });

  test('lets a call under way finish on what it started with, and remembers what has failed', async () => {
    const to = (url: string) => `
  - {model_name: slow, litellm_params: {model: openai/slow, api_base: "${url}", api_key: sk-upstream-0123456789}, model_info: {id: slow}}
  - {model_name: ill, litellm_params: {model: openai/ill, api_base: "${upstream.url}", api_key: sk-upstream-0123456789, cooldown_time: 600, order: 1}, model_info: {id: ill}}
  - {model_name: ill, litellm_params: {model: openai/ill, api_base: "${upstream.url}", api_key: sk-upstream-0123456789, order: 2}, model_info: {id: well}}
`;
    await writeFile(path, saying('one', to(upstream.url)));
    assert.equal((await reload()).exit, 0);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    upstream.script({ text: 'one two three', beforeChunk: () => gate });
    const streamed = gateway.chat(key, 'slow', { stream: true });
    await until(() => upstream.requests.at(-1)?.body['model'] === 'slow');

    upstream.script({ status: 401, answer: { error: { message: 'No' } } });
    await gateway.chat(key, 'ill');
    upstream.script({ text: 'fine' });
    await writeFile(path, saying('two', to('http://127.0.0.1:9')));
    assert.equal((await reload()).exit, 0);
    for (let call = 0; call < 5; call++) {
      assert.equal((await gateway.chat(key, 'ill')).headers.get('x-litellm-model-id'), 'well');
    }
    assert.equal((await gateway.chat(key, 'slow')).status, 502);
    open();
    const { text } = await streamed;
    assert.match(text, /three[^]*\[DONE\]/);
  });

  test('is asked by administrators alone, and by nobody who has no daemon', async () => {
    assert.equal((await gateway.request('POST', '/daemon/reload', { key, body: {} })).status, 403);
    const direct = await gateway.gatewayctl('daemon reload', 'database-url');
    assert.match(direct.err, /not talking to a daemon/);
    assert.equal(direct.exit, 7);
  });

  test('is told nothing where it watches the file: however that is replaced, it is read once for each change', async () => {
    const mount = await aStateDir();
    const include = join(mount, 'included.yaml');
    const version = async (name: string, text: string) => {
      await mkdir(join(mount, name));
      await writeFile(join(mount, name, 'config.yaml'), text);
    };
    // As Kubernetes lays out a ConfigMap.
    await version('..v1', saying('mounted'));
    await symlink('..v1', join(mount, '..data'));
    const link = join(mount, 'config.yaml');
    await symlink('..data/config.yaml', link);
    const daemon: Daemon = await startDaemon({
      stateDir: mount,
      databaseUrl: gateway.databaseUrl,
      args: ['--config', link],
      env: { GATEWAYCTL_MASTER_KEY: 'sk-9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c' },
    });
    try {
      const isSaid = (word: string) => until(async () => wordOf(await daemon.chat(daemon.masterKey, 'word')) === word);
      await isSaid('mounted');
      await version('..v2', saying('swapped', `include: [${include}]\n`));
      await writeFile(include, 'gatewayctl: {log_level: info}\n');
      await symlink('..v2', join(mount, '..new'));
      await rename(join(mount, '..new'), join(mount, '..data'));
      await isSaid('swapped');
      await writeFile(join(mount, '..v2', 'config.yaml'), saying('written over', `include: [${include}]\n`));
      await isSaid('written over');
      await writeFile(join(mount, '.edited'), saying('renamed', `include: [${include}]\n`));
      await rename(join(mount, '.edited'), link);
      await isSaid('renamed');
      await writeFile(include, 'gatewayctl: {log_levle: info}\n');
      const refusals = () => daemon.log.filter((line) => line.includes('The configuration was not reloaded'));
      await until(() => refusals().length > 0);
      await writeFile(include, 'router_settings: {model_group_alias: {nickname: word}}\n');
      await until(async () => (await daemon.chat(daemon.masterKey, 'nickname')).status === 200);
      assert.match(refusals()[0] ?? '', /included\.yaml:1:/);
      assert.equal(refusals().length, 1);
      assert.equal(daemon.log.filter((line) => line.includes('The configuration was reloaded')).length, 4);
    } finally {
      await daemon.stop();
      await rm(mount, { recursive: true, force: true });
    }
  });
});
