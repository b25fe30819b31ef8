import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { KeySource } from '../../src/config/jwt-settings.ts';
import { DocumentFetcher } from '../../src/jwt/fetch-document.ts';
import { IssuerKeys } from '../../src/jwt/issuer-keys.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { until } from '../support/gateway.ts';
import { signingKey, startOpenIdProvider } from '../support/openid-provider.ts';

const second = 1_000;
const hour = 3_600 * second;
const first = { alg: 'RS256', kid: 'first' };
const next = { alg: 'RS256', kid: 'next' };

/** Keys of an issuer, by a clock that the test moves. */
function keysAt(
  issuer: string,
  source: KeySource = { kind: 'discovery', url: `${issuer}/.well-known/openid-configuration` },
) {
  const fetcher = new DocumentFetcher();
  const lines: string[] = [];
  const state = { now: 0, begun: 0, pending: 0 };
  const keys = new IssuerKeys({
    issuer: {
      issuer,
      algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      keyTtlMs: 600 * second,
      keyStaleTtlMs: 24 * hour - 600 * second,
    },
    source,
    clock: () => state.now,
    log: (level, message, fields) => lines.push(`${level} ${message}: ${inspect(fields?.['error'] ?? '')}`),
    async fetchJson(...asked) {
      state.begun++;
      state.pending++;
      return fetcher.json(...asked).finally(() => state.pending--);
    },
  });
  const isKnown = async (header: { alg: string; kid?: string }) => {
    const known = (await keys.find(header)) !== undefined;
    await until(() => state.pending === 0);
    return known;
  };
  return { keys, state, lines, isKnown, [Symbol.asyncDispose]: () => fetcher[Symbol.asyncDispose]() };
}

/** How a look-up was refused. */
const refusal = async (looking: Promise<unknown>): Promise<string> => {
  const thrown: unknown = await looking.then(
    () => 'nothing was refused',
    (error: unknown) => error,
  );
  if (!(thrown instanceof GatewayError)) return String(thrown);
  return `${thrown.status} ${thrown.type}, again after ${thrown.headers['retry-after']} s`;
};

describe('the keys of an issuer', { concurrency: true }, () => {
  test('are asked for once by all who come at the same time, and once more for ten thousand kids that nobody knows', async () => {
    await using provider = await startOpenIdProvider();
    await using at = keysAt(provider.issuer);
    const together = await Promise.all(Array.from({ length: 100 }, () => at.keys.find(first)));
    assert.ok(together.every((key) => key !== undefined));
    assert.equal(provider.asked('/jwks'), 1);

    const strangers = (length = 100) =>
      Promise.all(
        Array.from({ length }, (_, index) => at.keys.find({ alg: 'RS256', kid: `kid-${index}-${Math.random()}` })),
      );
    assert.deepEqual(new Set(await strangers(10_000)), new Set([undefined]));
    assert.equal(provider.asked('/jwks'), 2);
    at.state.now += 30 * second - 1;
    await strangers();
    assert.equal(provider.asked('/jwks'), 2);
    at.state.now += 1;
    await strangers();
    assert.equal(provider.asked('/jwks'), 3);
  });

  test('follow a rotation: the new key is known at once, the old one until they are ten minutes old', async () => {
    await using provider = await startOpenIdProvider();
    await using at = keysAt(provider.issuer);
    assert.ok(await at.isKnown(first));
    provider.use([await signingKey('RS256', 'next'), provider.firstKey]);
    assert.deepEqual([await at.isKnown(next), await at.isKnown(first)], [true, true]);
    provider.use([await signingKey('RS256', 'last')]);
    assert.ok(await at.isKnown(first));
    at.state.now += 600 * second + 1;
    assert.deepEqual([await at.isKnown(first), await at.isKnown({ ...first, kid: 'last' })], [false, true]);
  });

  test('are renewed beside the requests before they are old', async () => {
    await using provider = await startOpenIdProvider();
    await using at = keysAt(provider.issuer);
    await at.isKnown(first);
    at.state.now += 500 * second;
    assert.ok(await at.isKnown(first));
    assert.equal(provider.asked('/jwks'), 2);
    at.state.now += 110 * second;
    assert.ok(await at.isKnown(first));
    assert.equal(provider.asked('/jwks'), 2);
  });

  test('go on for a day while the issuer is away, and it is asked less and less often', async () => {
    await using provider = await startOpenIdProvider();
    await using at = keysAt(provider.issuer);
    await at.isKnown(first);
    await provider.stop();
    at.state.now += 601 * second;
    const begunBefore = at.state.begun;
    for (let passed = 0; passed < 200; passed++) {
      assert.ok(await at.isKnown(first));
      assert.match(await refusal(at.keys.find(next)), /^503/, 'the issuer may have it by now');
      at.state.now += second;
    }
    // After 1, 2, 4, 8, 16, 32 and then each 60 seconds.
    assert.equal(at.state.begun - begunBefore, 9);
    assert.equal(at.lines.length, 1);
    assert.match(at.lines[0] ?? '', /^warn The keys of an issuer cannot be read: Error: .*ECONNREFUSED/);

    await provider.start();
    at.state.now += 60 * second;
    await at.isKnown(first);
    assert.deepEqual(at.lines.slice(1), [`info The keys of an issuer can be read again: ''`]);

    await provider.stop();
    at.state.now += 24 * hour + 1;
    assert.equal(await refusal(at.keys.find(first)), '503 auth_provider_unavailable, again after 1 s');
  });

  test('that were never read are our trouble and not the caller’s', async () => {
    await using provider = await startOpenIdProvider();
    await using at = keysAt(provider.issuer);
    await provider.stop();
    const answers = [];
    for (let tries = 0; tries < 4; tries++) {
      answers.push(await refusal(at.keys.find(first)));
      at.state.now += 2 * second;
    }
    assert.deepEqual(
      answers,
      [1, 2, 4, 2].map((wait) => `503 auth_provider_unavailable, again after ${wait} s`),
    );
    await provider.start();
    at.state.now += 2 * second;
    assert.ok(await at.isKnown(first));
  });
});

/** A server of an identity provider that means no good, or is broken. */
async function withDocument<T>(listener: RequestListener, act: (origin: string) => Promise<T>): Promise<T> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an AddressInfo
  const { port } = server.address() as AddressInfo;
  try {
    return await act(`http://127.0.0.1:${port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

async function publicJwk(alg: string, more: Partial<JWK> = {}, modulusLength = 2048): Promise<JWK> {
  const { publicKey } = await generateKeyPair(alg, { modulusLength, extractable: true });
  return { ...(await exportJWK(publicKey)), kid: alg, alg, use: 'sig', ...more };
}

const good = await publicJwk('RS256');
const ofTwo = await publicJwk('RS256', { kid: 'twice' });
const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const useless: Readonly<Record<string, JWK>> = {
  'RSA of 1024 bits': { ...good, n: Buffer.alloc(128, 0xff).toString('base64url') },
  'RSA of 2047 bits': {
    ...good,
    n: Buffer.concat([Buffer.from([0x7f]), Buffer.alloc(255, 0xff)]).toString('base64url'),
  },
  'RSA of 1024 bits with zeros before them': {
    ...good,
    n: Buffer.concat([Buffer.alloc(256), Buffer.alloc(128, 0xff)]).toString('base64url'),
  },
  'RSA of 16384 bits': { ...good, n: Buffer.alloc(2_048, 0xff).toString('base64url') },
  'a key for encryption': { ...good, use: 'enc' },
  'a key for signing only': { ...good, key_ops: ['sign'] },
  'a private key': { ...(await exportJWK(privateKey)), kid: 'private', alg: 'ES256' },
  'a secret': { kty: 'oct', k: 'c2VjcmV0', kid: 'secret', alg: 'HS256' },
  'a point beside the curve': { ...(await publicJwk('ES256')), x: Buffer.alloc(32, 1).toString('base64url') },
  'an algorithm of another key': { ...good, alg: 'ES256' },
  'an algorithm that is not allowed': { ...good, alg: 'RS512' },
};

describe('a key set', { concurrency: true }, () => {
  const serve =
    (body: unknown): RequestListener =>
    (_, response) =>
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
  const look = (listener: RequestListener, header = { alg: 'RS256', kid: 'RS256' }, path = '/jwks') =>
    withDocument(listener, async (origin) => {
      await using at = keysAt(origin, { kind: path === '/jwks' ? 'jwks' : 'discovery', url: origin + path });
      return await at.isKnown(header).catch((error: unknown) => `${String(error)}; ${at.lines.join()}`);
    });

  test('gives the keys that can verify something, whatever stands beside them', async () => {
    const keys = [...Object.values(useless), good, 7, null, 'text'];
    // Those that share the kid of the good one do not hide it.
    assert.equal(await look(serve({ keys })), true);
  });

  for (const [name, key] of Object.entries(useless)) {
    test(`gives no key for ${name}`, async () => {
      assert.match(
        String(await look(serve({ keys: [key] }), { alg: key.alg ?? '', kid: key.kid ?? '' })),
        /it has no key for RS256/,
      );
    });
  }

  test('gives each key one algorithm: the first that fits where it names none', async () => {
    const { alg: _, ...unnamed } = good;
    assert.equal(await look(serve({ keys: [unnamed] })), true);
    assert.equal(await look(serve({ keys: [unnamed] }), { alg: 'PS256', kid: 'RS256' }), false);
  });

  test('gives no key where a kid stands for two', async () => {
    assert.equal(
      await look(serve({ keys: [{ ...good, kid: 'twice' }, ofTwo] }), { alg: 'RS256', kid: 'twice' }),
      false,
    );
  });

  const broken: Readonly<Record<string, readonly [RequestListener, RegExp, string?]>> = {
    'of 101 keys': [serve({ keys: Array.from({ length: 101 }, () => good) }), /no key set of at most 100 keys/],
    'of more than 256 KiB': [serve({ keys: [good], padding: 'x'.repeat(256 * 1024) }), /exceeded|ExceededMaxSize/i],
    'that is no JSON': [serve('<html>'), /JSON/],
    'with an HTTP error': [(_, response) => response.writeHead(500).end('{}'), /HTTP 500/],
    'that is elsewhere': [(_, response) => response.writeHead(302, { location: '/other' }).end(), /HTTP 302/],
    'that takes longer than five seconds': [() => undefined, /Timeout|aborted/i],
    'of another issuer': [
      serve({ issuer: 'https://x', jwks_uri: 'https://x/jwks' }),
      /another issuer/,
      '/.well-known/openid-configuration',
    ],
    'behind plain http': [
      serve({ issuer: 'x', jwks_uri: 'http://169.254.169.254/jwks' }),
      /no https:\/\/ jwks_uri/,
      '/.well-known/openid-configuration',
    ],
    'of a machine next door that only the document names': [
      ({ headers }, response) =>
        response.end(JSON.stringify({ issuer: `http://${headers.host}`, jwks_uri: 'https://10.0.0.1/jwks' })),
      /10\.0\.0\.1 is not public/,
      '/.well-known/openid-configuration',
    ],
  };
  for (const [name, [listener, reason, path]] of Object.entries(broken)) {
    test(`${name} is not used, and not held against the caller`, async () => {
      const answer = String(await look(listener, undefined, path));
      assert.match(answer, /The keys of the identity provider cannot be read/);
      assert.match(answer, reason);
    });
  }
});
