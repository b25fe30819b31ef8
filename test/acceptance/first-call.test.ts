import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { ChatCompletion, ChatCompletionChunk } from 'openai/resources/chat/completions';
import type { CompletionUsage } from 'openai/resources/completions';
import { aStateDir, bin, cleanEnv, type Daemon, startDaemon, until } from '../support/gateway.ts';

const execute = promisify(execFile);

let stateDir: string;
let daemon: Daemon;
before(async () => {
  stateDir = await aStateDir();
  daemon = await startDaemon({ stateDir });
});
after(async () => {
  await daemon.stop();
  await rm(stateDir, { recursive: true, force: true });
});

/** The program as a shell runs it, with nothing but the state directory to find the daemon by. */
async function gatewayctl(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const env = cleanEnv({ GATEWAYCTL_STATE_DIR: stateDir });
  return execute(process.execPath, [bin, ...args], { env, timeout: 30_000 });
}

/** At the price of mock-gpt: 150 nano-dollars for a token that goes in, 600 for one that comes out. */
function costOf(usage: CompletionUsage | null | undefined): bigint {
  return BigInt(usage?.prompt_tokens ?? 0) * 150n + BigInt(usage?.completion_tokens ?? 0) * 600n;
}

test('a daemon without any configuration, a key, a plain call and a streamed one, and their cost on the key', async () => {
  const { stdout, stderr } = await gatewayctl('key', 'generate', '--alias', 'first');
  assert.match(stdout, /^sk-gw1_[0-9A-Za-z]{38}\n$/);
  assert.match(stderr, /Key first created/);
  const key = stdout.trim();

  const plain = await daemon.chat(key, 'mock-gpt');
  assert.equal(plain.status, 200);
  const completion = plain.body as ChatCompletion;
  assert.equal(completion.choices[0]?.message.content, 'hello there');
  assert.match(plain.headers.get('x-litellm-call-id') ?? '', /^[0-9a-f-]{36}$/);

  const streamed = await daemon.chat(key, 'mock-gpt', { stream: true, stream_options: { include_usage: true } });
  assert.equal(streamed.status, 200);
  assert.match(streamed.headers.get('content-type') ?? '', /^text\/event-stream/);
  const events = streamed.text.match(/^data: .*$/gm) ?? [];
  assert.equal(events.at(-1), 'data: [DONE]');
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event.slice('data: '.length)) as ChatCompletionChunk);
  assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), 'hello there');

  const spent = costOf(completion.usage) + costOf(chunks.at(-1)?.usage);
  assert.equal(plain.headers.get('x-litellm-key-spend'), plain.headers.get('x-litellm-response-cost'));
  assert.equal(Number(plain.headers.get('x-litellm-response-cost')), Number(spent) / 2e9, 'both calls cost the same');

  // What is booked reaches the database a tenth of a second later.
  const info = async () => (await gatewayctl('key', 'info', 'first')).stdout.split('\t');
  await until(async () => (await info()).includes(String(Number(spent) / 1e9)));
});

test('a daemon that is asked to stop ends with 0', async () => {
  assert.equal(await daemon.stop(), 0);
});

test('npm start hands on the signal that ends it, and ends when the daemon has', async () => {
  const npm = spawn('npm', ['start', '--silent'], {
    cwd: dirname(dirname(bin)),
    env: cleanEnv({ GATEWAYCTL_STATE_DIR: stateDir, GATEWAYCTL_PORT: '0' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Not `exit`: its output is open for as long as the daemon lives, also when npm has left it behind.
  const closed = once(npm, 'close');
  const said: string[] = [];
  for await (const line of createInterface({ input: npm.stderr })) {
    said.push(line);
    if (line.includes('listens on')) npm.kill('SIGTERM');
  }
  assert.deepEqual(await closed, [0, null], said.join('\n'));
  assert.match(said.at(-1) ?? '', /SIGTERM: stopping/);
});
