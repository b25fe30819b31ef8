import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { IssuerSettings } from '../../src/config/jwt-settings.ts';
import { TokenVerifier } from '../../src/jwt/verify.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { loadYaml } from '../config/support.ts';
import { type Members, type Mint, mintOf, mintToken, type Scene, seconds, secretMint } from '../support/forge.ts';
import { forgedTokens } from '../support/forged-tokens.ts';
import { audience, type SigningAlgorithm, signingKey, startOpenIdProvider } from '../support/openid-provider.ts';

const now = () => new Date();
const secret = 'a shared secret of thirty-two bytes and more';

/** Issuers as the configuration file gives them. */
function issuersOf(...entries: readonly object[]): readonly IssuerSettings[] {
  const yaml = JSON.stringify({ gatewayctl: { jwt: { enabled: true, issuers: entries } } });
  return loadYaml(yaml).jwt?.issuers ?? [];
}

/** What the client is told of a token. */
async function answerTo(verifier: TokenVerifier, token: string): Promise<string> {
  try {
    await verifier.verify(token);
    return 'accepted';
  } catch (error) {
    // Anything but a refusal is a bug.
    return error instanceof GatewayError ? JSON.stringify({ status: error.status, ...error.toJSON() }) : String(error);
  }
}

async function refusesAll(verifier: TokenVerifier, scene: Scene): Promise<void> {
  const forged = forgedTokens(scene);
  assert.ok(forged.length >= 200, `${forged.length} forged tokens`);
  assert.equal(new Set(forged.map(({ token }) => token)).size, forged.length, 'no two are the same');
  const answers = new Map<string, string[]>();
  for (const { name, token } of forged) {
    const answer = await answerTo(verifier, token);
    answers.set(answer, [...(answers.get(answer) ?? []), name]);
  }
  const [answer = '', ...others] = answers.keys();
  assert.deepEqual(
    others.map((each) => [each, answers.get(each)]),
    [],
    'all are told the same',
  );
  assert.match(
    answer,
    /^{"status":401,"error":{"message":"Authentication Error, Invalid JWT Submitted","type":"auth_error"/,
  );
}

describe('no forged token is accepted', () => {
  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA'] as const satisfies readonly SigningAlgorithm[]) {
    test(`of an issuer that signs with ${alg}`, async () => {
      await using provider = await startOpenIdProvider({ alg });
      const issuers = issuersOf(
        { issuer: provider.issuer, audience },
        { issuer: 'https://other.example', audience, shared_secret: secret },
      );
      await using verifier = new TokenVerifier({ issuers, now, log: () => undefined });
      const target = mintOf(provider.issuer, audience, provider.firstKey);
      const forger: Mint = mintOf(provider.issuer, audience, await signingKey(alg, 'first'));
      assert.equal(await answerTo(verifier, await provider.token()), 'accepted');
      assert.equal(await answerTo(verifier, mintToken(target)), 'accepted');
      await refusesAll(verifier, { target, forger, other: secretMint('https://other.example', audience, secret) });
    });
  }

  test('of an issuer with a shared secret', async () => {
    await using provider = await startOpenIdProvider();
    const issuers = issuersOf(
      { issuer: 'own', audience, shared_secret: secret },
      { issuer: provider.issuer, audience },
    );
    await using verifier = new TokenVerifier({ issuers, now, log: () => undefined });
    const target = secretMint('own', audience, secret);
    assert.equal(await answerTo(verifier, mintToken(target)), 'accepted');
    const forger = secretMint('own', audience, `${secret}.`);
    await refusesAll(verifier, { target, forger, other: mintOf(provider.issuer, audience, provider.firstKey) });
  });
});

/** Tokens as issuers differ in them. Made when they are shown: a file may be loaded long before it runs. */
const good = (): Readonly<Record<string, { header?: Members; claims?: Members }>> => ({
  'without a typ': { header: { typ: undefined } },
  'with the typ of any JWT': { header: { typ: 'JWT' } },
  'with the whole media type': { header: { typ: 'application/AT+jwt' } },
  'without a kid, where there is one key': { header: { kid: undefined } },
  'with a thumbprint of a certificate': { header: { x5t: 'abc' } },
  'for several audiences': { claims: { aud: ['other', audience] } },
  'that has ended within the tolerance': { claims: { iat: seconds(-300), exp: seconds(-30) } },
  'of an issuer whose clock is ahead': { claims: { iat: seconds(30), nbf: seconds(30), exp: seconds(330) } },
  'of Keycloak': { claims: { typ: 'Bearer', nonce: 'abc' } },
  'with names in texts': { claims: { note: '"iss":"x","iss":', '"quoted":': { iss: 1, exp: [{ iss: 2 }] }, '\\': 1 } },
});

describe('a token is accepted', () => {
  for (const name of Object.keys(good())) {
    test(name, async () => {
      const issuers = issuersOf({ issuer: 'own', audience, shared_secret: secret });
      await using verifier = new TokenVerifier({ issuers, now, log: () => undefined });
      assert.equal(await answerTo(verifier, mintToken(secretMint('own', audience, secret), good()[name])), 'accepted');
    });
  }

  test('only of the types and lifetimes that its issuer is allowed', async () => {
    const issuers = issuersOf({
      issuer: 'own',
      audience,
      shared_secret: secret,
      token_types: ['at+jwt'],
      max_lifetime: '5m',
    });
    await using verifier = new TokenVerifier({ issuers, now, log: () => undefined });
    const mint = secretMint('own', audience, secret);
    assert.equal(await answerTo(verifier, mintToken(mint)), 'accepted');
    assert.match(await answerTo(verifier, mintToken(mint, { header: { typ: undefined } })), /401/);
    assert.match(await answerTo(verifier, mintToken(mint, { claims: { exp: seconds(310) } })), /401/);
  });
});
