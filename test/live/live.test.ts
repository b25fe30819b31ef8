import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import stringWidth from 'string-width';
import { hasTerminal } from '../cli/support/terminal.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { aStateDir, bin, cleanEnv, type Gateway, startGateway, until } from '../support/gateway.ts';

type Json = Record<string, unknown>;
interface Figures {
  readonly name: string;
  readonly team_alias: string | null;
  readonly requests: number;
  readonly in_flight: number;
  readonly reserved: number;
  readonly refused: number;
  readonly refusals: Record<string, number>;
  readonly failed: number;
  readonly failures: Record<string, number>;
  readonly first_byte_p95_ms: number | null;
}
interface Usage {
  readonly total: Figures;
  readonly rows: readonly Figures[];
}

describe('what goes on in a daemon', () => {
  let directory: string;
  let gateway: Gateway;
  let upstream: Upstream;
  let key: string;
  let poor: string;
  before(async () => {
    directory = await aStateDir();
    upstream = await startUpstream();
    const config = join(directory, 'config.yaml');
    const params = `{model: openai/gpt-4o, api_base: "${upstream.url}", api_key: sk-upstream-0123456789abcdef, allow_private_network: true}`;
    await writeFile(
      config,
      `model_list:\n  - {model_name: big, litellm_params: ${params}, model_info: {id: east}}\n  - {model_name: 'mock/*', litellm_params: {model: 'mock/*'}}\n`,
    );
    gateway = await startGateway({ args: ['--config', config], env: { GATEWAYCTL_NUM_RETRIES: '0' } });
    const make = async (body: Json) => (await gateway.request('POST', '/key/generate', { body })).body.key as string;
    const { team_id } = (await gateway.request('POST', '/team/new', { body: { team_alias: 'platform' } })).body;
    key = await make({ key_alias: 'ci-runner', team_id });
    poor = await make({ key_alias: 'poor \u202e\u{1F469}\u200D\u{1F4BB}', max_budget: 0 });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const top = async (by = 'key', way: 'server' | 'socket' = 'server'): Promise<Usage> => {
    const { out, err, exit } = await gateway.gatewayctl(`top --once --json --by ${by}`, way);
    assert.equal(exit, 0, err);
    return JSON.parse(out) as Usage;
  };
  const rowOf = ({ rows }: Usage, name: string) => rows.find((row) => row.name === name);

  test('is summed by key, team, user and model, with what is under way and held, and why calls were refused', async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    upstream.script({ text: 'one two', beforeChunk: () => gate });
    const streamed = gateway.chat(key, 'big', { stream: true, max_tokens: 1_000 });
    await until(async () => rowOf(await top(), 'ci-runner')?.in_flight === 1);
    const during = rowOf(await top('key', 'socket'), 'ci-runner');
    assert.ok(during && during.requests === 0 && during.reserved > 0.001, JSON.stringify(during));
    open();
    await streamed;
    upstream.script({
      status: 500,
      answer: { error: { message: 'hello there, said the upstream', type: 'odd_error' } },
    });
    assert.equal((await gateway.chat(key, 'big')).status, 500);
    assert.equal((await gateway.chat(poor, 'big')).status, 429);
    assert.equal((await gateway.chat('sk-nobody', 'big')).status, 401);

    const byKey = await top();
    const row = rowOf(byKey, 'ci-runner');
    assert.deepEqual(
      { ...row, first_byte_p95_ms: 0 },
      {
        ...row,
        requests: 2,
        in_flight: 0,
        reserved: 0,
        failed: 1,
        refused: 0,
        team_alias: 'platform',
        first_byte_p95_ms: 0,
      },
    );
    assert.ok((row?.first_byte_p95_ms ?? 0) > 0);
    assert.equal(byKey.total.requests, 4);
    assert.deepEqual(byKey.total.refusals, { budget_exceeded: 1, token_not_found_in_db: 1 });
    assert.equal(Object.values(byKey.total.failures).length, 1);
    assert.equal(rowOf(await top('team'), 'platform')?.requests, 2);
    assert.deepEqual(rowOf(await top('model'), 'big')?.refusals, { budget_exceeded: 1 });
    assert.equal(rowOf(await top('user'), '(none)')?.requests, 4);
  });

  test('has no credential that stands where a model should, and keeps no name that is longer than any', async () => {
    const secret = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789';
    assert.equal((await gateway.chat(key, `mock/${secret}`)).status, 200);
    assert.equal((await gateway.chat(key, `mock/${'long'.repeat(10_000)}`)).status, 200);
    const text = JSON.stringify(await top('model'));
    assert.ok(!text.includes(secret) && !text.includes('longlong'), text.slice(0, 1_000));
    assert.match(text, /mock\/sk-/);
  });

  test('is known to a daemon alone, and to those who may look at everything', async () => {
    for (const command of ['top', 'tail']) {
      for (const way of ['database-url', 'embedded'] as const) {
        const { err, exit } = await gateway.gatewayctl(command, way);
        assert.match(err, /needs a running daemon/);
        assert.equal(exit, 7);
      }
    }
    const owner = { env: { GATEWAYCTL_KEY: key } };
    assert.equal((await gateway.gatewayctl('top --once', 'server', owner)).exit, 5);
    assert.equal((await gateway.gatewayctl('tail', 'server', owner)).exit, 5);
  });

  test(
    'is drawn on a terminal of 80 columns until q or Ctrl-C is pressed, and the terminal is as before',
    { skip: !hasTerminal },
    async () => {
      const quit = await onTerminal('top --interval 1s', [
        ['by key', 'b'],
        ['by team', '\u001B[C'],
        ['sort tokens', 'q'],
      ]);
      assert.equal(quit.exit, 0, quit.screen);
      for (const text of ['REQ/S', 'platform', 'this daemon alone', 'budget_exceeded'])
        assert.ok(quit.screen.includes(text), text);
      // oxlint-disable-next-line no-control-regex -- what moves the cursor takes no room
      const lines = quit.screen.replaceAll(/\u001B\[[\d?]*[A-Za-z]/g, '').split(/[\r\n]+/);
      assert.ok(
        lines.every((line) => stringWidth(line) < 80),
        lines.join('\n'),
      );
      assert.ok(!quit.screen.includes('\u202e'));
      assert.equal(quit.screen.slice(-6), '\u001B[?25h');
      const cut = await onTerminal('top', [['by key', '\u0003']]);
      assert.equal(cut.exit, 130);
      assert.equal(cut.screen.slice(-6), '\u001B[?25h');
    },
  );

  test('is followed line by line, without what was asked or answered, through a restart, until Ctrl-C', async () => {
    const all = follow('-o', 'json');
    const refused = follow('--errors', '--key', 'ci-runner', '--http-status', '4xx', '-o', 'json');
    await Promise.all([all.isFollowing, refused.isFollowing]);
    upstream.script({ text: 'an answer of the model' });
    await gateway.chat(key, 'big');
    await gateway.chat(poor, 'big');
    upstream.script({
      status: 400,
      answer: { error: { message: 'hello there sk-upstream-0123456789abcdef', type: 'odd_error' } },
    });
    await gateway.chat(key, 'big');
    await until(() => all.lines.length === 3 && refused.lines.length === 1);
    const [answered, denied, failed] = all.lines;
    assert.deepEqual(
      [
        answered?.['outcome'],
        answered?.['key_alias'],
        answered?.['team_alias'],
        answered?.['deployment'],
        answered?.['prompt_tokens'],
      ],
      ['answered', 'ci-runner', 'platform', 'east', 9],
    );
    assert.ok(Number(answered?.['cost']) > 0);
    assert.deepEqual(
      [denied?.['outcome'], denied?.['reason'], denied?.['status']],
      ['refused', 'budget_exceeded', 429],
    );
    assert.match(String(denied?.['message']), /Budget has been exceeded/);
    assert.deepEqual([failed?.['outcome'], failed?.['reason'], failed?.['message']], ['failed', 'odd_error', null]);
    assert.equal(refused.lines[0]?.['request_id'], failed?.['request_id']);
    for (const text of ['hello there', 'an answer', 'sk-', key]) assert.ok(!all.text().includes(text), text);

    assert.equal(await all.end('SIGINT'), 130);
    assert.equal(await gateway.daemon.stop(), 0);
    await until(() => /stopping. Waiting for it/.test(refused.said()));
    assert.equal(await refused.end('SIGINT'), 130);
  });

  const environment = () =>
    cleanEnv({ GATEWAYCTL_SERVER: gateway.daemon.url, GATEWAYCTL_KEY: gateway.daemon.masterKey });

  function follow(...flags: string[]) {
    const child = spawn(process.execPath, [bin, 'tail', ...flags], { env: environment() });
    const lines: Json[] = [];
    let text = '';
    let said = '';
    createInterface({ input: child.stdout }).on('line', (line) => {
      text += line;
      lines.push(JSON.parse(line) as Json);
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    return {
      lines,
      text: () => text,
      said: () => said,
      isFollowing: until(() => said.includes('Following')),
      async end(signal: NodeJS.Signals) {
        const ended = once(child, 'exit');
        child.kill(signal);
        return (await ended)[0] as number | null;
      },
    };
  }

  /** Types each text once what comes before it has been drawn. */
  async function onTerminal(line: string, dialogue: readonly (readonly [awaited: string, typed: string])[]) {
    const command = `stty cols 80 rows 24; exec ${process.execPath} ${bin} ${line}`;
    const env = { ...environment(), TERM: 'xterm', SHELL: '/bin/sh' };
    const child = spawn('script', ['-qefc', command, '/dev/null'], { env, timeout: 20_000 });
    let screen = '';
    let read = 0;
    const rest = [...dialogue];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      screen += chunk;
      const [next] = rest;
      const at = next ? screen.indexOf(next[0], read) : -1;
      if (!next || at === -1) return;
      read = at + next[0].length;
      rest.shift();
      child.stdin.write(next[1]);
    });
    const [exit] = (await once(child, 'close')) as [number | null];
    return { screen: screen.trimEnd(), exit };
  }
});
