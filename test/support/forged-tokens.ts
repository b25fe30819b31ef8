import { createPublicKey } from 'node:crypto';
import {
  type Forged,
  goodClaims,
  goodHeader,
  type Members,
  mintToken,
  named,
  type Scene,
  seconds,
  write,
} from './forge.ts';
import { wrongSignatures } from './forged-signatures.ts';

const json = JSON.stringify;

/** Every forged token there is, each wrong in one way only. */
export const forgedTokens = (scene: Scene): Forged[] => [
  ...wrongClaims(scene),
  ...wrongHeaders(scene),
  ...wrongSignatures(scene),
  ...malformed(scene),
];

/** Signed as they should be, so that it is the claim alone that is wrong. */
function wrongClaims({ target }: Scene): Forged[] {
  const { issuer, audience } = target;
  const hour = 3_600;
  const sets: Readonly<Record<string, readonly Members[]>> = {
    expired: [62, 120, hour, 86_400, 315_360_000].map((age) => ({ iat: seconds(-age - 300), exp: seconds(-age) })),
    'not valid yet': [90, hour, 86_400].map((ahead) => ({ nbf: seconds(ahead) })),
    'issued in the future': [90, hour, 86_400].map((ahead) => ({ iat: seconds(ahead), exp: seconds(ahead + 300) })),
    'living too long': [86_401, 172_800, 315_360_000].map((life) => ({ exp: seconds(life) })),
    exp: [undefined, null, `${seconds(300)}`, '', [], [seconds(300)], {}, true, 0, -1].map((exp) => ({ exp })),
    iat: [undefined, null, `${seconds()}`, [], {}, true, 0, -1].map((iat) => ({ iat })),
    nbf: [null, `${seconds()}`, [], {}, true].map((nbf) => ({ nbf })),
    aud: [undefined, null, '', 'other', [], ['other'], `${audience}/`, ` ${audience}`, audience.toUpperCase()]
      .concat([audience.slice(0, -1), { 0: audience }, 7, true, [[audience]], `${audience}\0`, '*'] as never[])
      .map((aud) => ({ aud })),
    iss: [undefined, null, '', 'https://stranger.example', `${issuer}/`, ` ${issuer}`, `${issuer}\0`, [issuer], {}, 7]
      .concat(['__proto__', 'constructor', 'toString', `${issuer}#`, `${issuer}@evil.example`] as never[])
      .map((iss) => ({ iss })),
    'another kind of token': [
      ...['nonce', 'at_hash', 'c_hash', 's_hash'].map((name) => ({ [name]: 'abc' })),
      { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
      ...['ID', 'Refresh', 'Offline', 'Logout'].map((typ) => ({ typ })),
    ],
  };
  return Object.entries(sets).flatMap(([kind, all]) =>
    named(
      kind,
      all.map((claims) => mintToken(target, { claims })),
    ),
  );
}

function wrongHeaders({ target, forger }: Scene): Forged[] {
  const types = ['id_token', 'dpop+jwt', 'logout+jwt', 'secevent+jwt', 'JWE', 'at+jwt ', '', 0, null, ['at+jwt'], {}];
  const own =
    forger.key.type === 'secret'
      ? { kty: 'oct', k: 'c2VjcmV0' }
      : createPublicKey(forger.key).export({ format: 'jwk' });
  const dangerous: readonly Members[] = [
    { jku: 'https://evil.example/jwks' },
    { jku: `${target.issuer}/jwks` },
    { x5u: 'https://evil.example/chain.pem' },
    { x5c: ['MIIB'] },
    { jwk: own },
    { jwk: own, kid: undefined },
    { crit: ['exp'], exp: seconds(300) },
    { crit: [] },
    { crit: ['b64'], b64: false },
    { b64: false },
    { b64: true },
    { zip: 'DEF' },
    { enc: 'A256GCM' },
  ];
  const kids = [
    '../../../../../../dev/null',
    '/dev/null',
    'file:///dev/null',
    'http://evil.example/key',
    `${target.kid}\0`,
  ]
    .concat([
      "' OR '1'='1",
      "x' UNION SELECT 'secret' --",
      '__proto__',
      'constructor',
      'toString',
      'hasOwnProperty',
      '0',
    ])
    .concat(['', '*', '%', target.kid.toUpperCase(), `${target.kid} `, 'k'.repeat(4_000)]);
  return [
    ...named(
      'typ',
      types.map((typ) => mintToken(target, { header: { typ } })),
    ),
    ...named(
      'a header with more, signed by the issuer',
      dangerous.map((header) => mintToken(target, { header })),
    ),
    ...named(
      'a header with more, signed by the forger',
      dangerous.map((header) => mintToken(forger, { header })),
    ),
    ...named(
      'kid',
      kids.map((kid) => mintToken(forger, { header: { kid } })),
    ),
    ...named(
      'kid that is no text',
      [0, null, {}, [target.kid], true].map((kid) => mintToken(target, { header: { kid } })),
    ),
  ];
}

function malformed({ target }: Scene): Forged[] {
  const header = json(goodHeader(target));
  const claims = json(goodClaims(target));
  const both = (name: string, value: unknown) => `{${json(name)}:${json(value)},${claims.slice(1)}`;
  const deep = `${'['.repeat(64)}${']'.repeat(64)}`;
  const payloads = [
    both('iss', 'x'),
    both('aud', 'x'),
    both('exp', 0),
    both('sub', 'x'),
    both('iat', 0),
    `{"\\u0069ss":"x",${claims.slice(1)}`,
    `{"realm":{"a":1,"a":2},${claims.slice(1)}`,
    `{"list":[{"a":1,"b":[{"c":1,"c":1}]}],${claims.slice(1)}`,
    `{"exp":1e400,${claims.slice(1).replace(/"exp":\d+,/, '')}`,
    `{"iat":-1e400,${claims.slice(1).replace(/"iat":\d+,/, '')}`,
    `{"deep":${deep},${claims.slice(1)}`,
    `\u{feff}${claims}`,
    `${claims} x`,
    `${claims}${claims}`,
    `[${claims}]`,
    'null',
    '1',
    '""',
    'true',
    '',
    '{',
    json(claims),
    claims.replace('{', '{/* */'),
    json(goodClaims(target, { padding: 'x'.repeat(8_192) })),
  ];
  const headers = [
    `{"alg":"none",${header.slice(1)}`,
    `{"kid":"x",${header.slice(1)}`,
    `{"typ":"x",${header.slice(1)}`,
    `{"\\u0061lg":"none",${header.slice(1)}`,
    `[${header}]`,
    'null',
    '1',
    '',
    '{}',
    json(header),
  ];
  const good = mintToken(target);
  const [first = '', second = '', third = ''] = good.split('.');
  return [
    ...named(
      'payload that is no object, or two',
      payloads.map((payload) => write(target, header, payload)),
    ),
    ...named(
      'header that is no object, or two',
      headers.map((each) => write(target, each, claims)),
    ),
    ...named('bytes that are no text', [
      write(
        target,
        header,
        Buffer.concat([Buffer.from(claims.slice(0, -1)), Buffer.from([0x2c, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])]),
      ),
    ]),
    ...named('parts', [
      '',
      '.',
      '..',
      '...',
      first,
      `${first}.${second}`,
      `${good}.`,
      `.${good}`,
      `${good}.${third}`,
      `${good}.${second}.${third}`,

      `${first}..${third}`,
      `.${second}.${third}`,
      `${first}.${second}..${third}`,
      `${first} .${second}.${third}`,
      `${good}#`,
      `Bearer ${good}`,
    ]),
  ];
}
