import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyCache } from '../../src/access/key-cache.ts';
import { type Principal, unlimited } from '../../src/access/principal.ts';
import { TokenVerifier } from '../../src/jwt/verify.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { loadYaml } from '../config/support.ts';
import { mintToken, seconds, secretMint } from '../support/forge.ts';

const audience = 'gateway';
const secret = 'a shared secret of thirty-two bytes and more';
const mint = secretMint('own', audience, secret);

/** A verifier by a clock that the test moves. */
function verifierAt() {
  const yaml = {
    gatewayctl: { jwt: { enabled: true, issuers: [{ issuer: 'own', audience, shared_secret: secret }] } },
  };
  const clock = { aheadMs: 0 };
  const issuers = loadYaml(JSON.stringify(yaml)).jwt?.issuers ?? [];
  const now = () => new Date(Date.now() + clock.aheadMs);
  return { verifier: new TokenVerifier({ issuers, now, log: () => undefined }), clock };
}

test('tokens that begin alike are told apart, once they are remembered as well', async () => {
  const { verifier } = verifierAt();
  const filler = 'x'.repeat(500);
  const claims = { iss: undefined, aud: undefined, iat: seconds(), exp: seconds(300), jti: undefined };
  const of = (sub: string) =>
    mintToken(mint, { claims: { ...claims, sub: undefined, filler, who: sub, iss: 'own', aud: audience } });
  const [ann, bob] = [of('ann'), of('bob')];
  assert.equal(ann.slice(0, 500), bob.slice(0, 500));
  for (let round = 0; round < 2; round++) {
    assert.equal((await verifier.verify(ann)).claims['who'], 'ann');
    assert.equal((await verifier.verify(bob)).claims['who'], 'bob');
  }
  assert.equal(verifier.recall(ann)?.claims['who'], 'ann');
  assert.equal(verifier.recall(ann.slice(0, -1)), undefined);
});

test('a remembered token is forgotten when it expires, and what it said cannot be changed', async () => {
  const { verifier, clock } = verifierAt();
  const token = mintToken(mint, { claims: { exp: seconds(30) } });
  const verified = await verifier.verify(token);
  assert.equal(verifier.recall(token), verified);
  assert.throws(() => Object.assign(verified.claims, { sub: 'admin' }), TypeError);
  clock.aheadMs = 89_000;
  assert.equal(verifier.recall(token), verified, 'within the tolerance');
  clock.aheadMs = 91_000;
  assert.equal(verifier.recall(token), undefined);
  await assert.rejects(verifier.verify(token), (error) => error instanceof GatewayError && error.status === 401);
});

test('what a token is mapped to is not remembered at all where it may be for no time', async () => {
  const cache = new KeyCache({ ttl: 60_000, negativeTtl: 1_000, maxEntries: 10, staleMax: 0 });
  cache.trust(Date.now());
  const nobody = { userId: null, teamId: null, organizationId: null, teamAlias: null, alias: null } as const;
  const principal: Principal = {
    ...unlimited,
    ...nobody,
    kind: 'jwt',
    keyId: 'jwt',
    hash: 'jwt',
    role: 'internal_user',
  };
  for (const ttl of [0, -1, 60_000]) {
    await cache.store('a token', { principal }, { fence: cache.fence, ttl });
    assert.equal((await cache.read('a token')) !== undefined, ttl > 0, String(ttl));
  }
});
