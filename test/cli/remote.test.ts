import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { text } from 'node:stream/consumers';
import { adminSocket, listens, reachDaemon } from '../../src/cli/connect.ts';
import type { Connect } from '../../src/cli/connection.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { gatewayctl, type World } from './support/command-line.ts';
import { rows } from './support/widgets.ts';

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const folder = mkdtempSync(join(tmpdir(), 'cli-'));
const socketPath = adminSocket(folder);
const seen: Seen[] = [];
let reply: (response: ServerResponse, request: Seen) => void;
let origin = '';

const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

const handler = async (request: IncomingMessage, response: ServerResponse) => {
  const { method, url, headers } = request;
  const one = { method, url, headers, body: await text(request) };
  seen.push(one);
  reply(response, one);
};
const overTcp = createServer((request, response) => void handler(request, response));
const overSocket = createServer((request, response) => void handler(request, response));

const connect: Connect<never> = async (target, options) => {
  const connection = await reachDaemon(target, folder, options);
  assert.ok(connection, 'no daemon');
  return connection;
};
const send = (line: string | string[], world: World = {}) =>
  gatewayctl(line, {
    connect,
    ...world,
    env: { GATEWAYCTL_SERVER: origin, GATEWAYCTL_KEY: 'sk-admin-key-12345', ...world.env },
  });

before(async () => {
  await new Promise<void>((resolve) => void overTcp.listen(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => void overSocket.listen(socketPath, resolve));
  const address = overTcp.address();
  assert.ok(typeof address === 'object' && address !== null);
  origin = `http://127.0.0.1:${address.port}`;
});
after(() => {
  overTcp.close();
  overSocket.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => void (reply = answer(200, { ...rows[0], widgets: rows, total_count: 2 })));
afterEach(() => void seen.splice(0));

describe('a daemon elsewhere', () => {
  it('is asked on the routes of the operations, as LiteLLM is', async () => {
    await send('widget list --kind square');
    await send('widget get a/b');
    await send('widget create --name a --models x,y --max-budget none');
    const [list, get, create] = seen;
    assert.deepEqual([list?.method, list?.url, list?.body], ['GET', '/widget/list?kind=square&whole=true', '']);
    assert.deepEqual([get?.method, get?.url], ['GET', '/widget/a%2Fb/info']);
    assert.deepEqual([create?.method, create?.url], ['POST', '/widget/new']);
    assert.deepEqual(JSON.parse(create?.body ?? ''), { name: 'a', models: ['x', 'y'], max_budget: null });
    assert.equal(create?.headers.authorization, 'Bearer sk-admin-key-12345');
    assert.match(create?.headers['user-agent'] ?? '', /^gatewayctl\/\d/);
  });

  it('knows whose key it is given, so that none has to be named', async () => {
    assert.equal((await send('widget get')).exit, 0);
    assert.equal((await gatewayctl('widget get', { connect })).exit, 2);
  });

  it('is told in whose name', async () => {
    await send('widget create --name a --as anna');
    await send('widget create --name a');
    assert.deepEqual(
      seen.map(({ headers }) => headers['litellm-changed-by']),
      ['anna', undefined],
    );
  });

  it('may live under a path of a bigger site', async () => {
    await send('widget list', { env: { GATEWAYCTL_SERVER: `${origin}/gateway/` } });
    assert.equal(seen[0]?.url, '/gateway/widget/list?whole=true');
  });

  it('answers the same over a Unix socket, and needs no key there', async () => {
    const direct = await gatewayctl('widget list', { connect, env: { GATEWAYCTL_SERVER: `unix://${socketPath}` } });
    const local = await gatewayctl('widget list -v', { connect });
    assert.equal(direct.out, (await send('widget list')).out);
    assert.equal(local.out, direct.out);
    assert.match(local.err, new RegExp(`^local daemon · ${socketPath}\n`));
    assert.equal(seen[0]?.headers.authorization, undefined);
  });

  it('gives its errors with the status they have near by', async () => {
    const error = new GatewayError('conflict', 'alias_taken', 'a widget called a exists', { hint: 'Choose another' });
    reply = answer(409, error, { 'x-request-id': 'req-1' });
    const { err, exit } = await send('widget create --name a');
    assert.deepEqual([err, exit], ['Error: a widget called a exists\nChoose another\nRequest id: req-1\n', 6]);
    const json: unknown = JSON.parse((await send('widget create --name a --json')).err);
    assert.match(JSON.stringify(json), /"exit_code":6,"request_id":"req-1"/);
    reply = answer(500, { oops: true });
    assert.equal((await send('widget create --name a')).exit, 10);
  });

  it('is recognised by what it answers', async () => {
    reply = (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>');
    const { err, exit } = await send('widget list');
    assert.equal(exit, 10);
    assert.match(err, /is not the admin API of a gateway/);
  });

  it('93: is asked again when a read meets passing trouble, and a change never', async () => {
    reply = (response) => (seen.length < 3 ? answer(503, {})(response) : answer(200, { widgets: [] })(response));
    assert.equal((await send('widget list')).exit, 0);
    assert.equal(seen.length, 3);
    reply = answer(503, {});
    assert.equal((await send('widget create --name a')).exit, 7);
    assert.equal(seen.length, 4);
  });

  it('92: is not waited for longer than was said', async () => {
    reply = () => undefined;
    const { err, exit } = await send('widget create --name a --timeout 1s');
    assert.equal(exit, 7);
    assert.match(err, /did not answer within 1 s/);
    overTcp.closeAllConnections();
    assert.equal((await send('widget list --timeout soon')).exit, 2);
  });

  it('10: is missed in the words of the sample session', async () => {
    const { err, exit } = await send('widget list', { env: { GATEWAYCTL_SERVER: 'http://127.0.0.1:1' } });
    assert.equal(exit, 7);
    assert.match(
      err,
      /^Error: cannot reach http:\/\/127\.0\.0\.1:1 \(connection refused\)\.\nIs the daemon running\? {3}systemctl status/,
    );
    assert.match(err, /\nWithout a daemon\? {8}gatewayctl widget list --direct\n$/);
    const name = await send('widget list', { env: { GATEWAYCTL_SERVER: 'http://no-such-host.invalid' } });
    assert.equal(name.exit, 7);
  });

  it('84: is traced with --verbose, and with --debug whole', async () => {
    reply = answer(200, { widgets: [] }, { 'x-request-id': 'req-2' });
    assert.match((await send('widget list -v')).err, /\nGET \/widget\/list\?whole=true 200 \d+ ms \(request req-2\)\n/);
    reply = answer(200, { ...rows[0], secret: 'sk-gw1_Zq8vT1mRk3Hc0uYx7LwB5nDs2JpGf9Ea4WiK6o' });
    const { err } = await send('widget generate --debug');
    assert.match(err, /> \{\}\n< \{.*"secret":"sk-gw1_…iK6o"/);
    assert.doesNotMatch(err, /sk-admin-key-12345|Zq8v/);
  });
});

describe('the daemon of this machine', () => {
  it('is found by its socket, and a socket left behind is not a daemon', async () => {
    assert.equal(await listens(socketPath), true);
    assert.equal(await listens(join(folder, 'nothing.sock')), false);
    const dead = join(folder, 'dead.sock');
    writeFileSync(dead, '');
    assert.equal(await listens(dead), false);
    const options = { timeoutMs: 1_000 };
    assert.equal(await reachDaemon({ mode: 'local', stateDir: '/nowhere' }, folder, options), undefined);
    assert.equal(
      await reachDaemon({ mode: 'direct', databaseUrl: undefined, stateDir: undefined }, folder, options),
      undefined,
    );
  });
});
