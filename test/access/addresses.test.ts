import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { aStateDir, type Gateway, startDaemonHere, startGateway } from '../support/gateway.ts';

type Daemon = Awaited<ReturnType<typeof startDaemonHere>>;

let gateway: Gateway;
before(async () => {
  gateway = await startGateway({ env: { GATEWAYCTL_TRUSTED_PROXIES: '127.0.0.1' } });
});
after(() => gateway[Symbol.asyncDispose]());

const from = (address: string) => ({ 'x-forwarded-for': address });
const models = (key: string, headers: Record<string, string> = {}, { request }: Pick<Daemon, 'request'> = gateway) =>
  request('GET', '/v1/models', { key, headers });
const made = async (body: object): Promise<string> =>
  (await gateway.request('POST', '/key/generate', { body })).body.key;

/** What two daemons of one database have in common. */
const ofOne = () => ({
  GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey,
  GATEWAYCTL_ENCRYPTION_KEY_FILE: join(gateway.stateDir, 'encryption-key'),
});

/** A daemon beside, on the same database, with other settings. */
async function beside<T>(env: Record<string, string>, use: (daemon: Daemon) => Promise<T>): Promise<T> {
  const stateDir = await aStateDir();
  try {
    await using daemon = await startDaemonHere({
      stateDir,
      databaseUrl: gateway.databaseUrl,
      env: { ...ofOne(), ...env },
    });
    return await use(daemon);
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
}

describe('a key with allowed_ips', () => {
  test('works from there and is refused from elsewhere, whatever the client claims', async () => {
    const key = await made({ allowed_ips: ['192.0.2.0/24', '2001:db8::/32'] });
    for (const [address, status] of [
      ['192.0.2.9', 200],
      ['192.0.2.9:4711', 200],
      ['2001:db8::7', 200],
      ['[2001:DB8::7]:443', 200],
      ['::ffff:192.0.2.9', 200],
      ['192.0.3.9', 403],
      ['2001:db9::7', 403],
      // The last hop is what the proxy saw; what stands before it was sent along.
      ['192.0.2.9, 203.0.113.1', 403],
      ['203.0.113.1, 192.0.2.9', 200],
      ['192.0.2.9, 127.0.0.1', 200],
      ['nonsense', 403],
      ['192.0.2.9, nonsense', 403],
    ] as const) {
      const answer = await models(key, from(address));
      assert.equal(answer.status, status, `${address}: ${answer.text}`);
      if (status === 403) assert.equal(answer.body.error.type, 'address_not_allowed');
    }
    // Nobody forwarded it: the peer itself is elsewhere.
    assert.equal((await models(key)).status, 403);
  });

  test('is refused in the admin API too, and neither refusal costs or changes anything', async () => {
    const key = await made({ allowed_ips: ['192.0.2.7'] });
    const answer = await gateway.request('GET', '/key/info', { key, headers: from('203.0.113.9') });
    assert.equal(answer.status, 403);
    assert.match(answer.body.error.message, /IP address 203\.0\.113\.9 not allowed/);
  });

  test('is refused by name when it lists what is no address', async () => {
    for (const bad of ['10.0.0.0/33', 'localhost', '', '10.0.0', '::/129', '10.0.0.1%eth0']) {
      const answer = await gateway.request('POST', '/key/generate', { body: { allowed_ips: [bad] } });
      assert.deepEqual([answer.status, answer.body.error.param], [400, 'allowed_ips.0'], bad);
    }
  });

  test('changes within a second of its list', async () => {
    const key = await made({ allowed_ips: ['192.0.2.7'] });
    assert.equal((await models(key, from('192.0.2.7'))).status, 200);
    await gateway.request('POST', '/key/update', { body: { key, allowed_ips: ['192.0.2.8'] } });
    assert.equal((await models(key, from('192.0.2.7'))).status, 403);
    await gateway.request('POST', '/key/update', { body: { key, allowed_ips: [] } });
    assert.equal((await models(key, from('203.0.113.1'))).status, 200);
  });

  test('is made no wider by its holder, and makes no key that works from elsewhere', async () => {
    await gateway.request('POST', '/user/new', { body: { user_id: 'roamer' } });
    const key = await made({ user_id: 'roamer', allowed_ips: ['192.0.2.0/24'] });
    const asks = (path: string, body: object) =>
      gateway.request('POST', path, { key, body, headers: from('192.0.2.1') });
    for (const allowed_ips of [[], ['0.0.0.0/0'], ['192.0.2.0/23']]) {
      assert.equal((await asks('/key/update', { key, allowed_ips })).status, 403, String(allowed_ips));
      assert.equal((await asks('/key/generate', { allowed_ips })).status, 403, String(allowed_ips));
    }
    assert.equal((await asks('/key/generate', {})).status, 403);
    assert.equal((await asks('/key/generate', { allowed_ips: ['192.0.2.128/25'] })).status, 200);
    assert.equal((await asks('/key/update', { key, allowed_ips: ['192.0.2.0/25'] })).status, 200);
  });

  test('is explained', async () => {
    const key = await made({ allowed_ips: ['192.0.2.7'] });
    const explain = async (more: object) =>
      (await gateway.request('POST', '/explain', { body: { key, model: 'mock-gpt', ...more } })).body;
    assert.equal((await explain({ from: '203.0.113.1' })).rule, 'key.address');
    assert.equal((await explain({ from: '192.0.2.7' })).allowed, true);
    const unknown = (await explain({})).checks.find(({ check }: { check: string }) => check === 'key.address');
    assert.equal(unknown.outcome, 'unknown');
  });
});

test('without a trusted proxy a forwarded address is nobody’s', () =>
  beside({}, async (daemon) => {
    const key = await made({ allowed_ips: ['192.0.2.7'] });
    assert.equal((await models(key, from('192.0.2.7'), daemon)).status, 403);
  }));

test('the master key is accepted from listed addresses alone, and by the admin socket whatever the list', () =>
  beside({ GATEWAYCTL_MASTER_KEY_ALLOWED_IPS: 'none' }, async (daemon) => {
    const refused = await daemon.request('GET', '/key/list');
    assert.deepEqual([refused.status, refused.body.error.type], [403, 'address_not_allowed']);
    assert.equal((await daemon.chat(daemon.masterKey, 'mock-gpt')).status, 403);
    assert.equal((await models(await made({}), {}, daemon)).status, 200);
    const { exit, err } = await gateway.gatewayctl(`key list --state-dir ${daemon.stateDir}`, 'socket');
    assert.equal(exit, 0, err);
  }));

test('allowed_ips of the configuration close both planes to others, and not the health routes', async () => {
  const stateDir = await aStateDir();
  const config = join(stateDir, 'config.yaml');
  await writeFile(
    config,
    'general_settings:\n  allowed_ips: ["192.0.2.7", "10.0.0.0/8"]\ngatewayctl:\n  trusted_proxies: [127.0.0.1]\n',
  );
  await using daemon = await startDaemonHere({
    stateDir,
    databaseUrl: gateway.databaseUrl,
    args: ['--config', config],
    env: ofOne(),
  });
  const key = await made({});
  assert.equal((await models(key, from('10.9.9.9'), daemon)).status, 200);
  assert.equal((await models(key, from('11.9.9.9'), daemon)).status, 403);
  assert.equal((await daemon.request('GET', '/key/list', { headers: from('11.9.9.9') })).status, 403);
  assert.equal((await daemon.request('GET', '/health/liveliness', { key: '' })).status, 200);
  await rm(stateDir, { recursive: true, force: true });
});

test('the admin API may be used from its own addresses, and others are in the audit log', () =>
  beside({ GATEWAYCTL_ADMIN_ALLOWED_IPS: '192.0.2.0/24', GATEWAYCTL_TRUSTED_PROXIES: '127.0.0.1' }, async (daemon) => {
    const list = (address: string) => daemon.request('GET', '/key/list', { headers: from(address) });
    assert.equal((await list('192.0.2.1')).status, 200);
    const refused = await list('198.51.100.4');
    assert.equal(refused.status, 403);
    assert.equal((await models(await made({}), from('198.51.100.4'), daemon)).status, 200);
    const { body } = await gateway.request('GET', '/audit?action=unauthenticated&size=100');
    assert.match(JSON.stringify(body), /198\.51\.100\.4/);
  }));

test('the admin API has a listener of its own where one is set, and is at no other', () =>
  beside({ GATEWAYCTL_ADMIN_LISTEN: '127.0.0.1:0' }, async (daemon) => {
    const url = daemon.log
      .map((line) => /The admin API has a listener of its own at (http:[^"]+)/.exec(line)?.[1])
      .find(Boolean);
    assert.ok(url, daemon.log.join('\n'));
    const headers = { authorization: `Bearer ${daemon.masterKey}` };
    const at = async (base: string, path: string) => (await fetch(base + path, { headers })).status;
    assert.deepEqual([await at(url, '/key/list'), await at(daemon.url, '/key/list')], [200, 404]);
    assert.deepEqual([await at(url, '/v1/models'), await at(daemon.url, '/v1/models')], [404, 200]);
    assert.deepEqual([await at(url, '/health/liveliness'), await at(daemon.url, '/health/liveliness')], [200, 200]);
    // What is not there is not there for any method.
    const other = await fetch(`${daemon.url}/key/list`, { method: 'DELETE', headers });
    assert.equal(other.status, 404);
    const { exit, err } = await gateway.gatewayctl(`key list --state-dir ${daemon.stateDir}`, 'socket');
    assert.equal(exit, 0, err);
  }));
