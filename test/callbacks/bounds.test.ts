import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { aStateDir, type Gateway, startGateway, until } from '../support/gateway.ts';
import { Receiver } from './receiver.ts';

const canary = 'a-canary-in-a-prompt';

const configFor = (url: string): string => `
litellm_settings:
  callbacks: [dead, refusing, busy, langfuse, lines, pipe]
callback_settings:
  dead: {callback_type: webhook, endpoint: "${url}/dead", message_logging: true}
  refusing: {callback_type: webhook, endpoint: "${url}/refusing"}
  busy: {callback_type: webhook, endpoint: "${url}/busy"}
  langfuse: {langfuse_public_key: pk-lf-1, langfuse_secret_key: sk-lf-a-secret, langfuse_host: "${url}"}
  pipe: {callback_type: jsonl, path: pipe}
  lines: {callback_type: jsonl, path: calls.jsonl, message_logging: true, max_size: 1MiB, max_files: 50}
gatewayctl:
  callbacks: {queue_size: 400, batch_size: 50, flush_interval: 0s, timeout: 600s, max_attempts: 3, dead_letter_file: dead.jsonl}
`;

describe('callbacks that do not take what they are told', () => {
  let receiver: Receiver;
  let gateway: Gateway;
  let directory: string;
  let key: string;
  let refusals = 0;
  const busyAt: number[] = [];
  before(async () => {
    receiver = (await new Receiver().listen()).answering({
      '/dead': () => undefined,
      '/refusing': (response) => response.writeHead(400).end(),
      '/busy': (response) => {
        busyAt.push(performance.now());
        if (busyAt.length > 1) response.writeHead(200).end();
        else response.writeHead(503, { 'retry-after': '1' }).end();
      },
      '/api/public/ingestion': (response) => {
        const { batch } = JSON.parse(receiver.last?.body ?? '') as { batch: { id: string }[] };
        const errors = refusals++ > 0 ? [] : [{ id: batch[1]?.id, status: 400, message: 'No' }];
        response.writeHead(207).end(JSON.stringify({ successes: [], errors }));
      },
    });
    directory = await aStateDir();
    const path = join(directory, 'config.yaml');
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    await writeFile(
      path,
      `${configFor(receiver.url)}model_list:
  - {model_name: mock-gpt, litellm_params: {model: mock/mock-gpt, mock_response: ${canary}-in-an-answer}}
`,
    );
    gateway = await startGateway({ ownProcess: true, args: ['--config', path] });
    key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key as string;
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  interface Counts {
    readonly name: string;
    readonly queued: number;
    readonly delivered: number;
    readonly dead_letters: number;
  }
  const countsOf = async (name: string): Promise<Counts> => {
    const { body } = await gateway.request('GET', '/callbacks/list');
    return (body.destinations as Counts[]).find((each) => each.name === name)!;
  };
  const chat = () => gateway.chat(key, 'mock-gpt', { messages: [{ role: 'user', content: canary }] });
  const memory = async (): Promise<number> => {
    const status = await readFile(`/proc/${gateway.daemon.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  };

  test('who is busy is asked again when it said, who refuses is not, and Langfuse may refuse one of a batch', async () => {
    await chat();
    await until(async () => (await countsOf('busy')).delivered === 1);
    assert.ok(busyAt[1]! - busyAt[0]! >= 990);
    await until(async () => (await countsOf('refusing')).dead_letters === 1);
    assert.equal(receiver.of('/refusing').length, 1);
    await until(async () => (await countsOf('langfuse')).dead_letters === 1);
    await chat();
    await until(async () => (await countsOf('langfuse')).delivered === 1);
  });

  test('a key’s callback does not lead inside the network, where the operator has not said so', async () => {
    const { body } = await gateway.request('POST', '/key/generate', { body: {} });
    const callback = { callback_name: 'webhook', callback_vars: { webhook_url: `${receiver.url}/inside` } };
    assert.equal((await gateway.request('POST', `/key/${body.token_id}/callback`, { body: callback })).status, 200);
    assert.equal((await gateway.chat(body.key as string, 'mock-gpt')).status, 200);
    const refused = (line: string) => line.includes('/webhook') && line.includes('EGRESS_ADDRESS_REFUSED');
    await until(() => gateway.daemon.log.some(refused), 20_000);
    assert.equal(receiver.of('/inside').length, 0);
  });

  test('a pipe that nobody reads holds nothing up, and is told of as any destination', async () => {
    await until(async () => (await countsOf('pipe')).dead_letters > 0, 10_000);
    assert.ok(gateway.daemon.log.some((line) => line.includes('ENXIO')));
  });

  test('2,000 calls are as quick as any while a destination is dead, and take no more memory than is set', async () => {
    const told = await countsOf('dead');
    const used = await memory();
    let left = 2_000;
    const worker = async () => {
      while (left-- > 0) assert.equal((await chat()).status, 200);
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    const { queued, delivered, dead_letters: dead } = await countsOf('dead');
    assert.equal(queued + dead, told.queued + told.dead_letters + 2_000, 'each is accounted for');
    assert.ok(queued <= 450 && delivered === 0, `${queued} wait`);
    assert.ok((await memory()) - used < 200, 'MiB');
    const lines = gateway.daemon.log.filter(
      (line) => line.includes('could not be reported') && !line.includes('ENXIO'),
    );
    assert.ok(lines.length <= 6, 'told now and then, and not for each');
    assert.ok(receiver.of('/dead').length === 1, 'one batch is under way');
  });

  test('what waits is delivered when the daemon ends, what cannot be is a dead letter, and no body is anywhere', async () => {
    const id = (await chat()).headers.get('x-litellm-call-id') ?? '';
    assert.equal(await gateway.daemon.stop(), 0);
    const { rows } = await gateway.pool.query<{ count: string }>('select count(*) from gatewayctl.spend_logs');
    const files = await Promise.all(
      ['calls.jsonl', ...Array.from({ length: 50 }, (_, number) => `calls.jsonl.${number + 1}`)].map((name) =>
        readFile(join(directory, name), 'utf8').catch(() => ''),
      ),
    );
    const lines = files.join('').trim().split('\n');
    assert.ok(lines.some((line) => line.includes(id)));
    assert.ok(files.every((text) => Buffer.byteLength(text) <= 1024 ** 2));
    const dead = await readFile(join(directory, 'dead.jsonl'), 'utf8');
    const letters = dead
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { callback: string; reason: string });
    const counted = Map.groupBy(letters, ({ callback, reason }) => `${callback} ${reason}`);
    // A disk that is too slow for 400 lines to wait is told of as any destination.
    const missed = letters.filter(({ callback }) => callback === 'lines').length;
    assert.equal(lines.length + missed, Number(rows[0]?.count), 'a line for each call, over all files');
    assert.ok(counted.get('dead undeliverable')!.length >= 400);
    assert.ok(counted.get('dead queue_full')!.length >= 1_000);
    const bodies = await gateway.pool.query('select * from gatewayctl.spend_log_bodies');
    assert.equal(bodies.rows.length, 0);
    const everything = [dead, ...files, ...receiver.received.map(({ body }) => body), ...gateway.daemon.log];
    assert.ok(!everything.some((text) => text.includes(canary)));
  });
});

test('a key whose destination is dead does not keep the operator from being told', async () => {
  const directory = await aStateDir();
  await using receiver = (await new Receiver().listen()).answering({ '/dead': () => undefined });
  const path = join(directory, 'config.yaml');
  await writeFile(
    path,
    `
model_list:
  - {model_name: mock-gpt, litellm_params: {model: mock/mock-gpt, mock_response: Hi}}
litellm_settings:
  callbacks: [lines]
callback_settings:
  lines: {callback_type: jsonl, path: calls.jsonl}
gatewayctl:
  log_bodies: true
  body_log_limit: 1MiB
  callbacks: {flush_interval: 0s, timeout: 600s, private_network: true}
`,
  );
  await using gateway = await startGateway({ args: ['--config', path] });
  const key = (await gateway.request('POST', '/key/generate', { body: { key_alias: 'dead' } })).body.key as string;
  const vars = JSON.stringify({ webhook_url: `${receiver.url}/dead` });
  const set = await gateway.gatewayctl(['key', 'callback', 'set', 'dead', 'webhook', '--vars', '-'], 'server', {
    stdin: vars,
  });
  assert.equal(set.exit, 0, set.err);
  const messages = [{ role: 'user', content: 'x'.repeat(1_000_000) }];
  const calls = 40;
  for (let call = 0; call < calls; call++)
    assert.equal((await gateway.chat(key, 'mock-gpt', { messages })).status, 200);
  type Counts = { name: string; delivered: number; dead_letters: number };
  const counts = async () => (await gateway.request('GET', '/callbacks/list')).body.destinations as Counts[];
  await until(async () => (await counts()).find(({ name }) => name === 'lines')!.delivered === calls);
  const dead = (await counts()).find(({ name }) => name.startsWith('key '))!;
  assert.ok(dead.dead_letters > 0, 'the dead destination has found no room');
  await rm(directory, { recursive: true, force: true });
});
