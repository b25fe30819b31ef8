import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { isIPv4 } from 'node:net';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Egress } from '../../src/egress/egress.ts';
import { type Allowed, AddressRefused, type Resolve } from '../../src/egress/guard.ts';
import { OwnPlaces } from '../../src/egress/own-places.ts';
import { until } from '../proxy/gateway.ts';
import { startUpstream } from '../proxy/upstream.ts';
import { startTrap } from '../support/trap.ts';

/** In a block of the internet's addresses that was never given to anybody. */
const publicAddress = '2d00::1';

/** A DNS that gives the addresses of its list in turn, the last of them for ever, and counts how often it was asked. */
function dns(...answers: readonly (readonly string[])[]) {
  const state = { asked: 0 };
  const resolve: Resolve = (_, __, done) => {
    const addresses = answers[Math.min(state.asked++, answers.length - 1)] ?? [];
    const found: LookupAddress[] = addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }));
    setImmediate(() => done(null, found));
  };
  return Object.assign(state, { resolve });
}

interface Wanted {
  readonly allowed?: Allowed;
  readonly resolve?: Resolve;
}

/** Asks for a page: its status, or why there was none. */
async function get(url: string, { allowed = 'public', resolve }: Wanted = {}): Promise<number | Error> {
  await using egress = new Egress({ connectMs: 100, resolve });
  return await visit(egress, url, allowed);
}

async function visit(egress: Egress, url: string, allowed: Allowed): Promise<number | Error> {
  const { origin, pathname: path } = new URL(url);
  const asked = { origin, path, method: 'POST', body: '{}', reset: true } as const;
  try {
    const { statusCode, body } = await egress.to(allowed).request(asked);
    await body.dump();
    return statusCode;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

const privates = [
  '0.0.0.0', '0.255.0.1', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.0.1',
  '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.88.99.1', '192.168.0.1', '198.18.0.1', '198.19.255.255',
  '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255',
  '::', '::1', '::2', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8', '0:0:0:0:0:ffff:7f00:1',
  '::ffff:0:7f00:1', '64:ff9b::127.0.0.1', '64:ff9b::8.8.8.8', '64:ff9b:1::1', '100::1', '2001::1', '2001:db8::1',
  '2002:7f00:1::', '2002:808:808::', '3fff::1', '4000::1', '5f00::1', 'fc00::1', 'fd12:3456::1', 'fec0::1', 'ff02::1',
]; // prettier-ignore

const metadata = [
  '169.254.169.254', '169.254.170.2', '169.254.170.23', '169.254.0.1', '100.100.100.200', '192.0.0.192',
  '168.63.129.16', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe', 'fd00:42::42',
  'fe80::a9fe:a9fe', 'fe80::1%eth0', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::169.254.169.254',
  '64:ff9b::169.254.169.254', '64:ff9b:1::169.254.169.254', '2002:a9fe:a9fe::1', '64:ff9b::100.100.100.200',
  '2002:6464:64c8::1',
]; // prettier-ignore

const publics = ['1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '126.255.255.255', '172.15.255.255',
  '172.32.0.0', '192.167.255.255', '223.255.255.255', '2606:4700::1111', '2001:4860:4860::8888', '2a00::1',
]; // prettier-ignore

describe('SEC-62, PR #25906, CVE-2026-110719, GO-2025-4154: an address is checked after the name is looked up', () => {
  test('and refused where it is not public', async () => {
    await using trap = await startTrap();
    for (const address of [...privates, ...metadata]) {
      const { resolve } = dns([address]);
      const met = await get(`http://named.example:${trap.port}/`, { resolve });
      assert.ok(met instanceof AddressRefused, `${address}: ${String(met)}`);
      assert.match(met.message, /^named\.example has the address /);
    }
    assert.equal(trap.connections, 0);
  });

  test('and where clouds have their credentials, whatever is allowed', async () => {
    for (const address of metadata) {
      const { resolve } = dns([address]);
      const met = await get('http://named.example/', { allowed: 'private', resolve });
      assert.ok(met instanceof AddressRefused, `${address}: ${String(met)}`);
      const host = address.includes(':') ? `[${address.replace(/%.*/, '')}]` : address;
      assert.ok((await get(`http://${host}/`, { allowed: 'private' })) instanceof AddressRefused, host);
    }
  });

  test('one bad address among good ones is enough', async () => {
    await using trap = await startTrap();
    for (const addresses of [
      [publicAddress, '127.0.0.1'],
      ['127.0.0.1', publicAddress],
      ['1.1.1.1', '::1'],
    ]) {
      const { resolve } = dns(addresses);
      assert.ok((await get(`http://x.example:${trap.port}/`, { resolve })) instanceof AddressRefused);
    }
    assert.equal(trap.connections, 0);
  });

  test('over TLS as well', async () => {
    await using trap = await startTrap();
    const { resolve } = dns(['127.0.0.1']);
    const url = `https://x.example:${trap.port}/`;
    assert.ok((await get(url, { resolve })) instanceof AddressRefused);
    assert.ok((await get(`https://127.0.0.1:${trap.port}/`)) instanceof AddressRefused);
    assert.equal(trap.connections, 0);
    assert.ok((await get(url, { allowed: 'private', resolve })) instanceof Error);
    assert.equal(trap.connections, 1, 'the look-up is the one that TLS goes by');
  });

  test('what is public is let through', async () => {
    const { reachOf } = await import('../../src/kernel/reach.ts');
    assert.deepEqual(
      publics.filter((address) => reachOf(address) !== 'public'),
      [],
    );
    const { resolve } = dns([publicAddress]);
    const met = await get('http://x.example/', { resolve });
    assert.ok(met instanceof Error && !(met instanceof AddressRefused), String(met));
  });

  test('what is no address is none', async () => {
    for (const address of ['', 'localhost', '127.1', '1.2.3.4.5']) {
      const { resolve } = dns([address]);
      assert.ok((await get('http://x.example/', { allowed: 'private', resolve })) instanceof AddressRefused, address);
    }
    assert.ok((await get('http://x.example/', { resolve: dns([]).resolve })) instanceof Error);
  });
});

describe('SEC-62: DNS that says something else the second time (rebinding)', () => {
  test('is asked once for a connection, and the address it gave is the one connected to', async () => {
    await using upstream = await startUpstream();
    await using trap = await startTrap();
    const { port } = new URL(upstream.url);
    const told = dns(['127.0.0.1'], ['::1']);
    assert.equal(
      await get(`http://x.example:${port}/v1/x`, { allowed: 'private', resolve: told.resolve }),
      200,
      'the first answer counts',
    );
    assert.deepEqual([told.asked, upstream.requests.length, trap.connections], [1, 1, 0]);
  });

  test('is refused at the next connection', async () => {
    await using trap = await startTrap();
    const rebind = async (later: string) => {
      const told = dns([publicAddress], [later]);
      await using egress = new Egress({ connectMs: 100, resolve: told.resolve });
      const url = `http://x.example:${trap.port}/`;
      const first = await visit(egress, url, 'public');
      assert.ok(first instanceof Error && !(first instanceof AddressRefused), String(first));
      assert.ok((await visit(egress, url, 'public')) instanceof AddressRefused, later);
      assert.equal(told.asked, 2);
    };
    await Promise.all(['127.0.0.1', '::1', '::ffff:127.0.0.1'].map(rebind));
    assert.equal(trap.connections, 0);
  });
});

test('the check is made for a connection, and not for each request on it', async () => {
  await using upstream = await startUpstream();
  const told = dns(['127.0.0.1']);
  await using egress = new Egress({ connectMs: 1_000, resolve: told.resolve });
  const { port } = new URL(upstream.url);
  const asked = { origin: `http://x.example:${port}`, path: '/', method: 'POST', body: '{}' } as const;
  for (let count = 0; count < 100; count++) await (await egress.to('private').request(asked)).body.dump();
  assert.equal(upstream.requests.length, 100);
  assert.equal(told.asked, upstream.connections);
  assert.ok(told.asked < 5, `${told.asked} look-ups`);
});

test('an open connection to a private address is of no use to whoever may not make one', async () => {
  await using upstream = await startUpstream();
  await using egress = new Egress({ connectMs: 1_000 });
  const asked = { origin: new URL(upstream.url).origin, path: '/', method: 'POST', body: '{}' } as const;
  await (await egress.to('private').request(asked)).body.dump();
  await assert.rejects(egress.to('public').request(asked), AddressRefused);
  assert.equal(upstream.requests.length, 1);
});

test('the gateway’s listeners, database and Redis are connected to by no model', async () => {
  await using upstream = await startUpstream();
  const { port } = new URL(upstream.url);
  const urls = [
    'postgres://u:p@127.0.0.1:PORT/x',
    'rediss://localhost:PORT/0',
    'http://0.0.0.0:PORT',
    'redis://db.example:PORT',
  ];
  for (const url of urls) {
    const own = new OwnPlaces();
    own.addUrl(url.replace('PORT', port));
    const told = dns(['127.0.0.1']);
    await using egress = new Egress({ connectMs: 1_000, own, resolve: told.resolve });
    const host = url.includes('db.example') ? 'db.example' : 'x.example';
    const met = await visit(egress, `http://${host}:${port}/v1`, 'private');
    assert.ok(met instanceof AddressRefused, `${url}: ${String(met)}`);
    const other = new OwnPlaces();
    other.addUrl(url.replace('PORT', String(Number(port) ^ 1)));
    await using next = new Egress({ connectMs: 1_000, own: other, resolve: told.resolve });
    assert.equal(await visit(next, `http://${host}:${port}/v1`, 'private'), 200, 'another port is another place');
  }
  assert.equal(upstream.requests.length, urls.length);
});

test('of calls at once each has a connection, which is used again unless its call was given up or its upstream closed it', async () => {
  await using upstream = await startUpstream();
  await using egress = new Egress({ connectMs: 5_000 });
  const held = Promise.withResolvers<void>();
  const { origin } = new URL(upstream.url);
  const ask = (path: string, signal?: AbortSignal) =>
    egress.to('private').request({ origin, path, method: 'POST', body: '{"stream":true}', ...(signal && { signal }) });
  upstream.script(({ path }) => ({
    ...(path === '/closing' && { headers: { connection: 'close' } }),
    beforeChunk: () => held.promise,
  }));
  const hangUp = new AbortController();
  const paths = Array.from({ length: 90 }, (_, index) => ['/kept', '/closing', '/given-up'][index % 3] ?? '');
  const calls = await Promise.all(paths.map((path) => ask(path, path === '/given-up' ? hangUp.signal : undefined)));
  assert.equal(upstream.connections, 90);
  hangUp.abort();
  held.resolve();
  await Promise.allSettled(calls.map(async ({ body }) => body.dump()));
  const open = () => upstream.requests.filter(({ answered, hungUp }) => !answered && !hungUp).length;
  await until('all calls are over', () => open() === 0);
  // undici frees a connection in the turn after its answer.
  await nextTurn();
  const again = await Promise.all(paths.map(() => ask('/kept')));
  assert.equal(upstream.connections, 150, '30 of the 90 could be kept');
  await Promise.all(again.map(async ({ body }) => body.text()));
  await assert.rejects(egress.to('private').request({ origin, path: 'not a path', method: 'POST' }), /path/);
  const afterwards = await ask('/kept');
  assert.match(await afterwards.body.text(), /\[DONE\]/);
  assert.equal(upstream.connections, 150, 'a request that cannot be sent keeps none of them');
});
